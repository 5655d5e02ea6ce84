// SPDX-License-Identifier: GPL-2.0-or-later
// Networks: what the configuration says and the node has, resolved into what ports can join.

#pragma once

#include "vdpad/config/config.h"
#include "vdpad/model/facts.h"

struct network {
	char name[NETWORK_NAME_SIZE];
	char bridge[NETWORK_NAME_SIZE]; // "": the uplink TAP stands alone, or there is none
	char tap[NETWORK_NAME_SIZE]; // "vdp-NAME" cut to 15 characters, made unique; "" for no uplink
	uint32_t mtu_bytes;
	uint32_t ageing_s;
	bool configured; // by a [network] section; else it stands for a Linux bridge
	// The configuration names a bridge that the node does not have now: no new port may join.
	bool bridge_is_missing;
	uint32_t
		bridge_index; // of the interface, which tells a bridge from its successor; 0: unknown
};

struct networks {
	struct network *list; // sorted by name
	size_t n;
};

// Configured networks, then one for each Linux bridge that none of them uses (if the configuration
// wants that), and "default" with a TAP alone where that leaves none.
// A network whose configured bridge is missing is listed as that: bridges come and go, and one of
// them must not decide about all others.
// Returns 0 and a list owned by the caller (networks_done), -ENOMEM, or -EINVAL with @e when a
// configured network has an MTU over its bridge's.
int networks_resolve(
	const struct config *config, const struct facts *facts, struct networks *ret_networks,
	struct error *e
);
void networks_done(struct networks *networks);

// Whether a look at the node found what the last one had found.
bool networks_equal(const struct networks *a, const struct networks *b);

// Whether new ports may join: 0, or -ENODEV with a sentence.
int network_check(const struct network *network, struct error *e);

// NULL when there is none of that name.
const struct network *networks_find(const struct networks *networks, const char *name);

// -ENODEV with a sentence that says why there is no network @name.
int networks_refuse(const struct networks *networks, const char *name, struct error *e);
