// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nl_print.h"

#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/devlink.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>

#include "tests/unit/unit.h"

static struct nlmsghdr *begin(uint8_t *buffer, size_t size, uint8_t command) {
	struct nlmsghdr *message;
	struct genlmsghdr *genl;

	memset(buffer, 0, size);
	message = mnl_nlmsg_put_header(buffer);
	genl = mnl_nlmsg_put_extra_header(message, sizeof(*genl));
	genl->cmd = command;
	return message;
}

static void what_has_no_name_is_shown_in_octets(void **state) {
	_Alignas(4) uint8_t buffer[256];
	struct nlmsghdr *message = begin(buffer, sizeof(buffer), 250);
	char text[NL_TEXT_SIZE];

	(void)state;
	mnl_attr_put_u16(message, 9999, 0x3412);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_INDEX, 7);
	assert_string_equal(
		nl_print_devlink(message, text), "command 250{9999=0x1234 PORT_INDEX=7}"
	);
}

static void value_of_the_wrong_size_is_shown_in_octets(void **state) {
	_Alignas(4) uint8_t buffer[256];
	struct nlmsghdr *message = begin(buffer, sizeof(buffer), DEVLINK_CMD_PORT_DEL);
	char text[NL_TEXT_SIZE];

	(void)state;
	mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_INDEX, 0x0201);
	mnl_attr_put(message, DEVLINK_ATTR_DEV_NAME, 3, "abc"); // no NUL
	assert_string_equal(
		nl_print_devlink(message, text), "DEVLINK_CMD_PORT_DEL{3=0x0102 2=0x616263}"
	);
}

static void text_that_does_not_fit_is_cut(void **state) {
	_Alignas(4) uint8_t buffer[2048];
	struct nlmsghdr *message = begin(buffer, sizeof(buffer), DEVLINK_CMD_PORT_DEL);
	char text[NL_TEXT_SIZE], name[1000];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	mnl_attr_put_strz(message, DEVLINK_ATTR_DEV_NAME, name);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_INDEX, 7);
	nl_print_devlink(message, text);
	assert_int_equal(strlen(text), NL_TEXT_SIZE - 1);
	assert_string_equal(text + NL_TEXT_SIZE - 4, "...");
}

static void interface_is_shown_with_what_changes(void **state) {
	_Alignas(4) uint8_t buffer[256];
	char text[NL_TEXT_SIZE];
	struct nlmsghdr *message;
	struct ifinfomsg *info;

	(void)state;
	memset(buffer, 0, sizeof(buffer));
	message = mnl_nlmsg_put_header(buffer);
	message->nlmsg_type = RTM_SETLINK;
	info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
	info->ifi_index = 12;
	info->ifi_flags = info->ifi_change = 1;
	assert_string_equal(nl_print_link(message, text), "RTM_SETLINK{ifindex=12 flags=up}");
	mnl_attr_put_u32(message, IFLA_MASTER, 3);
	assert_string_equal(
		nl_print_link(message, text), "RTM_SETLINK{ifindex=12 flags=up IFLA_MASTER=3}"
	);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_no_name_is_shown_in_octets),
		cmocka_unit_test(value_of_the_wrong_size_is_shown_in_octets),
		cmocka_unit_test(text_that_does_not_fit_is_cut),
		cmocka_unit_test(interface_is_shown_with_what_changes),
	};

	return cmocka_run_group_tests_name("nl_print", tests, NULL, NULL);
}
