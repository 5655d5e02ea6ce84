// SPDX-License-Identifier: GPL-2.0-or-later
// The networks of vdpad-switch, each with its uplink TAP from vdpad-netlink.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vdpad/hub.h"
#include "vdpad/model/network.h"

struct switch_networks;

// @hub is borrowed. Returns 0 or -ENOMEM. Freed after the hub, when nothing is under way any more.
int switch_networks_new(struct hub *hub, struct switch_networks **ret_networks);
void switch_networks_free(struct switch_networks *networks);

// @e is NULL when the network is there, with its uplink.
typedef void (*network_ready_fn)(void *userdata, const struct error *e);

// Have @network made unless it is there. @ready is called once, possibly at once. Nothing is made
// before switch_networks_synced().
void switch_networks_need(
	struct switch_networks *networks, const struct network *network, network_ready_fn ready,
	void *userdata
);

// No port uses it any more: it goes, and its TAP.
void switch_networks_release(struct switch_networks *networks, const char *name);

// The switch is gone, and all networks with it.
void switch_networks_lost(struct switch_networks *networks);

// Steps of reconcile.
//
// The switch has @network as it is wanted, or gets it now.
void switch_networks_adopt(
	struct switch_networks *networks, const struct network *network, bool uplink_is_right
);
void switch_networks_push(
	struct switch_networks *networks, const struct network *network, bool uplink_is_right
);
// Its uplink: ports work among themselves without it, so a failure is logged and remembered.
// @renew: delete the TAP first, as one that the switch has open can get no other bridge or MTU.
void switch_networks_push_uplink(
	struct switch_networks *networks, const struct network *network, bool renew
);
// What the switch has is known: the steps of the first reconcile since it came were given.
void switch_networks_synced(struct switch_networks *networks);
bool switch_networks_are_synced(const struct switch_networks *networks);
// Nobody wants it; @tap is its uplink, "" for none.
void switch_networks_drop(struct switch_networks *networks, const char *name, const char *tap);

// Networks whose ports are served without the uplink that they should have.
size_t switch_networks_n_without_uplink(const struct switch_networks *networks);
