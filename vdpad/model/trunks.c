// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/trunks.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/util/parse.h"

#define VLAN_MAX 4094 // IEEE 802.1Q reserves 4095

// The number that begins at *@text, which is moved behind it.
static int read_vlan(const char **text, unsigned int *ret_vlan) {
	size_t len = strspn(*text, "0123456789");
	char digits[8];
	uint64_t vlan;

	if (len == 0 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, *text, len);
	digits[len] = '\0';
	if (parse_u64(digits, 1, VLAN_MAX, &vlan) < 0)
		return -EINVAL;
	*text += len;
	*ret_vlan = (unsigned int)vlan;
	return 0;
}

static int read_set(const char *text, bool *set) {
	unsigned int first, last;

	for (;;) {
		if (read_vlan(&text, &first) < 0)
			return -EINVAL;
		last = first;
		if (*text == '-') {
			text++;
			if (read_vlan(&text, &last) < 0 || last < first)
				return -EINVAL;
		}
		for (unsigned int vlan = first; vlan <= last; vlan++)
			set[vlan] = true;
		if (*text == '\0')
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}

int trunks_normalize(const char *text, char ret_trunks[static TRUNKS_SIZE]) {
	bool set[VLAN_MAX + 2] = {false}; // one more, never set, ends the last range
	char trunks[TRUNKS_SIZE];
	size_t len = 0;

	if (read_set(text, set) < 0)
		return -EINVAL;
	for (unsigned int first = 1; first <= VLAN_MAX; first++) {
		unsigned int last = first;

		if (!set[first])
			continue;
		while (set[last + 1])
			last++;
		len += (size_t
		)snprintf(trunks + len, sizeof(trunks) - len, "%s%u", len != 0 ? "," : "", first);
		if (last > first && len < sizeof(trunks))
			len += (size_t)snprintf(trunks + len, sizeof(trunks) - len, "-%u", last);
		if (len >= sizeof(trunks))
			return -ERANGE;
		first = last;
	}
	memcpy(ret_trunks, trunks, len + 1);
	return 0;
}
