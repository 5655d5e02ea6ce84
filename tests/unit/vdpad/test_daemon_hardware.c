// SPDX-License-Identifier: GPL-2.0-or-later
// What the API says of hardware: pools, management devices, devices, and what would be done.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/private_bus.h"
#include "tests/unit/vdpad/vdpa_fixture.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

#define THREE_POOLS                                                  \
	"[networks]\nbridges = no\n[network lab]\n[network sf]\n"    \
	"[pool fast]\nnetworks = lab\nmgmtdevs = pci/*\nlimit = 5\n" \
	"[pool many]\nnetworks = sf\npf = " PF "\nfunctions = sf\n"  \
	"[pool dpdk]\nnetworks = sf\npci = 0000:5e:00.2\nclass = vdpa\n"

#define FOREIGN "mgmtdev pci/0000:3b:00.3\nmac 52:54:00:00:00:09\n" // somebody else's device

static struct node *node;

static int setup(void **state) {
	*state = node = vdpa_node_new(THREE_POOLS);
	vdpa_kernel_write(node->kernel, OTHER_NIC_FILE, VDPA_KERNEL_MLX5);
	return 0;
}

static int setup_with_workers(void **state) {
	setup(state);
	vdpa_workers_come(node);
	return 0;
}

// The answer of a method, as text: strings, numbers and booleans in their order, each with a blank behind it.
struct reply {
	bool came;
	int code;
	char text[8192];
};

static void append_all(sd_bus_message *m, char *text, size_t size) {
	const char *contents;
	char type;

	while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
		size_t len = strlen(text);
		union {
			const char *s;
			uint32_t u;
			uint64_t t;
			int b;
		} value;

		if (contents != NULL) {
			assert_true(sd_bus_message_enter_container(m, type, contents) > 0);
			append_all(m, text, size);
			assert_true(sd_bus_message_exit_container(m) >= 0);
			continue;
		}
		assert_true(sd_bus_message_read_basic(m, type, &value) > 0);
		if (type == 's')
			snprintf(text + len, size - len, "%s ", value.s);
		else if (type == 'b')
			snprintf(text + len, size - len, "%s ", value.b ? "yes" : "no");
		else if (type == 'u')
			snprintf(text + len, size - len, "%u ", value.u);
		else
			fail_msg("a value of type %c", type);
	}
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct reply *reply = userdata;
	struct error e = {0};

	(void)ret_error;
	reply->came = true;
	if (sd_bus_message_is_method_error(m, NULL)) {
		error_from_bus(&e, -EIO, sd_bus_message_get_error(m));
		reply->code = e.code;
		snprintf(reply->text, sizeof(reply->text), "%s", e.text);
	} else {
		append_all(m, reply->text, sizeof(reply->text));
	}
	return 0;
}

// Call @method with @name and, if @key is not NULL, a specification of one key.
static const struct reply *ask(
	const char *method, const char *name, const char *key, const char *value
) {
	_cleanup_message_ sd_bus_message *m = NULL;
	static struct reply reply;

	reply = (struct reply){0};
	assert_true(
		sd_bus_message_new_method_call(
			node->client, &m, IPC_BUS_NAME, IPC_PATH, IPC_MANAGER_IFACE, method
		) >= 0
	);
	assert_true(sd_bus_message_append(m, "s", name) >= 0);
	if (key != NULL)
		assert_true(sd_bus_message_append(m, "a{sv}", 1, key, "s", value) >= 0);
	assert_true(sd_bus_call_async(node->client, NULL, m, on_reply, &reply, UINT64_MAX) >= 0);
	node_wait(node, reply.came);
	return &reply;
}

static void says(const struct reply *reply, const char *text) {
	if (reply->code != 0 || strstr(reply->text, text) == NULL)
		fail_msg("'%s' is not in: %s", text, reply->text);
}

static void says_not(const struct reply *reply, const char *text) {
	if (reply->code != 0 || strstr(reply->text, text) != NULL)
		fail_msg("'%s' is in: %s", text, reply->text);
}

static void a_pool_shows_its_members_and_their_ports(void **state) {
	const struct reply *reply;

	(void)state;
	node_add_port(node, "vm1", "lab");
	vdpa_kernel_write(node->kernel, "devices/foreign", FOREIGN "driver vhost_vdpa\n");
	vdpa_view_ask(node->d->vdpa_view);
	node_wait(node, !vdpa_view_is_asking(node->d->vdpa_view));
	reply = ask("ShowPools", "fast", NULL, NULL);
	says(reply, "kind mgmtdevs networks lab hardware pci/* reason  count 0 limit 5 ports 1 ");
	says(reply, "name pci/0000:3b:00.2 driver mlx5_core port vm1 reason  ");
	says(reply,
	     "name pci/0000:3b:00.3 driver mlx5_core port  reason has a device that is not "
	     "a port's ");
	says(reply, "n_members 2 free 0 ");
	says_not(reply, "kind sf");
}

static void free_counts_what_is_left_of_hardware_and_limit(void **state) {
	(void)state;
	says(ask("ShowPools", "fast", NULL, NULL), "n_members 2 free 2 ");
	node_add_port(node, "vm1", "lab");
	says(ask("ShowPools", "fast", NULL, NULL), "n_members 2 free 1 ");
}

static void all_pools_are_shown_and_an_unknown_one_is_not_found(void **state) {
	const struct reply *reply;

	(void)state;
	reply = ask("ShowPools", "", NULL, NULL);
	says(reply, "fast kind mgmtdevs ");
	says(reply, "many kind sf ");
	says(reply,
	     "name 0000:5e:00.2 driver  port  reason vdpad-switch cannot reach such a "
	     "device ");
	reply = ask("ShowPools", "nobody", NULL, NULL);
	assert_int_equal(reply->code, ENOENT);
	assert_string_equal(reply->text, "there is no pool 'nobody'");
}

static void management_devices_say_what_they_take(void **state) {
	const struct reply *reply;

	(void)state;
	reply = ask("ShowMgmtdevs", "", NULL, NULL);
	says(reply,
	     "pci/0000:3b:00.2 driver mlx5_core devices 0 one_device yes max_queue_pairs 16 "
	     "takes mac mtu queue_pairs features features 0x300c3bbab pf  function  pools "
	     "fast ");
	says(reply, "pci/0000:3b:00.3 ");
	reply = ask("ShowMgmtdevs", "vdpasim_net", NULL, NULL);
	assert_int_equal(reply->code, ENOENT);
}

static void devices_of_all_owners_are_shown(void **state) {
	static const char odd[] = "a/b-0123456789012345678901234567890123456789012345678901";
	const struct reply *reply;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "devices/%s", odd);
	path[strcspn(path, "/") + 2] = ','; // how the fake spells a slash
	vdpa_kernel_write(node->kernel, path, FOREIGN "driver virtio_vdpa\n");
	node_add_port(node, "vm1", "lab");
	vdpa_view_ask(node->d->vdpa_view);
	node_wait(node, !vdpa_view_is_asking(node->d->vdpa_view));
	reply = ask("ShowDevices", "", NULL, NULL);
	says(reply, "vdpad-1 mgmtdev pci/0000:3b:00.2 driver vhost_vdpa node ");
	says(reply, " owner vdpad port vm1 active no parked no mac ");
	says(reply, odd);
	says(reply, "driver virtio_vdpa node  owner  port  ");
	says_not(ask("ShowDevices", "vdpad-1", NULL, NULL), odd);
}

static void before_the_worker_has_told_there_is_no_list_but_a_reason(void **state) {
	const struct reply *reply;

	(void)state;
	reply = ask("ShowDevices", "", NULL, NULL);
	assert_int_equal(reply->code, EHOSTDOWN);
	assert_non_null(strstr(reply->text, "vdpad-netlink has not yet said"));
	says(ask("ShowPools", "fast", NULL, NULL), "n_members 0 free 0 ");
}

static void a_plan_of_subfunctions_is_the_workers(void **state) {
	const struct reply *reply;

	(void)state;
	reply = ask("PlanPool", "many", NULL, NULL);
	assert_int_equal(reply->code, 0);
	assert_string_equal(reply->text, "make the function sf1000000 ");
	assert_int_equal(vdpa_kernel_has(node->kernel, "functions/" PF ",sf1000000"), 0);
	reply = ask("PlanPool", "fast", NULL, NULL);
	assert_int_equal(reply->code, 0);
	assert_string_equal(reply->text, ""); // others made it
	assert_int_equal(ask("PlanPool", "nobody", NULL, NULL)->code, ENOENT);
}

static void a_plan_of_a_port_has_all_steps_and_changes_nothing(void **state) {
	const struct reply *reply;

	(void)state;
	reply = ask("PlanPort", "vm1", "network", "lab");
	says(reply,
	     "make the vDPA device on pci/0000:3b:00.2 VDPA_CMD_DEV_NEW{MGMTDEV_BUS_NAME=pci "
	     "MGMTDEV_DEV_NAME=0000:3b:00.2 DEV_NAME=vdpad-GENERATION "
	     "DEV_NET_CFG_MACADDR=");
	says(reply, "DEV_NET_CFG_MAX_VQP=1 DEV_FEATURES=0x3");
	says(reply, "give its node to user root alone ");
	says(reply, "/port/vm1.vdpa -> /dev/vhost-vdpa-N ");
	says(ask("PlanPort", "vm2", "network", "sf"),
	     "make the vDPA device on the subfunction of " PF);
	assert_int_equal(node->d->ports.n, 0);
	assert_int_equal(vdpa_kernel_n_calls(node->kernel, "AddVdpa"), 0);
	assert_int_equal(ask("PlanPort", "vm1", "network", "nowhere")->code, ENODEV);
	assert_int_equal(ask("PlanPort", "VM", "network", "lab")->code, EINVAL);
	node_add_port(node, "vm1", "lab");
	assert_int_equal(ask("PlanPort", "vm1", "network", "lab")->code, EEXIST);
}

static void a_plan_of_a_port_on_the_switch_begins_with_its_uplink(void **state) {
	const struct reply *reply;

	(void)state;
	vdpa_kernel_remove(node->kernel, NIC_FILE);
	vdpa_kernel_remove(node->kernel, OTHER_NIC_FILE);
	vdpa_view_ask(node->d->vdpa_view);
	node_wait(node, !vdpa_view_is_asking(node->d->vdpa_view));
	reply = ask("PlanPort", "vm1", "network", "lab");
	says(reply, "make TAP vdp-lab, the uplink of network lab");
	says(reply, "let vdpad-switch listen at ");
}

#define HARDWARE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_with_workers, node_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		HARDWARE_TEST(a_pool_shows_its_members_and_their_ports),
		HARDWARE_TEST(free_counts_what_is_left_of_hardware_and_limit),
		HARDWARE_TEST(all_pools_are_shown_and_an_unknown_one_is_not_found),
		HARDWARE_TEST(management_devices_say_what_they_take),
		HARDWARE_TEST(devices_of_all_owners_are_shown),
		cmocka_unit_test_setup_teardown(
			before_the_worker_has_told_there_is_no_list_but_a_reason, setup,
			node_teardown
		),
		HARDWARE_TEST(a_plan_of_subfunctions_is_the_workers),
		HARDWARE_TEST(a_plan_of_a_port_has_all_steps_and_changes_nothing),
		HARDWARE_TEST(a_plan_of_a_port_on_the_switch_begins_with_its_uplink),
	};

	return cmocka_run_group_tests(tests, private_bus_setup, private_bus_teardown);
}
