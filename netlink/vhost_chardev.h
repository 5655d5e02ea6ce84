// SPDX-License-Identifier: GPL-2.0-or-later
// The character device through which QEMU drives a vDPA device: /dev/vhost-vdpa-N.
//
// - It exists while the vDPA device is bound to the driver vhost_vdpa. N is the lowest free number and
//   is used again: only sysfs tells which N belongs to which device, and only the device number
//   tells that a node is that one.
// - Opening it resets the device, and only one process can have it open (-EBUSY for a second).
// - The node has neither class nor bus: no uevent, no udev rule; it is root's, mode 0600.
// - While it is open, its vDPA device must not be deleted or unbound: see vdpa_delete.h.
//
// Parking takes a node out of the way: it is renamed, so that nobody opens it by its path while we find
// out whether it is open. The new name follows from the old, so that another process can go on.
//
// Source: drivers/vhost/vdpa.c; Documentation/ABI/testing/sysfs-bus-vdpa.

#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "vdpad/util/cleanup.h"

#define VHOST_NODE_NAME_SIZE 32 // "vhost-vdpa-4294967295"

// Where the kernel shows itself. A test has folders of its own.
struct vhost_roots {
	const char *sys;
	const char *dev;
	const char *proc;
};
extern const struct vhost_roots vhost_host_roots; // /sys, /dev, /proc

struct vhost_chardev {
	char node_name[VHOST_NODE_NAME_SIZE]; // below dev, as the kernel calls it
	dev_t number;
	bool is_parked;
	int node_fd; // an O_PATH descriptor: names the node, does not open the device
};
#define VHOST_CHARDEV_NONE \
	{ .node_fd = -EBADF }

// Bind the vDPA device @name to vhost_vdpa, for good (driver_override), and take it from another driver
// if need be: from virtio_vdpa that removes a network interface of this host.
// Returns 0; -ENODEV: no such device; -ENOENT: the module vhost_vdpa is not loaded; -EINVAL: a name that
// cannot be in sysfs; or what the driver's probe says.
int vhost_chardev_bind(const struct vhost_roots *roots, const char *name);

// The driver that the vDPA device @name is bound to, "" for none. -ENODEV, -EINVAL as above.
int vhost_chardev_driver(
	const struct vhost_roots *roots, const char *name, char driver[static NAME_MAX + 1]
);

// Find the node of the vDPA device @name. @ret_chardev is to be released with vhost_chardev_done().
// Returns 0; -ENODEV: no such vDPA device, or none any more; -ENOENT: it is not bound to vhost_vdpa;
// -EBUSY: it is, and has no character device, so it is coming or going just now; -ENXIO: its node is missing in dev; -ESTALE: the
// node there is another device; -EINVAL: as above.
int vhost_chardev_find(
	const struct vhost_roots *roots, const char *name, struct vhost_chardev *ret_chardev
);
void vhost_chardev_done(struct vhost_chardev *chardev);
#define _cleanup_chardev_ _cleanup_(vhost_chardev_done)

// Make @uid and @gid the owner, mode 0600: who can open it can have the device write to any memory that
// he maps, so no group.
int vhost_chardev_set_owner(const struct vhost_chardev *chardev, uid_t uid, gid_t gid);

int vhost_chardev_park(const struct vhost_roots *roots, struct vhost_chardev *chardev);
int vhost_chardev_unpark(const struct vhost_roots *roots, struct vhost_chardev *chardev);

// After the device is gone: the kernel removes its node by the old name only.
void vhost_chardev_forget_parked(const struct vhost_roots *roots, struct vhost_chardev *chardev);

// Does nobody have the device open? Opens and closes it, which resets it, where nobody has.
// Returns 0 proved; -EBUSY somebody has; another -errno: not proved.
int vhost_chardev_prove_closed(const struct vhost_chardev *chardev);
