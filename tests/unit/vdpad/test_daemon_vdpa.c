// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon on a node whose kernel has vDPA: ports on devices are made, asked for counters, deleted.

#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/private_bus.h"
#include "tests/unit/vdpad/vdpa_fixture.h"

// Making

static void a_port_gets_a_device_with_the_values_asked_for(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	char link[PATH_MAX], mac[MAC_TEXT_SIZE];
	ssize_t n = readlink(port->port.path, link, sizeof(link) - 1);

	assert_true(n > 0);
	link[n] = '\0';
	assert_string_equal(link, vdpa_value(node, port, "node"));
	assert_non_null(strstr(port->port.path, "/port/vm1.vdpa"));
	assert_string_equal(port->port.resource, NIC);
	assert_string_equal(port->port.pool, "fast");
	assert_string_equal(
		vdpa_value(node, port, "mac"), mac_addr_format(&port->port.spec.mac, mac)
	);
	assert_string_equal(vdpa_value(node, port, "mtu"), "1500");
	assert_true(port->port.features != 0);
	assert_true(vdpa_port_is(node, "vm1", PORT_READY));
}

static void the_next_port_falls_back_and_says_why(void **state) {
	struct node *node = *state;
	struct managed_port *port;

	vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	port = vdpa_add(node, "vm2", "lab", BACKEND_SWITCH);
	assert_non_null(strstr(port->port.choice, "1 of 1 management device in use"));
}

static void hardware_that_is_free_again_is_used_again(void **state) {
	struct node *node = *state;
	struct answer answer;

	vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	vdpa_add(node, "vm2", "lab", BACKEND_SWITCH);
	node_run(node, A_MOMENT_MS); // the device was listed
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	vdpa_add(node, "vm3", "lab", BACKEND_VDPA);
}

static void ports_asked_for_at_once_get_devices_of_their_own(void **state) {
	struct node *node = *state;
	struct answer one, two;

	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	vdpa_restore_look(node->d);
	node_run(node, A_MOMENT_MS);
	node_add(node, "vm1", "lab", false, &one);
	node_add(node, "vm2", "lab", false, &two);
	node_wait(node, one.code == 0 && two.code == 0);
	assert_int_equal(vdpa_port(node, "vm1")->port.backend, BACKEND_VDPA);
	assert_int_equal(vdpa_port(node, "vm2")->port.backend, BACKEND_VDPA);
	assert_string_not_equal(
		vdpa_port(node, "vm1")->port.resource, vdpa_port(node, "vm2")->port.resource
	);
}

static void what_the_kernel_refuses_goes_to_the_switch_with_its_words(void **state) {
	struct node *node = *state;
	struct managed_port *port;

	vdpa_kernel_write(node->kernel, "refuse/AddVdpa", "95 vdpa: not this one");
	port = vdpa_add(node, "vm1", "lab", BACKEND_SWITCH);
	assert_non_null(strstr(port->port.choice, "vdpa: not this one"));
	assert_string_equal(port->port.resource, "");
	assert_string_equal(port->port.pool, "");
	assert_non_null(strstr(port->port.path, ".sock"));
}

static void what_the_kernel_refuses_is_the_answer_under_policy_hardware(void **state) {
	struct node *node = *state;
	struct answer answer;

	vdpa_kernel_write(node->kernel, "refuse/AddVdpa", "95 vdpa: not this one");
	node_add_with(node, "vm1", "lab", "policy", "hardware", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EOPNOTSUPP);
	assert_non_null(strstr(answer.text, "vdpa: not this one"));
	assert_null(vdpa_port(node, "vm1"));
}

static void a_device_without_a_node_is_taken_back(void **state) {
	struct node *node = *state;
	struct answer answer;
	char path[160];

	// A link that cannot be made: something is in its way.
	snprintf(path, sizeof(path), "mkdir -p %s/port/vm1.vdpa/x", node->run_dir);
	assert_int_equal(system(path), 0);
	node_add_with(node, "vm1", "lab", "policy", "hardware", &answer);
	node_wait(node, answer.code != -1);
	assert_true(answer.code != 0);
	assert_false(vdpa_has(node, "devices/vdpad-1"));
}

static void the_mac_of_a_driver_that_takes_none_becomes_the_ports(void **state) {
	struct node *node = *state;
	char mac[MAC_TEXT_SIZE];

	vdpa_kernel_write(
		node->kernel, NIC_FILE,
		"driver vp_vdpa\ntakes 8\none_device 1\nfeatures 12897729451\nmax_vqs 3\n"
		"mac 52:54:00:aa:bb:cc\n"
	);
	vdpa_restore_look(node->d);
	node_run(node, A_MOMENT_MS);
	vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	mac_addr_format(&vdpa_port(node, "vm1")->port.spec.mac, mac);
	assert_string_equal(mac, "52:54:00:aa:bb:cc");
	vdpa_restart(node); // and it was written
	node_wait(node, vdpa_port_is(node, "vm1", PORT_READY));
	mac_addr_format(&vdpa_port(node, "vm1")->port.spec.mac, mac);
	assert_string_equal(mac, "52:54:00:aa:bb:cc");
	assert_int_equal(vdpa_n_calls(node, "AddVdpa"), 1);
}

static void a_subfunction_is_made_for_its_port_and_goes_with_it(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "sf", BACKEND_VDPA);
	struct answer answer;

	assert_string_equal(port->port.function, PF "/sf1000001");
	assert_true(vdpa_has(node, "functions/" PF ",sf1000001"));
	assert_string_equal(port->port.resource, "auxiliary/mlx5_core.sf.01");
	assert_true(vdpa_has(node, vdpa_file(port, "devices")));
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	assert_false(vdpa_has(node, "functions/" PF ",sf1000001"));
	assert_false(vdpa_has(node, "devices/vdpad-1"));
}

static void a_subfunction_without_a_device_is_taken_back(void **state) {
	struct node *node = *state;

	vdpa_kernel_write(node->kernel, "refuse/AddVdpa", "28 no room");
	vdpa_add(node, "vm1", "sf", BACKEND_SWITCH);
	assert_false(vdpa_has(node, "functions/" PF ",sf1000001"));
}

static void a_vlan_is_changed_where_there_is_a_representor(void **state) {
	struct node *node = *state;
	struct answer answer;
	char path[256], text[256] = "";
	FILE *file;

	vdpa_add(node, "vm1", "sf", BACKEND_VDPA);
	vdpa_add(node, "vm2", "lab", BACKEND_VDPA);
	node_set_vlan(node, "vm1", "7", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	snprintf(path, sizeof(path), "%s/functions/" PF ",sf1000001", node->kernel);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_non_null(strstr(text, "vlan 7\n"));
	node_set_vlan(node, "vm2", "7", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EPERM);
	assert_int_equal(vdpa_port(node, "vm2")->port.spec.vlan, 0);
}

// Deleting

static void a_device_that_is_open_is_deleted_when_its_holder_is_gone(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	struct answer answer;
	uint64_t start_ms;

	vdpa_kernel_write(node->kernel, vdpa_file(port, "held"), "process 42 (qemu)");
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EBUSY);
	assert_non_null(strstr(answer.text, "process 42 (qemu)"));
	assert_int_equal(vdpa_port(node, "vm1")->port.state, PORT_DELETING);
	assert_non_null(strstr(port->port.reason, "process 42 (qemu)"));
	node_run(node, 1200); // it is tried again, and stays
	assert_true(vdpa_n_calls(node, "DelVdpa") >= 3);
	start_ms = clock_now_ms();
	vdpa_kernel_remove(node->kernel, vdpa_file(port, "held"));
	node_wait(node, vdpa_port(node, "vm1") == NULL);
	assert_true(clock_now_ms() - start_ms < 1000);
	assert_false(vdpa_has(node, "devices/vdpad-1"));
}

static void a_deletion_goes_on_after_a_restart(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	struct answer answer;

	vdpa_kernel_write(node->kernel, vdpa_file(port, "held"), "process 42 (qemu)");
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	vdpa_restart(node);
	assert_non_null(vdpa_port(node, "vm1"));
	vdpa_kernel_remove(node->kernel, "held/vdpad-1");
	node_wait(node, vdpa_port(node, "vm1") == NULL);
	assert_false(vdpa_has(node, "devices/vdpad-1"));
}

static void without_its_worker_a_device_is_not_said_to_be_deleted(void **state) {
	struct node *node = *state;
	struct answer answer;

	vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	node_netlink_goes(node);
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EHOSTDOWN);
	assert_int_equal(vdpa_port(node, "vm1")->port.state, PORT_DELETING);
	node_netlink_comes(node);
	node_wait(node, vdpa_port(node, "vm1") == NULL);
	assert_false(vdpa_has(node, "devices/vdpad-1"));
}

// Counters

static uint64_t counter(struct node *node, const char *port, const char *name) {
	struct stats_answer answer;

	node_stats(node, port, name, &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	return answer.value;
}

static void the_vendors_counters_are_those_of_the_port(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);

	assert_int_equal(counter(node, "vm1", "rx0_received_desc"), 0); // no driver, no counters
	assert_int_equal(vdpa_n_calls(node, "VdpaStats"), 0);
	vdpa_kernel_write(node->kernel, vdpa_file(port, "active"), "");
	vdpa_restore_look(node->d);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_CONNECTED));
	assert_int_equal(counter(node, "vm1", "rx0_received_desc"), 7);
	assert_int_equal(counter(node, "", "rx0_completed_desc"), 5);
	assert_int_equal(vdpa_n_calls(node, "VdpaStats"), 1); // the second answer was kept
	vdpa_kernel_write(node->kernel, "wedged", "x");
	node_run(node, VDPA_STATS_MAX_AGE_MS + 1000);
	assert_int_equal(counter(node, "vm1", "rx0_received_desc"), 0);
	assert_int_equal(vdpa_n_calls(node, "VdpaStats"), 1);
}

int main(void) {
#define WITH_NODE(fn) cmocka_unit_test_setup_teardown(fn, vdpa_setup, node_teardown)
	const struct CMUnitTest tests[] = {
		WITH_NODE(a_port_gets_a_device_with_the_values_asked_for),
		WITH_NODE(the_next_port_falls_back_and_says_why),
		WITH_NODE(hardware_that_is_free_again_is_used_again),
		WITH_NODE(ports_asked_for_at_once_get_devices_of_their_own),
		WITH_NODE(what_the_kernel_refuses_goes_to_the_switch_with_its_words),
		WITH_NODE(what_the_kernel_refuses_is_the_answer_under_policy_hardware),
		WITH_NODE(a_device_without_a_node_is_taken_back),
		WITH_NODE(the_mac_of_a_driver_that_takes_none_becomes_the_ports),
		WITH_NODE(a_subfunction_is_made_for_its_port_and_goes_with_it),
		WITH_NODE(a_subfunction_without_a_device_is_taken_back),
		WITH_NODE(a_vlan_is_changed_where_there_is_a_representor),
		WITH_NODE(a_device_that_is_open_is_deleted_when_its_holder_is_gone),
		WITH_NODE(a_deletion_goes_on_after_a_restart),
		WITH_NODE(without_its_worker_a_device_is_not_said_to_be_deleted),
		WITH_NODE(the_vendors_counters_are_those_of_the_port),
	};

	return cmocka_run_group_tests(tests, private_bus_setup, private_bus_teardown);
}
