// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/capability.h"

#include <stdio.h>
#include <string.h>

const char *const capability_words[] = {"vlan", "trunks", "rate", "link", "network", NULL};

static const char *const problems[] = {
	"it offers no VLANs: leave key 'vlan' out, or set it to none",
	"it offers no trunks: leave key 'trunks' out, or set it to none",
	"it offers no limit of the rate: leave key 'rate' out, or set it to none",
	"it cannot hold the link down: leave key 'link' out, or set it to up",
	"it cannot move a port to another network: delete the port and add it again",
};

uint32_t capability_parse(const char *text) {
	uint32_t capabilities = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		for (size_t i = 0; capability_words[i] != NULL; i++) {
			if (strlen(capability_words[i]) == len &&
			    strncmp(capability_words[i], text, len) == 0)
				capabilities |= UINT32_C(1) << i;
		}
		text += len + (text[len] == ',');
	}
	return capabilities;
}

void capability_format(uint32_t capabilities, char text[static CAPABILITY_TEXT_SIZE]) {
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; capability_words[i] != NULL; i++) {
		if ((capabilities & (UINT32_C(1) << i)) != 0)
			len += (size_t)snprintf(
				text + len, CAPABILITY_TEXT_SIZE - len, "%s%s", len != 0 ? "," : "",
				capability_words[i]
			);
	}
}

uint32_t capability_needed(const struct port_spec *spec) {
	return (spec->vlan != 0 ? CAPABILITY_VLAN : 0) |
		(spec->trunks[0] != '\0' ? CAPABILITY_TRUNKS : 0) |
		(spec->rate_bps != 0 ? CAPABILITY_RATE : 0) | (spec->link_up ? 0 : CAPABILITY_LINK);
}

uint32_t capability_of_keys(uint32_t keys) {
	return ((keys & PORT_KEY_VLAN) != 0 ? CAPABILITY_VLAN : 0) |
		((keys & PORT_KEY_TRUNKS) != 0 ? CAPABILITY_TRUNKS : 0) |
		((keys & PORT_KEY_RATE) != 0 ? CAPABILITY_RATE : 0) |
		((keys & PORT_KEY_LINK) != 0 ? CAPABILITY_LINK : 0) |
		((keys & PORT_KEY_NETWORK) != 0 ? CAPABILITY_NETWORK : 0);
}

const char *capability_problem(uint32_t needed, uint32_t offered) {
	for (size_t i = 0; capability_words[i] != NULL; i++) {
		if ((needed & ~offered & (UINT32_C(1) << i)) != 0)
			return problems[i];
	}
	return NULL;
}
