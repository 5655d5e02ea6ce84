// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vdpa_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/fake_vdpa.h"
#include "tests/unit/unit.h"

#define NAME "vdpad-1a"

static char sim_name[] = "vdpasim_net", pci_bus[] = "pci", pci_name[] = "0000:00:10.0";
static const struct nl_handle sim = {.dev = sim_name};
static const struct nl_handle function = {.bus = pci_bus, .dev = pci_name};

static int setup(void **state) {
	static struct fake_vdpa v;

	fake_vdpa_init(&v);
	v.sysfs.roots.proc = "/proc";
	*state = &v;
	return 0;
}

static int teardown(void **state) {
	fake_vdpa_done(*state);
	return 0;
}

static struct vdpa_dev_spec spec_on(const struct nl_handle *mgmtdev) {
	return (struct vdpa_dev_spec){.name = NAME, .mgmtdev = *mgmtdev};
}

static int add(struct fake_vdpa *v, const struct vdpa_dev_spec *spec, struct error *e) {
	_cleanup_state_ struct vdpa_state made = {0};

	return vdpa_device_add(&v->kernel, spec, getuid(), getgid(), &made, e);
}

static void only_names_of_leases_are_ours(void **state) {
	(void)state;
	assert_true(vdpa_device_is_ours("vdpad-1"));
	assert_true(vdpa_device_is_ours("vdpad-a0ffffff9"));
	assert_false(vdpa_device_is_ours("vdpad-"));
	assert_false(vdpa_device_is_ours("vdpad-0"));
	assert_false(vdpa_device_is_ours("vdpad-01"));
	assert_false(vdpa_device_is_ours("vdpad-A"));
	assert_false(vdpa_device_is_ours("vdpad-1234567890"));
	assert_false(vdpa_device_is_ours("vdpad-1 "));
	assert_false(vdpa_device_is_ours("vdpa-1"));
	assert_false(vdpa_device_is_ours(""));
}

static void new_device_is_bound_owned_and_read_back(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct vdpa_state made = {0};
	struct error e;

	spec.has_mac = true;
	spec.mac = (struct mac_addr){{0x52, 0x54, 0, 1, 2, 3}};
	spec.mtu_bytes = 1400;
	assert_int_equal(vdpa_device_add(&v->kernel, &spec, getuid(), getgid(), &made, &e), 0);
	assert_string_equal(made.dev.name, NAME);
	assert_string_equal(made.driver, "vhost_vdpa");
	assert_string_equal(made.node, "vhost-vdpa-0");
	assert_int_equal(made.uid, getuid());
	assert_false(made.is_parked);
	assert_true(made.config.has_mac && mac_addr_equal(&made.config.mac, &spec.mac));
	assert_int_equal(made.config.mtu_bytes, 1400);
	vdpa_state_done(&made);
}

static void device_that_is_there_already_is_success(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;

	assert_int_equal(add(v, &spec, &e), 0);
	assert_int_equal(add(v, &spec, &e), 0);
	assert_int_equal(v->n_sent[VDPA_CMD_DEV_NEW], 1);

	spec = spec_on(&function);
	assert_int_equal(add(v, &spec, &e), -EIO);
	assert_string_equal(e.text, "vDPA device '" NAME "' exists on 'vdpasim_net'");
	assert_non_null(fake_vdpa_find(v, NAME));
}

static void foreign_name_is_refused_before_the_kernel_hears_of_it(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;

	fake_vdpa_add(v, "", "vdpasim_net", "theirs");
	spec.name = "theirs";
	assert_int_equal(add(v, &spec, &e), -EPERM);
	assert_int_equal(vdpa_device_delete(&v->kernel, "theirs", &e), -EPERM);
	assert_int_equal(vdpa_device_keep(&v->kernel, "theirs", &e), -EPERM);
	assert_int_equal(vdpa_device_own(&v->kernel, "theirs", 0, 0, &e), -EPERM);
	assert_string_equal(e.text, "vDPA device 'theirs' is not vdpad's; vdpad leaves it alone");
	assert_non_null(fake_vdpa_find(v, "theirs"));
}

static void value_that_the_driver_does_not_take_names_the_driver(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&function);
	struct error e;

	spec.mtu_bytes = 1500;
	assert_int_equal(add(v, &spec, &e), -EOPNOTSUPP);
	assert_string_equal(e.text, "the driver vp-vdpa does not take an MTU");
	assert_int_equal(v->n_sent[VDPA_CMD_DEV_NEW], 0);
}

static void kernels_refusals_become_the_promised_errors(void **state) {
	static const struct {
		int kernel, ours;
	} errors[] = {
		{ENOSPC, -ENOSPC},     {EOPNOTSUPP, -EOPNOTSUPP},
		{EINVAL, -EOPNOTSUPP}, {ENODEV, -EIO},
		{ENOENT, -EIO},        {EPERM, -EIO},
		{ENOMEM, -EIO},
	};
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;

	v->refuse_command = VDPA_CMD_DEV_NEW;
	v->refuse_text = "vdpa: no, thanks";
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		v->refuse_error = errors[i].kernel;
		assert_int_equal(add(v, &spec, &e), errors[i].ours);
		assert_non_null(strstr(e.text, "(\"vdpa: no, thanks\")"));
		assert_non_null(strstr(e.text, "vdpasim_net"));
	}
	v->refuse_command = 0;

	fake_vdpa_add(v, "pci", "0000:00:10.0", "theirs");
	spec = spec_on(&function);
	assert_int_equal(add(v, &spec, &e), -ENOSPC);
}

static void device_that_cannot_be_bound_is_deleted_again(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;

	v->driver = ""; // bind is a file here: nothing happens
	assert_int_equal(add(v, &spec, &e), -EIO);
	assert_null(fake_vdpa_find(v, NAME));
	assert_int_equal(v->n_sent[VDPA_CMD_DEV_DEL], 1);
}

static void module_that_is_missing_is_named(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;
	char path[256];

	v->driver = "";
	snprintf(path, sizeof(path), "%s/bus/vdpa/drivers/vhost_vdpa/bind", v->sysfs.sys);
	assert_int_equal(unlink(path), 0);
	*strrchr(path, '/') = 0;
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(add(v, &spec, &e), -EIO);
	assert_string_equal(
		e.text, "the kernel module vhost_vdpa is not loaded; run: modprobe vhost_vdpa"
	);
	assert_null(fake_vdpa_find(v, NAME));
}

static void device_of_ours_that_was_there_survives_a_failure(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;

	v->driver = "";
	fake_vdpa_add(v, "", "vdpasim_net", NAME);
	assert_int_equal(add(v, &spec, &e), -EIO);
	assert_non_null(fake_vdpa_find(v, NAME));
}

static void kernel_without_vdpa_says_what_to_load(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;

	v->absent = true;
	assert_int_equal(add(v, &spec, &e), -EIO);
	assert_string_equal(
		e.text, "the kernel module vdpa is not loaded; run: modprobe vhost_vdpa"
	);
	assert_int_equal(vdpa_device_delete(&v->kernel, NAME, &e), 0);
}

static void deletion_of_an_open_device_names_its_holder_and_can_be_given_up(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;

	assert_int_equal(add(v, &spec, &e), 0);
	fake_terminal_hold(&fake_vdpa_find(v, NAME)->terminal);
	assert_int_equal(vdpa_device_delete(&v->kernel, NAME, &e), -EBUSY);
	assert_non_null(strstr(e.text, "has vDPA device '" NAME "' open"));
	assert_non_null(strstr(e.text, "(test_netlink"));
	assert_true(fake_exists(&v->sysfs, "dev/.vdpad-vhost-vdpa-0"));
	assert_int_equal(vdpa_device_keep(&v->kernel, NAME, &e), 0);
	assert_true(fake_exists(&v->sysfs, "dev/vhost-vdpa-0"));
	fake_terminal_release(&fake_vdpa_find(v, NAME)->terminal);
	assert_int_equal(vdpa_device_delete(&v->kernel, NAME, &e), 0);
	assert_null(fake_vdpa_find(v, NAME));
	assert_int_equal(vdpa_device_delete(&v->kernel, NAME, &e), 0);
	assert_int_equal(vdpa_device_keep(&v->kernel, NAME, &e), -EIO);
	assert_int_equal(vdpa_device_own(&v->kernel, NAME, 0, 0, &e), -EIO);
}

static void parked_node_of_a_wanted_device_comes_back(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_dev_spec spec = spec_on(&sim);
	struct error e;

	assert_int_equal(add(v, &spec, &e), 0);
	fake_terminal_hold(&fake_vdpa_find(v, NAME)->terminal);
	assert_int_equal(vdpa_device_delete(&v->kernel, NAME, &e), -EBUSY);
	fake_terminal_release(&fake_vdpa_find(v, NAME)->terminal);
	assert_int_equal(add(v, &spec, &e), 0);
	assert_true(fake_exists(&v->sysfs, "dev/vhost-vdpa-0"));
}

#define WITH_KERNEL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_names_of_leases_are_ours),
		WITH_KERNEL(new_device_is_bound_owned_and_read_back),
		WITH_KERNEL(device_that_is_there_already_is_success),
		WITH_KERNEL(foreign_name_is_refused_before_the_kernel_hears_of_it),
		WITH_KERNEL(value_that_the_driver_does_not_take_names_the_driver),
		WITH_KERNEL(kernels_refusals_become_the_promised_errors),
		WITH_KERNEL(device_that_cannot_be_bound_is_deleted_again),
		WITH_KERNEL(module_that_is_missing_is_named),
		WITH_KERNEL(device_of_ours_that_was_there_survives_a_failure),
		WITH_KERNEL(kernel_without_vdpa_says_what_to_load),
		WITH_KERNEL(deletion_of_an_open_device_names_its_holder_and_can_be_given_up),
		WITH_KERNEL(parked_node_of_a_wanted_device_comes_back),
	};

	return cmocka_run_group_tests_name("vdpa_device", tests, NULL, NULL);
}
