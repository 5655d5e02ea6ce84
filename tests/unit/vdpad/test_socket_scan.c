// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vdpad/backend/socket_scan.h"
#include "vdpad/util/cleanup.h"

#define HEAD "Num       RefCount Protocol Flags    Type St Inode Path\n"
#define LISTENER(path) "0000000000000000: 00000002 00000000 00010000 0001 01 24410 " path "\n"
#define ACCEPTED(path) "0000000000000000: 00000003 00000000 00000000 0001 03 24499 " path "\n"
#define CONNECTING(path) "0000000000000000: 00000003 00000000 00000000 0001 02 24499 " path "\n"

static struct socket_use scan(const char *text, const char *path) {
	struct socket_use use = {.path = path, .listening = true, .connected = true};
	FILE *table = fmemopen((char *)text, strlen(text), "r");

	assert_non_null(table);
	socket_scan(table, &use, 1);
	fclose(table);
	return use;
}

static void expect(const char *text, const char *path, bool listening, bool connected) {
	struct socket_use use = scan(text, path);

	assert_int_equal(use.listening, listening);
	assert_int_equal(use.connected, connected);
}

static void listeners_and_their_peers_are_told_apart(void **state) {
	(void)state;
	expect(HEAD, "/run/a", false, false);
	expect(HEAD LISTENER("/run/a"), "/run/a", true, false);
	expect(HEAD LISTENER("/run/a") ACCEPTED("/run/a"), "/run/a", true, true);
	expect(HEAD ACCEPTED("/run/a"), "/run/a", false, true);
	expect(HEAD LISTENER("/run/a") CONNECTING("/run/a"), "/run/a", true, false);
}

static void other_names_are_not_taken_for_it(void **state) {
	(void)state;
	expect(HEAD LISTENER("/run/ab") LISTENER("@/run/a") LISTENER("run/a") LISTENER("/a"),
	       "/run/a", false, false);
	expect(HEAD "0000: 00000002 00000000 00000000 0002 01 13811\n", "/run/a", false, false);
	expect(HEAD "nonsense\n\n: : :\n" LISTENER("/run/a"), "/run/a", true, false);
	expect(HEAD LISTENER("/run/a b"), "/run/a b", true, false);
}

// The kernel's own table, a real socket, and a folder that has two names.
static void a_folder_of_another_name_is_the_same_folder(void **state) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char dir[] = "/tmp/test-scan-XXXXXX", link[64], by_link[96];
	struct socket_use uses[2] = {{.path = addr.sun_path}, {.path = by_link}};
	FILE *table = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(link, sizeof(link), "%s-link", dir);
	assert_int_equal(symlink(dir, link), 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir);
	snprintf(by_link, sizeof(by_link), "%s/s", link);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	for (int listening = 0; listening < 2; listening++) {
		if (listening)
			assert_int_equal(listen(fd, 1), 0);
		table = fopen("/proc/net/unix", "re");
		assert_non_null(table);
		socket_scan(table, uses, ARRAY_LEN(uses));
		fclose(table);
		assert_int_equal(uses[0].listening, listening);
		assert_int_equal(uses[1].listening, listening);
		assert_false(uses[0].connected);
	}
	close(fd);
	unlink(addr.sun_path);
	unlink(link);
	rmdir(dir);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listeners_and_their_peers_are_told_apart),
		cmocka_unit_test(other_names_are_not_taken_for_it),
		cmocka_unit_test(a_folder_of_another_name_is_the_same_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
