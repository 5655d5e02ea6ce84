// SPDX-License-Identifier: GPL-2.0-or-later
// Linux bridges as vdpad finds them.

#pragma once

#include <stdint.h>

#include "netlink/netif.h"

// -ENXIO: there is none of this name, or it is not a bridge.
int bridge_find(
	struct netif_socket *socket, const char *name, struct netif *ret_bridge, struct error *e
);

// A number from the bridge's folder below @sys ("vlan_filtering", "default_pvid"); 0 when it is not there.
uint16_t bridge_setting(const char *sys, const char *bridge, const char *name);
