// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/sriov.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/netlink/fake_devlink.h"
#include "tests/unit/netlink/netns.h"
#include "tests/unit/unit.h"

#define PF_DIR "sys/bus/pci/devices/" FAKE_PF "/"
#define NUMVFS PF_DIR "sriov_numvfs"

static int setup(void **state) {
	static struct fake_devlink d;

	fake_devlink_init(&d);
	*state = &d;
	return 0;
}

static int teardown(void **state) {
	fake_devlink_done(*state);
	return 0;
}

static int ensure_as(struct fake_devlink *d, uint32_t count, struct steps *steps, struct error *e) {
	_cleanup_nic_ struct nic nic = {0};

	assert_int_equal(nic_open(&nic, &d->kernel, FAKE_PF, steps, e), 0);
	return sriov_ensure(&nic, count, e);
}

static int ensure(struct fake_devlink *d, uint32_t count, struct error *e) {
	_cleanup_(steps_done) struct steps steps = {0};

	return ensure_as(d, count, &steps, e);
}

static void vfs_are_made_in_switchdev_mode_and_bound(void **state) {
	_cleanup_(steps_done) struct steps steps = {0};
	struct fake_devlink *d = *state;
	char expected[256];
	struct error e;

	fake_file(&d->v.sysfs, PF_DIR "sriov_drivers_autoprobe", "0\n");
	fake_devlink_add_vf(
		d, 0, "pf0vf0"
	); // that it comes with the number is the kernel's business
	assert_int_equal(ensure_as(d, 4, &steps, &e), 0);
	assert_int_equal(d->mode, DEVLINK_MODE_SWITCHDEV);
	fake_assert_file(&d->v.sysfs, NUMVFS, "4\n");
	fake_assert_file(&d->v.sysfs, PF_DIR "sriov_drivers_autoprobe", "1\n");
	fake_assert_file(&d->v.sysfs, "sys/bus/pci/drivers_probe", "0000:3b:00.2");
	assert_int_equal(steps.n_items, 4);
	assert_string_equal(
		steps.items[0].message,
		"DEVLINK_CMD_ESWITCH_SET{BUS_NAME=pci DEV_NAME=" FAKE_PF " ESWITCH_MODE=1}"
	);
	snprintf(
		expected, sizeof(expected),
		"write 4 to %s/bus/pci/devices/" FAKE_PF "/sriov_numvfs", d->v.sysfs.sys
	);
	assert_string_equal(steps.items[2].message, expected);
	assert_string_equal(steps.items[2].words, "make 4 VFs of " FAKE_PF);
}

static void vfs_that_are_there_are_success_and_another_number_is_busy(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	assert_int_equal(ensure(d, 0, &e), 0);
	fake_file(&d->v.sysfs, NUMVFS, "4\n");
	assert_int_equal(ensure(d, 4, &e), 0);
	assert_int_equal(d->mode, DEVLINK_MODE_LEGACY); // switching would take their drivers away
	assert_int_equal(d->n_changes, 0);
	assert_int_equal(ensure(d, 5, &e), -EBUSY);
	assert_int_equal(ensure(d, 0, &e), -EBUSY);
	fake_assert_file(&d->v.sysfs, NUMVFS, "4\n");
}

static void device_says_how_many_it_can_have(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	assert_int_equal(ensure(d, 9, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "can have 8 VFs and not 9"));
	assert_int_equal(d->n_changes, 0);
}

static void device_without_eswitch_has_vfs_all_the_same(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	d->has_eswitch = false;
	assert_int_equal(ensure(d, 2, &e), 0);
	fake_assert_file(&d->v.sysfs, NUMVFS, "2\n");
}

static void vdpa_is_enabled_where_the_pf_has_a_switch_for_it(void **state) {
	_cleanup_(steps_done) struct steps steps = {0};
	struct fake_devlink *d = *state;
	struct error e;

	d->has_eswitch = false; // pds_core: the card's processor does the switching
	d->pf_has_vnet = true;
	assert_int_equal(ensure_as(d, 2, &steps, &e), 0);
	assert_true(d->pf_vnet);
	assert_int_equal(steps.n_items, 2);
	assert_string_equal(
		steps.items[1].message,
		"DEVLINK_CMD_PARAM_SET{BUS_NAME=pci DEV_NAME=" FAKE_PF
		" PARAM_NAME=enable_vnet PARAM_TYPE=6 PARAM_VALUE_DATA PARAM_VALUE_CMODE=0}"
	);
}

static void failure_takes_the_vfs_and_the_mode_back(void **state) {
	struct fake_devlink *d = *state;
	struct error e;

	d->pf_has_vnet = true;
	d->fail_at = 2; // after the mode and the VFs
	assert_int_equal(ensure(d, 2, &e), -EIO);
	assert_non_null(strstr(e.text, "cannot enable vDPA on the VFs of " FAKE_PF));
	fake_assert_file(&d->v.sysfs, NUMVFS, "0\n");
	assert_int_equal(d->mode, DEVLINK_MODE_LEGACY);
}

static void dry_run_changes_nothing(void **state) {
	_cleanup_(steps_done) struct steps steps = {.dry_run = true};
	struct fake_devlink *d = *state;
	struct error e;

	assert_int_equal(ensure_as(d, 2, &steps, &e), 0);
	assert_int_equal(steps.n_items, 2);
	fake_assert_file(&d->v.sysfs, NUMVFS, "0\n");
	assert_int_equal(d->n_changes, 0);
}

static void what_is_no_pf_is_refused(void **state) {
	static const char *const odd[] = {"", "../../..", "0000:3b:00.0/..", "a/../b"};
	_cleanup_(steps_done) struct steps steps = {0};
	struct fake_devlink *d = *state;
	struct error e;

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		_cleanup_nic_ struct nic nic = {0};

		assert_int_equal(nic_open(&nic, &d->kernel, odd[i], &steps, &e), -EINVAL);
	}
	{
		_cleanup_nic_ struct nic nic = {0};

		assert_int_equal(nic_open(&nic, &d->kernel, "0000:99:00.0", &steps, &e), -EIO);
		assert_string_equal(e.text, "there is no device '0000:99:00.0'");
	}
	fake_devlink_add_vf(d, 0, "pf0vf0");
	fake_file(&d->v.sysfs, "sys/bus/pci/devices/0000:3b:00.2/uevent", "");
	_cleanup_nic_ struct nic vf = {0};

	assert_int_equal(nic_open(&vf, &d->kernel, "0000:3b:00.2", &steps, &e), 0);
	assert_int_equal(sriov_ensure(&vf, 2, &e), -EOPNOTSUPP);
}

#define WITH_NIC(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_NIC(vfs_are_made_in_switchdev_mode_and_bound),
		WITH_NIC(vfs_that_are_there_are_success_and_another_number_is_busy),
		WITH_NIC(device_says_how_many_it_can_have),
		WITH_NIC(device_without_eswitch_has_vfs_all_the_same),
		WITH_NIC(vdpa_is_enabled_where_the_pf_has_a_switch_for_it),
		WITH_NIC(failure_takes_the_vfs_and_the_mode_back),
		WITH_NIC(dry_run_changes_nothing),
		WITH_NIC(what_is_no_pf_is_refused),
	};
	int r = netns_enter();

	return r != 0 ? r : cmocka_run_group_tests_name("sriov", tests, NULL, NULL);
}
