// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vdpa_delete.h"

#include <errno.h>

#include "netlink/vdpa_mgmt.h"

// 0: gone; the kernel's answer to a name of another kind of device counts as being there.
static int confirm_gone(struct nl_socket *nl, const char *name) {
	struct vdpa_dev dev;
	int r = vdpa_dev_get(nl, name, &dev);

	if (r == 0) {
		vdpa_dev_done(&dev);
		return -EEXIST;
	}
	return r == -ENODEV ? 0 : r;
}

static int delete_closed(struct nl_socket *nl, const char *name) {
	int r = vdpa_dev_del(nl, name);

	return r < 0 && r != -ENODEV ? r : confirm_gone(nl, name);
}

int vdpa_delete(
	struct nl_socket *nl, const struct vhost_roots *roots, const char *name,
	struct vhost_holder *ret_holder
) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	int r;

	*ret_holder = (struct vhost_holder){0};

	r = vhost_chardev_find(roots, name, &chardev);
	if (r == -ENODEV)
		return confirm_gone(nl, name);
	if (r == -ENOENT) // it has no character device that could be open
		return delete_closed(nl, name);
	if (r < 0)
		return r;

	r = vhost_chardev_park(roots, &chardev);
	if (r == 0)
		r = vhost_chardev_prove_closed(&chardev);
	if (r == -EBUSY) {
		vhost_holder_find(roots, chardev.number, ret_holder);
		return r;
	}
	if (r == 0)
		r = delete_closed(nl, name);
	if (r == 0)
		vhost_chardev_forget_parked(roots, &chardev);
	else
		vhost_chardev_unpark(roots, &chardev);
	return r;
}

int vdpa_delete_abandon(const struct vhost_roots *roots, const char *name) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	int r = vhost_chardev_find(roots, name, &chardev);

	return r < 0 ? r : vhost_chardev_unpark(roots, &chardev);
}
