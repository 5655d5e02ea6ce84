// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include "fallback/vhost_registry.h"

// The registry looks into no port: any address will do.
static char a, b;
#define PORT_A ((struct vhost_port *)&a)
#define PORT_B ((struct vhost_port *)&b)

static int setup(void **state) {
	(void)state;
	return vhost_registry_add("/a", PORT_A) < 0 || vhost_registry_add("/b", PORT_B) < 0;
}

static int teardown(void **state) {
	(void)state;
	vhost_registry_remove(PORT_A);
	vhost_registry_remove(PORT_B);
	return 0;
}

static void peer_is_found_from_its_coming_to_its_leaving(void **state) {
	(void)state;
	assert_ptr_equal(vhost_registry_join("/a", 5), PORT_A);
	assert_ptr_equal(vhost_registry_join("/b", 0), PORT_B);
	assert_ptr_equal(vhost_registry_find(5), PORT_A);
	assert_ptr_equal(vhost_registry_find(0), PORT_B);
	vhost_registry_leave(5);
	assert_null(vhost_registry_find(5));
	assert_ptr_equal(vhost_registry_find(0), PORT_B);
}

static void second_peer_is_refused_until_the_first_is_gone(void **state) {
	(void)state;
	assert_ptr_equal(vhost_registry_join("/a", 1), PORT_A);
	assert_null(vhost_registry_join("/a", 2));
	assert_null(vhost_registry_find(2));
	vhost_registry_leave(2); // who was refused says good-bye as well
	assert_ptr_equal(vhost_registry_find(1), PORT_A);
	vhost_registry_leave(1);
	assert_ptr_equal(vhost_registry_join("/a", 2), PORT_A);
}

static void removed_port_is_found_by_nobody(void **state) {
	(void)state;
	assert_ptr_equal(vhost_registry_join("/a", 7), PORT_A);
	vhost_registry_remove(PORT_A);
	assert_null(vhost_registry_find(7));
	assert_null(vhost_registry_join("/a", 8));
	vhost_registry_leave(7);
	// The number and the path are free again.
	assert_ptr_equal(vhost_registry_join("/b", 7), PORT_B);
	assert_int_equal(vhost_registry_add("/a", PORT_A), 0);
	assert_ptr_equal(vhost_registry_join("/a", 8), PORT_A);
}

// The library frees the number of a peer before we forget the port.
static void number_given_to_another_peer_stays_with_it(void **state) {
	(void)state;
	assert_ptr_equal(vhost_registry_join("/a", 7), PORT_A);
	assert_ptr_equal(vhost_registry_join("/b", 7), PORT_B);
	vhost_registry_remove(PORT_A);
	assert_ptr_equal(vhost_registry_find(7), PORT_B);
	vhost_registry_leave(7);
	assert_null(vhost_registry_find(7));
	assert_ptr_equal(vhost_registry_join("/b", 7), PORT_B);
}

static void number_out_of_range_is_nobody(void **state) {
	(void)state;
	assert_null(vhost_registry_join("/a", -1));
	assert_null(vhost_registry_join("/a", VHOST_MAX_PEERS));
	assert_null(vhost_registry_find(-1));
	assert_null(vhost_registry_find(VHOST_MAX_PEERS));
	vhost_registry_leave(-1);
	vhost_registry_leave(VHOST_MAX_PEERS);
	assert_ptr_equal(vhost_registry_join("/a", VHOST_MAX_PEERS - 1), PORT_A);
}

#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		REGISTRY_TEST(peer_is_found_from_its_coming_to_its_leaving),
		REGISTRY_TEST(second_peer_is_refused_until_the_first_is_gone),
		REGISTRY_TEST(removed_port_is_found_by_nobody),
		REGISTRY_TEST(number_given_to_another_peer_stays_with_it),
		REGISTRY_TEST(number_out_of_range_is_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
