// SPDX-License-Identifier: GPL-2.0-or-later
// The TAP interfaces that are uplinks of the software switch.
//
// Ours are marked by their alias, "vdpad NETWORK". An interface without the mark is never touched. A TAP
// is persistent: it stays, with its place in the bridge, while no switch runs.

#pragma once

#include <stdint.h>

#include "netlink/netif.h"

struct tap_spec {
	const char *ifname;
	const char *network;
	const char *bridge; // "": stands alone
	uint32_t mtu_bytes;
};

// Create the TAP, or attach to the one of that name, and bring it into the state that @spec asks for.
// The descriptor, owned by the caller, does not block and carries virtio-net headers of 12 bytes
// without offloads; who polls it sets those (TUNSETOFFLOAD).
// In a bridge the TAP's MTU is not below the bridge's, because it would pull that down.
//
// Returns 0; -EPERM when an interface of that name is not ours; -EBUSY when another process has the
// TAP open; -ENXIO when the bridge is missing or no bridge; or the kernel's -errno. After a failure an
// interface that was not there before is not there either.
int tap_open(
	struct netif_socket *socket, const struct tap_spec *spec, int *ret_fd, struct error *e
);

// Returns 0 also when there is no such interface; -EPERM when it is not ours.
int tap_delete(struct netif_socket *socket, const char *ifname, struct error *e);

// The network that @netif is the TAP of, within its alias; NULL when it is not ours.
const char *tap_network(const struct netif *netif);
