// SPDX-License-Identifier: GPL-2.0-or-later
// What the state file says of hardware, and state files that older versions wrote.

#include "tests/unit/unit.h"

#include <string.h>

#include "tests/unit/vdpad/store_case.h"

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

static struct port only_port(struct store *store) {
	struct store_seen seen = store_case_load(store);

	assert_int_equal(seen.n, 1);
	return seen.ports[0];
}

static void what_serves_a_port_is_remembered(void **state) {
	struct store *store = store_case_open("boot");
	struct port port = make_port(), read;

	(void)state;
	store_case_add(store, &port);
	store_close(store);
	store = store_case_open("boot");
	read = only_port(store);
	assert_string_equal(read.pool, "fast");
	assert_string_equal(read.resource, "auxiliary/mlx5_core.sf.4");
	assert_true(read.features == port.features);
	store_close(store);
}

static void a_subfunction_is_known_by_its_number_before_it_is_made(void **state) {
	const struct network network = {.name = "lab"};
	struct store *store = store_case_open("boot");
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
	struct store *store = store_case_open("boot");
	struct port port = make_port();

	store_case_add(store, &port);
	store_close(store);
	store_case_sql(
		"ALTER TABLE ports DROP COLUMN pool; ALTER TABLE ports DROP COLUMN resource;"
		"ALTER TABLE ports DROP COLUMN function; ALTER TABLE ports DROP COLUMN features;"
		"DROP TABLE port_values; PRAGMA user_version = 1;"
	);
}

static void a_file_of_the_first_version_is_brought_up_in_place(void **state) {
	struct port read, other = make_port();
	struct store *store;
	struct error e;

	(void)state;
	make_first_version();
	store = store_case_open("boot");
	read = only_port(store);
	assert_string_equal(read.spec.name, "vm1");
	assert_string_equal(read.path, "/run/vdpad/port/vm1.vdpa");
	assert_string_equal(read.pool, "");
	assert_true(read.features == 0);
	strcpy(read.pool, "slow");
	assert_int_equal(store_record(store, &read, &e), 0);
	store_close(store);
	store = store_case_open("boot");
	assert_string_equal(only_port(store).pool, "slow");
	strcpy(other.spec.name, "vm2");
	store_case_add(store, &other);
	assert_int_equal(other.generation, 2); // the counter was kept
	store_close(store);
	assert_true(store_case_sql("PRAGMA user_version") >= 2);
}

static void an_upgrade_that_cannot_be_written_leaves_the_old_file(void **state) {
	struct store *store;
	struct error e;

	(void)state;
	make_first_version();
	store_case_sql("ALTER TABLE ports ADD COLUMN features TEXT"); // in the way of a later step
	assert_true(store_open(store_dir, "boot", &store, &e) < 0);
	assert_non_null(strstr(e.text, "cannot bring the state file"));
	assert_int_equal(store_case_sql("PRAGMA user_version"), 1);
	assert_int_equal(
		store_case_sql("SELECT count(*) FROM pragma_table_info('ports') WHERE name = 'pool'"
	        ),
		0
	);
	store_case_sql("ALTER TABLE ports DROP COLUMN features");
	store = store_case_open("boot");
	assert_string_equal(only_port(store).spec.name, "vm1");
	store_close(store);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, store_case_setup, store_case_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_serves_a_port_is_remembered),
		TEST(a_subfunction_is_known_by_its_number_before_it_is_made),
		TEST(a_file_of_the_first_version_is_brought_up_in_place),
		TEST(an_upgrade_that_cannot_be_written_leaves_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
