// SPDX-License-Identifier: GPL-2.0-or-later
// vDPA devices as vdpad wants them: made, bound to vhost_vdpa and owned by their user in one operation that
// leaves nothing behind when it fails and is success when it is done already.
//
// Ours are called "vdpad-" and the lease's generation in hexadecimal. Nothing here touches another one.
//
// All functions may hang in the kernel (see vdpa_mgmt.h). They return 0 or -errno with @e filled, and no
// other errno than these: EBUSY somebody has the device open; ENOSPC no room for another; EOPNOTSUPP a
// value or operation that the driver or this kernel does not take; EPERM not ours; EIO anything else, with
// the kernel's words.

#pragma once

#include <limits.h>
#include <sys/types.h>

#include "netlink/vdpa_mgmt.h"
#include "netlink/vhost_chardev.h"
#include "vdpad/util/error.h"

// The kernel: the real one, or a test's.
struct vdpa_kernel {
	int (*open)(void *userdata, struct nl_socket **ret_nl); // as vdpa_open()
	void *userdata;
	const struct vhost_roots *roots;
};
extern const struct vdpa_kernel vdpa_host_kernel;

// A device and all that can be told of it.
struct vdpa_state {
	struct vdpa_dev dev;
	struct vdpa_net_config config;
	char driver[NAME_MAX + 1];       // "" for none
	char node[VHOST_NODE_NAME_SIZE]; // "" for none
	bool is_parked;
	uid_t uid; // of the node
};

// Sockets are opened for each operation: a module may have been loaded again in between, which makes
// another family of it.
// Returns 0; -ENOENT, with a sentence, when the kernel has no vDPA loaded; or as above.
int vdpa_kernel_open(const struct vdpa_kernel *kernel, struct nl_socket **ret_nl, struct error *e);

// Turn what the kernel refused @what with (@r; its text is @nl's, which may be NULL) into one of the errnos above.
int vdpa_refused(struct error *e, int r, const char *what, const struct nl_socket *nl);

// ^vdpad-[1-9a-f][0-9a-f]{0,8}$
bool vdpa_device_is_ours(const char *name);

// "BUS/DEV" or "DEV" as people see it; "" for no management device. Returns @text.
#define VDPA_PRINTED_HANDLE_SIZE (2 * VDPA_PRINTED_NAME_SIZE)
char *vdpa_handle_print(const struct nl_handle *handle, char text[static VDPA_PRINTED_HANDLE_SIZE]);

// As sysfs calls the device @name: the kernel replaces each '/'. -ENAMETOOLONG.
int vdpa_sysfs_name(const char *name, char text[static NAME_MAX + 1]);

// Everything about @state->dev that is not in it.
void vdpa_device_look(
	const struct vdpa_kernel *kernel, struct nl_socket *nl, struct vdpa_state *state
);
void vdpa_state_done(struct vdpa_state *state);
#define _cleanup_state_ _cleanup_(vdpa_state_done)

// @spec->name must be ours. A device of the name that is there on the same management device is taken
// as it is: compare @ret_state, which is the caller's.
int vdpa_device_add(
	const struct vdpa_kernel *kernel, const struct vdpa_dev_spec *spec, uid_t uid, gid_t gid,
	struct vdpa_state *ret_state, struct error *e
);

// Success when it is absent. -EBUSY: it is open; its node stays parked.
int vdpa_device_delete(const struct vdpa_kernel *kernel, const char *name, struct error *e);

// Give the node of a device that was open back.
int vdpa_device_keep(const struct vdpa_kernel *kernel, const char *name, struct error *e);

int vdpa_device_own(
	const struct vdpa_kernel *kernel, const char *name, uid_t uid, gid_t gid, struct error *e
);
