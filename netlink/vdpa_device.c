// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vdpa_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "netlink/nic_function.h"
#include "netlink/sysfs.h"
#include "netlink/vdpa_delete.h"
#include "netlink/vdpa_uapi.h"
#include "vdpad/util/parse.h"

#define NAME_PREFIX "vdpad-"
#define MAX_DIGITS 9

static int open_host(void *userdata, struct nl_socket **ret_nl) {
	(void)userdata;
	return vdpa_open(ret_nl);
}

const struct vdpa_kernel vdpa_host_kernel = {.open = open_host, .roots = &vhost_host_roots};

int vdpa_kernel_open(const struct vdpa_kernel *kernel, struct nl_socket **ret_nl, struct error *e) {
	char path[PATH_MAX];
	int r = kernel->open(kernel->userdata, ret_nl);

	if (r == 0)
		return 0;
	// In another namespace the family cannot be seen, but sysfs shows whether there is one.
	if (r == -EXDEV && sysfs_path(path, "%s/bus/vdpa", kernel->roots->sys) == 0 &&
	    access(path, F_OK) < 0)
		r = -ENOENT;
	if (r == -ENOENT)
		return error_set(e, ENOENT, "the kernel module vdpa is not loaded");
	if (r == -EXDEV)
		return error_set(
			e, EIO,
			"vdpad-netlink runs in a network namespace of its own; the kernel "
			"shows vDPA only in the first one"
		);
	return error_set(e, EIO, "cannot talk to the kernel's vDPA: %s", strerror(-r));
}

static int open_kernel(
	const struct vdpa_kernel *kernel, struct nl_socket **ret_nl, struct error *e
) {
	int r = vdpa_kernel_open(kernel, ret_nl, e);

	return r == -ENOENT ? error_set(e, EIO, "%s; run: modprobe vhost_vdpa", e->text) : r;
}

int vdpa_refused(struct error *e, int r, const char *what, const struct nl_socket *nl) {
	const char *words = nl == NULL ? "" : nl_socket_error_text(nl);
	int code = r == -EBUSY || r == -ENOSPC || r == -EOPNOTSUPP ? -r : EIO;

	return error_set(
		e, code, "%s: %s%s%s%s", what, strerror(-r), words[0] != 0 ? " (\"" : "", words,
		words[0] != 0 ? "\")" : ""
	);
}

bool vdpa_device_is_ours(const char *name) {
	const char *digits = name + strlen(NAME_PREFIX);
	size_t len;

	if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
		return false;
	len = strlen(digits);
	return len >= 1 && len <= MAX_DIGITS && digits[0] != '0' &&
		strspn(digits, "0123456789abcdef") == len;
}

static int check_ours(const char *name, struct error *e) {
	char text[VDPA_PRINTED_NAME_SIZE];

	if (vdpa_device_is_ours(name))
		return 0;
	return error_set(
		e, EPERM, "vDPA device '%s' is not vdpad's; vdpad leaves it alone",
		vdpa_name_print(name, text)
	);
}

// ---- Looking ------------------------------------------------------------------------------------

int vdpa_sysfs_name(const char *name, char text[static NAME_MAX + 1]) {
	int r = str_copy(text, NAME_MAX + 1, name);

	for (char *c = text; *c != 0; c++)
		if (*c == '/')
			*c = '!';
	return r;
}

void vdpa_device_look(
	const struct vdpa_kernel *kernel, struct nl_socket *nl, struct vdpa_state *state
) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	char name[NAME_MAX + 1];
	struct stat st;

	state->config = (struct vdpa_net_config){0};
	if (nl != NULL && state->dev.virtio_id == VDPA_VIRTIO_ID_NET &&
	    vdpa_dev_config_get(nl, state->dev.name, &state->config) < 0)
		state->config = (struct vdpa_net_config){0};

	state->node[0] = 0;
	state->is_parked = false;
	state->uid = 0;
	state->driver[0] = 0;
	if (vdpa_sysfs_name(state->dev.name, name) < 0)
		return;
	if (vhost_chardev_driver(kernel->roots, name, state->driver) < 0)
		state->driver[0] = 0;
	if (vhost_chardev_find(kernel->roots, name, &chardev) < 0 ||
	    fstat(chardev.node_fd, &st) < 0)
		return;
	memcpy(state->node, chardev.node_name, sizeof(state->node));
	state->is_parked = chardev.is_parked;
	state->uid = st.st_uid;
}

void vdpa_state_done(struct vdpa_state *state) {
	vdpa_dev_done(&state->dev);
}

// ---- Making -------------------------------------------------------------------------------------

char *vdpa_handle_print(
	const struct nl_handle *handle, char text[static VDPA_PRINTED_HANDLE_SIZE]
) {
	char bus[VDPA_PRINTED_NAME_SIZE], dev[VDPA_PRINTED_NAME_SIZE];

	if (handle->dev == NULL)
		text[0] = 0;
	else if (handle->bus == NULL)
		vdpa_name_print(handle->dev, text);
	else
		snprintf(
			text, VDPA_PRINTED_HANDLE_SIZE, "%s/%s", vdpa_name_print(handle->bus, bus),
			vdpa_name_print(handle->dev, dev)
		);
	return text;
}

// What the driver would refuse is said in its name.
static int check_driver(
	const struct vdpa_kernel *kernel, const struct vdpa_dev_spec *spec, struct error *e
) {
	const struct {
		bool wanted;
		uint32_t bit;
		const char *name;
	} values[] = {
		{spec->has_mac, NIC_TAKES_MAC, "a MAC address"},
		{spec->mtu_bytes != 0, NIC_TAKES_MTU, "an MTU"},
		{spec->queue_pairs != 0, NIC_TAKES_QUEUE_PAIRS, "a number of queue pairs"},
		{spec->has_features, NIC_TAKES_FEATURES, "a choice of features"},
	};
	struct nic_function function;

	nic_function_read(kernel->roots->sys, &spec->mgmtdev, &function);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		if (values[i].wanted && !(function.takes & values[i].bit))
			return error_set(
				e, EOPNOTSUPP, "the driver %s does not take %s", function.driver,
				values[i].name
			);
	return 0;
}

static int make(
	const struct vdpa_kernel *kernel, struct nl_socket *nl, const struct vdpa_dev_spec *spec,
	struct error *e
) {
	char what[256], handle[VDPA_PRINTED_HANDLE_SIZE];
	int r = check_driver(kernel, spec, e);

	if (r < 0)
		return r;
	r = vdpa_dev_add(nl, spec);
	if (r == 0)
		return 0;
	vdpa_handle_print(&spec->mgmtdev, handle);
	snprintf(what, sizeof(what), "the kernel does not make a vDPA device on %s", handle);
	// Drivers refuse values that they cannot provide with either of these.
	if (r == -EINVAL || r == -ERANGE) {
		vdpa_refused(e, r, what, nl);
		return error_set(e, EOPNOTSUPP, "%s", e->text);
	}
	return vdpa_refused(e, r, what, nl);
}

// Bound, in its place, and its user's.
static int hand_over(
	const struct vhost_roots *roots, const char *name, uid_t uid, gid_t gid, struct error *e
) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	int r = vhost_chardev_bind(roots, name);

	if (r == -ENOENT)
		return error_set(
			e, EIO,
			"the kernel module vhost_vdpa is not loaded; run: modprobe vhost_vdpa"
		);
	if (r == -EOPNOTSUPP)
		return error_set(
			e, EOPNOTSUPP,
			"vhost_vdpa does not take the device: without an IOMMU of its "
			"own it must not have several address spaces"
		);
	if (r < 0)
		return vdpa_refused(e, r, "cannot bind the device to vhost_vdpa", NULL);
	r = vhost_chardev_find(roots, name, &chardev);
	if (r < 0)
		return vdpa_refused(e, r, "cannot find the device's node", NULL);
	r = vhost_chardev_set_owner(&chardev, uid, gid);
	if (r < 0)
		return vdpa_refused(e, r, "cannot give the device's node to its user", NULL);
	r = vhost_chardev_unpark(roots, &chardev); // by a deletion that was given up
	return r < 0 ? vdpa_refused(e, r, "cannot put the device's node into its place", NULL) : 0;
}

static int check_same_place(
	const struct vdpa_dev *dev, const struct vdpa_dev_spec *spec, struct error *e
) {
	char have[VDPA_PRINTED_HANDLE_SIZE];

	if (nl_handle_equal(&dev->mgmtdev, &spec->mgmtdev))
		return 0;
	vdpa_handle_print(&dev->mgmtdev, have);
	return error_set(e, EIO, "vDPA device '%s' exists on '%s'", spec->name, have);
}

int vdpa_device_add(
	const struct vdpa_kernel *kernel, const struct vdpa_dev_spec *spec, uid_t uid, gid_t gid,
	struct vdpa_state *ret_state, struct error *e
) {
	_cleanup_nl_socket_ struct nl_socket *nl = NULL;
	_cleanup_state_ struct vdpa_state state = {0};
	struct vhost_holder holder;
	bool made = false;
	int r;

	r = check_ours(spec->name, e);
	if (r == 0)
		r = open_kernel(kernel, &nl, e);
	if (r < 0)
		return r;

	r = vdpa_dev_get(nl, spec->name, &state.dev);
	if (r == -ENODEV) {
		r = make(kernel, nl, spec, e);
		if (r < 0)
			return r;
		made = true;
		r = vdpa_dev_get(nl, spec->name, &state.dev);
	}
	if (r < 0)
		r = vdpa_refused(e, r, "cannot read the vDPA device back", nl);
	if (r == 0)
		r = check_same_place(&state.dev, spec, e);
	if (r == 0)
		r = hand_over(kernel->roots, spec->name, uid, gid, e);
	if (r < 0) {
		if (made)
			vdpa_delete(nl, kernel->roots, spec->name, &holder);
		return r;
	}
	vdpa_device_look(kernel, nl, &state);
	*ret_state = state;
	state = (struct vdpa_state){0};
	return 0;
}

// ---- The rest of a life -------------------------------------------------------------------------

int vdpa_device_delete(const struct vdpa_kernel *kernel, const char *name, struct error *e) {
	_cleanup_nl_socket_ struct nl_socket *nl = NULL;
	struct vhost_holder holder;
	char what[128];
	int r;

	r = check_ours(name, e);
	if (r < 0)
		return r;
	r = vdpa_kernel_open(kernel, &nl, e);
	if (r == -ENOENT) // no vDPA, no devices
		return 0;
	if (r < 0)
		return r;
	r = vdpa_delete(nl, kernel->roots, name, &holder);
	if (r == -EBUSY && holder.pid != 0)
		return error_set(
			e, EBUSY, "process %d (%s) has vDPA device '%s' open", (int)holder.pid,
			holder.command, name
		);
	if (r == -EBUSY)
		return error_set(
			e, EBUSY, "somebody who cannot be seen has vDPA device '%s' open", name
		);
	snprintf(what, sizeof(what), "cannot delete vDPA device '%s'", name);
	return r < 0 ? vdpa_refused(e, r, what, nl) : 0;
}

int vdpa_device_keep(const struct vdpa_kernel *kernel, const char *name, struct error *e) {
	char what[128];
	int r = check_ours(name, e);

	if (r < 0)
		return r;
	r = vdpa_delete_abandon(kernel->roots, name);
	snprintf(what, sizeof(what), "cannot give the node of vDPA device '%s' back", name);
	return r < 0 ? vdpa_refused(e, r, what, NULL) : 0;
}

int vdpa_device_own(
	const struct vdpa_kernel *kernel, const char *name, uid_t uid, gid_t gid, struct error *e
) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	char what[128];
	int r = check_ours(name, e);

	if (r < 0)
		return r;
	r = vhost_chardev_find(kernel->roots, name, &chardev);
	if (r == 0)
		r = vhost_chardev_set_owner(&chardev, uid, gid);
	snprintf(what, sizeof(what), "cannot give the node of vDPA device '%s' to its user", name);
	return r < 0 ? vdpa_refused(e, r, what, NULL) : 0;
}
