// SPDX-License-Identifier: GPL-2.0-or-later
// What only some ports have, and state files that are older than it.

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/vdpad/store_case.h"

static struct port make_port(const char *name) {
	struct port port = {
		.spec =
			{.network = "vmbr0",
	                 .mtu_bytes = 1500,
	                 .queue_pairs = 2,
	                 .profile = "fast-1"},
		.backend = BACKEND_SWITCH,
		.path = "/run/vdpad/port/p.sock",
	};

	strcpy(port.spec.name, name);
	return port;
}

static void store_keeps_what_only_some_ports_have(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a"), b = make_port("b");
	struct error e = {0};
	struct store_seen seen;

	(void)state;
	strcpy(a.spec.trunks, "10,20-29");
	a.spec.rate_bps = 10000000;
	strcpy(a.spec.socket, "vpp0");
	a.spec.policy = POLICY_EXTERNAL;
	a.backend = BACKEND_EXTERNAL;
	a.qemu_listens = true;
	store_case_add(store, &a);
	store_case_add(store, &b);
	store_close(store);
	store = store_case_open("boot");
	seen = store_case_load(store);
	assert_memory_equal(&seen.ports[0], &a, sizeof(a));
	assert_memory_equal(&seen.ports[1], &b, sizeof(b));
	a.spec.rate_bps = 0;
	assert_int_equal(store_record(store, &a, &e), 0);
	assert_int_equal(store_forget(store, "b", &e), 0);
	seen = store_case_load(store);
	assert_memory_equal(&seen.ports[0], &a, sizeof(a));
	store_close(store);
	store = store_case_open("another boot");
	store_case_add(store, &b); // whose name may come again
	store_close(store);
	store_case_sql("UPDATE meta SET value = 'boot' WHERE key = 'boot_id';"
	               "CREATE TABLE proof (n CHECK (n = 0));"
	               "INSERT INTO proof SELECT count(*) FROM port_values");
}

static void store_refuses_values_that_make_no_sense(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a");
	struct error e = {0};
	struct store_seen seen = {.n = 0};

	(void)state;
	store_case_add(store, &a);
	store_close(store);
	store_case_sql("INSERT INTO port_values VALUES ('a', 'path', '/etc/passwd')");
	store = store_case_open("boot");
	assert_int_equal(store_each_port(store, store_case_note, &seen, &e), -EUCLEAN);
	store_close(store);
}

// Version 2 had no port_values.
static void store_brings_an_older_schema_up(void **state) {
	struct store *store = store_case_open("boot");
	struct port a = make_port("a");
	struct store_seen seen;

	(void)state;
	store_case_add(store, &a);
	store_close(store);
	store_case_sql("DROP TABLE port_values; PRAGMA user_version = 2");
	store = store_case_open("boot");
	seen = store_case_load(store);
	assert_int_equal(seen.n, 1);
	assert_memory_equal(&seen.ports[0], &a, sizeof(a));
	a.spec.rate_bps = 1000;
	store_case_add(store, &a);
	store_close(store);
	store = store_case_open("boot");
	seen = store_case_load(store);
	assert_int_equal(seen.ports[0].spec.rate_bps, 1000);
	store_close(store);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, store_case_setup, store_case_teardown)
	const struct CMUnitTest tests[] = {
		TEST(store_keeps_what_only_some_ports_have),
		TEST(store_refuses_values_that_make_no_sense),
		TEST(store_brings_an_older_schema_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
