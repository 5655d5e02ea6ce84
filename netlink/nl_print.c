// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nl_print.h"

#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/devlink.h>
#include <linux/genetlink.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/mac_addr.h"

// How a value is shown.
enum shape {
	SHAPE_UINT, // of any width
	SHAPE_PORT, // a number that may not be known yet
	SHAPE_TEXT,
	SHAPE_MAC,
	SHAPE_FLAG,
	SHAPE_NEST,
	SHAPE_VLAN_INFO,
	SHAPE_VF_MAC,
	SHAPE_VF_VLAN,
	SHAPE_VF_RATE,
};

struct word {
	uint16_t type;
	enum shape shape;
	const char *name;          // NULL ends a list
	const struct word *nested; // SHAPE_NEST
};

struct command {
	uint16_t number;
	const char *name;
};

static const struct word function_words[] = {
	{DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR, SHAPE_MAC, "HW_ADDR", NULL},
	{DEVLINK_PORT_FN_ATTR_STATE, SHAPE_UINT, "STATE", NULL},
	{0},
};
static const struct word devlink_words[] = {
	{DEVLINK_ATTR_BUS_NAME, SHAPE_TEXT, "BUS_NAME", NULL},
	{DEVLINK_ATTR_DEV_NAME, SHAPE_TEXT, "DEV_NAME", NULL},
	{DEVLINK_ATTR_PORT_INDEX, SHAPE_PORT, "PORT_INDEX", NULL},
	{DEVLINK_ATTR_ESWITCH_MODE, SHAPE_UINT, "ESWITCH_MODE", NULL},
	{DEVLINK_ATTR_PORT_FLAVOUR, SHAPE_UINT, "PORT_FLAVOUR", NULL},
	{DEVLINK_ATTR_PORT_PCI_PF_NUMBER, SHAPE_UINT, "PORT_PCI_PF_NUMBER", NULL},
	{DEVLINK_ATTR_PORT_PCI_SF_NUMBER, SHAPE_UINT, "PORT_PCI_SF_NUMBER", NULL},
	{DEVLINK_ATTR_PORT_FUNCTION, SHAPE_NEST, "PORT_FUNCTION", function_words},
	{DEVLINK_ATTR_PARAM_NAME, SHAPE_TEXT, "PARAM_NAME", NULL},
	{DEVLINK_ATTR_PARAM_TYPE, SHAPE_UINT, "PARAM_TYPE", NULL},
	{DEVLINK_ATTR_PARAM_VALUE_DATA, SHAPE_FLAG, "PARAM_VALUE_DATA", NULL},
	{DEVLINK_ATTR_PARAM_VALUE_CMODE, SHAPE_UINT, "PARAM_VALUE_CMODE", NULL},
	{DEVLINK_ATTR_RELOAD_ACTION, SHAPE_UINT, "RELOAD_ACTION", NULL},
	{DEVLINK_ATTR_RATE_TX_SHARE, SHAPE_UINT, "RATE_TX_SHARE", NULL},
	{DEVLINK_ATTR_RATE_TX_MAX, SHAPE_UINT, "RATE_TX_MAX", NULL},
	{0},
};
static const struct command devlink_commands[] = {
	{DEVLINK_CMD_PORT_SET, "DEVLINK_CMD_PORT_SET"},
	{DEVLINK_CMD_PORT_NEW, "DEVLINK_CMD_PORT_NEW"},
	{DEVLINK_CMD_PORT_DEL, "DEVLINK_CMD_PORT_DEL"},
	{DEVLINK_CMD_ESWITCH_SET, "DEVLINK_CMD_ESWITCH_SET"},
	{DEVLINK_CMD_RELOAD, "DEVLINK_CMD_RELOAD"},
	{DEVLINK_CMD_PARAM_SET, "DEVLINK_CMD_PARAM_SET"},
	{DEVLINK_CMD_RATE_SET, "DEVLINK_CMD_RATE_SET"},
	{0},
};

static const struct word bridge_words[] = {
	{IFLA_BRIDGE_VLAN_INFO, SHAPE_VLAN_INFO, "IFLA_BRIDGE_VLAN_INFO", NULL},
	{0},
};
static const struct word vf_words[] = {
	{IFLA_VF_MAC, SHAPE_VF_MAC, "IFLA_VF_MAC", NULL},
	{IFLA_VF_VLAN, SHAPE_VF_VLAN, "IFLA_VF_VLAN", NULL},
	{IFLA_VF_TX_RATE, SHAPE_VF_RATE, "IFLA_VF_TX_RATE", NULL},
	{0},
};
static const struct word vf_list_words[] = {
	{IFLA_VF_INFO, SHAPE_NEST, "IFLA_VF_INFO", vf_words},
	{0},
};
static const struct word link_words[] = {
	{IFLA_MTU, SHAPE_UINT, "IFLA_MTU", NULL},
	{IFLA_MASTER, SHAPE_UINT, "IFLA_MASTER", NULL},
	{IFLA_VFINFO_LIST, SHAPE_NEST, "IFLA_VFINFO_LIST", vf_list_words},
	{IFLA_AF_SPEC, SHAPE_NEST, "IFLA_AF_SPEC", bridge_words},
	{0},
};
static const struct command link_commands[] = {
	{RTM_SETLINK, "RTM_SETLINK"},
	{RTM_DELLINK, "RTM_DELLINK"},
	{0},
};

// Text that grows up to NL_TEXT_SIZE.
struct out {
	char *text;
	size_t len;
};

static void out_add(struct out *out, const char *fmt, ...) _printf_(2, 3);

static void out_add(struct out *out, const char *fmt, ...) {
	static const char more[] = "...";
	size_t room = NL_TEXT_SIZE - out->len;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(out->text + out->len, room, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if ((size_t)len < room) {
		out->len += (size_t)len;
		return;
	}
	out->len = NL_TEXT_SIZE - 1;
	memcpy(out->text + NL_TEXT_SIZE - sizeof(more), more, sizeof(more));
}

static void out_command(struct out *out, const struct command *commands, uint16_t number) {
	while (commands->name != NULL && commands->number != number)
		commands++;
	if (commands->name != NULL)
		out_add(out, "%s{", commands->name);
	else
		out_add(out, "command %u{", number);
}

static uint64_t read_uint(const struct nlattr *attr) {
	switch (mnl_attr_get_payload_len(attr)) {
	case sizeof(uint8_t):
		return mnl_attr_get_u8(attr);
	case sizeof(uint16_t):
		return mnl_attr_get_u16(attr);
	case sizeof(uint32_t):
		return mnl_attr_get_u32(attr);
	default:
		return mnl_attr_get_u64(attr);
	}
}

static bool fits(enum shape shape, const struct nlattr *attr) {
	size_t size = mnl_attr_get_payload_len(attr);

	switch (shape) {
	case SHAPE_UINT:
		return size == 1 || size == 2 || size == 4 || size == 8;
	case SHAPE_PORT:
		return size == sizeof(uint32_t);
	case SHAPE_TEXT:
		return size > 0 && ((const char *)mnl_attr_get_payload(attr))[size - 1] == 0;
	case SHAPE_MAC:
		return size == sizeof(struct mac_addr);
	case SHAPE_FLAG:
		return size == 0;
	case SHAPE_NEST:
		return true;
	case SHAPE_VLAN_INFO:
		return size == sizeof(struct bridge_vlan_info);
	case SHAPE_VF_MAC:
		return size == sizeof(struct ifla_vf_mac);
	case SHAPE_VF_VLAN:
		return size == sizeof(struct ifla_vf_vlan);
	case SHAPE_VF_RATE:
		return size == sizeof(struct ifla_vf_tx_rate);
	}
	return false;
}

static void out_mac(struct out *out, const void *octets) {
	struct mac_addr mac;
	char text[MAC_TEXT_SIZE];

	memcpy(mac.octets, octets, sizeof(mac.octets));
	out_add(out, "%s", mac_addr_format(&mac, text));
}

static void out_vlan_info(struct out *out, const struct bridge_vlan_info *info) {
	out_add(out, "%u", info->vid);
	if (info->flags & BRIDGE_VLAN_INFO_RANGE_BEGIN)
		out_add(out, ",begin");
	if (info->flags & BRIDGE_VLAN_INFO_RANGE_END)
		out_add(out, ",end");
	if (info->flags & BRIDGE_VLAN_INFO_PVID)
		out_add(out, ",pvid");
	if (info->flags & BRIDGE_VLAN_INFO_UNTAGGED)
		out_add(out, ",untagged");
}

static void out_attrs(struct out *out, const void *data, size_t size, const struct word *words);

static void out_value(struct out *out, const struct word *word, const struct nlattr *attr) {
	const void *payload = mnl_attr_get_payload(attr);

	switch (word->shape) {
	case SHAPE_UINT:
		out_add(out, "=%llu", (unsigned long long)read_uint(attr));
		break;
	case SHAPE_PORT:
		if (read_uint(attr) == NL_PRINT_NEW_PORT)
			out_add(out, "=(the new port's)");
		else
			out_add(out, "=%llu", (unsigned long long)read_uint(attr));
		break;
	case SHAPE_TEXT:
		out_add(out, "=%s", (const char *)payload);
		break;
	case SHAPE_MAC:
		out_add(out, "=");
		out_mac(out, payload);
		break;
	case SHAPE_FLAG:
		break;
	case SHAPE_NEST:
		out_add(out, "={");
		out_attrs(out, payload, mnl_attr_get_payload_len(attr), word->nested);
		out_add(out, "}");
		break;
	case SHAPE_VLAN_INFO:
		out_add(out, "=");
		out_vlan_info(out, payload);
		break;
	case SHAPE_VF_MAC:
		out_add(out, "=%u,", ((const struct ifla_vf_mac *)payload)->vf);
		out_mac(out, ((const struct ifla_vf_mac *)payload)->mac);
		break;
	case SHAPE_VF_VLAN:
		out_add(out, "=%u,%u", ((const struct ifla_vf_vlan *)payload)->vf,
		        ((const struct ifla_vf_vlan *)payload)->vlan);
		break;
	case SHAPE_VF_RATE:
		out_add(out, "=%u,%u", ((const struct ifla_vf_tx_rate *)payload)->vf,
		        ((const struct ifla_vf_tx_rate *)payload)->rate);
		break;
	}
}

static void out_unknown(struct out *out, const struct nlattr *attr) {
	const uint8_t *octets = mnl_attr_get_payload(attr);

	out_add(out, "%u=0x", mnl_attr_get_type(attr));
	for (size_t i = 0; i < mnl_attr_get_payload_len(attr); i++)
		out_add(out, "%02x", octets[i]);
}

static void out_attrs(struct out *out, const void *data, size_t size, const struct word *words) {
	const struct nlattr *attr;
	const char *blank = "";

	mnl_attr_for_each_payload(data, size) { // sets attr
		const struct word *word = words;

		while (word->name != NULL && word->type != mnl_attr_get_type(attr))
			word++;
		out_add(out, "%s", blank);
		blank = " ";
		if (word->name == NULL || !fits(word->shape, attr)) {
			out_unknown(out, attr);
			continue;
		}
		out_add(out, "%s", word->name);
		out_value(out, word, attr);
	}
}

char *nl_print_devlink(const struct nlmsghdr *message, char text[static NL_TEXT_SIZE]) {
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(message);
	struct out out = {.text = text};

	out_command(&out, devlink_commands, genl->cmd);
	out_attrs(
		&out, mnl_nlmsg_get_payload_offset(message, GENL_HDRLEN),
		mnl_nlmsg_get_payload_len(message) - GENL_HDRLEN, devlink_words
	);
	out_add(&out, "}");
	return text;
}

char *nl_print_link(const struct nlmsghdr *message, char text[static NL_TEXT_SIZE]) {
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	size_t size = mnl_nlmsg_get_payload_len(message) - NLMSG_ALIGN(sizeof(*info));
	struct out out = {.text = text};

	out_command(&out, link_commands, message->nlmsg_type);
	if (info->ifi_index == NL_PRINT_NEW_IFINDEX)
		out_add(&out, "ifindex=(the new interface's)");
	else
		out_add(&out, "ifindex=%d", info->ifi_index);
	if (info->ifi_change & IFF_UP)
		out_add(&out, " flags=%s", info->ifi_flags & IFF_UP ? "up" : "down");
	if (size > 0)
		out_add(&out, " ");
	out_attrs(&out, mnl_nlmsg_get_payload_offset(message, sizeof(*info)), size, link_words);
	out_add(&out, "}");
	return text;
}
