// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's uevents about vDPA: devices of the vdpa bus come, go and change their driver, and PCI
// functions and auxiliary devices, of which drivers make management devices, do the same. It is the
// only notice there is: the vdpa family has no multicast group, management devices have no event of
// their own, and the character device has none at all.
//
// Events can be lost, and can come before or after what they tell is visible: an event is a reason to
// look, never a fact.
//
// Source: lib/kobject_uevent.c; Documentation/ABI/testing/sysfs-uevent.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#define UEVENT_NAME_SIZE 256
#define UEVENT_DRIVER_SIZE 64
#define UEVENT_BUFFER_SIZE (1024 * 1024) // of the socket: some thousand events

enum uevent_action {
	UEVENT_ADD,
	UEVENT_REMOVE,
	UEVENT_BIND,
	UEVENT_UNBIND,
	UEVENT_CHANGE,
};

struct uevent {
	enum uevent_action action;
	bool is_vdpa;                    // the device is on the vdpa bus, else on pci or auxiliary
	char name[UEVENT_NAME_SIZE];     // of the device, as in sysfs
	char driver[UEVENT_DRIVER_SIZE]; // "" if the event names none
};

// A non-blocking socket that receives the kernel's events of this network namespace, owned by the
// caller. Returns 0 or -errno.
int uevent_open(int *ret_fd);

// The next event that matters here; the others and what does not come from the kernel are passed over.
// Returns 1 with an event, 0 when there is none now, -ENOBUFS when events were lost (go on reading, but
// look at everything again), or another -errno.
int uevent_receive(int fd, struct uevent *ret_event);

// Read one message. Returns 1 for an event that matters here, 0 for any other, -EBADMSG for what is not a
// uevent or was cut, and -EPERM for one whose sender is not the kernel.
int uevent_parse(
	const struct sockaddr_nl *from, const void *data, size_t size, struct uevent *ret_event
);
