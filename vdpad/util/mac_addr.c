// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/util/mac_addr.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int hex_value(char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	if (isxdigit((unsigned char)c))
		return (c | 0x20) - 'a' + 10;
	return -1;
}

int mac_addr_parse(const char *text, struct mac_addr *ret_mac) {
	struct mac_addr mac;

	if (strlen(text) != MAC_TEXT_SIZE - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(mac.octets); i++) {
		int high = hex_value(text[3 * i]);
		int low = hex_value(text[3 * i + 1]);
		char separator = text[3 * i + 2];

		if (high < 0 || low < 0 || separator != (i < sizeof(mac.octets) - 1 ? ':' : '\0'))
			return -EINVAL;
		mac.octets[i] = (uint8_t)(high << 4 | low);
	}
	*ret_mac = mac;
	return 0;
}

char *mac_addr_format(const struct mac_addr *mac, char text[static MAC_TEXT_SIZE]) {
	const uint8_t *o = mac->octets;

	snprintf(
		text, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", o[0], o[1], o[2], o[3], o[4],
		o[5]
	);
	return text;
}

bool mac_addr_equal(const struct mac_addr *a, const struct mac_addr *b) {
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool mac_addr_is_multicast(const struct mac_addr *mac) {
	return (mac->octets[0] & 1) != 0;
}

bool mac_addr_is_zero(const struct mac_addr *mac) {
	static const struct mac_addr zero;

	return mac_addr_equal(mac, &zero);
}

struct mac_addr mac_addr_from_seed(const void *seed, size_t size) {
	const uint8_t *bytes = seed;
	uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a, 64 bits
	struct mac_addr mac;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < sizeof(mac.octets); i++)
		mac.octets[i] = (uint8_t)(hash >> (8 * i));
	mac.octets[0] = (uint8_t)((mac.octets[0] & 0xfc) | 0x02); // unicast, locally administered
	return mac;
}
