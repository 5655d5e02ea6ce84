// SPDX-License-Identifier: GPL-2.0-or-later
// The decision: which backend serves a port. A pure function of the facts, the network and the
// specification, so that `vdpactl explain` shows exactly what the daemon does, and a recorded
// snapshot replays it.
//
// Candidates are considered in the order of preference: vdpa, dpdk-vdpa, switch; and external where the
// network has a socket of another switch, which only a port that names it gets. Of the hardware there is
// one for each pool that the network may use. Each gets a verdict and a reason in words of a system
// administrator. The first accepted one is chosen; when the kernel refuses it after all, the next.
//
// A profile "portable-N" is exact: hardware that lacks one of its features is refused. Any other takes
// what the hardware has of it, and the reason says what is missing.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vdpad/model/capability.h"
#include "vdpad/model/facts.h"
#include "vdpad/model/network.h"
#include "vdpad/model/port.h"

#define DECIDE_MAX_CANDIDATES (2 * POOLS_MAX + 2)

struct candidate {
	enum backend_kind backend;
	char pool[POOL_NAME_SIZE]; // "" for none
	// What would serve: "vdpad-switch", a management device, a PCI function, a socket; for a subfunction
	// that is to be made, its PF.
	char resource[PORT_RESOURCE_SIZE];
	uint64_t features;     // that the device is to offer; 0: the backend's own business
	uint32_t capabilities; // CAPABILITY_*: what it says it can do for the port
	bool accepted;
	bool is_against_policy;        // refused by the port's policy, whatever the node has
	char reason[PORT_REASON_SIZE]; // why, or why not, and what could be done about it
};

struct decision {
	struct candidate candidates[DECIDE_MAX_CANDIDATES];
	size_t n_candidates;
	const struct candidate *chosen; // NULL when no candidate is accepted
};

// @spec is complete: defaults are filled in, its network is @network.
void decide(
	const struct facts *facts, const struct network *network, const struct port_spec *spec,
	struct decision *ret_decision
);
