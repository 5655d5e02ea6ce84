// SPDX-License-Identifier: GPL-2.0-or-later
// Networks: what the configuration says and the node has, resolved into what ports can join.

#pragma once

#include "vdpad/config.h"
#include "vdpad/facts.h"

struct network {
	char name[NETWORK_NAME_SIZE];
	char bridge[NETWORK_NAME_SIZE]; // "": the uplink TAP stands alone, or there is none
	char tap[NETWORK_NAME_SIZE]; // "vdp-NAME" cut to 15 characters, made unique; "" for no uplink
	uint32_t mtu_bytes;
	uint32_t ageing_s;
	bool configured; // by a [network] section; else it stands for a Linux bridge
};

struct networks {
	struct network *list; // sorted by name
	size_t n;
};

// Configured networks, then one for each Linux bridge that none of them uses (if the configuration
// wants that), and "default" with a TAP alone where that leaves none.
// Returns 0 and a list owned by the caller (networks_done), -ENOMEM, or -EINVAL with @e when a
// configured bridge is missing or has an MTU smaller than the network's.
int networks_resolve(
	const struct config *config, const struct facts *facts, struct networks *ret_networks,
	struct error *e
);
void networks_done(struct networks *networks);

// NULL when there is none of that name.
const struct network *networks_find(const struct networks *networks, const char *name);
