// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/port_set.h"

static struct managed_port *add(struct port_set *set, const char *name, const char *network) {
	struct port port = {.choice = "software switch"};
	struct managed_port *added = NULL;

	strcpy(port.spec.name, name);
	strcpy(port.spec.network, network);
	port.spec.mac.octets[5] = (uint8_t)name[0];
	assert_int_equal(port_set_add(set, &port, &added), 0);
	return added;
}

static void set_is_sorted_and_keeps_pointers(void **state) {
	struct port_set set = {0};
	struct managed_port *m = add(&set, "m", "net0");
	char name[8];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "p%d", (i * 73) % 200);
		add(&set, name, "net1");
	}
	assert_ptr_equal(port_set_find(&set, "m"), m);
	for (size_t i = 1; i < set.n; i++)
		assert_true(
			strcmp(set.list[i - 1]->port.spec.name, set.list[i]->port.spec.name) < 0
		);
	assert_int_equal(port_set_count_network(&set, "net1"), 200);
	port_set_remove(&set, port_set_find(&set, "p7"));
	assert_null(port_set_find(&set, "p7"));
	assert_int_equal(set.n, 200);
	port_set_done(&set);
}

static void set_refuses_a_name_twice(void **state) {
	struct port_set set = {0};
	struct managed_port *a = add(&set, "a", "net0"), *again;

	(void)state;
	assert_int_equal(port_set_add(&set, &a->port, &again), -EEXIST);
	port_set_done(&set);
}

static void mac_is_looked_for_on_its_network_only(void **state) {
	struct port_set set = {0};
	struct managed_port *a = add(&set, "a", "net0");
	struct mac_addr mac = a->port.spec.mac;

	(void)state;
	assert_ptr_equal(port_set_find_mac(&set, "net0", &mac), a);
	assert_null(port_set_find_mac(&set, "net1", &mac));
	port_set_done(&set);
}

static void second_act_on_a_port_is_refused(void **state) {
	struct port_set set = {0};
	struct managed_port *a = add(&set, "a", "net0");
	struct error e = {0};

	(void)state;
	assert_int_equal(port_set_begin(a, PORT_ACT_CREATE, &e), 0);
	assert_int_equal(port_set_begin(a, PORT_ACT_DELETE, &e), -EEXIST);
	assert_string_equal(e.text, "port 'a' is being created just now; try again");
	assert_int_equal(a->act, PORT_ACT_CREATE);
	port_set_done(&set);
}

static void report_moves_between_ready_and_connected(void **state) {
	struct port_set set = {0};
	struct managed_port *a = add(&set, "a", "net0");

	(void)state;
	port_enter_served(a);
	assert_int_equal(a->port.state, PORT_READY);
	assert_string_equal(a->port.reason, "no VM is attached");
	assert_true(port_report(a, true, "driver runs"));
	assert_int_equal(a->port.state, PORT_CONNECTED);
	assert_string_equal(a->port.reason, "driver runs");
	assert_false(port_report(a, true, "driver runs"));
	assert_true(port_report(a, false, ""));
	assert_int_equal(a->port.state, PORT_READY);
	port_set_done(&set);
}

static void report_about_a_port_that_is_not_served_waits(void **state) {
	struct port_set set = {0};
	struct managed_port *a = add(&set, "a", "net0");

	(void)state;
	port_enter(a, PORT_CREATING, "");
	assert_false(port_report(a, true, "driver runs")); // before the answer of the call
	assert_int_equal(a->port.state, PORT_CREATING);
	port_enter_served(a);
	assert_int_equal(a->port.state, PORT_CONNECTED);
	port_set_done(&set);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_is_sorted_and_keeps_pointers),
		cmocka_unit_test(set_refuses_a_name_twice),
		cmocka_unit_test(mac_is_looked_for_on_its_network_only),
		cmocka_unit_test(second_act_on_a_port_is_refused),
		cmocka_unit_test(report_moves_between_ready_and_connected),
		cmocka_unit_test(report_about_a_port_that_is_not_served_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
