// SPDX-License-Identifier: GPL-2.0-or-later
// Functions of a NIC that answers as its documentation says, with representors that are real interfaces.
#include "netlink/function.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/subfunction.h"
#include "tests/unit/netlink/fake_devlink.h"
#include "tests/unit/netlink/netns.h"
#include "tests/unit/unit.h"

#define NUMBER 1000007
#define SF "sf1000007"
#define REP "rep1000007"
#define N_DEVLINK_CHANGES 8 // of a new subfunction, in devlink

static int setup(void **state) {
	static struct fake_devlink d;

	fake_devlink_init(&d);
	d.mode = DEVLINK_MODE_SWITCHDEV;
	*state = &d;
	return netns_sh("ip link add br0 type bridge && ip link set br0 mtu 9000") ? 0 : -1;
}

static int teardown(void **state) {
	fake_devlink_done(*state);
	return netns_sh("ip link del br0") ? 0 : -1;
}

static const struct function_spec full = {
	.has_mac = true,
	.mac = {{0x52, 0x54, 0, 1, 2, 3}},
	.representor = {.bridge = "br0", .mtu_bytes = 1600},
	.max_bps = 8000000,
};

// One operation on the PF, as a request makes it. The steps are the caller's.
static int ensure_as(
	struct fake_devlink *d, const char *name, const struct function_spec *spec,
	struct steps *steps, struct function_state *ret_state, struct error *e
) {
	_cleanup_nic_ struct nic nic = {0};

	assert_int_equal(nic_open(&nic, &d->kernel, FAKE_PF, steps, e), 0);
	return function_ensure(&nic, name, spec, ret_state, e);
}

static int ensure(struct fake_devlink *d, const char *name, struct error *e) {
	_cleanup_(steps_done) struct steps steps = {0};
	struct function_state made;

	return ensure_as(d, name, &full, &steps, &made, e);
}

static int delete (struct fake_devlink *d, const char *name, struct error *e) {
	_cleanup_(steps_done) struct steps steps = {0};
	_cleanup_nic_ struct nic nic = {0};

	assert_int_equal(nic_open(&nic, &d->kernel, FAKE_PF, &steps, e), 0);
	return function_delete(&nic, name, e);
}

static void check_served(struct fake_devlink *d) {
	const struct fake_port *port = fake_devlink_find(d, false, NUMBER);

	assert_non_null(port);
	assert_true(port->active && port->is_vdpa && !port->eth && !port->rdma);
	assert_memory_equal(port->mac, full.mac.octets, 6);
	assert_int_equal(port->rate_octets, 1000000);
	assert_true(netns_sh("ip -o link show " REP " | grep -q 'mtu 1600.* master br0 '"));
	assert_true(netns_sh("ip -o link show up " REP " | grep -q " REP));
}

static void check_step(
	const struct steps *steps, size_t i, const char *words, const char *message
) {
	assert_in_range(i, 0, steps->n_items - 1);
	assert_string_equal(steps->items[i].words, words);
	assert_string_equal(steps->items[i].message, message);
}

#define PF_ATTRS "BUS_NAME=pci DEV_NAME=" FAKE_PF
#define AUX_ATTRS "BUS_NAME=auxiliary DEV_NAME=mlx5_core.sf.4"

static void new_subfunction_becomes_a_management_device_with_its_representor_in_the_bridge(
	void **state
) {
	_cleanup_(steps_done) struct steps steps = {0};
	struct fake_devlink *d = *state;
	struct function_state made;
	struct error e = {0};
	int r = ensure_as(d, SF, &full, &steps, &made, &e);

	if (r < 0)
		fail_msg("%s", e.text);
	assert_string_equal(made.mgmtdev, "auxiliary/mlx5_core.sf.4");
	assert_string_equal(made.representor, REP);
	check_served(d);

	check_step(
		&steps, 0, "make subfunction 1000007 of " FAKE_PF,
		"DEVLINK_CMD_PORT_NEW{" PF_ATTRS
		" PORT_FLAVOUR=7 PORT_PCI_PF_NUMBER=0 PORT_PCI_SF_NUMBER=1000007}"
	);
	check_step(
		&steps, 1, "give " SF " of " FAKE_PF " the MAC 52:54:00:01:02:03",
		"DEVLINK_CMD_PORT_SET{" PF_ATTRS
		" PORT_INDEX=32768 PORT_FUNCTION={HW_ADDR=52:54:00:01:02:03}}"
	);
	check_step(
		&steps, 2, "activate subfunction 1000007 of " FAKE_PF,
		"DEVLINK_CMD_PORT_SET{" PF_ATTRS " PORT_INDEX=32768 PORT_FUNCTION={STATE=1}}"
	);
	check_step(
		&steps, 3, "switch on enable_vnet of mlx5_core.sf.4",
		"DEVLINK_CMD_PARAM_SET{" AUX_ATTRS
		" PARAM_NAME=enable_vnet PARAM_TYPE=6 PARAM_VALUE_DATA PARAM_VALUE_CMODE=1}"
	);
	check_step(
		&steps, 4, "switch off enable_eth of mlx5_core.sf.4",
		"DEVLINK_CMD_PARAM_SET{" AUX_ATTRS
		" PARAM_NAME=enable_eth PARAM_TYPE=6 PARAM_VALUE_CMODE=1}"
	);
	check_step(
		&steps, 6, "reload mlx5_core.sf.4, so that it becomes a vDPA device",
		"DEVLINK_CMD_RELOAD{" AUX_ATTRS " RELOAD_ACTION=1}"
	);
	check_step(
		&steps, 7, "limit " SF " of " FAKE_PF " to 8000000 bit/s",
		"DEVLINK_CMD_RATE_SET{" PF_ATTRS " PORT_INDEX=32768 RATE_TX_MAX=1000000}"
	);
	assert_string_equal(steps.items[8].words, "set the MTU of representor " REP " to 1600");
	assert_string_equal(steps.items[9].words, "put representor " REP " into bridge br0");
	assert_string_equal(steps.items[steps.n_items - 1].words, "bring up representor " REP);
	assert_int_equal(d->n_changes, N_DEVLINK_CHANGES);
}

static void dry_run_says_the_same_steps_and_changes_nothing(void **state) {
	_cleanup_(steps_done) struct steps said = {.dry_run = true}, done = {0};
	struct fake_devlink *d = *state;
	struct function_state made;
	struct error e;

	assert_int_equal(ensure_as(d, SF, &full, &said, &made, &e), 0);
	assert_int_equal(d->n_changes, 0);
	assert_null(fake_devlink_find(d, false, NUMBER));
	assert_int_equal(ensure_as(d, SF, &full, &done, &made, &e), 0);
	assert_int_equal(said.n_items, done.n_items);
	assert_string_equal(said.items[0].message, done.items[0].message);
	assert_string_equal(
		said.items[2].message,
		"DEVLINK_CMD_PORT_SET{" PF_ATTRS
		" PORT_INDEX=(the new port's) PORT_FUNCTION={STATE=1}}"
	);
	assert_string_equal(said.items[3].words, "switch on enable_vnet of (new)");
	assert_string_equal(
		said.items[8].message, "RTM_SETLINK{ifindex=(the new interface's) IFLA_MTU=1600}"
	);
}

// Bridges of this kernel may be without VLANs, so it is only said here, and done in the lab.
static void representor_is_in_the_functions_vlan_and_no_other(void **state) {
	_cleanup_(steps_done) struct steps steps = {.dry_run = true};
	struct fake_devlink *d = *state;
	struct function_spec spec = full;
	struct function_state made;
	struct error e;

	spec.representor.vlan = 20;
	assert_int_equal(ensure_as(d, SF, &spec, &steps, &made, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "bridge 'br0' does not filter VLANs"));
	assert_int_equal(steps.n_items, 0);

	fake_file(&d->v.sysfs, "sys/class/net/br0/bridge/vlan_filtering", "1\n");
	fake_file(&d->v.sysfs, "sys/class/net/br0/bridge/default_pvid", "1\n");
	assert_int_equal(ensure_as(d, SF, &spec, &steps, &made, &e), 0);
	check_step(
		&steps, 10, "put representor (new) into VLAN 20, untagged",
		"RTM_DELLINK{ifindex=(the new interface's) "
		"IFLA_AF_SPEC={IFLA_BRIDGE_VLAN_INFO=1,begin IFLA_BRIDGE_VLAN_INFO=19,end}}"
	);
	check_step(
		&steps, 12, "put representor (new) into VLAN 20, untagged",
		"RTM_SETLINK{ifindex=(the new interface's) "
		"IFLA_AF_SPEC={IFLA_BRIDGE_VLAN_INFO=20,pvid,untagged}}"
	);
}

static void failure_of_any_step_is_named_and_leaves_nothing(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	for (unsigned int i = 1; i <= N_DEVLINK_CHANGES; i++) {
		d->n_changes = 0;
		d->fail_at = i;
		assert_int_equal(ensure(d, SF, &e), -EIO);
		assert_int_equal(strncmp(e.text, "cannot ", 7), 0);
		assert_non_null(strstr(e.text, "(\"mlx5_core: the firmware says no\")"));
		assert_null(fake_devlink_find(d, false, NUMBER));
	}
	d->fail_at = 0;
	assert_true(netns_sh("ip link set br0 mtu 1500"));
	assert_int_equal(ensure(d, SF, &e), -EOPNOTSUPP);
	assert_string_equal(e.text, "bridge 'br0' has MTU 1500, less than the port's 1600");
	assert_null(fake_devlink_find(d, false, NUMBER));
}

static void attempt_that_died_anywhere_is_completed_by_the_next(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	for (unsigned int i = 1; i <= N_DEVLINK_CHANGES; i++) {
		d->n_changes = 0;
		d->fail_at = i;
		d->fail_from_there = true; // nothing is undone
		assert_int_equal(ensure(d, SF, &e), -EIO);
		d->fail_at = 0;
		if (ensure(d, SF, &e) < 0)
			fail_msg("after change %u: %s", i, e.text);
		check_served(d);
		assert_int_equal(delete (d, SF, &e), 0);
	}
}

static void second_call_changes_nothing_in_the_device(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	assert_int_equal(ensure(d, SF, &e), 0);
	d->n_changes = 0;
	assert_int_equal(ensure(d, SF, &e), 0);
	assert_int_equal(d->n_changes, 0);
	check_served(d);
}

static void subfunction_that_never_attaches_is_given_up(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	d->never_attaches = true;
	assert_int_equal(ensure(d, SF, &e), -EIO);
	assert_non_null(strstr(e.text, "wait for the device of subfunction 1000007"));
	assert_null(fake_devlink_find(d, false, NUMBER));
}

static void eswitch_is_switched_only_while_there_are_no_vfs(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	d->mode = DEVLINK_MODE_LEGACY;
	d->fail_at = 3;
	assert_int_equal(ensure(d, SF, &e), -EIO);
	assert_int_equal(d->mode, DEVLINK_MODE_LEGACY);
	d->fail_at = 0;
	fake_file(&d->v.sysfs, "sys/bus/pci/devices/" FAKE_PF "/sriov_numvfs", "2\n");
	assert_int_equal(ensure(d, SF, &e), -EBUSY);
	assert_int_equal(d->mode, DEVLINK_MODE_LEGACY);
	fake_file(&d->v.sysfs, "sys/bus/pci/devices/" FAKE_PF "/sriov_numvfs", "0\n");
	assert_int_equal(ensure(d, SF, &e), 0);
	assert_int_equal(d->mode, DEVLINK_MODE_SWITCHDEV);
	check_served(d);
}

static void subfunction_is_deleted_unless_it_has_a_device(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	assert_int_equal(ensure(d, SF, &e), 0);
	fake_vdpa_add(&d->v, "auxiliary", "mlx5_core.sf.4", "vdpad-7");
	assert_int_equal(delete (d, SF, &e), -EBUSY);
	assert_string_equal(
		e.text, SF " of " FAKE_PF " has vDPA device 'vdpad-7'; delete that first"
	);
	check_served(d);
	d->v.devs[0].name[0] = 0;
	d->v.devs[0].dev[0] = 0;
	assert_int_equal(delete (d, SF, &e), 0);
	assert_null(fake_devlink_find(d, false, NUMBER));
	assert_false(netns_sh("ip link show " REP " >/dev/null 2>&1"));
	assert_int_equal(delete (d, SF, &e), 0);
}

static void foreign_subfunction_is_neither_changed_nor_deleted(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	assert_int_equal(ensure(d, "sf88", &e), -EPERM);
	assert_int_equal(delete (d, "sf88", &e), -EPERM);
	assert_string_equal(
		e.text, "subfunction 88 is not vdpad's: those have numbers from 1000000"
	);
	assert_int_equal(ensure(d, "ef1", &e), -EINVAL);
	assert_int_equal(ensure(d, "vf-1", &e), -EINVAL);
	assert_int_equal(d->n_changes, 0);
}

static void vf_is_set_up_and_left_as_it_was_by_a_failure(void **state) {
	static const uint8_t before[6] = {0x02, 0, 0, 0, 0, 9};
	struct fake_devlink *d = *state;
	struct fake_port *port;
	struct error e;

	fake_devlink_add_vf(d, 0, "pf0vf0");
	fake_devlink_add_vf(d, 1, "pf0vf1");
	port = fake_devlink_find(d, true, 1);
	memcpy(port->mac, before, sizeof(before));
	port->has_mac = true;
	d->fail_at = 2; // the rate
	assert_int_equal(ensure(d, "vf1", &e), -EIO);
	assert_memory_equal(port->mac, before, sizeof(before));

	d->fail_at = 0;
	assert_true(netns_sh("ip link add other type bridge && ip link set pf0vf1 master other"));
	assert_int_equal(ensure(d, "vf1", &e), -EBUSY);
	assert_memory_equal(port->mac, before, sizeof(before));
	assert_int_equal(port->rate_octets, 0);
	assert_true(netns_sh("ip link del other"));

	assert_int_equal(ensure(d, "vf1", &e), 0);
	assert_memory_equal(port->mac, full.mac.octets, 6);
	assert_int_equal(port->rate_octets, 1000000);
	assert_true(netns_sh("ip -o link show pf0vf1 | grep -q 'master br0 '"));

	assert_int_equal(delete (d, "vf1", &e), 0);
	assert_false(netns_sh("ip -o link show pf0vf1 | grep -q master"));
	assert_int_equal(port->rate_octets, 0);
	assert_int_equal(ensure(d, "vf2", &e), -EIO);
	assert_string_equal(e.text, FAKE_PF " has no VF 2; EnsureVfs makes them");
}

// Without an e-switch the PF's interface has the values. No interface here has VFs, so it is only said.
static void vf_without_eswitch_is_set_up_through_the_pf(void **state) {
	_cleanup_(steps_done) struct steps steps = {.dry_run = true};
	struct fake_devlink *d = *state;
	struct function_spec spec = full;
	struct function_state made;
	struct error e = {0};

	fake_devlink_add_vf(d, 0, "pf0vf0");
	fake_devlink_add_vf(d, 1, "pf0vf1");
	d->has_eswitch = false;
	spec.representor.vlan = 20;
	assert_int_equal(ensure_as(d, "vf1", &spec, &steps, &made, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "neither an e-switch nor an interface of its own"));
	fake_file(&d->v.sysfs, "sys/bus/pci/devices/" FAKE_PF "/net/lo/uevent", "");
	if (ensure_as(d, "vf1", &spec, &steps, &made, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(made.mgmtdev, "pci/0000:3b:00.3");
	assert_string_equal(made.representor, "");
	assert_int_equal(steps.n_items, 1);
	check_step(
		&steps, 0, "set MAC, VLAN and rate of VF 1 of " FAKE_PF,
		"RTM_SETLINK{ifindex=1 "
		"IFLA_VFINFO_LIST={IFLA_VF_INFO={IFLA_VF_MAC=1,52:54:00:01:02:03 "
		"IFLA_VF_VLAN=1,20 IFLA_VF_TX_RATE=1,8}}}"
	);
}

static void all_functions_are_listed(void **state) {
	_cleanup_(function_list_done) struct function_list list = {0};
	_cleanup_(steps_done) struct steps steps = {0};
	_cleanup_nic_ struct nic nic = {0};
	struct fake_devlink *d = *state;
	struct error e;

	fake_devlink_add_vf(d, 0, "pf0vf0");
	assert_int_equal(ensure(d, SF, &e), 0);
	assert_int_equal(nic_open(&nic, &d->kernel, FAKE_PF, &steps, &e), 0);
	assert_int_equal(function_list(&nic, &list, &e), 0);
	assert_int_equal(list.n_items, 2);
	assert_string_equal(list.items[0].name, "vf0");
	assert_string_equal(list.items[0].mgmtdev, "pci/0000:3b:00.2");
	assert_string_equal(list.items[1].name, SF);
	assert_string_equal(list.items[1].representor, REP);
	assert_true(list.items[1].is_active);
	assert_true(mac_addr_equal(&list.items[1].mac, &full.mac));
}

#define WITH_NIC(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_NIC(
			new_subfunction_becomes_a_management_device_with_its_representor_in_the_bridge
		),
		WITH_NIC(dry_run_says_the_same_steps_and_changes_nothing),
		WITH_NIC(representor_is_in_the_functions_vlan_and_no_other),
		WITH_NIC(failure_of_any_step_is_named_and_leaves_nothing),
		WITH_NIC(attempt_that_died_anywhere_is_completed_by_the_next),
		WITH_NIC(second_call_changes_nothing_in_the_device),
		WITH_NIC(subfunction_that_never_attaches_is_given_up),
		WITH_NIC(eswitch_is_switched_only_while_there_are_no_vfs),
		WITH_NIC(subfunction_is_deleted_unless_it_has_a_device),
		WITH_NIC(foreign_subfunction_is_neither_changed_nor_deleted),
		WITH_NIC(vf_is_set_up_and_left_as_it_was_by_a_failure),
		WITH_NIC(vf_without_eswitch_is_set_up_through_the_pf),
		WITH_NIC(all_functions_are_listed),
	};
	int r = netns_enter();

	if (r == 0 && !netns_sh("ip link set lo up"))
		r = netns_fail("ip (iproute2)");
	return r != 0 ? r : cmocka_run_group_tests_name("function", tests, NULL, NULL);
}
