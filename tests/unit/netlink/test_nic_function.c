// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nic_function.h"

#include "tests/unit/netlink/fake_sysfs.h"
#include "tests/unit/unit.h"

#define PF "devices/pci0000:3a/0000:3b:00.0"
#define VF "devices/pci0000:3a/0000:3b:00.3"

// A PF with two VFs and a subfunction, as mlx5 has them.
static int setup(void **state) {
	static struct fake_sysfs f;

	fake_sysfs_init(&f);
	fake_file(&f, "sys/" PF "/sriov_totalvfs", "4\n");
	fake_link(&f, "sys/" PF "/virtfn0", "../0000:3b:00.2");
	fake_link(&f, "sys/" PF "/virtfn1", "../0000:3b:00.3");
	fake_link(&f, "sys/" VF "/physfn", "../0000:3b:00.0");
	fake_link(&f, "sys/" VF "/driver", "../../../bus/pci/drivers/mlx5_core");
	fake_link(&f, "sys/bus/pci/devices/0000:3b:00.0", "../../../" PF);
	fake_link(&f, "sys/bus/pci/devices/0000:3b:00.3", "../../../" VF);
	fake_file(&f, "sys/" PF "/mlx5_core.sf.4/sfnum", "1000007\n");
	fake_link(
		&f, "sys/" PF "/mlx5_core.sf.4/driver",
		"../../../../bus/auxiliary/drivers/mlx5_core.sf"
	);
	fake_link(&f, "sys/bus/auxiliary/devices/mlx5_core.sf.4", "../../../" PF "/mlx5_core.sf.4");
	fake_file(&f, "sys/" VF "/pds_core.vDPA.1/uevent", "");
	fake_link(
		&f, "sys/" VF "/pds_core.vDPA.1/driver",
		"../../../../bus/auxiliary/drivers/pds_vdpa.vDPA"
	);
	fake_link(
		&f, "sys/bus/auxiliary/devices/pds_core.vDPA.1", "../../../" VF "/pds_core.vDPA.1"
	);
	*state = &f;
	return 0;
}

static int teardown(void **state) {
	fake_sysfs_done(*state);
	return 0;
}

static struct nic_function read_as(void **state, const char *bus, const char *dev) {
	const struct fake_sysfs *f = *state;
	const struct nl_handle handle = {.bus = (char *)bus, .dev = (char *)dev};
	struct nic_function function;

	nic_function_read(f->sys, &handle, &function);
	return function;
}

static void vf_has_its_pf_and_its_number(void **state) {
	struct nic_function f = read_as(state, "pci", "0000:3b:00.3");

	assert_string_equal(f.driver, "mlx5_core");
	assert_string_equal(f.pf, "0000:3b:00.0");
	assert_string_equal(f.name, "vf1");
	assert_int_equal(f.takes, NIC_TAKES_ALL);
	assert_true(f.one_device);
}

static void subfunction_has_its_pf_and_the_users_number(void **state) {
	struct nic_function f = read_as(state, "auxiliary", "mlx5_core.sf.4");

	assert_string_equal(f.driver, "mlx5_core.sf");
	assert_string_equal(f.pf, "0000:3b:00.0");
	assert_string_equal(f.name, "sf1000007");
	assert_int_equal(f.takes, NIC_TAKES_ALL);
}

static void part_of_a_vf_is_that_vf(void **state) {
	struct nic_function f = read_as(state, "auxiliary", "pds_core.vDPA.1");

	assert_string_equal(f.driver, "pds_vdpa.vDPA");
	assert_string_equal(f.pf, "0000:3b:00.0");
	assert_string_equal(f.name, "vf1");
	assert_int_equal(f.takes, NIC_TAKES_MAC | NIC_TAKES_QUEUE_PAIRS | NIC_TAKES_FEATURES);
}

static void software_makes_many_and_takes_what_its_driver_takes(void **state) {
	struct nic_function f = read_as(state, NULL, "vdpasim_net");

	assert_false(f.one_device);
	assert_string_equal(f.pf, "");
	assert_string_equal(f.name, "");
	assert_int_equal(f.takes, NIC_TAKES_MAC | NIC_TAKES_MTU | NIC_TAKES_FEATURES);
	assert_int_equal(read_as(state, NULL, "vduse").takes, 0);
}

static void unknown_function_takes_all_and_makes_one(void **state) {
	static const char *const odd[] = {"0000:3b:00.0", "9", "..", "a/b", ""};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct nic_function f = read_as(state, "pci", odd[i]);

		assert_string_equal(f.driver, "");
		assert_string_equal(f.name, "");
		assert_int_equal(f.takes, NIC_TAKES_ALL);
		assert_true(f.one_device);
	}
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_NODE(vf_has_its_pf_and_its_number),
		WITH_NODE(subfunction_has_its_pf_and_the_users_number),
		WITH_NODE(part_of_a_vf_is_that_vf),
		WITH_NODE(software_makes_many_and_takes_what_its_driver_takes),
		WITH_NODE(unknown_function_takes_all_and_makes_one),
	};

	return cmocka_run_group_tests_name("nic_function", tests, NULL, NULL);
}
