// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <string.h>

#include "fallback/fdb.h"

#define AGEING_S 300

static const uint8_t mac_a[6] = {0x52, 0x54, 0, 0, 0, 1};
static const uint8_t mac_b[6] = {0x52, 0x54, 0, 0, 0, 2};

static int setup(void **state) {
	*state = fdb_new(42, AGEING_S);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state) {
	fdb_free(*state);
	return 0;
}

static void numbered_mac(uint8_t mac[static 6], uint32_t n) {
	mac[0] = 0x02;
	mac[1] = 0;
	memcpy(&mac[2], &n, sizeof(n));
}

static void fdb_finds_what_it_learnt(void **state) {
	struct fdb *fdb = *state;

	fdb_learn(fdb, mac_a, 0, 7, 100);
	assert_int_equal(fdb_find(fdb, mac_a, 0, 100), 7);
	assert_int_equal(fdb_find(fdb, mac_b, 0, 100), FDB_MISS);
	assert_int_equal(fdb_count_port(fdb, 7), 1);
}

static void fdb_keeps_vlans_apart(void **state) {
	struct fdb *fdb = *state;

	fdb_learn(fdb, mac_a, 10, 1, 100);
	fdb_learn(fdb, mac_a, 20, 2, 100);
	assert_int_equal(fdb_find(fdb, mac_a, 10, 100), 1);
	assert_int_equal(fdb_find(fdb, mac_a, 20, 100), 2);
	assert_int_equal(fdb_find(fdb, mac_a, 0, 100), FDB_MISS);
	assert_int_equal(fdb_find(fdb, mac_a, 4094, 100), FDB_MISS);
}

static void fdb_follows_a_station_that_moves(void **state) {
	struct fdb *fdb = *state;

	fdb_learn(fdb, mac_a, 0, 1, 100);
	fdb_learn(fdb, mac_a, 0, 2, 100);
	assert_int_equal(fdb_find(fdb, mac_a, 0, 100), 2);
	assert_int_equal(fdb_count_port(fdb, 1), 0);
	assert_int_equal(fdb_count_port(fdb, 2), 1);
}

static void fdb_forgets_what_was_not_seen_for_the_ageing_time(void **state) {
	struct fdb *fdb = *state;

	fdb_learn(fdb, mac_a, 0, 1, 100);
	fdb_learn(fdb, mac_b, 0, 2, 100);
	fdb_learn(fdb, mac_b, 0, 2, 200); // seen again
	assert_int_equal(fdb_find(fdb, mac_a, 0, 100 + AGEING_S), 1);
	assert_int_equal(fdb_find(fdb, mac_a, 0, 101 + AGEING_S), FDB_MISS);
	assert_int_equal(fdb_find(fdb, mac_b, 0, 101 + AGEING_S), 2);

	fdb_set_ageing(fdb, 10);
	assert_int_equal(fdb_find(fdb, mac_b, 0, 211), FDB_MISS);
}

static void fdb_knows_what_another_worker_saw_a_second_later(void **state) {
	struct fdb *fdb = *state;

	fdb_learn(fdb, mac_a, 0, 1, 101);
	assert_int_equal(fdb_find(fdb, mac_a, 0, 100), 1);
}

static void fdb_flush_forgets_one_port_only(void **state) {
	struct fdb *fdb = *state;

	fdb_learn(fdb, mac_a, 0, 1, 100);
	fdb_learn(fdb, mac_b, 0, 2, 100);
	fdb_flush_port(fdb, 1);
	assert_int_equal(fdb_find(fdb, mac_a, 0, 100), FDB_MISS);
	assert_int_equal(fdb_find(fdb, mac_b, 0, 100), 2);
	assert_int_equal(fdb_count_port(fdb, 1), 0);
}

static void fdb_full_table_evicts_from_busiest_port(void **state) {
	const uint32_t n_quiet = 100, n_flood = 10 * FDB_ENTRIES;
	struct fdb *fdb = *state;
	uint8_t mac[6];

	for (uint32_t i = 0; i < n_quiet; i++) {
		numbered_mac(mac, i);
		fdb_learn(fdb, mac, 0, 1, 100);
	}
	for (uint32_t i = 0; i < n_flood; i++) {
		numbered_mac(mac, 1000000 + i);
		fdb_learn(fdb, mac, 0, 2, 101);
	}
	for (uint32_t i = 0; i < n_quiet; i++) {
		numbered_mac(mac, i);
		assert_int_equal(fdb_find(fdb, mac, 0, 101), 1);
	}
	assert_int_equal(fdb_count_port(fdb, 1), n_quiet);
	assert_true(fdb_count_port(fdb, 2) <= FDB_ENTRIES - n_quiet);
	assert_true(fdb_count_port(fdb, 2) > FDB_ENTRIES * 9 / 10);
}

static void fdb_full_table_makes_room_for_a_new_quiet_port(void **state) {
	struct fdb *fdb = *state;
	uint8_t mac[6];

	for (uint32_t i = 0; i < 10 * FDB_ENTRIES; i++) {
		numbered_mac(mac, i);
		fdb_learn(fdb, mac, 0, 2, 100);
	}
	fdb_learn(fdb, mac_a, 0, 1, 100);
	assert_int_equal(fdb_find(fdb, mac_a, 0, 100), 1);
}

static void fdb_aged_entries_give_way_first(void **state) {
	struct fdb *fdb = *state;
	uint32_t n_found = 0;
	uint8_t mac[6];

	for (uint32_t i = 0; i < 2 * FDB_ENTRIES; i++) {
		numbered_mac(mac, i);
		fdb_learn(fdb, mac, 0, 1, 100);
	}
	for (uint32_t i = 0; i < FDB_ENTRIES / 4; i++) {
		numbered_mac(mac, 5000000 + i);
		fdb_learn(fdb, mac, 0, 2, 101 + AGEING_S);
	}
	for (uint32_t i = 0; i < FDB_ENTRIES / 4; i++) {
		numbered_mac(mac, 5000000 + i);
		n_found += fdb_find(fdb, mac, 0, 101 + AGEING_S) == 2;
	}
	assert_true(n_found > FDB_ENTRIES / 4 - 10);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fdb_finds_what_it_learnt, setup, teardown),
		cmocka_unit_test_setup_teardown(fdb_keeps_vlans_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(fdb_follows_a_station_that_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fdb_forgets_what_was_not_seen_for_the_ageing_time, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			fdb_knows_what_another_worker_saw_a_second_later, setup, teardown
		),
		cmocka_unit_test_setup_teardown(fdb_flush_forgets_one_port_only, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fdb_full_table_evicts_from_busiest_port, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			fdb_full_table_makes_room_for_a_new_quiet_port, setup, teardown
		),
		cmocka_unit_test_setup_teardown(fdb_aged_entries_give_way_first, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
