// SPDX-License-Identifier: GPL-2.0-or-later
// Functions of netdevsim, the kernel's simulated switch NIC: real VFs, a real e-switch, real representors in
// a real bridge. It has no vDPA, so a function gets as far as its management device and no further.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netlink/function.h"
#include "netlink/sriov.h"
#include "tests/lab/lab.h"

#define PF "netdevsim/netdevsim1"
#define NUMVFS "/sys/bus/netdevsim/devices/netdevsim1/sriov_numvfs"
#define N_VFS 3
#define SHELL_MS 20000
#define PATIENCE_MS 300

static struct nic_kernel kernel;

struct bench {
	struct steps steps;
	struct nic nic;
	struct error e;
};

static int setup(void **state) {
	static struct bench b;

	b = (struct bench){0};
	kernel = nic_host_kernel;
	kernel.patience_ms = PATIENCE_MS;
	*state = &b;
	return nic_open(&b.nic, &kernel, PF, &b.steps, &b.e);
}

static int teardown(void **state) {
	struct bench *b = *state;

	nic_close(&b->nic);
	steps_done(&b->steps);
	return 0;
}

static void succeeds(int r, const struct error *e) {
	if (r < 0)
		fail_msg("%s", e->text);
}

static void vfs_are_made_in_switchdev_mode(void **state) {
	struct bench *b = *state;
	enum devlink_mode mode;
	uint64_t n;

	b->steps.dry_run = true;
	succeeds(sriov_ensure(&b->nic, N_VFS, &b->e), &b->e);
	assert_int_equal(b->steps.n_items, 2);
	assert_string_equal(b->steps.items[1].message, "write 3 to " NUMVFS);
	assert_int_equal(nic_mode(&b->nic, &mode), 0);
	assert_int_equal(mode, DEVLINK_MODE_LEGACY);

	b->steps.dry_run = false;
	succeeds(sriov_ensure(&b->nic, N_VFS, &b->e), &b->e);
	assert_int_equal(nic_mode(&b->nic, &mode), 0);
	assert_int_equal(mode, DEVLINK_MODE_SWITCHDEV);
	assert_int_equal(nic_read_number(&b->nic, "sriov_numvfs", &n), 0);
	assert_int_equal(n, N_VFS);
	succeeds(sriov_ensure(&b->nic, N_VFS, &b->e), &b->e);
	assert_int_equal(b->steps.n_items, 4);
	assert_int_equal(sriov_ensure(&b->nic, 1, &b->e), -EBUSY);
}

static void functions_are_listed_with_their_representors(void **state) {
	_cleanup_(function_list_done) struct function_list list = {0};
	struct bench *b = *state;

	succeeds(function_list(&b->nic, &list, &b->e), &b->e);
	assert_int_equal(list.n_items, N_VFS);
	assert_string_equal(list.items[1].name, "vf1");
	assert_true(list.items[1].representor[0] != 0);
	assert_true(list.items[1].is_active);
}

// The representor's VLANs as iproute2 reads them.
static bool is_only_in_vlan_20(const char *name) {
	char command[256];

	snprintf(
		command, sizeof(command),
		"test \"$(bridge vlan show dev %s | sed 1d | xargs)\" = '%s 20 PVID Egress "
		"Untagged'",
		name, name
	);
	return lab_shell(command, SHELL_MS) == 0;
}

static void representor_is_in_its_bridge_and_in_one_vlan(void **state) {
	_cleanup_(function_list_done) struct function_list list = {0};
	struct representor_spec spec = {.bridge = "br0", .mtu_bytes = 1400, .vlan = 20};
	struct bench *b = *state;
	char command[128];
	bool joined;

	assert_int_equal(lab_shell("ip link add br0 type bridge", SHELL_MS), 0);
	assert_int_equal(representor_check(&b->nic, &spec, &b->e), -EOPNOTSUPP);
	assert_int_equal(lab_shell("ip link set br0 type bridge vlan_filtering 1", SHELL_MS), 0);
	succeeds(representor_check(&b->nic, &spec, &b->e), &b->e);
	succeeds(function_list(&b->nic, &list, &b->e), &b->e);
	for (int i = 0; i < 2; i++) {
		succeeds(
			representor_join(&b->nic, list.items[1].representor, &spec, &joined, &b->e),
			&b->e
		);
		assert_int_equal(joined, i == 0);
		assert_true(is_only_in_vlan_20(list.items[1].representor));
	}
	snprintf(
		command, sizeof(command), "ip -o link show up %s | grep -q 'mtu 1400 .*master br0'",
		list.items[1].representor
	);
	assert_int_equal(lab_shell(command, SHELL_MS), 0);
	spec.bridge = "br1";
	assert_int_equal(lab_shell("ip link add br1 type bridge vlan_filtering 1", SHELL_MS), 0);
	assert_int_equal(
		representor_join(&b->nic, list.items[1].representor, &spec, &joined, &b->e), -EBUSY
	);
	succeeds(representor_leave(&b->nic, list.items[1].representor, &b->e), &b->e);
	assert_int_equal(lab_shell(command, SHELL_MS), 1);
}

static void function_without_vdpa_is_given_up_and_named(void **state) {
	struct function_spec spec = {.representor = {.bridge = ""}, .max_bps = 8000000};
	struct bench *b = *state;
	struct function_state made;

	assert_int_equal(function_ensure(&b->nic, "vf0", &spec, &made, &b->e), -EIO);
	assert_non_null(strstr(b->e.text, "cannot find the management device of vf0 of " PF));
	assert_int_equal(b->steps.n_items, 0);

	spec.has_mac = true;
	spec.mac = (struct mac_addr){{2, 0, 0, 0, 0, 1}};
	assert_int_equal(function_ensure(&b->nic, "vf0", &spec, &made, &b->e), -EOPNOTSUPP);
	assert_non_null(strstr(b->e.text, "function attributes")); // the kernel's words
	assert_int_equal(function_ensure(&b->nic, "sf1000001", &spec, &made, &b->e), -EOPNOTSUPP);
	assert_non_null(strstr(b->e.text, "cannot make subfunction 1000001 of " PF));
	succeeds(function_delete(&b->nic, "vf0", &b->e), &b->e);
	succeeds(function_delete(&b->nic, "sf1000001", &b->e), &b->e);
}

#define WITH_NIC(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_NIC(vfs_are_made_in_switchdev_mode),
		WITH_NIC(functions_are_listed_with_their_representors),
		WITH_NIC(representor_is_in_its_bridge_and_in_one_vlan),
		WITH_NIC(function_without_vdpa_is_given_up_and_named),
	};

	return cmocka_run_group_tests_name("function", tests, NULL, NULL);
}
