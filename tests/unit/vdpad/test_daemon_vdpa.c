// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon on a node whose kernel has vDPA: ports on devices, from their making to their end, and
// what goes wrong meanwhile.

#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake/vdpa_kernel.h"
#include "tests/unit/private_bus.h"
#include "tests/unit/vdpad/fake_node.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"

#define PF "0000:3b:00.0"
#define NIC "pci/0000:3b:00.2"
#define NIC_FILE "mgmtdevs/pci,0000:3b:00.2"
#define OTHER_NIC "pci/0000:3b:00.3"
#define OTHER_NIC_FILE "mgmtdevs/pci,0000:3b:00.3"
#define CONFIG                                                    \
	"[networks]\nbridges = no\n[network lab]\n[network sf]\n" \
	"[pool fast]\nnetworks = lab\nmgmtdevs = pci/*\n"         \
	"[pool many]\nnetworks = sf\npf = " PF "\nfunctions = sf\n"
#define A_MOMENT_MS 100
#define LOOKS_MS 2500 // the time in which ports are looked after

static struct node *new_node(void) {
	struct node *node = calloc(1, sizeof(*node));

	node_init(node, CONFIG);
	node_have_vdpa(node);
	vdpa_kernel_write(node->kernel, NIC_FILE, VDPA_KERNEL_MLX5);
	vdpa_kernel_write(node->kernel, "pfs/" PF, "");
	node_start_vdpad(node);
	return node;
}

static void workers_come(struct node *node) {
	node_switch_comes(node);
	node_netlink_comes(node);
	node_wait(node, hub_is_ready(node->d->hub, WORKER_SWITCH));
	node_wait(node, hub_is_ready(node->d->hub, WORKER_NETLINK));
	node_wait(node, !vdpa_restore_is_pending(node->d));
	node_wait(node, !node->d->restore.running);
}

static int setup(void **state) {
	struct node *node = new_node();

	workers_come(node);
	*state = node;
	return 0;
}

static int teardown(void **state) {
	node_done(*state);
	free(*state);
	return 0;
}

static struct managed_port *find(struct node *node, const char *name) {
	return port_set_find(&node->d->ports, name);
}

static bool is_in(struct node *node, const char *name, enum port_state state) {
	const struct managed_port *port = find(node, name);

	return port != NULL && port->port.state == state && port->act == PORT_IDLE;
}

static struct managed_port *add_on(
	struct node *node, const char *name, const char *network, enum backend_kind backend
) {
	struct answer answer;

	node_add(node, name, network, false, &answer);
	node_wait(node, answer.code != -1);
	if (answer.code != 0)
		fail_msg("%s", answer.text);
	assert_int_equal(find(node, name)->port.backend, backend);
	return find(node, name);
}

// "devices/vdpad-1" and the like.
static const char *file_of(const struct managed_port *port, const char *kind) {
	static char path[128];
	char name[VDPA_DEVICE_NAME_SIZE];

	vdpa_device_name(port->port.generation, name);
	snprintf(path, sizeof(path), "%s/%s", kind, name);
	return path;
}

static bool has(struct node *node, const char *path) {
	return vdpa_kernel_has(node->kernel, path) != 0;
}

// The device's value of @key as the kernel has it.
static const char *device_value(
	struct node *node, const struct managed_port *port, const char *key
) {
	static char line[256];
	char path[256];
	size_t len = strlen(key);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", node->kernel, file_of(port, "devices"));
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL &&
	       !(strncmp(line, key, len) == 0 && line[len] == ' '))
		;
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return line + len + 1;
}

static int n_calls(struct node *node, const char *method) {
	return vdpa_kernel_n_calls(node->kernel, method);
}

static void restart_vdpad(struct node *node) {
	node_stop_vdpad(node);
	node_start_vdpad(node);
	workers_come(node);
}

// Making

static void a_port_gets_a_device_with_the_values_asked_for(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);
	char link[PATH_MAX], mac[MAC_TEXT_SIZE];
	ssize_t n = readlink(port->port.path, link, sizeof(link) - 1);

	assert_true(n > 0);
	link[n] = '\0';
	assert_string_equal(link, device_value(node, port, "node"));
	assert_non_null(strstr(port->port.path, "/port/vm1.vdpa"));
	assert_string_equal(port->port.resource, NIC);
	assert_string_equal(port->port.pool, "fast");
	assert_string_equal(
		device_value(node, port, "mac"), mac_addr_format(&port->port.spec.mac, mac)
	);
	assert_string_equal(device_value(node, port, "mtu"), "1500");
	assert_true(port->port.features != 0);
	assert_true(is_in(node, "vm1", PORT_READY));
}

static void the_next_port_falls_back_and_says_why(void **state) {
	struct node *node = *state;
	struct managed_port *port;

	add_on(node, "vm1", "lab", BACKEND_VDPA);
	port = add_on(node, "vm2", "lab", BACKEND_SWITCH);
	assert_non_null(strstr(port->port.choice, "1 of 1 management device in use"));
}

static void hardware_that_is_free_again_is_used_again(void **state) {
	struct node *node = *state;
	struct answer answer;

	add_on(node, "vm1", "lab", BACKEND_VDPA);
	add_on(node, "vm2", "lab", BACKEND_SWITCH);
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	node_run(node, A_MOMENT_MS);
	add_on(node, "vm3", "lab", BACKEND_VDPA);
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
	assert_int_equal(find(node, "vm1")->port.backend, BACKEND_VDPA);
	assert_int_equal(find(node, "vm2")->port.backend, BACKEND_VDPA);
	assert_string_not_equal(find(node, "vm1")->port.resource, find(node, "vm2")->port.resource);
}

static void what_the_kernel_refuses_goes_to_the_switch_with_its_words(void **state) {
	struct node *node = *state;
	struct managed_port *port;

	vdpa_kernel_write(node->kernel, "refuse/AddVdpa", "95 vdpa: not this one");
	port = add_on(node, "vm1", "lab", BACKEND_SWITCH);
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
	assert_null(find(node, "vm1"));
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
	assert_false(has(node, "devices/vdpad-1"));
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
	add_on(node, "vm1", "lab", BACKEND_VDPA);
	mac_addr_format(&find(node, "vm1")->port.spec.mac, mac);
	assert_string_equal(mac, "52:54:00:aa:bb:cc");
	restart_vdpad(node); // and it was written
	node_wait(node, is_in(node, "vm1", PORT_READY));
	mac_addr_format(&find(node, "vm1")->port.spec.mac, mac);
	assert_string_equal(mac, "52:54:00:aa:bb:cc");
	assert_int_equal(n_calls(node, "AddVdpa"), 1);
}

static void a_subfunction_is_made_for_its_port_and_goes_with_it(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "sf", BACKEND_VDPA);
	struct answer answer;

	assert_string_equal(port->port.function, PF "/sf1000001");
	assert_true(has(node, "functions/" PF ",sf1000001"));
	assert_string_equal(port->port.resource, "auxiliary/mlx5_core.sf.01");
	assert_true(has(node, file_of(port, "devices")));
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	assert_false(has(node, "functions/" PF ",sf1000001"));
	assert_false(has(node, "devices/vdpad-1"));
}

static void a_subfunction_without_a_device_is_taken_back(void **state) {
	struct node *node = *state;

	vdpa_kernel_write(node->kernel, "refuse/AddVdpa", "28 no room");
	add_on(node, "vm1", "sf", BACKEND_SWITCH);
	assert_false(has(node, "functions/" PF ",sf1000001"));
}

static void a_vlan_is_changed_where_there_is_a_representor(void **state) {
	struct node *node = *state;
	struct answer answer;
	char path[256], text[256] = "";
	FILE *file;

	add_on(node, "vm1", "sf", BACKEND_VDPA);
	add_on(node, "vm2", "lab", BACKEND_VDPA);
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
	assert_int_equal(find(node, "vm2")->port.spec.vlan, 0);
}

// Deleting

static void a_device_that_is_open_is_deleted_when_its_holder_is_gone(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);
	struct answer answer;
	uint64_t start_ms;

	vdpa_kernel_write(node->kernel, file_of(port, "held"), "process 42 (qemu)");
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EBUSY);
	assert_non_null(strstr(answer.text, "process 42 (qemu)"));
	assert_int_equal(find(node, "vm1")->port.state, PORT_DELETING);
	assert_non_null(strstr(port->port.reason, "process 42 (qemu)"));
	node_run(node, 1200); // it is tried again, and stays
	assert_true(n_calls(node, "DelVdpa") >= 3);
	start_ms = clock_now_ms();
	vdpa_kernel_remove(node->kernel, file_of(port, "held"));
	node_wait(node, find(node, "vm1") == NULL);
	assert_true(clock_now_ms() - start_ms < 1000);
	assert_false(has(node, "devices/vdpad-1"));
}

static void a_deletion_goes_on_after_a_restart(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);
	struct answer answer;

	vdpa_kernel_write(node->kernel, file_of(port, "held"), "process 42 (qemu)");
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	restart_vdpad(node);
	assert_non_null(find(node, "vm1"));
	vdpa_kernel_remove(node->kernel, "held/vdpad-1");
	node_wait(node, find(node, "vm1") == NULL);
	assert_false(has(node, "devices/vdpad-1"));
}

static void without_its_worker_a_device_is_not_said_to_be_deleted(void **state) {
	struct node *node = *state;
	struct answer answer;

	add_on(node, "vm1", "lab", BACKEND_VDPA);
	node_netlink_goes(node);
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EHOSTDOWN);
	assert_int_equal(find(node, "vm1")->port.state, PORT_DELETING);
	node_netlink_comes(node);
	node_wait(node, find(node, "vm1") == NULL);
	assert_false(has(node, "devices/vdpad-1"));
}

// Restarts

static void a_restart_of_vdpad_touches_no_device(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);
	int n_own = n_calls(node, "OwnVdpa");

	vdpa_kernel_write(node->kernel, file_of(port, "active"), "");
	restart_vdpad(node);
	node_wait(node, is_in(node, "vm1", PORT_CONNECTED));
	assert_int_equal(n_calls(node, "AddVdpa"), 1);
	assert_int_equal(n_calls(node, "DelVdpa"), 0);
	assert_int_equal(n_calls(node, "OwnVdpa"), n_own);
}

static void the_loss_of_the_switch_is_not_seen_by_ports_on_devices(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);

	vdpa_kernel_write(node->kernel, file_of(port, "active"), "");
	vdpa_restore_look(node->d);
	node_wait(node, is_in(node, "vm1", PORT_CONNECTED));
	node_switch_goes(node);
	node_wait(node, !hub_is_ready(node->d->hub, WORKER_SWITCH));
	assert_true(is_in(node, "vm1", PORT_CONNECTED));
	node_switch_comes(node);
	node_wait(node, hub_is_ready(node->d->hub, WORKER_SWITCH));
	node_run(node, A_MOMENT_MS);
	assert_true(is_in(node, "vm1", PORT_CONNECTED));
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
	workers_come(node);
	node_wait(node, is_in(node, "vm1", PORT_READY));
	assert_string_equal(find(node, "vm1")->port.resource, OTHER_NIC);
	assert_true(has(node, "devices/vdpad-1"));
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
	workers_come(node);
	node_wait(node, is_in(node, "vm1", PORT_READY));
	assert_true(has(node, "functions/" PF ",sf1000001"));
}

// What nobody wants

static void devices_that_nobody_wants_go_and_others_stay(void **state) {
	struct node *node = *state;
	const char *text =
		"mgmtdev " OTHER_NIC "\nmac 52:54:00:00:00:01\nmtu 0\nqueue_pairs 0\nfeatures 0\n"
		"node /x\nuid 0\ndriver vhost_vdpa\nparked 0\n";

	vdpa_kernel_write(
		node->kernel, OTHER_NIC_FILE,
		"driver x\ntakes 0\none_device 0\nfeatures 0\nmax_vqs 0\n"
	);
	vdpa_kernel_write(node->kernel, "devices/vdpad-77", text);
	vdpa_kernel_write(node->kernel, "devices/vdpad-077", text);
	vdpa_kernel_write(node->kernel, "devices/vdpad-xyz", text);
	vdpa_kernel_write(node->kernel, "devices/vm1", text);
	node_wait(node, store_is_trusted(node->d->store));
	vdpa_restore_look(node->d);
	node_wait(node, !has(node, "devices/vdpad-77"));
	node_run(node, A_MOMENT_MS);
	assert_true(has(node, "devices/vdpad-077"));
	assert_true(has(node, "devices/vdpad-xyz"));
	assert_true(has(node, "devices/vm1"));
}

static void a_new_state_file_deletes_no_device(void **state) {
	struct node *node = *state;
	char command[128];

	add_on(node, "vm1", "lab", BACKEND_VDPA);
	node_stop_vdpad(node);
	snprintf(command, sizeof(command), "rm %s/state.db*", node->state_dir);
	assert_int_equal(system(command), 0);
	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	node_start_vdpad(node);
	workers_come(node);
	node_run(node, LOOKS_MS);
	assert_true(has(node, "devices/vdpad-1"));
	assert_false(store_is_trusted(node->d->store));
	add_on(node, "vm2", "lab", BACKEND_VDPA);
	assert_true(find(node, "vm2")->port.generation > 1); // not the name that is there
}

// What goes wrong

static void one_list_without_a_device_changes_nothing(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);
	int n_lists;

	node_run(node, A_MOMENT_MS);
	vdpa_kernel_write(node->kernel, file_of(port, "blind"), "");
	n_lists = n_calls(node, "ListVdpa");
	vdpa_restore_look(node->d);
	node_wait(node, n_calls(node, "ListVdpa") > n_lists);
	vdpa_kernel_remove(node->kernel, file_of(port, "blind"));
	node_run(node, 300);
	assert_true(n_calls(node, "ListVdpa") >= n_lists + 2); // it looked again
	assert_int_equal(n_calls(node, "AddVdpa"), 1);
	assert_true(is_in(node, "vm1", PORT_READY));
}

static void a_device_that_vanishes_degrades_its_port_until_it_is_back(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);

	vdpa_kernel_write(node->kernel, file_of(port, "active"), "");
	vdpa_restore_look(node->d);
	node_wait(node, is_in(node, "vm1", PORT_CONNECTED));
	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	vdpa_kernel_remove(node->kernel, file_of(port, "active"));
	vdpa_kernel_remove(node->kernel, NIC_FILE);
	vdpa_restore_look(node->d);
	node_wait(node, is_in(node, "vm1", PORT_DEGRADED));
	assert_non_null(strstr(port->port.reason, "management device " NIC));
	vdpa_kernel_write(node->kernel, NIC_FILE, VDPA_KERNEL_MLX5);
	node_wait(node, is_in(node, "vm1", PORT_READY));
	assert_string_equal(port->port.resource, NIC);
	assert_true(has(node, file_of(port, "devices")));
}

static void a_wedged_kernel_costs_new_ports_their_hardware_only(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);
	struct answer answer;

	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	vdpa_restore_look(node->d);
	node_run(node, A_MOMENT_MS);
	vdpa_kernel_write(node->kernel, "wedged", "process 9 (vdpa) waits for vdpa0");
	add_on(node, "vm2", "lab", BACKEND_SWITCH); // found out the hard way
	add_on(node, "vm3", "lab", BACKEND_SWITCH); // and then by the facts
	assert_non_null(strstr(find(node, "vm3")->port.choice, "process 9 (vdpa)"));
	assert_int_equal(n_calls(node, "AddVdpa"), 2);
	assert_true(is_in(node, "vm1", PORT_READY));
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, ETIMEDOUT);
	assert_int_equal(find(node, "vm1")->port.state, PORT_DELETING);
	(void)port;
	vdpa_kernel_remove(node->kernel, "wedged");
	node_wait(node, find(node, "vm1") == NULL);
	add_on(node, "vm4", "lab", BACKEND_VDPA);
}

static void a_node_gets_its_owner_and_its_link_back(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);
	char text[512], path[128];

	snprintf(path, sizeof(path), "%s", file_of(port, "devices"));
	snprintf(
		text, sizeof(text),
		"mgmtdev " NIC "\nmac %s\nmtu 1500\nqueue_pairs 1\nfeatures 1\n"
		"node /dev/vhost-vdpa-9\nuid 7\ndriver vhost_vdpa\nparked 1\n",
		device_value(node, port, "mac")
	);
	vdpa_kernel_write(node->kernel, path, text);
	vdpa_restore_look(node->d);
	node_wait(node, n_calls(node, "KeepVdpa") == 1);
	node_wait(node, n_calls(node, "OwnVdpa") == 1);
	node_run(node, A_MOMENT_MS);
	assert_string_equal(device_value(node, port, "uid"), "0");
	assert_string_equal(device_value(node, port, "parked"), "0");
	memset(text, 0, sizeof(text));
	assert_true(readlink(port->port.path, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "/dev/vhost-vdpa-9");
	assert_true(is_in(node, "vm1", PORT_READY));
}

static void a_device_with_wrong_values_is_replaced_unless_a_guest_runs(void **state) {
	struct node *node = *state;
	struct managed_port *port = add_on(node, "vm1", "lab", BACKEND_VDPA);
	const char *wrong =
		"mgmtdev " NIC "\nmac 52:54:00:00:00:99\nmtu 1500\nqueue_pairs 1\n"
		"features 1\nnode /dev/vhost-vdpa-9\nuid 0\ndriver vhost_vdpa\nparked 0\n";

	node_stop_vdpad(node);
	vdpa_kernel_write(node->kernel, "devices/vdpad-1", wrong);
	vdpa_kernel_write(node->kernel, "active/vdpad-1", "");
	node_start_vdpad(node);
	workers_come(node);
	node_wait(node, is_in(node, "vm1", PORT_CONNECTED));
	assert_int_equal(n_calls(node, "DelVdpa"), 0);
	node_stop_vdpad(node);
	vdpa_kernel_remove(node->kernel, "active/vdpad-1");
	node_start_vdpad(node);
	workers_come(node);
	node_wait(node, is_in(node, "vm1", PORT_READY));
	port = find(node, "vm1");
	assert_string_not_equal(device_value(node, port, "mac"), "52:54:00:00:00:99");
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
	assert_int_equal(find(node, "vm1")->port.backend, BACKEND_VDPA);
}

int main(void) {
#define WITH_NODE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
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
	};
	int failed;

	private_bus_start();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	private_bus_stop();
	return failed;
}
