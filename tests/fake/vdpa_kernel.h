// SPDX-License-Identifier: GPL-2.0-or-later
// vdpad-netlink's methods of kernel vDPA over a kernel that is a directory, which survives the process
// and which a test, in any language, may look at and change:
//
//	mgmtdevs/NAME   keys driver takes one_device features max_vqs pf function, one "key value" a line; a `/`
//	                in a name is `,` in the file's
//	devices/NAME    keys mgmtdev mac mtu queue_pairs features node uid driver parked
//	pfs/PF          subfunctions can be made of it
//	functions/PF,F  made or set up: keys mac vlan bridge mgmtdev
//	dev/            the nodes
//	held/NAME       somebody has the device open: deleting it is EBUSY, the file's text says who
//	active/NAME     a guest's driver runs on it
//	wedged          every call is answered with ETIMEDOUT and the file's text
//	refuse/METHOD   that call is answered with "ERRNO text"
//	blind/NAME      a list lacks this device, as a dump of the kernel may
//	calls           the names of all calls, in order
//
// A management device that is removed takes its devices along, as the kernel does.

#pragma once

#include <systemd/sd-bus.h>

// @dir lives as long as the bus.
int vdpa_kernel_serve(sd_bus *bus, const char *dir);

// The directories, and what a test wants in them.
void vdpa_kernel_make(const char *dir);
void vdpa_kernel_write(const char *dir, const char *path, const char *text);
void vdpa_kernel_remove(const char *dir, const char *path);
int vdpa_kernel_has(const char *dir, const char *path);
// How often @method was called.
int vdpa_kernel_n_calls(const char *dir, const char *method);

// Text of a management device that takes all values and makes one device.
#define VDPA_KERNEL_MLX5 \
	"driver mlx5_core\ntakes 15\none_device 1\nfeatures 12897729451\nmax_vqs 33\n"
