// SPDX-License-Identifier: GPL-2.0-or-later
// A device on its way from the kernel into DPDK and back, and each reason why it cannot go.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fallback/hw_device.h"
#include "tests/unit/fallback/fake_hw.h"
#include "vdpad/util/cleanup.h"

static const struct hw_events no_events;

static int setup(void **state) {
	(void)state;
	return fake_hw_setup();
}

static int teardown(void **state) {
	(void)state;
	return fake_hw_teardown();
}

static struct hw_env env(void) {
	return (struct hw_env){
		.ops = &fake_hw_ops,
		.events = &no_events,
		.sys_dir = fake_hw.sys_dir,
		.dev_dir = fake_hw.dev_dir,
		.pci = true,
	};
}

static struct hw_device device(const char *address) {
	struct hw_device d = {.driver = ""};

	strcpy(d.address, address);
	return d;
}

// Attaching fails with @code, @word is in the reason, and DPDK has nothing of it afterwards.
static void expect_refusal(int code, const char *word) {
	struct hw_env at = env();
	struct hw_device d = device(FAKE_HW_DEVICE);
	struct error e = {0};

	assert_int_equal(hw_device_attach(&at, &d, &e), -code);
	if (strstr(e.text, word) == NULL)
		fail_msg("'%s' lacks '%s'", e.text, word);
	assert_non_null(strstr(e.text, FAKE_HW_DEVICE));
	assert_null(d.vdpa);
	assert_int_equal(d.limits.queue_pairs, 0);
	assert_int_equal(fake_hw.n_probed, 0);
}

static void addresses_are_as_the_kernel_writes_them(void **state) {
	static const char *const good[] = {"0000:3b:00.2", "10000:e1:1f.7", "0000:00:00.0"};
	static const char *const bad[] = {
		"",
		"3b:00.2",
		"0000:3b:00",
		"0000:3b:00.8",
		"0000:3B:00.2",
		"0000:3b:20.0",
		"0000:3b:00.2,class=net",
		"0000:3b:00.2 ",
		"../../0000:3b:00.2",
		"123456789:3b:00.2",
		"0000:3g:00.2",
		"0000-3b:00.2",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(hw_address_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (hw_address_is_valid(bad[i]))
			fail_msg("'%s' is taken for an address", bad[i]);
	}
}

static void device_is_taken_and_given_back(void **state) {
	struct hw_env at = env();
	struct hw_device d = device(FAKE_HW_DEVICE);

	(void)state;
	assert_int_equal(hw_device_attach(&at, &d, NULL), 0);
	assert_non_null(d.vdpa);
	assert_string_equal(d.driver, "ifc");
	assert_int_equal(d.limits.queue_pairs, 4);
	hw_device_detach(&at, &d);
	hw_device_detach(&at, &d);
	assert_null(d.vdpa);
	assert_int_equal(d.limits.queue_pairs, 4); // still known
	assert_string_equal(fake_hw.log, "probe read_limits watch unwatch remove ");
}

static void each_driver_gets_the_arguments_it_knows(void **state) {
	static const struct {
		const char *vendor, *subsystem_vendor, *kernel_driver, *driver, *devargs;
	} cases[] = {
		{"0x1af4", "0x8086", "vfio-pci", "ifc", FAKE_HW_DEVICE ",vdpa=1"},
		{"0x15b3", "0x15b3", "mlx5_core", "mlx5", FAKE_HW_DEVICE ",class=vdpa"},
		{"0x10ee", "0x10ee", "vfio-pci", "sfc", FAKE_HW_DEVICE ",class=vdpa"},
		{"0x19ee", "0x19ee", "vfio-pci", "nfp", FAKE_HW_DEVICE ",class=vdpa"},
		{"0x1af4", "0x1af4", "vfio-pci", "other", FAKE_HW_DEVICE ",class=vdpa"},
	};
	struct hw_env at = env();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hw_device d = device(FAKE_HW_DEVICE);

		fake_hw_unplug(FAKE_HW_DEVICE);
		fake_hw_plug(
			FAKE_HW_DEVICE, cases[i].vendor, cases[i].subsystem_vendor,
			cases[i].kernel_driver, "12"
		);
		assert_int_equal(hw_device_attach(&at, &d, NULL), 0);
		assert_string_equal(d.driver, cases[i].driver);
		assert_string_equal(fake_hw.devargs, cases[i].devargs);
		hw_device_detach(&at, &d);
	}
}

static void what_the_kernel_lacks_is_said_before_dpdk_is_asked(void **state) {
	(void)state;
	fake_hw_remove("dev/vfio/12");
	expect_refusal(ENXIO, "vdpad-switch-hw.conf");
	fake_hw_remove("dev/vfio/vfio");
	expect_refusal(ENXIO, "vfio/vfio");
	fake_hw_unplug(FAKE_HW_DEVICE);
	expect_refusal(ENXIO, "there is no PCI device");
	fake_hw_plug(FAKE_HW_DEVICE, "0x1af4", "0x8086", "virtio-pci", "12");
	expect_refusal(ENXIO, "bound to virtio-pci");
	fake_hw_unplug(FAKE_HW_DEVICE);
	fake_hw_plug(FAKE_HW_DEVICE, "0x1af4", "0x8086", NULL, "12");
	expect_refusal(ENXIO, "bound to no driver");
	fake_hw_unplug(FAKE_HW_DEVICE);
	fake_hw_plug(FAKE_HW_DEVICE, "0x15b3", "0x15b3", "vfio-pci", "12");
	expect_refusal(ENXIO, "needs mlx5_core");
	fake_hw_unplug(FAKE_HW_DEVICE);
	fake_hw_plug(FAKE_HW_DEVICE, "0x1af4", "0x8086", "vfio-pci", NULL);
	expect_refusal(ENXIO, "IOMMU");
	assert_string_equal(fake_hw.log, "");
}

static void switch_without_a_pci_bus_says_so(void **state) {
	struct hw_env at = env();
	struct hw_device d = device(FAKE_HW_DEVICE);
	struct error e;

	(void)state;
	at.pci = false;
	assert_int_equal(hw_device_check(&at, &d, &e), -ENXIO);
	assert_non_null(strstr(e.text, "restart"));
	assert_string_equal(fake_hw.log, "");
}

static void missing_driver_names_its_package(void **state) {
	(void)state;
	fake_hw.failing = "probe";
	fake_hw.error = -ENOTSUP;
	expect_refusal(EOPNOTSUPP, "librte-vdpa-ifc");
}

static void driver_of_another_class_gives_the_device_back(void **state) {
	(void)state;
	fake_hw.other_class = true;
	expect_refusal(EOPNOTSUPP, "librte-vdpa-ifc");
	assert_string_equal(fake_hw.log, "probe remove ");
}

static void driver_that_fails_is_quoted(void **state) {
	(void)state;
	fake_hw.failing = "probe";
	fake_hw.error = -EBUSY;
	expect_refusal(EIO, strerror(EBUSY));
	fake_hw.error = -1; // no errno
	expect_refusal(EIO, "the log");
}

static void device_without_queues_is_given_back(void **state) {
	(void)state;
	fake_hw.limits.queue_pairs = 0;
	expect_refusal(EIO, "does not tell");
	fake_hw.limits.queue_pairs = 4;
	fake_hw.failing = "read_limits";
	expect_refusal(EIO, "does not tell");
	fake_hw.failing = "watch";
	expect_refusal(EIO, "unplugged");
	assert_string_equal(
		fake_hw.log,
		"probe read_limits remove probe read_limits remove probe read_limits watch remove "
	);
}

static void device_that_did_not_go_is_found_again(void **state) {
	struct hw_env at = env();
	struct hw_device d = device(FAKE_HW_DEVICE);

	(void)state;
	assert_int_equal(hw_device_attach(&at, &d, NULL), 0);
	fake_hw.failing = "remove";
	hw_device_detach(&at, &d);
	assert_int_equal(fake_hw.n_probed, 1);
	fake_hw.failing = "probe";
	fake_hw.error = -EEXIST;
	assert_int_equal(hw_device_attach(&at, &d, NULL), 0);
	fake_hw.failing = NULL;
	hw_device_detach(&at, &d);
}

static void note_counter(void *userdata, const char *name, uint64_t value) {
	char entry[96];

	snprintf(entry, sizeof(entry), "%s=%u ", name, (unsigned int)value);
	strcat(userdata, entry);
}

static void counters_are_summed_over_the_rings_that_have_some(void **state) {
	struct hw_env at = env();
	struct hw_device d = device(FAKE_HW_DEVICE);
	char text[512] = "";

	(void)state;
	hw_device_read_counters(&at, &d, 8, note_counter, text); // not attached
	assert_string_equal(text, "");
	assert_int_equal(hw_device_attach(&at, &d, NULL), 0);
	hw_device_read_counters(&at, &d, 8, note_counter, text);
	assert_string_equal(
		text,
		"received_descriptors_ring0=100 bad_descriptor_errors_ring0=101 "
		"received_descriptors_ring1=200 bad_descriptor_errors_ring1=201 "
		"received_descriptors=300 bad_descriptor_errors=302 "
	);
	text[0] = '\0';
	fake_hw.n_counters = 0; // as of the ifc driver
	hw_device_read_counters(&at, &d, 8, note_counter, text);
	assert_string_equal(text, "");
	hw_device_detach(&at, &d);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			addresses_are_as_the_kernel_writes_them, setup, teardown
		),
		cmocka_unit_test_setup_teardown(device_is_taken_and_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			each_driver_gets_the_arguments_it_knows, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			what_the_kernel_lacks_is_said_before_dpdk_is_asked, setup, teardown
		),
		cmocka_unit_test_setup_teardown(switch_without_a_pci_bus_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_driver_names_its_package, setup, teardown),
		cmocka_unit_test_setup_teardown(
			driver_of_another_class_gives_the_device_back, setup, teardown
		),
		cmocka_unit_test_setup_teardown(driver_that_fails_is_quoted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			device_without_queues_is_given_back, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			device_that_did_not_go_is_found_again, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			counters_are_summed_over_the_rings_that_have_some, setup, teardown
		),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
