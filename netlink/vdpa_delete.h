// SPDX-License-Identifier: GPL-2.0-or-later
// The safe deletion of a vDPA device, and the only sender of VDPA_CMD_DEV_DEL.
//
// The kernel lets one delete a device that is open, and then waits, uninterruptibly and with the locks
// of generic netlink held, until it is closed: vdpa, devlink and every family look-up of the node hang
// for as long as a guest runs. So a device is proved closed first. Its node is parked, so that
// nobody can open it by path any more, then opened and closed by us; the driver allows one opener,
// so where we could, nobody else has it.
//
// What stays possible: a process that had looked up the node before it was parked and opens it between
// our close and the kernel's removal. It would have to be one that may open the node at all. And another
// program, `vdpa dev del` for one, can freeze the node as before, and us with it: the caller is a process
// that can be spared, and somebody else watches its time.

#pragma once

#include "netlink/genl.h"
#include "netlink/vhost_chardev.h"
#include "netlink/vhost_holder.h"

// Delete the vDPA device @name, if nobody has it open.
//
// Returns 0: it is gone, or was not there. -EBUSY: it is open, ret_holder names by whom; the node stays
// parked, so call again when the holder is gone, or vdpa_delete_abandon(). Any other -errno: not deleted,
// the node is back in its place; the kernel's words are in nl_socket_error_text().
int vdpa_delete(
	struct nl_socket *nl, const struct vhost_roots *roots, const char *name,
	struct vhost_holder *ret_holder
);

// Give the device that vdpa_delete() found open back to those who may open it.
int vdpa_delete_abandon(const struct vhost_roots *roots, const char *name);
