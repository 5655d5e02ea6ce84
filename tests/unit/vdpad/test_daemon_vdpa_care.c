// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon on a node whose kernel has vDPA: how ports on devices are looked after, over restarts
// and whatever goes wrong.

#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/private_bus.h"
#include "tests/unit/vdpad/vdpa_fixture.h"

#define VF_POOL "[pool few]\nnetworks = sf\npf = " PF "\nfunctions = vf\ncount = 4\n"

// Restarts

static void a_restart_of_vdpad_touches_no_device(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	int n_own = vdpa_n_calls(node, "OwnVdpa");

	vdpa_kernel_write(node->kernel, vdpa_file(port, "active"), "");
	vdpa_restart(node);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_CONNECTED));
	assert_int_equal(vdpa_n_calls(node, "AddVdpa"), 1);
	assert_int_equal(vdpa_n_calls(node, "DelVdpa"), 0);
	assert_int_equal(vdpa_n_calls(node, "OwnVdpa"), n_own);
}

static void the_loss_of_the_switch_is_not_seen_by_ports_on_devices(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);

	vdpa_kernel_write(node->kernel, vdpa_file(port, "active"), "");
	vdpa_restore_look(node->d);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_CONNECTED));
	node_switch_goes(node);
	node_wait(node, !hub_is_ready(node->d->hub, WORKER_SWITCH));
	assert_true(vdpa_port_is(node, "vm1", PORT_CONNECTED));
	node_switch_comes(node);
	node_wait(node, hub_is_ready(node->d->hub, WORKER_SWITCH));
	node_run(node, A_MOMENT_MS);
	assert_true(vdpa_port_is(node, "vm1", PORT_CONNECTED));
	assert_int_equal(node->n_set_port, 0);
}

static void a_persistent_port_is_made_again_on_a_device_of_its_pool(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_add_with(node, "vm1", "lab", "lifetime", "persistent", &answer);
	node_wait(node, answer.code == 0);
	node_stop_vdpad(node);
	vdpa_kernel_remove(node->kernel, "devices/vdpad-1"); // as a reboot does
	vdpa_kernel_remove(node->kernel, NIC_FILE);
	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	node_start_vdpad(node);
	vdpa_workers_come(node);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_READY));
	assert_string_equal(vdpa_port(node, "vm1")->port.resource, OTHER_NIC);
	assert_true(vdpa_has(node, "devices/vdpad-1"));
}

static void a_persistent_subfunction_is_made_again(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_add_with(node, "vm1", "sf", "lifetime", "persistent", &answer);
	node_wait(node, answer.code == 0);
	node_stop_vdpad(node);
	vdpa_kernel_remove(node->kernel, "devices/vdpad-1");
	vdpa_kernel_remove(node->kernel, "mgmtdevs/auxiliary,mlx5_core.sf.01");
	vdpa_kernel_remove(node->kernel, "functions/" PF ",sf1000001");
	node_start_vdpad(node);
	vdpa_workers_come(node);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_READY));
	assert_true(vdpa_has(node, "functions/" PF ",sf1000001"));
}

// What nobody wants

static void devices_that_nobody_wants_go_and_others_stay(void **state) {
	struct node *node = *state;
	const char *text =
		"mgmtdev " OTHER_NIC "\nmac 52:54:00:00:00:01\nmtu 0\nqueue_pairs 0\nfeatures 0\n"
		"node /x\nuid 0\ndriver vhost_vdpa\nparked 0\n";

	node_wait(node, store_is_trusted(node->d->store));
	vdpa_kernel_write(
		node->kernel, OTHER_NIC_FILE,
		"driver x\ntakes 0\none_device 0\nfeatures 0\nmax_vqs 0\n"
	);
	vdpa_kernel_write(node->kernel, "devices/vdpad-77", text);
	vdpa_kernel_write(node->kernel, "devices/vdpad-077", text);
	vdpa_kernel_write(node->kernel, "devices/vdpad-xyz", text);
	vdpa_kernel_write(node->kernel, "devices/vm1", text);
	vdpa_restore_look(node->d);
	node_wait(node, !vdpa_has(node, "devices/vdpad-77"));
	node_run(node, A_MOMENT_MS);
	assert_true(vdpa_has(node, "devices/vdpad-077"));
	assert_true(vdpa_has(node, "devices/vdpad-xyz"));
	assert_true(vdpa_has(node, "devices/vm1"));
}

static void a_new_state_file_deletes_no_device(void **state) {
	struct node *node = *state;
	char command[128];

	vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	node_stop_vdpad(node);
	snprintf(command, sizeof(command), "rm %s/state.db*", node->state_dir);
	assert_int_equal(system(command), 0);
	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	node_start_vdpad(node);
	vdpa_workers_come(node);
	node_run(node, LOOKS_MS);
	assert_true(vdpa_has(node, "devices/vdpad-1"));
	assert_false(store_is_trusted(node->d->store));
	vdpa_add(node, "vm2", "lab", BACKEND_VDPA);
	assert_true(vdpa_port(node, "vm2")->port.generation > 1); // not the name that is there
}

// What goes wrong

static void one_list_without_a_device_changes_nothing(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	int n_lists;

	node_run(node, A_MOMENT_MS);
	vdpa_kernel_write(node->kernel, vdpa_file(port, "blind"), "");
	n_lists = vdpa_n_calls(node, "ListVdpa");
	vdpa_restore_look(node->d);
	node_wait(node, vdpa_n_calls(node, "ListVdpa") > n_lists);
	vdpa_kernel_remove(node->kernel, vdpa_file(port, "blind"));
	node_run(node, 300);
	assert_true(vdpa_n_calls(node, "ListVdpa") >= n_lists + 2); // it looked again
	assert_int_equal(vdpa_n_calls(node, "AddVdpa"), 1);
	assert_true(vdpa_port_is(node, "vm1", PORT_READY));
}

static void a_device_that_vanishes_degrades_its_port_until_it_is_back(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);

	vdpa_kernel_write(node->kernel, vdpa_file(port, "active"), "");
	vdpa_restore_look(node->d);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_CONNECTED));
	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	vdpa_kernel_remove(node->kernel, vdpa_file(port, "active"));
	vdpa_kernel_remove(node->kernel, NIC_FILE);
	vdpa_restore_look(node->d);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_DEGRADED));
	assert_non_null(strstr(port->port.reason, "management device " NIC));
	vdpa_kernel_write(node->kernel, NIC_FILE, VDPA_KERNEL_MLX5);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_READY));
	assert_string_equal(port->port.resource, NIC);
	assert_true(vdpa_has(node, vdpa_file(port, "devices")));
}

static void a_wedged_kernel_costs_new_ports_their_hardware_only(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	struct answer answer;

	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	vdpa_restore_look(node->d);
	node_run(node, A_MOMENT_MS);
	vdpa_kernel_write(node->kernel, "wedged", "process 9 (vdpa) waits for vdpa0");
	vdpa_add(node, "vm2", "lab", BACKEND_SWITCH); // found out the hard way
	vdpa_add(node, "vm3", "lab", BACKEND_SWITCH); // and then by the facts
	assert_non_null(strstr(vdpa_port(node, "vm3")->port.choice, "process 9 (vdpa)"));
	assert_int_equal(vdpa_n_calls(node, "AddVdpa"), 2);
	assert_true(vdpa_port_is(node, "vm1", PORT_READY));
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, ETIMEDOUT);
	assert_int_equal(vdpa_port(node, "vm1")->port.state, PORT_DELETING);
	(void)port;
	vdpa_kernel_remove(node->kernel, "wedged");
	node_wait(node, vdpa_port(node, "vm1") == NULL);
	vdpa_add(node, "vm4", "lab", BACKEND_VDPA);
}

static void a_node_gets_its_owner_and_its_link_back(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	char text[512], path[128];

	snprintf(path, sizeof(path), "%s", vdpa_file(port, "devices"));
	snprintf(
		text, sizeof(text),
		"mgmtdev " NIC "\nmac %s\nmtu 1500\nqueue_pairs 1\nfeatures 1\n"
		"node /dev/vhost-vdpa-9\nuid 7\ndriver vhost_vdpa\nparked 1\n",
		vdpa_value(node, port, "mac")
	);
	vdpa_kernel_write(node->kernel, path, text);
	vdpa_restore_look(node->d);
	node_wait(node, vdpa_n_calls(node, "KeepVdpa") == 1);
	node_wait(node, vdpa_n_calls(node, "OwnVdpa") == 1);
	node_run(node, A_MOMENT_MS);
	assert_string_equal(vdpa_value(node, port, "uid"), "0");
	assert_string_equal(vdpa_value(node, port, "parked"), "0");
	memset(text, 0, sizeof(text));
	assert_true(readlink(port->port.path, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "/dev/vhost-vdpa-9");
	assert_true(vdpa_port_is(node, "vm1", PORT_READY));
}

static void a_device_with_wrong_values_is_replaced_unless_a_guest_runs(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "lab", BACKEND_VDPA);
	const char *wrong =
		"mgmtdev " NIC "\nmac 52:54:00:00:00:99\nmtu 1500\nqueue_pairs 1\n"
		"features 1\nnode /dev/vhost-vdpa-9\nuid 0\ndriver vhost_vdpa\nparked 0\n";

	node_stop_vdpad(node);
	vdpa_kernel_write(node->kernel, "devices/vdpad-1", wrong);
	vdpa_kernel_write(node->kernel, "active/vdpad-1", "");
	node_start_vdpad(node);
	vdpa_workers_come(node);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_CONNECTED));
	assert_int_equal(vdpa_n_calls(node, "DelVdpa"), 0);
	node_stop_vdpad(node);
	vdpa_kernel_remove(node->kernel, "active/vdpad-1");
	node_start_vdpad(node);
	vdpa_workers_come(node);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_READY));
	port = vdpa_port(node, "vm1");
	assert_string_not_equal(vdpa_value(node, port, "mac"), "52:54:00:00:00:99");
}

static void a_request_waits_for_the_first_look_at_hardware(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_stop_vdpad(node);
	node_start_vdpad(node);
	node_add(node, "vm1", "lab", false, &answer);
	node_switch_comes(node);
	node_run(node, A_MOMENT_MS);
	assert_int_equal(answer.code, -1);
	node_netlink_comes(node);
	node_wait(node, answer.code == 0);
	assert_int_equal(vdpa_port(node, "vm1")->port.backend, BACKEND_VDPA);
}

// Functions

static void a_subfunction_that_nobody_wants_goes_after_its_device(void **state) {
	struct node *node = *state;
	const char *text = "mac 52:54:00:00:00:01\nvlan 0\nbridge \nmgmtdev auxiliary/x\n";

	node_wait(node, store_is_trusted(node->d->store));
	vdpa_add(node, "vm1", "sf", BACKEND_VDPA);
	vdpa_kernel_write(node->kernel, "functions/" PF ",sf1000099", text);
	vdpa_kernel_write(node->kernel, "functions/" PF ",sf7", text);
	vdpa_kernel_write(node->kernel, "held/vdpad-63", "process 42"); // its device is open
	node_netlink_goes(node);
	node_netlink_comes(node);
	node_wait(node, vdpa_n_calls(node, "ListFunctions") > 0);
	node_run(node, A_MOMENT_MS);
	assert_true(vdpa_has(node, "functions/" PF ",sf1000099"));
	vdpa_kernel_remove(node->kernel, "held/vdpad-63");
	node_wait(node, !vdpa_has(node, "functions/" PF ",sf1000099"));
	assert_true(vdpa_has(node, "functions/" PF ",sf7"));
	assert_true(vdpa_has(node, "functions/" PF ",sf1000001"));
}

// The function's value of @key as the kernel has it.
static bool function_has(struct node *node, const char *function, const char *line) {
	char path[256], text[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/functions/" PF ",%s", node->kernel, function);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return strstr(text, line) != NULL;
}

static void a_vlan_whose_change_was_interrupted_is_put_on_the_function(void **state) {
	struct node *node = *state;
	struct managed_port *port = vdpa_add(node, "vm1", "sf", BACKEND_VDPA);
	struct port changed = port->port;
	struct error e;

	assert_true(function_has(node, "sf1000001", "vlan 0\n"));
	changed.spec.vlan = 7;
	changed.spec.keys |= PORT_KEY_VLAN;
	assert_int_equal(store_intend(node->d->store, STORE_CHANGE, &changed, NULL, &e), 0);
	vdpa_restart(node);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_READY));
	assert_int_equal(vdpa_port(node, "vm1")->port.spec.vlan, 7);
	assert_true(function_has(node, "sf1000001", "vlan 7\n"));
	node_run(node, A_MOMENT_MS);
	assert_int_equal(vdpa_n_calls(node, "EnsureFunction"), 2); // once, and not again
}

static void a_vlan_whose_change_failed_half_way_is_put_back(void **state) {
	struct node *node = *state;
	struct answer answer;

	vdpa_add(node, "vm1", "sf", BACKEND_VDPA);
	vdpa_kernel_write(node->kernel, "refuse/EnsureFunction", "5 the VLAN was set, and then");
	node_set_vlan(node, "vm1", "7", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EIO);
	assert_int_equal(vdpa_port(node, "vm1")->port.spec.vlan, 0);
	node_wait(node, vdpa_port_is(node, "vm1", PORT_DEGRADED));
	vdpa_kernel_write(
		node->kernel, "functions/" PF ",sf1000001",
		"mac 52:54:00:00:00:01\nvlan 7\nbridge \nmgmtdev auxiliary/mlx5_core.sf.01\n"
	);
	vdpa_kernel_remove(node->kernel, "refuse/EnsureFunction");
	node_wait(node, vdpa_port_is(node, "vm1", PORT_READY));
	assert_true(function_has(node, "sf1000001", "vlan 0\n"));
}

static void vfs_are_made_when_the_kernel_goes_on(void **state) {
	struct node *node = *state;
	FILE *config = fopen(node->config, "a");
	struct error e;
	int n_calls;

	fputs(VF_POOL, config);
	assert_int_equal(fclose(config), 0);
	vdpa_kernel_write(node->kernel, "refuse/EnsureVfs", "110 the kernel hangs");
	assert_int_equal(daemon_reload(node->d, &e), 0);
	node_wait(node, vdpa_n_calls(node, "EnsureVfs") > 0);
	n_calls = vdpa_n_calls(node, "EnsureVfs");
	vdpa_kernel_remove(node->kernel, "refuse/EnsureVfs");
	vdpa_restore_look(node->d); // as from time to time
	node_wait(node, vdpa_n_calls(node, "EnsureVfs") > n_calls);
}

static void a_vf_that_was_refused_is_left_as_it_is(void **state) {
	struct node *node = *state;
	FILE *config = fopen(node->config, "a");

	fputs(VF_POOL, config);
	assert_int_equal(fclose(config), 0);
	vdpa_kernel_remove(node->kernel, "pfs/" PF); // no subfunctions
	vdpa_kernel_write(
		node->kernel, "mgmtdevs/pci,0000:3b:00.4",
		VDPA_KERNEL_MLX5 "pf " PF "\nfunction vf2\n"
	);
	vdpa_kernel_write(node->kernel, "refuse/EnsureFunction", "16 it is in another bridge");
	vdpa_restart(node);
	vdpa_add(node, "vm1", "sf", BACKEND_SWITCH);
	assert_int_equal(vdpa_n_calls(node, "EnsureFunction"), 2); // of either pool
	assert_int_equal(vdpa_n_calls(node, "DelFunction"), 1);    // of the subfunction's
}

int main(void) {
#define WITH_NODE(fn) cmocka_unit_test_setup_teardown(fn, vdpa_setup, node_teardown)
	const struct CMUnitTest tests[] = {
		WITH_NODE(a_restart_of_vdpad_touches_no_device),
		WITH_NODE(the_loss_of_the_switch_is_not_seen_by_ports_on_devices),
		WITH_NODE(a_persistent_port_is_made_again_on_a_device_of_its_pool),
		WITH_NODE(a_persistent_subfunction_is_made_again),
		WITH_NODE(devices_that_nobody_wants_go_and_others_stay),
		WITH_NODE(a_new_state_file_deletes_no_device),
		WITH_NODE(one_list_without_a_device_changes_nothing),
		WITH_NODE(a_device_that_vanishes_degrades_its_port_until_it_is_back),
		WITH_NODE(a_wedged_kernel_costs_new_ports_their_hardware_only),
		WITH_NODE(a_node_gets_its_owner_and_its_link_back),
		WITH_NODE(a_device_with_wrong_values_is_replaced_unless_a_guest_runs),
		WITH_NODE(a_request_waits_for_the_first_look_at_hardware),
		WITH_NODE(a_vlan_whose_change_was_interrupted_is_put_on_the_function),
		WITH_NODE(a_vlan_whose_change_failed_half_way_is_put_back),
		WITH_NODE(vfs_are_made_when_the_kernel_goes_on),
		WITH_NODE(a_vf_that_was_refused_is_left_as_it_is),
		WITH_NODE(a_subfunction_that_nobody_wants_goes_after_its_device),
	};

	return cmocka_run_group_tests(tests, private_bus_setup, private_bus_teardown);
}
