// SPDX-License-Identifier: GPL-2.0-or-later
// vp_vdpa over the emulated NIC at 00:10.0: a driver for hardware, behind an IOMMU.

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "netlink/vdpa_delete.h"
#include "tests/lab/lab.h"

#define NIC "pci/0000:00:10.0"
#define FEATURES                                                             \
	(LAB_FEATURE_MAC | 1ULL << 16 /* STATUS */ | LAB_FEATURE_VERSION_1 | \
	 LAB_FEATURE_ACCESS_PLATFORM)

static const struct mac_addr nic_mac = {{0x52, 0x54, 0, 0, 0x0a, 0x01}};

static int setup(void **state) {
	*state = lab_open();
	return 0;
}

static int teardown(void **state) {
	nl_socket_close(*state);
	return 0;
}

static void function_is_a_management_device(void **state) {
	struct nl_handle handle;
	struct vdpa_mgmtdev mgmtdev;

	assert_int_equal(nl_handle_parse(NIC, &handle), 0);
	assert_int_equal(vdpa_mgmtdev_get(*state, &handle, &mgmtdev), 0);
	assert_int_equal(mgmtdev.classes, 1 << 1);
	assert_int_equal(mgmtdev.max_vqs, 3);
	assert_int_equal(mgmtdev.features & FEATURES, FEATURES);
	assert_false(mgmtdev.features & LAB_FEATURE_MTU);
	vdpa_mgmtdev_done(&mgmtdev);
	nl_handle_done(&handle);
}

static void values_that_the_driver_does_not_take_are_refused(void **state) {
	struct vdpa_dev_spec spec = lab_spec("n0", NIC);

	spec.has_mac = true;
	spec.mac = nic_mac;
	assert_int_equal(vdpa_dev_add(*state, &spec), -EOPNOTSUPP);
	assert_non_null(strstr(nl_socket_error_text(*state), "not supported: 0x400"));
	spec.mtu_bytes = 1500;
	spec.has_mac = false;
	assert_int_equal(vdpa_dev_add(*state, &spec), -EOPNOTSUPP);
	assert_non_null(strstr(nl_socket_error_text(*state), "not supported: 0x2000"));
}

static void device_offers_the_features_asked_for_and_opens(void **state) {
	struct vdpa_dev_spec spec = lab_spec("n0", NIC);
	struct vdpa_vendor_stats stats;
	struct vdpa_net_config config;
	int fd;

	spec.has_features = true;
	spec.features = FEATURES;
	assert_int_equal(vdpa_dev_add(*state, &spec), 0);
	assert_int_equal(vdpa_dev_config_get(*state, "n0", &config), 0);
	assert_int_equal(config.features, FEATURES);
	assert_true(config.has_mac && mac_addr_equal(&config.mac, &nic_mac));

	fd = lab_open_chardev("n0");
	assert_true(fd >= 0);
	lab_negotiate(fd, FEATURES);
	assert_int_equal(vdpa_dev_config_get(*state, "n0", &config), 0);
	assert_true(config.has_negotiated && config.negotiated == FEATURES);
	assert_int_equal(vdpa_dev_stats_get(*state, "n0", 0, &stats), -EOPNOTSUPP);
	close(fd);
	lab_delete(*state, "n0");
}

// The kernel takes the request and crashes on the next deletion: it must not get it.
static void second_device_of_a_function_is_refused_unasked(void **state) {
	struct vdpa_dev_spec spec = lab_spec("n0", NIC);

	assert_int_equal(vdpa_dev_add(*state, &spec), 0);
	assert_int_equal(vdpa_dev_add(*state, &spec), -EEXIST);
	spec.name = "n1";
	assert_int_equal(vdpa_dev_add(*state, &spec), -ENOSPC);
	lab_delete(*state, "n0");
	assert_int_equal(vdpa_dev_add(*state, &spec), 0);
	lab_delete(*state, "n1");
}

static void open_device_waits_for_its_holder(void **state) {
	struct vdpa_dev_spec spec = lab_spec("n0", NIC);
	struct vhost_holder holder;
	pid_t pid;

	spec.has_features = true;
	spec.features = FEATURES;
	assert_int_equal(vdpa_dev_add(*state, &spec), 0);
	pid = lab_start_holder("n0");
	assert_int_equal(vdpa_delete(*state, &vhost_host_roots, "n0", &holder), -EBUSY);
	assert_int_equal(holder.pid, pid);
	lab_kill(pid);
	lab_delete(*state, "n0");
	assert_false(lab_list_has(*state, "n0"));
}

int main(void) {
#define with_socket(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_socket(function_is_a_management_device),
		with_socket(values_that_the_driver_does_not_take_are_refused),
		with_socket(device_offers_the_features_asked_for_and_opens),
		with_socket(second_device_of_a_function_is_refused_unasked),
		with_socket(open_device_waits_for_its_holder),
	};

	return cmocka_run_group_tests_name("nic", tests, NULL, NULL);
}
