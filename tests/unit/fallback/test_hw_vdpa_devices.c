// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of a port whose device vanishes, and what is said about the devices that may be had.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fallback/hw_vdpa.h"
#include "tests/unit/fallback/fake_hw.h"
#include "tests/unit/fallback/hw_case.h"

// Devices that vanish

static void device_that_is_to_be_unplugged_is_let_go_and_taken_back(void **state) {
	(void)state;
	hw_case_add_port();
	assert_int_equal(fake_hw_connect(), 0);
	fake_hw_start_driver();
	hw_case_expect_one_change();
	fake_hw.watching->unplug_requested(FAKE_HW_DEVICE);
	assert_true(hw_case_is_woken());
	assert_string_equal(fake_hw.log, ""); // not from DPDK's thread
	hw_vdpa_check(hw_case.hw, false);
	assert_string_equal(fake_hw.log, HW_CASE_STOP);
	hw_case_expect_status(false, FAKE_HW_DEVICE " was unplugged");
	hw_case_expect_one_change();
	assert_true(hw_vdpa_has_port(hw_case.hw, "p1"));

	fake_hw_unplug(FAKE_HW_DEVICE); // the kernel can, now
	fake_hw.log[0] = '\0';
	for (int i = 0; i < 5; i++)
		hw_vdpa_check(hw_case.hw, true);
	hw_case_expect_status(false, "there is no PCI device");
	assert_string_equal(fake_hw.log, ""); // DPDK is not asked about nothing

	fake_hw_plug(FAKE_HW_DEVICE, "0x1af4", "0x8086", "vfio-pci", "12");
	hw_vdpa_check(hw_case.hw, true);
	assert_string_equal(fake_hw.log, HW_CASE_START);
	assert_int_equal(fake_hw_connect(), 0);
	fake_hw_start_driver();
	hw_case_expect_status(true, FAKE_HW_DEVICE);
}

static void device_that_is_gone_at_once_is_noticed(void **state) {
	(void)state;
	hw_case_add_port();
	hw_vdpa_check(hw_case.hw, true);
	assert_string_equal(fake_hw.log, "");
	fake_hw_unplug(FAKE_HW_DEVICE);
	hw_vdpa_check(hw_case.hw, true);
	assert_string_equal(fake_hw.log, HW_CASE_STOP);
	hw_case_expect_status(false, "was unplugged");
	hw_vdpa_del_port(hw_case.hw, "p1"); // and such a port can be deleted
	assert_string_equal(fake_hw.log, HW_CASE_STOP);
}

static void device_is_looked_at_once_a_second(void **state) {
	(void)state;
	hw_case_add_port();
	fake_hw_unplug(FAKE_HW_DEVICE);
	while (strcmp(fake_hw.log, HW_CASE_STOP) != 0)
		assert_true(sd_event_run(hw_case.event, UINT64_MAX) >= 0);
	hw_case_expect_one_change();
}

static void device_that_fails_to_come_back_is_tried_less_and_less(void **state) {
	unsigned int attempts = 0;

	(void)state;
	hw_case_add_port();
	fake_hw.watching->unplug_requested(FAKE_HW_DEVICE);
	hw_vdpa_check(hw_case.hw, false);
	fake_hw.failing = "probe";
	for (int second = 0; second < 240; second++) {
		fake_hw.log[0] = '\0';
		hw_vdpa_check(hw_case.hw, true);
		attempts += fake_hw.log[0] != '\0';
	}
	assert_in_range(attempts, 7, 10); // after 1, 2, 4, ... 60, 60 seconds
	hw_case_expect_status(false, "does not start");
	fake_hw.failing = NULL;
	for (int second = 0; second < 60; second++)
		hw_vdpa_check(hw_case.hw, true);
	hw_case_expect_status(false, "no VM is attached");
}

// What can be had

static void expect_device(
	size_t index, const char *address, const char *driver, uint32_t queue_pairs,
	const char *in_use_by, const char *reason
) {
	struct hw_device_view view;

	assert_true(hw_vdpa_view_device(hw_case.hw, index, &view));
	assert_string_equal(view.address, address);
	assert_string_equal(view.driver, driver);
	assert_int_equal(view.limits.queue_pairs, queue_pairs);
	assert_string_equal(view.in_use_by, in_use_by);
	if (reason[0] == '\0')
		assert_string_equal(view.reason, "");
	else if (strstr(view.reason, reason) == NULL)
		fail_msg("'%s' lacks '%s'", view.reason, reason);
}

static void configured_devices_are_described_and_left_to_the_kernel(void **state) {
	(void)state;
	assert_int_equal(
		hw_vdpa_set_devices(hw_case.hw, FAKE_HW_DEVICE "," HW_CASE_OTHER_DEVICE, NULL), 0
	);
	assert_string_equal(fake_hw.log, "");
	expect_device(0, FAKE_HW_DEVICE, "ifc", 4, "", "");
	assert_string_equal(fake_hw.log, "probe read_limits watch unwatch remove ");
	expect_device(0, FAKE_HW_DEVICE, "ifc", 4, "", "");
	assert_string_equal(fake_hw.log, "probe read_limits watch unwatch remove "); // known
	expect_device(1, HW_CASE_OTHER_DEVICE, "", 0, "", "no PCI device");
	assert_false(hw_vdpa_view_device(hw_case.hw, 2, &(struct hw_device_view){0}));
	fake_hw_unplug(FAKE_HW_DEVICE);
	fake_hw_plug(FAKE_HW_DEVICE, "0x1af4", "0x8086", "virtio-pci", "12");
	expect_device(0, FAKE_HW_DEVICE, "", 4, "", "bound to virtio-pci"); // it was taken away
}

static void device_of_a_port_is_in_use_and_says_when_it_is_lost(void **state) {
	(void)state;
	assert_int_equal(hw_vdpa_set_devices(hw_case.hw, FAKE_HW_DEVICE, NULL), 0);
	hw_case_add_port();
	expect_device(0, FAKE_HW_DEVICE, "ifc", 4, "p1", "");
	fake_hw_unplug(FAKE_HW_DEVICE);
	hw_vdpa_check(hw_case.hw, true);
	expect_device(0, FAKE_HW_DEVICE, "ifc", 4, "p1", "was unplugged");
	fake_hw_plug(FAKE_HW_DEVICE, "0x1af4", "0x8086", "vfio-pci", "12");
	hw_vdpa_check(hw_case.hw, true);
	expect_device(0, FAKE_HW_DEVICE, "ifc", 4, "p1", "");
	hw_vdpa_del_port(hw_case.hw, "p1");
	expect_device(0, FAKE_HW_DEVICE, "ifc", 4, "", "");
}

static void list_of_devices_changes_without_touching_ports(void **state) {
	struct error e;

	(void)state;
	assert_int_equal(hw_vdpa_set_devices(hw_case.hw, FAKE_HW_DEVICE, NULL), 0);
	hw_case_add_port();
	assert_int_equal(hw_vdpa_set_devices(hw_case.hw, "", NULL), 0);
	assert_false(hw_vdpa_view_device(hw_case.hw, 0, &(struct hw_device_view){0}));
	assert_true(hw_vdpa_has_port(hw_case.hw, "p1"));
	assert_string_equal(fake_hw.log, "");
	// A mistake costs no more than itself.
	assert_int_equal(
		hw_vdpa_set_devices(hw_case.hw, "3b:00.2," FAKE_HW_DEVICE ", ", &e), -EINVAL
	);
	assert_non_null(strstr(e.text, "'3b:00.2'"));
	expect_device(0, FAKE_HW_DEVICE, "ifc", 4, "p1", "");
	assert_false(hw_vdpa_view_device(hw_case.hw, 1, &(struct hw_device_view){0}));
}

static void there_is_a_limit_to_devices(void **state) {
	char list[HW_MAX_DEVICES * 2 * sizeof("0000:00:00.0,")] = "";
	struct hw_device_view view;
	size_t n = 0;
	struct error e;

	(void)state;
	for (int i = 0; i < HW_MAX_DEVICES + 1; i++)
		snprintf(
			list + strlen(list), sizeof(list) - strlen(list), "%s0000:%02x:00.0",
			i == 0 ? "" : ",", i
		);
	assert_int_equal(hw_vdpa_set_devices(hw_case.hw, list, &e), -EPERM);
	while (hw_vdpa_view_device(hw_case.hw, n, &view))
		n++;
	assert_int_equal(n, HW_MAX_DEVICES);
}

#define HW_TEST(name) cmocka_unit_test_setup_teardown(name, hw_case_setup, hw_case_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		HW_TEST(device_that_is_to_be_unplugged_is_let_go_and_taken_back),
		HW_TEST(device_that_is_gone_at_once_is_noticed),
		HW_TEST(device_is_looked_at_once_a_second),
		HW_TEST(device_that_fails_to_come_back_is_tried_less_and_less),
		HW_TEST(configured_devices_are_described_and_left_to_the_kernel),
		HW_TEST(device_of_a_port_is_in_use_and_says_when_it_is_lost),
		HW_TEST(list_of_devices_changes_without_touching_ports),
		HW_TEST(there_is_a_limit_to_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
