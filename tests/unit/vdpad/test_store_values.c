// SPDX-License-Identifier: GPL-2.0-or-later
// What only some ports have, and state files that are older than it.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "vdpad/store.h"

static char dir[64], path[96];

static int setup(void **state) {
	(void)state;
	strcpy(dir, "/tmp/test-store-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", dir, STORE_FILE);
	return 0;
}

static int teardown(void **state) {
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static struct store *open_store(const char *boot_id) {
	struct store *store = NULL;
	struct error e = {0};

	if (store_open(dir, boot_id, &store, &e) < 0)
		fail_msg("%s", e.text);
	return store;
}

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

static void add_port(struct store *store, struct port *port) {
	static const struct network vmbr0 = {.name = "vmbr0", .mtu_bytes = 1500, .ageing_s = 300};
	struct error e = {0};

	if (store_intend(store, STORE_CREATE, port, &vmbr0, &e) < 0 ||
	    store_record(store, port, &e) < 0)
		fail_msg("%s", e.text);
}

struct seen {
	struct port ports[2];
	size_t n;
};

static int note(void *userdata, const struct port *port, enum store_intent intent) {
	struct seen *seen = userdata;

	(void)intent;
	assert_true(seen->n < 2);
	seen->ports[seen->n++] = *port;
	return 0;
}

static struct seen load(struct store *store) {
	struct seen seen = {.n = 0};
	struct error e = {0};

	if (store_each_port(store, note, &seen, &e) < 0)
		fail_msg("%s", e.text);
	return seen;
}

static void run_sql(const char *statement) {
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void store_keeps_what_only_some_ports_have(void **state) {
	struct store *store = open_store("boot");
	struct port a = make_port("a"), b = make_port("b");
	struct error e = {0};
	struct seen seen;

	(void)state;
	strcpy(a.spec.trunks, "10,20-29");
	a.spec.rate_bps = 10000000;
	strcpy(a.spec.socket, "vpp0");
	a.spec.policy = POLICY_EXTERNAL;
	a.backend = BACKEND_EXTERNAL;
	a.qemu_listens = true;
	add_port(store, &a);
	add_port(store, &b);
	store_close(store);
	store = open_store("boot");
	seen = load(store);
	assert_memory_equal(&seen.ports[0], &a, sizeof(a));
	assert_memory_equal(&seen.ports[1], &b, sizeof(b));
	a.spec.rate_bps = 0;
	assert_int_equal(store_record(store, &a, &e), 0);
	assert_int_equal(store_forget(store, "b", &e), 0);
	seen = load(store);
	assert_memory_equal(&seen.ports[0], &a, sizeof(a));
	store_close(store);
	store = open_store("another boot");
	add_port(store, &b); // whose name may come again
	store_close(store);
	run_sql("UPDATE meta SET value = 'boot' WHERE key = 'boot_id';"
	        "CREATE TABLE proof (n CHECK (n = 0));"
	        "INSERT INTO proof SELECT count(*) FROM port_values");
}

static void store_refuses_values_that_make_no_sense(void **state) {
	struct store *store = open_store("boot");
	struct port a = make_port("a");
	struct error e = {0};
	struct seen seen = {.n = 0};

	(void)state;
	add_port(store, &a);
	store_close(store);
	run_sql("INSERT INTO port_values VALUES ('a', 'path', '/etc/passwd')");
	store = open_store("boot");
	assert_int_equal(store_each_port(store, note, &seen, &e), -EUCLEAN);
	store_close(store);
}

// Version 2 had no port_values.
static void store_brings_an_older_schema_up(void **state) {
	struct store *store = open_store("boot");
	struct port a = make_port("a");
	struct seen seen;

	(void)state;
	add_port(store, &a);
	store_close(store);
	run_sql("DROP TABLE port_values; PRAGMA user_version = 2");
	store = open_store("boot");
	seen = load(store);
	assert_int_equal(seen.n, 1);
	assert_memory_equal(&seen.ports[0], &a, sizeof(a));
	a.spec.rate_bps = 1000;
	add_port(store, &a);
	store_close(store);
	store = open_store("boot");
	seen = load(store);
	assert_int_equal(seen.ports[0].spec.rate_bps, 1000);
	store_close(store);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(store_keeps_what_only_some_ports_have),
		TEST(store_refuses_values_that_make_no_sense),
		TEST(store_brings_an_older_schema_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
