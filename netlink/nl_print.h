// SPDX-License-Identifier: GPL-2.0-or-later
// Netlink messages as text, read back from the message that is (or would be) sent, so that the text cannot
// say anything else: DEVLINK_CMD_PORT_NEW{BUS_NAME=pci DEV_NAME=0000:3b:00.0 ...}. An attribute without
// a name here appears with its number and its octets.
//
// Source: include/uapi/linux/devlink.h, rtnetlink.h, if_link.h, if_bridge.h.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#define NL_TEXT_SIZE 512

// What is not known before the kernel has made it, in a message that is not sent.
#define NL_PRINT_NEW_PORT UINT32_MAX // as a PORT_INDEX
#define NL_PRINT_NEW_IFINDEX 0

// Cut with "..." where it does not fit. Returns @text.
char *nl_print_devlink(const struct nlmsghdr *message, char text[static NL_TEXT_SIZE]);
char *nl_print_link(const struct nlmsghdr *message, char text[static NL_TEXT_SIZE]);
