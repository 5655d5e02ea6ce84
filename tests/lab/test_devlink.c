// SPDX-License-Identifier: GPL-2.0-or-later
// devlink against netdevsim, the kernel's simulated switch NIC with two VFs: everything but subfunctions
// and function attributes, which it does not have.

#include <errno.h>
#include <string.h>

#include "netlink/devlink.h"
#include "tests/lab/lab.h"

#define FIRST_VF_PORT 128

static const struct nl_handle nic = {.bus = (char *)"netdevsim", .dev = (char *)"netdevsim1"};
static const struct nl_handle missing = {.bus = (char *)"netdevsim", .dev = (char *)"netdevsim9"};

static int setup(void **state) {
	struct nl_socket *nl = NULL;

	assert_int_equal(devlink_open(&nl), 0);
	*state = nl;
	return 0;
}

static int teardown(void **state) {
	nl_socket_close(*state);
	return 0;
}

static enum devlink_mode mode_of(struct nl_socket *nl) {
	enum devlink_mode mode;

	assert_int_equal(devlink_mode_get(nl, &nic, &mode), 0);
	return mode;
}

static void switchdev_mode_brings_representors(void **state) {
	_cleanup_port_list_ struct devlink_port_list legacy = {0};
	_cleanup_port_list_ struct devlink_port_list switchdev = {0};
	struct devlink_port vf;

	assert_int_equal(mode_of(*state), DEVLINK_MODE_LEGACY);
	assert_int_equal(devlink_port_list(*state, &nic, &legacy), 0);
	assert_int_equal(legacy.n_items, 1);
	assert_int_equal(legacy.items[0].flavour, DEVLINK_PHYSICAL);

	assert_int_equal(devlink_mode_set(*state, &nic, DEVLINK_MODE_SWITCHDEV), 0);
	assert_int_equal(mode_of(*state), DEVLINK_MODE_SWITCHDEV);
	assert_int_equal(devlink_port_list(*state, &nic, &switchdev), 0);
	assert_int_equal(switchdev.n_items, 3);

	assert_int_equal(devlink_port_get(*state, &nic, FIRST_VF_PORT + 1, &vf), 0);
	assert_int_equal(vf.flavour, DEVLINK_PCI_VF);
	assert_true(vf.has_vf_number && vf.vf_number == 1);
	assert_true(vf.has_pf_number && vf.pf_number == 0);
	assert_true(vf.ifindex > 1 && vf.netdev_name[0] != 0);
}

static void rate_of_a_function_is_what_was_set(void **state) {
	struct devlink_rate rate = {.has_share = true, .share_bps = 1000000, .max_bps = 10000000};

	assert_int_equal(devlink_rate_set(*state, &nic, FIRST_VF_PORT, &rate), 0);
	rate = (struct devlink_rate){0};
	assert_int_equal(devlink_rate_get(*state, &nic, FIRST_VF_PORT, &rate), 0);
	assert_int_equal(rate.max_bps, 10000000);
	assert_int_equal(rate.share_bps, 1000000);

	rate = (struct devlink_rate){.has_share = true};
	assert_int_equal(devlink_rate_set(*state, &nic, FIRST_VF_PORT, &rate), 0);
	assert_int_equal(devlink_rate_set(*state, &nic, 0, &rate), -ENODEV); // not a function's
}

static void parameter_counts_after_its_set(void **state) {
	bool value = false;

	assert_int_equal(devlink_param_get(*state, &nic, "test1", DEVLINK_ON_RELOAD, &value), 0);
	assert_true(value);
	assert_int_equal(devlink_param_set(*state, &nic, "test1", DEVLINK_ON_RELOAD, false), 0);
	assert_int_equal(devlink_param_get(*state, &nic, "test1", DEVLINK_ON_RELOAD, &value), 0);
	assert_false(value);
	assert_int_equal(devlink_param_set(*state, &nic, "test1", DEVLINK_ON_RELOAD, true), 0);

	assert_int_equal(devlink_param_get(*state, &nic, "test1", DEVLINK_NOW, &value), -ENODATA);
	assert_int_equal(
		devlink_param_get(*state, &nic, "max_macs", DEVLINK_ON_RELOAD, &value), -EPROTO
	);
	assert_int_equal(devlink_param_get(*state, &nic, "nosuch", DEVLINK_NOW, &value), -EINVAL);
	assert_true(devlink_param_set(*state, &nic, "test1", DEVLINK_FOR_GOOD, true) < 0);
}

static void what_the_driver_has_not_is_refused(void **state) {
	struct devlink_function_spec spec = {.has_mac = true, .mac = {{2, 0, 0, 0, 0, 1}}};
	struct devlink_port port;
	enum devlink_mode mode;

	assert_int_equal(devlink_sf_new(*state, &nic, 0, 5, &port), -EOPNOTSUPP);
	assert_int_equal(devlink_port_del(*state, &nic, FIRST_VF_PORT), -EOPNOTSUPP);
	assert_int_equal(devlink_function_set(*state, &nic, FIRST_VF_PORT, &spec), -EOPNOTSUPP);
	assert_non_null(strstr(nl_socket_error_text(*state), "function attributes"));
	assert_int_equal(devlink_mode_get(*state, &missing, &mode), -ENODEV);
	assert_int_equal(devlink_reload(*state, &missing), -ENODEV);
	assert_int_equal(devlink_port_get(*state, &nic, 9999, &port), -ENODEV);
}

static void reload_starts_the_driver_again(void **state) {
	_cleanup_port_list_ struct devlink_port_list ports = {0};

	assert_int_equal(devlink_reload(*state, &nic), 0);
	assert_int_equal(mode_of(*state), DEVLINK_MODE_LEGACY);
	assert_int_equal(devlink_port_list(*state, &nic, &ports), 0);
	assert_int_equal(ports.n_items, 1);
}

int main(void) {
#define with_socket(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_socket(switchdev_mode_brings_representors),
		with_socket(rate_of_a_function_is_what_was_set),
		with_socket(parameter_counts_after_its_set),
		with_socket(what_the_driver_has_not_is_refused),
		with_socket(reload_starts_the_driver_again),
	};

	return cmocka_run_group_tests_name("devlink", tests, NULL, NULL);
}
