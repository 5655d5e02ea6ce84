// SPDX-License-Identifier: GPL-2.0-or-later
// Conversations with NIC drivers as the kernel's documentation has them: no such NIC is at hand.
#include "netlink/devlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/devlink.h>

#include "tests/unit/netlink/fake_netlink.h"
#include "tests/unit/unit.h"

// Both name "pci/0000:08:00.0".
#define HANDLE "0800 0100 70636900 1100 0200 303030303a30383a30302e3000 000000"
static const struct nl_handle pf = {.bus = (char *)"pci", .dev = (char *)"0000:08:00.0"};

static const struct mac_addr mac = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}};

static int setup(void **state) {
	*state = fixture_open(&devlink_family, 190, "\1\5\6\7\x08");
	return 0;
}

static struct nlmsghdr *begin_reply(struct fixture *x, uint8_t command, const char *dev) {
	struct nlmsghdr *message = fake_begin_genl(x->fake, command, 0);

	mnl_attr_put_strz(message, DEVLINK_ATTR_BUS_NAME, "pci");
	mnl_attr_put_strz(message, DEVLINK_ATTR_DEV_NAME, dev);
	return message;
}

// As `devlink port show` prints: pci/0000:08:00.0/32768: type eth netdev eth6 flavour pcisf controller 0
// pfnum 0 sfnum 88 function: hw_addr 00:00:00:00:88:88 state inactive opstate detached
static void reply_sf(struct fixture *x, uint8_t command, const char *dev) {
	struct nlmsghdr *message = begin_reply(x, command, dev);
	struct nlattr *nest;

	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_INDEX, 32768);
	mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_TYPE, 2);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_NETDEV_IFINDEX, 6);
	mnl_attr_put_strz(message, DEVLINK_ATTR_PORT_NETDEV_NAME, "eth6");
	mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_FLAVOUR, DEVLINK_PORT_FLAVOUR_PCI_SF);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_CONTROLLER_NUMBER, 0);
	mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_PCI_PF_NUMBER, 0);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_PCI_SF_NUMBER, 88);
	mnl_attr_put_u8(message, DEVLINK_ATTR_PORT_EXTERNAL, 0);
	nest = mnl_attr_nest_start(message, DEVLINK_ATTR_PORT_FUNCTION);
	mnl_attr_put(message, DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR, 6, "\0\0\0\0\x88\x88");
	mnl_attr_put_u8(message, DEVLINK_PORT_FN_ATTR_STATE, DEVLINK_PORT_FN_STATE_INACTIVE);
	mnl_attr_put_u8(message, DEVLINK_PORT_FN_ATTR_OPSTATE, DEVLINK_PORT_FN_OPSTATE_DETACHED);
	mnl_attr_nest_end(message, nest);
	fake_end(x->fake, message);
}

// devlink dev eswitch set pci/0000:08:00.0 mode switchdev
static void mode_is_set_and_read(void **state) {
	struct fixture *x = *state;
	enum devlink_mode mode = DEVLINK_MODE_LEGACY;
	struct nlmsghdr *message;

	fake_ack(x->fake);
	assert_int_equal(devlink_mode_set(x->nl, &pf, DEVLINK_MODE_SWITCHDEV), 0);
	fake_assert_request(
		x->fake,
		"38000000 2300 0500 02000000 00000000 1e 01 0000" HANDLE "0600 1900 0100 0000"
	);

	message = begin_reply(x, DEVLINK_CMD_ESWITCH_GET, pf.dev);
	mnl_attr_put_u16(message, DEVLINK_ATTR_ESWITCH_MODE, 1);
	mnl_attr_put_u8(message, DEVLINK_ATTR_ESWITCH_INLINE_MODE, 0);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(devlink_mode_get(x->nl, &pf, &mode), 0);
	fake_assert_request(x->fake, "30000000 2300 0500 03000000 00000000 1d 01 0000" HANDLE);
	assert_int_equal(mode, DEVLINK_MODE_SWITCHDEV);
}

static void mode_of_the_future_is_not_taken_for_one_of_ours(void **state) {
	struct fixture *x = *state;
	enum devlink_mode mode = DEVLINK_MODE_LEGACY;
	struct nlmsghdr *message = begin_reply(x, DEVLINK_CMD_ESWITCH_GET, pf.dev);

	mnl_attr_put_u16(message, DEVLINK_ATTR_ESWITCH_MODE, 2);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(devlink_mode_get(x->nl, &pf, &mode), -EPROTO);
	assert_int_equal(mode, DEVLINK_MODE_LEGACY);
}

static void refused_mode_keeps_the_drivers_words(void **state) {
	struct fixture *x = *state;

	fake_refuse(x->fake, EBUSY, "mlx5_core: Can't change mode, there are VFs in use");
	assert_int_equal(devlink_mode_set(x->nl, &pf, DEVLINK_MODE_SWITCHDEV), -EBUSY);
	assert_string_equal(
		nl_socket_error_text(x->nl), "mlx5_core: Can't change mode, there are VFs in use"
	);
}

// devlink port add pci/0000:08:00.0 flavour pcisf pfnum 0 sfnum 88
static void subfunction_is_made_and_told(void **state) {
	struct fixture *x = *state;
	struct devlink_port port;

	reply_sf(x, DEVLINK_CMD_NEW, pf.dev);
	fake_ack(x->fake);
	assert_int_equal(devlink_sf_new(x->nl, &pf, 0, 88, &port), 0);
	fake_assert_request(
		x->fake,
		"48000000 2300 0500 02000000 00000000 07 01 0000" HANDLE
		"0600 4d00 0700 0000 0600 7f00 0000 0000 0800 a400 58000000"
	);
	assert_int_equal(port.index, 32768);
	assert_int_equal(port.flavour, DEVLINK_PCI_SF);
	assert_true(port.has_sf_number && port.sf_number == 88);
	assert_true(port.has_pf_number && port.pf_number == 0);
	assert_false(port.has_vf_number);
	assert_int_equal(port.ifindex, 6);
	assert_string_equal(port.netdev_name, "eth6");
	assert_true(port.has_function && port.function.has_mac && port.function.has_state);
	assert_false(port.function.is_active || port.function.is_attached);
}

// devlink port function set pci/0000:08:00.0/32768 hw_addr 52:54:00:12:34:56 state active
static void function_is_set(void **state) {
	struct fixture *x = *state;
	struct devlink_function_spec spec = {.has_mac = true, .mac = mac};

	fake_ack(x->fake);
	assert_int_equal(devlink_function_set(x->nl, &pf, 32768, &spec), 0);
	fake_assert_request(
		x->fake,
		"48000000 2300 0500 02000000 00000000 06 01 0000" HANDLE
		"0800 0300 00800000 1000 9180 0a00 0100 525400123456 0000"
	);

	spec = (struct devlink_function_spec){.has_state = true, .is_active = true};
	fake_ack(x->fake);
	assert_int_equal(devlink_function_set(x->nl, &pf, 32768, &spec), 0);
	fake_assert_request(
		x->fake,
		"44000000 2300 0500 03000000 00000000 06 01 0000" HANDLE
		"0800 0300 00800000 0c00 9180 0500 0200 01000000"
	);
}

// devlink port del pci/0000:08:00.0/32768
static void port_is_deleted(void **state) {
	struct fixture *x = *state;

	fake_ack(x->fake);
	assert_int_equal(devlink_port_del(x->nl, &pf, 32768), 0);
	fake_assert_request(
		x->fake,
		"38000000 2300 0500 02000000 00000000 08 01 0000" HANDLE "0800 0300 00800000"
	);
}

static void ports_of_other_devices_are_left_out(void **state) {
	struct fixture *x = *state;
	_cleanup_port_list_ struct devlink_port_list list = {0};
	struct nlmsghdr *message;
	struct nlattr *nest;

	reply_sf(x, DEVLINK_CMD_NEW, "0000:08:00.1");
	reply_sf(x, DEVLINK_CMD_NEW, pf.dev);
	// An Infiniband function's address has another size.
	message = begin_reply(x, DEVLINK_CMD_NEW, pf.dev);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_INDEX, 1);
	mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_FLAVOUR, 99);
	nest = mnl_attr_nest_start(message, DEVLINK_ATTR_PORT_FUNCTION);
	mnl_attr_put(message, DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR, 20, "12345678901234567890");
	mnl_attr_nest_end(message, nest);
	fake_end(x->fake, message);
	fake_done(x->fake);
	assert_int_equal(devlink_port_list(x->nl, &pf, &list), 0);
	fake_assert_request(x->fake, "30000000 2300 0103 02000000 00000000 05 01 0000" HANDLE);
	assert_int_equal(list.n_items, 2);
	assert_int_equal(list.items[0].sf_number, 88);
	assert_int_equal(list.items[1].flavour, DEVLINK_OTHER);
	assert_true(list.items[1].has_function);
	assert_false(list.items[1].function.has_mac || list.items[1].function.has_state);
}

static void broken_port_is_an_error(void **state) {
	struct fixture *x = *state;
	struct devlink_port_list list = {0};
	struct devlink_port port = {0};
	struct nlmsghdr *message = begin_reply(x, DEVLINK_CMD_PORT_NEW, pf.dev);
	struct nlattr *nest;

	fake_end(x->fake, message); // no index
	fake_ack(x->fake);
	assert_int_equal(devlink_port_get(x->nl, &pf, 1, &port), -EBADMSG);

	message = begin_reply(x, DEVLINK_CMD_PORT_NEW, pf.dev);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_INDEX, 1);
	mnl_attr_put_strz(message, DEVLINK_ATTR_PORT_NETDEV_NAME, "longer_than_any_interface");
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_true(devlink_port_get(x->nl, &pf, 1, &port) < 0);

	message = begin_reply(x, DEVLINK_CMD_PORT_NEW, pf.dev);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_INDEX, 1);
	nest = mnl_attr_nest_start(message, DEVLINK_ATTR_PORT_FUNCTION);
	mnl_attr_put_u32(message, DEVLINK_PORT_FN_ATTR_STATE, 1);
	mnl_attr_nest_end(message, nest);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(devlink_port_get(x->nl, &pf, 1, &port), -EBADMSG);
	assert_int_equal(port.index, 0);

	reply_sf(x, DEVLINK_CMD_NEW, pf.dev);
	fake_end(x->fake, fake_begin_genl(x->fake, DEVLINK_CMD_NEW, NLM_F_MULTI));
	fake_done(x->fake);
	assert_int_equal(devlink_port_list(x->nl, &pf, &list), -EBADMSG);
	assert_null(list.items);
}

// devlink dev param set auxiliary/mlx5_core.sf.4 name enable_vnet value true cmode driverinit
static void parameter_is_set(void **state) {
	static const struct nl_handle sf = {
		.bus = (char *)"auxiliary", .dev = (char *)"mlx5_core.sf.4"};
	struct fixture *x = *state;

	fake_ack(x->fake);
	assert_int_equal(devlink_param_set(x->nl, &sf, "enable_vnet", DEVLINK_ON_RELOAD, true), 0);
	fake_assert_request(
		x->fake,
		"5c000000 2300 0500 02000000 00000000 27 01 0000"
		"0e00 0100 617578696c6961727900 0000"
		"1300 0200 6d6c78355f636f72652e73662e3400 00"
		"1000 5100 656e61626c655f766e657400"
		"0500 5300 06000000 0400 5600 0500 5700 01000000"
	);
	fake_ack(x->fake);
	assert_int_equal(devlink_param_set(x->nl, &sf, "enable_vnet", DEVLINK_ON_RELOAD, false), 0);
	assert_int_equal(x->fake->request_size, 0x58);

	// devlink dev reload auxiliary/mlx5_core.sf.4; the kernel tells what it did before it agrees.
	fake_end(x->fake, begin_reply(x, DEVLINK_CMD_RELOAD, sf.dev));
	fake_ack(x->fake);
	assert_int_equal(devlink_reload(x->nl, &sf), 0);
	fake_assert_request(
		x->fake,
		"40000000 2300 0500 04000000 00000000 25 01 0000"
		"0e00 0100 617578696c6961727900 0000"
		"1300 0200 6d6c78355f636f72652e73662e3400 00"
		"0500 9900 01000000"
	);
}

static void put_param_value(struct nlmsghdr *message, uint8_t when, bool value) {
	struct nlattr *nest = mnl_attr_nest_start(message, DEVLINK_ATTR_PARAM_VALUE);

	mnl_attr_put_u8(message, DEVLINK_ATTR_PARAM_VALUE_CMODE, when);
	if (value)
		mnl_attr_put(message, DEVLINK_ATTR_PARAM_VALUE_DATA, 0, "");
	mnl_attr_nest_end(message, nest);
}

static void reply_param(struct fixture *x, uint8_t type) {
	struct nlmsghdr *message = begin_reply(x, DEVLINK_CMD_PARAM_GET, pf.dev);
	struct nlattr *param = mnl_attr_nest_start(message, DEVLINK_ATTR_PARAM), *list;

	mnl_attr_put_strz(message, DEVLINK_ATTR_PARAM_NAME, "enable_vnet");
	mnl_attr_put_u8(message, DEVLINK_ATTR_PARAM_TYPE, type);
	list = mnl_attr_nest_start(message, DEVLINK_ATTR_PARAM_VALUES_LIST);
	put_param_value(message, 1, true);
	put_param_value(message, 0, false);
	mnl_attr_nest_end(message, list);
	mnl_attr_nest_end(message, param);
	fake_end(x->fake, message);
	fake_ack(x->fake);
}

static void parameter_is_read_for_its_moment(void **state) {
	struct fixture *x = *state;
	bool value = false;

	reply_param(x, 6);
	assert_int_equal(
		devlink_param_get(x->nl, &pf, "enable_vnet", DEVLINK_ON_RELOAD, &value), 0
	);
	fake_assert_request(
		x->fake,
		"40000000 2300 0500 02000000 00000000 26 01 0000" HANDLE
		"1000 5100 656e61626c655f766e657400"
	);
	assert_true(value);
	reply_param(x, 6);
	assert_int_equal(devlink_param_get(x->nl, &pf, "enable_vnet", DEVLINK_NOW, &value), 0);
	assert_false(value);
	value = true;
	reply_param(x, 6);
	assert_int_equal(
		devlink_param_get(x->nl, &pf, "enable_vnet", DEVLINK_FOR_GOOD, &value), -ENODATA
	);
	reply_param(x, 3); // a number
	assert_int_equal(
		devlink_param_get(x->nl, &pf, "enable_vnet", DEVLINK_NOW, &value), -EPROTO
	);
	assert_true(value);
}

// devlink port function rate set pci/0000:08:00.0/1 tx_max 10mbit
static void rate_is_in_octets_on_the_wire(void **state) {
	struct fixture *x = *state;
	struct devlink_rate rate = {.max_bps = 10000001};
	struct nlmsghdr *message;

	fake_ack(x->fake);
	assert_int_equal(devlink_rate_set(x->nl, &pf, 1, &rate), 0);
	fake_assert_request(
		x->fake,
		"44000000 2300 0500 02000000 00000000 4b 01 0000" HANDLE
		"0800 0300 01000000 0c00 a700 d112130000000000"
	);
	rate = (struct devlink_rate){.has_share = true, .share_bps = 8, .max_bps = UINT64_MAX};
	fake_ack(x->fake);
	assert_int_equal(devlink_rate_set(x->nl, &pf, 1, &rate), 0);
	fake_assert_request(
		x->fake,
		"50000000 2300 0500 03000000 00000000 4b 01 0000" HANDLE
		"0800 0300 01000000 0c00 a600 0100000000000000 0c00 a700 0000000000000020"
	);

	message = begin_reply(x, DEVLINK_CMD_RATE_NEW, pf.dev);
	mnl_attr_put_u16(message, DEVLINK_ATTR_RATE_TYPE, 0);
	mnl_attr_put_u64(message, DEVLINK_ATTR_RATE_TX_MAX, 1250000);
	mnl_attr_put_u64(message, DEVLINK_ATTR_RATE_TX_SHARE, UINT64_MAX);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(devlink_rate_get(x->nl, &pf, 1, &rate), 0);
	assert_int_equal(rate.max_bps, 10000000);
	assert_true(rate.has_share && rate.share_bps == UINT64_MAX);
}

int main(void) {
#define with_socket(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		with_socket(mode_is_set_and_read),
		with_socket(mode_of_the_future_is_not_taken_for_one_of_ours),
		with_socket(refused_mode_keeps_the_drivers_words),
		with_socket(subfunction_is_made_and_told),
		with_socket(function_is_set),
		with_socket(port_is_deleted),
		with_socket(ports_of_other_devices_are_left_out),
		with_socket(broken_port_is_an_error),
		with_socket(parameter_is_set),
		with_socket(parameter_is_read_for_its_moment),
		with_socket(rate_is_in_octets_on_the_wire),
	};

	return cmocka_run_group_tests_name("devlink", tests, NULL, NULL);
}
