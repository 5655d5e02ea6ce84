// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/vdpad/store_case.h"
#include "vdpad/util/cleanup.h"

#define MAX_FILE (4 * 1024 * 1024)

static struct port make_port(const char *name) {
	struct port port = {
		.spec =
			{
				.keys = PORT_KEY_VLAN,
				.mac = {{0x52, 0x54, 0, 1, 2, 3}},
				.mtu_bytes = 1500,
				.queue_pairs = 2,
				.vlan = 10,
				.policy = POLICY_SOFTWARE,
				.profile = "fast-1",
				.link_up = true,
			},
		.backend = BACKEND_SWITCH,
	};

	snprintf(port.spec.name, sizeof(port.spec.name), "%s", name);
	strcpy(port.spec.network, "vmbr0");
	snprintf(port.path, sizeof(port.path), "/run/vdpad/port/%s.sock", name);
	strcpy(port.choice, "software switch");
	return port;
}

static const struct network vmbr0 = {
	.name = "vmbr0", .bridge = "vmbr0", .tap = "vdp-vmbr0", .mtu_bytes = 1500, .ageing_s = 300};

static size_t read_file(const char *name, char *content) {
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, content, MAX_FILE) : 0;

	if (fd >= 0)
		close(fd);
	return n > 0 ? (size_t)n : 0;
}

static void write_file(const char *name, const void *content, size_t size) {
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), (ssize_t)size);
	close(fd);
}

// It is refused with @code, the sentence says how to recover, and the file and its log are the same.
static void refuses_untouched(int code) {
	static char before[MAX_FILE], after[MAX_FILE], log_before[MAX_FILE], log_after[MAX_FILE];
	char log[128];
	size_t size, log_size;
	struct store *store = NULL;
	struct error e = {0};

	snprintf(log, sizeof(log), "%s-wal", store_path);
	size = read_file(store_path, before);
	log_size = read_file(log, log_before);
	assert_int_equal(store_open(store_dir, "boot", &store, &e), -code);
	assert_null(store);
	assert_non_null(strstr(e.text, store_path));
	assert_non_null(strstr(e.text, "Nothing was changed. "));
	assert_true(strlen(e.text) < sizeof(e.text) - 1); // not cut
	assert_int_equal(read_file(store_path, after), size);
	assert_memory_equal(before, after, size);
	assert_int_equal(read_file(log, log_after), log_size);
	assert_memory_equal(log_before, log_after, log_size);
}

static void store_gives_back_what_was_recorded(void **state) {
	struct store *store = store_case_open("boot");
	struct port b = make_port("b"), a = make_port("a");
	struct network network;
	struct store_seen seen;

	(void)state;
	store_case_add(store, &b);
	store_case_add(store, &a);
	store_close(store);
	store = store_case_open("boot");
	seen = store_case_load(store);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.ports[0].spec.name, "a");
	assert_memory_equal(&seen.ports[1].spec, &b.spec, sizeof(b.spec));
	assert_string_equal(seen.ports[1].path, b.path);
	assert_string_equal(seen.ports[1].choice, b.choice);
	assert_int_equal(seen.ports[1].generation, b.generation);
	assert_int_equal(seen.ports[1].backend, BACKEND_SWITCH);
	assert_int_equal(seen.intents[0], STORE_NO_INTENT);
	assert_int_equal(store_find_network(store, "vmbr0", &network, NULL), 0);
	assert_string_equal(network.tap, "vdp-vmbr0");
	assert_int_equal(network.ageing_s, 300);
	store_close(store);
}

static void store_never_uses_a_generation_twice(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a"), again = make_port("a"), late = make_port("late");

	(void)state;
	store_case_add(store, &a);
	assert_int_equal(store_forget(store, "a", NULL), 0);
	store_close(store);
	store = store_case_open("boot");
	store_case_add(store, &again);
	assert_true(again.generation > a.generation);
	assert_int_equal(store_skip_generations(store, 1000, NULL), 0);
	assert_int_equal(store_skip_generations(store, 10, NULL), 0);
	store_case_add(store, &late);
	assert_int_equal(late.generation, 1001);
	store_close(store);
}

static void store_keeps_intents_without_result(void **state) {
	struct store *store = store_case_open("boot");
	struct port create = make_port("a"), change = make_port("b"), delete = make_port("c");
	struct store_seen seen;

	(void)state;
	assert_int_equal(store_intend(store, STORE_CREATE, &create, &vmbr0, NULL), 0);
	store_case_add(store, &change);
	change.spec.vlan = 20;
	assert_int_equal(store_intend(store, STORE_CHANGE, &change, NULL, NULL), 0);
	store_case_add(store, &delete);
	assert_int_equal(store_intend(store, STORE_DELETE, &delete, NULL, NULL), 0);
	store_close(store);

	store = store_case_open("boot");
	seen = store_case_load(store);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.intents[0], STORE_CREATE);
	assert_int_equal(seen.intents[1], STORE_CHANGE);
	assert_int_equal(seen.ports[1].spec.vlan, 20);
	assert_int_equal(seen.intents[2], STORE_DELETE);
	assert_int_equal(store_record(store, &change, NULL), 0);
	assert_int_equal(store_forget(store, "c", NULL), 0);
	seen = store_case_load(store);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.intents[1], STORE_NO_INTENT);
	store_close(store);
}

static void store_forgets_a_network_with_its_last_port(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a"), b = make_port("b");
	struct network network;

	(void)state;
	store_case_add(store, &a);
	store_case_add(store, &b);
	assert_int_equal(store_forget(store, "a", NULL), 0);
	assert_int_equal(store_find_network(store, "vmbr0", &network, NULL), 0);
	assert_int_equal(store_forget(store, "b", NULL), 0);
	assert_int_equal(store_find_network(store, "vmbr0", &network, NULL), -ENOENT);
	store_close(store);
}

static void store_drops_runtime_ports_after_a_boot(void **state) {
	struct store *store = store_case_open("first");
	struct port a = make_port("a"), b = make_port("b");
	struct store_seen seen;

	(void)state;
	b.spec.persistent = true;
	store_case_add(store, &a);
	store_case_add(store, &b);
	store_close(store);
	store = store_case_open("first");
	assert_int_equal(store_n_dropped(store), 0);
	assert_int_equal(store_case_load(store).n, 2);
	store_close(store);
	store = store_case_open("second");
	assert_int_equal(store_n_dropped(store), 1);
	seen = store_case_load(store);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.ports[0].spec.name, "b");
	store_close(store);
}

static void store_new_file_is_not_trusted_until_said(void **state) {
	struct store *store = store_case_open("boot");

	(void)state;
	assert_false(store_is_trusted(store));
	store_close(store);
	store = store_case_open("boot");
	assert_false(store_is_trusted(store)); // a restart does not make it so
	assert_int_equal(store_set_trusted(store, NULL), 0);
	store_close(store);
	store = store_case_open("boot");
	assert_true(store_is_trusted(store));
	store_close(store);
}

static void store_survives_kill_between_intent_and_result(void **state) {
	struct port port = make_port("a");
	struct store_seen seen;
	struct store *store;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		store = store_case_open("boot");
		if (store_intend(store, STORE_CREATE, &port, &vmbr0, NULL) == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	store = store_case_open("boot");
	seen = store_case_load(store);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.intents[0], STORE_CREATE);
	store_close(store);
}

static void store_refuses_garbage_untouched(void **state) {
	static const char garbage[8192] = "this was a database once";

	(void)state;
	write_file(store_path, garbage, sizeof(garbage));
	refuses_untouched(EUCLEAN);
}

static void store_refuses_a_truncated_file_untouched(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a");

	(void)state;
	store_case_add(store, &a);
	store_close(store);
	assert_int_equal(truncate(store_path, 3 * 4096 + 100), 0);
	refuses_untouched(EUCLEAN);
}

static void store_refuses_a_damaged_page_untouched(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a");
	char noise[4096];
	struct stat st;
	int fd;

	(void)state;
	store_case_add(store, &a);
	store_close(store);
	assert_int_equal(stat(store_path, &st), 0);
	memset(noise, 0x5a, sizeof(noise));
	fd = open(store_path, O_WRONLY | O_CLOEXEC);
	for (off_t page = 1; page < st.st_size / 4096; page++)
		assert_int_equal(pwrite(fd, noise, sizeof(noise), page * 4096), 4096);
	close(fd);
	refuses_untouched(EUCLEAN);
}

static void store_refuses_a_row_that_makes_no_sense(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a");
	struct store_seen seen = {.n = 0};
	struct error e = {0};

	(void)state;
	store_case_add(store, &a);
	store_close(store);
	store_case_sql("UPDATE ports SET name = '../../etc/passwd'");
	store = store_case_open("boot");
	assert_int_equal(store_each_port(store, store_case_note, &seen, &e), -EUCLEAN);
	assert_non_null(strstr(e.text, "move it away"));
	store_close(store);
}

static void store_refuses_a_newer_schema_untouched(void **state) {
	struct store *store = store_case_open("boot");

	(void)state;
	store_close(store);
	store_case_sql("PRAGMA user_version = 7");
	refuses_untouched(EPROTO);
}

static void store_refuses_another_programs_database_untouched(void **state) {
	(void)state;
	store_case_sql("CREATE TABLE shopping (item TEXT)");
	refuses_untouched(EUCLEAN);
}

static void store_refuses_a_log_without_its_file(void **state) {
	char log[128];

	(void)state;
	snprintf(log, sizeof(log), "%s-wal", store_path);
	write_file(log, "log", 3);
	refuses_untouched(EUCLEAN);
	assert_int_equal(access(store_path, F_OK), -1);
}

static void store_refuses_a_directory_in_the_files_place(void **state) {
	struct store *store = NULL;
	struct error e = {0};

	(void)state;
	assert_int_equal(mkdir(store_path, 0700), 0);
	assert_true(store_open(store_dir, "boot", &store, &e) < 0);
	assert_non_null(strstr(e.text, "cannot read the state file"));
}

static void store_takes_an_empty_file_for_a_new_one(void **state) {
	struct store *store;

	(void)state;
	write_file(store_path, "", 0);
	store = store_case_open("boot");
	assert_false(store_is_trusted(store));
	store_close(store);
}

// A limit on the size of files stands for a full disk: write() fails in the same place.
static void limit_file_size(rlim_t size) {
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void store_full_disk_refuses_and_changes_nothing(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a"), b = make_port("b"), c = make_port("c");
	struct error e = {0};

	(void)state;
	store_case_add(store, &a);
	limit_file_size(4096);
	assert_int_equal(store_intend(store, STORE_CREATE, &b, &vmbr0, &e), -ENOSPC);
	assert_non_null(strstr(e.text, store_path));
	assert_int_equal(store_case_load(store).n, 1);
	assert_int_equal(store_intend(store, STORE_CREATE, &b, &vmbr0, &e), -ENOSPC);
	limit_file_size(RLIM_INFINITY);
	store_case_add(store, &c);
	assert_int_equal(store_case_load(store).n, 2);
	store_close(store);
}

// A tiny file system of its own; only root may have one.
static void store_full_disk_still_deletes(void **state) {
	struct port port = make_port("x");
	struct store *store;
	struct error e = {0};
	char name[16];
	int n = 0, r;

	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", store_dir, "tmpfs", 0, "size=1m") < 0)
		skip();
	store = store_case_open("boot");
	do {
		snprintf(name, sizeof(name), "p%d", n++);
		port = make_port(name);
		memset(port.choice, 'x', sizeof(port.choice) - 1);
		r = store_intend(store, STORE_CREATE, &port, &vmbr0, &e);
		if (r == 0)
			r = store_record(store, &port, &e);
	} while (r == 0 && n < 5000);
	assert_int_equal(r, -ENOSPC);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		port = make_port(name);
		if (store_intend(store, STORE_DELETE, &port, NULL, &e) < 0 ||
		    store_forget(store, name, &e) < 0)
			fail_msg("%s", e.text);
	}
	store_close(store);
	assert_int_equal(umount(store_dir), 0);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, store_case_setup, store_case_teardown)
	const struct CMUnitTest tests[] = {
		TEST(store_gives_back_what_was_recorded),
		TEST(store_never_uses_a_generation_twice),
		TEST(store_keeps_intents_without_result),
		TEST(store_forgets_a_network_with_its_last_port),
		TEST(store_drops_runtime_ports_after_a_boot),
		TEST(store_new_file_is_not_trusted_until_said),
		TEST(store_survives_kill_between_intent_and_result),
		TEST(store_refuses_garbage_untouched),
		TEST(store_refuses_a_truncated_file_untouched),
		TEST(store_refuses_a_damaged_page_untouched),
		TEST(store_refuses_a_row_that_makes_no_sense),
		TEST(store_refuses_a_newer_schema_untouched),
		TEST(store_refuses_another_programs_database_untouched),
		TEST(store_refuses_a_log_without_its_file),
		TEST(store_refuses_a_directory_in_the_files_place),
		TEST(store_takes_an_empty_file_for_a_new_one),
		TEST(store_full_disk_refuses_and_changes_nothing),
		TEST(store_full_disk_still_deletes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
