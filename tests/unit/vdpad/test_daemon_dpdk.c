// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon and a switch that drives a NIC function through DPDK's vDPA drivers.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/private_bus.h"
#include "tests/unit/vdpad/fake_node.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"

#define DEVICE "0000:5e:00.2"
#define CONFIG                                                     \
	"[networks]\nbridges = no\n[network lab]\nuplink = none\n" \
	"[pool nic]\nnetworks = lab\npci = " DEVICE "\nclass = vdpa\n"

static void workers_come(struct node *node) {
	node_workers_are_known(node);
	node_wait(node, daemon_facts(node->d, 1000)->n_dpdk_vdpa == 1);
	node_wait(node, !node->d->restore.running);
}

static int setup(void **state) {
	struct node *node = calloc(1, sizeof(*node));

	node_init(node, CONFIG);
	node->dpdk_device = DEVICE;
	node_start_vdpad(node);
	*state = node;
	return 0;
}

static struct managed_port *add(struct node *node, const char *name, enum backend_kind backend) {
	struct managed_port *port = node_add_port(node, name, "lab");

	assert_int_equal(port->port.backend, backend);
	return port;
}

static void a_port_gets_the_device_and_the_next_one_the_switch(void **state) {
	struct node *node = *state;

	workers_come(node);
	add(node, "vm1", BACKEND_DPDK_VDPA);
	assert_string_equal(node_device_of(node, "vm1"), DEVICE);
	assert_int_equal(node->n_networks, 0); // its frames do not pass the switch
	add(node, "vm2", BACKEND_SWITCH);
	assert_string_equal(node_device_of(node, "vm2"), "");
}

static void a_device_that_cannot_be_used_is_refused_with_its_reason(void **state) {
	struct node *node = *state;

	node->dpdk_reason = "bind it to vfio-pci";
	workers_come(node);
	assert_non_null(strstr(add(node, "vm1", BACKEND_SWITCH)->port.choice, "bind it to vfio-pci")
	);
}

static void what_the_switch_refuses_is_served_by_the_switch_itself(void **state) {
	struct node *node = *state;
	struct answer answer;

	workers_come(node);
	node->refuse = ENXIO;
	node_add(node, "vm1", "lab", false, &answer);
	node_wait(node, node->n_set_port > 0);
	node->refuse = 0;
	node_wait(node, answer.code == 0);
	assert_string_equal(node_device_of(node, "vm1"), "");
}

static void it_is_restored_with_its_device(void **state) {
	struct node *node = *state;

	workers_come(node);
	add(node, "vm1", BACKEND_DPDK_VDPA);
	node_switch_goes(node);
	node_wait(node, port_set_find(&node->d->ports, "vm1")->port.state == PORT_DEGRADED);
	node_switch_comes(node);
	node_wait(node, port_set_find(&node->d->ports, "vm1")->port.state == PORT_READY);
	assert_string_equal(node_device_of(node, "vm1"), DEVICE);
	node_stop_vdpad(node);
	node_start_vdpad(node);
	workers_come(node);
	node_wait(node, port_set_find(&node->d->ports, "vm1")->port.state == PORT_READY);
	assert_int_equal(node->n_set_port, 2); // adopted
}

static void a_device_that_was_in_use_at_the_start_is_free_after_its_port(void **state) {
	struct node *node = *state;
	struct answer answer;

	workers_come(node);
	add(node, "vm1", BACKEND_DPDK_VDPA);
	node_stop_vdpad(node);
	node_start_vdpad(node);
	workers_come(node);
	node_wait(node, port_set_find(&node->d->ports, "vm1")->port.state == PORT_READY);
	add(node, "vm2", BACKEND_SWITCH);
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code == 0);
	add(node, "vm3", BACKEND_DPDK_VDPA);
}

static void it_is_deleted_like_any_other(void **state) {
	struct node *node = *state;
	struct answer answer;

	workers_come(node);
	add(node, "vm1", BACKEND_DPDK_VDPA);
	node_set_vlan(node, "vm1", "7", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EPERM);
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code == 0);
	assert_int_equal(node->n_ports, 0);
	add(node, "vm2", BACKEND_DPDK_VDPA);
}

int main(void) {
#define WITH_NODE(fn) cmocka_unit_test_setup_teardown(fn, setup, node_teardown)
	const struct CMUnitTest tests[] = {
		WITH_NODE(a_port_gets_the_device_and_the_next_one_the_switch),
		WITH_NODE(a_device_that_cannot_be_used_is_refused_with_its_reason),
		WITH_NODE(what_the_switch_refuses_is_served_by_the_switch_itself),
		WITH_NODE(it_is_restored_with_its_device),
		WITH_NODE(a_device_that_was_in_use_at_the_start_is_free_after_its_port),
		WITH_NODE(it_is_deleted_like_any_other),
	};

	return cmocka_run_group_tests(tests, private_bus_setup, private_bus_teardown);
}
