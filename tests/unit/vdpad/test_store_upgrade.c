// SPDX-License-Identifier: GPL-2.0-or-later
// What the state file says of hardware, and state files that older versions wrote.

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "vdpad/store.h"

static char dir[] = "/tmp/test-store-XXXXXX";

static int setup(void **state) {
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int teardown(void **state) {
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static struct store *open_store(void) {
	struct store *store = NULL;
	struct error e;

	if (store_open(dir, "boot", &store, &e) < 0)
		fail_msg("%s", e.text);
	return store;
}

// On the file, while no store is open. Returns the first number of the last row.
static int run_sql(const char *text) {
	char path[64];
	sqlite3_stmt *stmt;
	const char *rest = text;
	int number = -1;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/" STORE_FILE, dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	while (*rest != '\0') {
		if (sqlite3_prepare_v2(db, rest, -1, &stmt, &rest) != SQLITE_OK)
			fail_msg("%s: %s", rest, sqlite3_errmsg(db));
		while (sqlite3_step(stmt) == SQLITE_ROW)
			number = sqlite3_column_int(stmt, 0);
		assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	}
	sqlite3_close(db);
	return number;
}

static struct port make_port(void) {
	return (struct port){
		.spec =
			{
				.name = "vm1",
				.network = "lab",
				.mac = {{2, 0, 0, 0, 0, 1}},
				.mtu_bytes = 1500,
				.queue_pairs = 1,
				.profile = "fast-1",
				.link_up = true,
			},
		.backend = BACKEND_VDPA,
		.pool = "fast",
		.resource = "auxiliary/mlx5_core.sf.4",
		.function = "0000:3b:00.0/sf",
		.features = UINT64_C(1) << 63 | 5,
		.path = "/run/vdpad/port/vm1.vdpa",
	};
}

static void add(struct store *store, struct port *port) {
	const struct network network = {.name = "lab"};
	struct error e;

	assert_int_equal(store_intend(store, STORE_CREATE, port, &network, &e), 0);
	assert_int_equal(store_record(store, port, &e), 0);
}

static int take(void *userdata, const struct port *port, enum store_intent intent) {
	(void)intent;
	*(struct port *)userdata = *port;
	return 0;
}

static struct port only_port(struct store *store) {
	struct port port = {0};
	struct error e;

	assert_int_equal(store_each_port(store, take, &port, &e), 0);
	return port;
}

static void what_serves_a_port_is_remembered(void **state) {
	struct store *store = open_store();
	struct port port = make_port(), read;

	(void)state;
	add(store, &port);
	store_close(store);
	store = open_store();
	read = only_port(store);
	assert_string_equal(read.pool, "fast");
	assert_string_equal(read.resource, "auxiliary/mlx5_core.sf.4");
	assert_true(read.features == port.features);
	store_close(store);
}

static void a_subfunction_is_known_by_its_number_before_it_is_made(void **state) {
	const struct network network = {.name = "lab"};
	struct store *store = open_store();
	struct port port = make_port();
	struct error e;

	(void)state;
	assert_int_equal(store_intend(store, STORE_CREATE, &port, &network, &e), 0);
	assert_string_equal(port.function, "0000:3b:00.0/sf1000001");
	assert_string_equal(only_port(store).function, port.function);
	// Tried again on another candidate: a lease of its own.
	strcpy(port.function, "0000:5e:00.0/sf");
	assert_int_equal(store_intend(store, STORE_CREATE, &port, &network, &e), 0);
	assert_string_equal(only_port(store).function, "0000:5e:00.0/sf1000002");
	store_close(store);
}

// The file as the first version made it, with a port in it.
static void make_first_version(void) {
	struct store *store = open_store();
	struct port port = make_port();

	add(store, &port);
	store_close(store);
	run_sql("ALTER TABLE ports DROP COLUMN pool; ALTER TABLE ports DROP COLUMN resource;"
	        "ALTER TABLE ports DROP COLUMN function; ALTER TABLE ports DROP COLUMN features;"
	        "DROP TABLE port_values; PRAGMA user_version = 1;");
}

static void a_file_of_the_first_version_is_brought_up_in_place(void **state) {
	struct port read, other = make_port();
	struct store *store;
	struct error e;

	(void)state;
	make_first_version();
	store = open_store();
	read = only_port(store);
	assert_string_equal(read.spec.name, "vm1");
	assert_string_equal(read.path, "/run/vdpad/port/vm1.vdpa");
	assert_string_equal(read.pool, "");
	assert_true(read.features == 0);
	strcpy(read.pool, "slow");
	assert_int_equal(store_record(store, &read, &e), 0);
	store_close(store);
	store = open_store();
	assert_string_equal(only_port(store).pool, "slow");
	strcpy(other.spec.name, "vm2");
	add(store, &other);
	assert_int_equal(other.generation, 2); // the counter was kept
	store_close(store);
	assert_true(run_sql("PRAGMA user_version") >= 2);
}

static void an_upgrade_that_cannot_be_written_leaves_the_old_file(void **state) {
	struct store *store;
	struct error e;

	(void)state;
	make_first_version();
	run_sql("ALTER TABLE ports ADD COLUMN features TEXT"); // in the way of a later step
	assert_true(store_open(dir, "boot", &store, &e) < 0);
	assert_non_null(strstr(e.text, "cannot bring the state file"));
	assert_int_equal(run_sql("PRAGMA user_version"), 1);
	assert_int_equal(
		run_sql("SELECT count(*) FROM pragma_table_info('ports') WHERE name = 'pool'"), 0
	);
	run_sql("ALTER TABLE ports DROP COLUMN features");
	store = open_store();
	assert_string_equal(only_port(store).spec.name, "vm1");
	store_close(store);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_serves_a_port_is_remembered),
		TEST(a_subfunction_is_known_by_its_number_before_it_is_made),
		TEST(a_file_of_the_first_version_is_brought_up_in_place),
		TEST(an_upgrade_that_cannot_be_written_leaves_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
