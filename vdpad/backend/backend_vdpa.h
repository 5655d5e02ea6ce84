// SPDX-License-Identifier: GPL-2.0-or-later
// Ports on kernel vDPA devices. A port's device is called after its generation (vdpa_report.h), QEMU opens
// it by a link in the run directory that follows the device's node.
//
// Making one takes up to two steps of vdpad-netlink: where the pool is of a PF, the function is set up
// (EnsureFunction: MAC, VLAN and the representor in the network's bridge), then the device is added on its management
// device. A failure of the second undoes the first. Deleting goes the other way round, and only
// what nobody has open is deleted: -EBUSY names the holder.
//
// The MAC address of a driver that takes none is the device's own: the port gets that, unless another one was
// asked for.

#pragma once

#include "vdpad/backend/backend.h"
#include "vdpad/backend/vdpa_report.h"

struct daemon;
struct backend_vdpa;

// @d is borrowed. Returns 0 or -ENOMEM.
int backend_vdpa_new(struct daemon *d, struct backend_vdpa **ret_backend);
void backend_vdpa_free(struct backend_vdpa *backend); // after the hub
struct backend *backend_vdpa_base(struct backend_vdpa *backend);

// The owner of device nodes as configured. Returns 0, or -errno with a sentence.
int backend_vdpa_owner(
	struct backend_vdpa *backend, uint32_t *ret_uid, uint32_t *ret_gid, struct error *e
);

// Steps of reconcile.
//
// Give the node to its owner, take it out of its parking place.
void backend_vdpa_own(
	struct backend_vdpa *backend, const struct port *port, backend_done_fn done, void *userdata
);
void backend_vdpa_keep(
	struct backend_vdpa *backend, const struct port *port, backend_done_fn done, void *userdata
);
