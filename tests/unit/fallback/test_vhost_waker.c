// SPDX-License-Identifier: GPL-2.0-or-later
// The back-end is a thread, or nobody.

#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fallback/vhost_waker.h"

#define REQUEST_BYTES 12
#define ANSWER_BYTES 20

struct fixture {
	char directory[32];
	char port_path[64];
	int front, back;
};

static struct fixture f;

static int setup(void **state) {
	int pair[2];

	(void)state;
	strcpy(f.directory, "/tmp/test-waker-XXXXXX");
	if (mkdtemp(f.directory) == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return -1;
	snprintf(f.port_path, sizeof(f.port_path), "%s/p1.sock", f.directory);
	f.front = pair[0];
	f.back = pair[1];
	return 0;
}

static int teardown(void **state) {
	(void)state;
	close(f.front);
	close(f.back);
	return rmdir(f.directory); // fails when a socket was left
}

static void *answer_one(void *unused) {
	uint32_t words[ANSWER_BYTES / 4] = {0};

	(void)unused;
	if (read(f.back, words, REQUEST_BYTES) != REQUEST_BYTES || words[0] != 1 || words[1] != 1 ||
	    words[2] != 0)
		return NULL; // no GET_FEATURES of version 1 without payload
	return write(f.back, words, ANSWER_BYTES) == ANSWER_BYTES ? &f : NULL;
}

static void answer_is_waited_for(void **state) {
	(void)state;
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		void *well_formed;

		assert_int_equal(pthread_create(&thread, NULL, answer_one, NULL), 0);
		assert_int_equal(vhost_waker_wake(f.front), 0);
		pthread_join(thread, &well_formed);
		assert_ptr_equal(well_formed, &f);
	}
}

static void silent_backend_does_not_hold_us_up(void **state) {
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(vhost_waker_wake(f.front), -ETIMEDOUT);
}

static void lost_backend_is_an_error_and_no_signal(void **state) {
	(void)state;
	close(f.back);
	f.back = -EBADF;
	assert_int_equal(vhost_waker_wake(f.front), -EIO);
}

static void socket_is_beside_the_ports_and_ours_alone(void **state) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[sizeof(addr.sun_path)], expected[64];
	int fd = vhost_waker_listen(f.port_path, path, sizeof(path));

	(void)state;
	assert_true(fd >= 0);
	snprintf(expected, sizeof(expected), "%s/.waker", f.directory);
	assert_string_equal(path, expected);
	strcpy(addr.sun_path, path);
	assert_int_equal(connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(vhost_waker_listen(f.port_path, path, sizeof(path)), -EADDRINUSE);
	close(client);
	close(fd); // now it is a leftover
	fd = vhost_waker_listen(f.port_path, path, sizeof(path));
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(vhost_waker_listen(f.port_path, path, 8), -ENAMETOOLONG);
}

#define WAKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WAKER_TEST(answer_is_waited_for),
		WAKER_TEST(silent_backend_does_not_hold_us_up),
		WAKER_TEST(lost_backend_is_an_error_and_no_signal),
		WAKER_TEST(socket_is_beside_the_ports_and_ours_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
