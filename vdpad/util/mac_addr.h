// SPDX-License-Identifier: GPL-2.0-or-later
// Ethernet addresses.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_TEXT_SIZE 18 // "52:54:00:12:34:56" and the NUL

struct mac_addr {
	uint8_t octets[6];
};

// Six two-digit hexadecimal octets separated by colons, in either case. Returns 0 or -EINVAL.
int mac_addr_parse(const char *text, struct mac_addr *ret_mac);

// Lower case, into @text of MAC_TEXT_SIZE bytes; returns @text.
char *mac_addr_format(const struct mac_addr *mac, char text[static MAC_TEXT_SIZE]);

bool mac_addr_equal(const struct mac_addr *a, const struct mac_addr *b);
bool mac_addr_is_multicast(const struct mac_addr *mac); // broadcast included
bool mac_addr_is_zero(const struct mac_addr *mac);

// A locally administered unicast address that is always the same for the same bytes in @seed.
struct mac_addr mac_addr_from_seed(const void *seed, size_t size);
