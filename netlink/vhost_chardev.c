// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vhost_chardev.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "netlink/sysfs.h"
#include "vdpad/util/parse.h"

#define DRIVER "vhost_vdpa"
#define NODE_PREFIX "vhost-vdpa-"
#define PARKED_PREFIX ".vdpad-"
#define MINOR_MAX ((1U << 20) - 1)
#define KERNEL_ENOTSUPP 524 // the kernel's, not in errno.h

const struct vhost_roots vhost_host_roots = {.sys = "/sys", .dev = "/dev", .proc = "/proc"};

// The kernel has replaced each '/' in a name by '!'.
static bool name_can_be_in_sysfs(const char *name) {
	return name[0] != 0 && strlen(name) <= NAME_MAX && strchr(name, '/') == NULL &&
		strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

// The path of the vDPA device's folder in sysfs.
static int device_path(
	const struct vhost_roots *roots, const char *name, char path[static PATH_MAX]
) {
	int r;

	if (!name_can_be_in_sysfs(name))
		return -EINVAL;
	r = sysfs_path(path, "%s/bus/vdpa/devices/%s", roots->sys, name);
	if (r < 0)
		return r;
	if (access(path, F_OK) < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	return 0;
}

// The driver that the device in @device is bound to, or "" if none is.
static int driver_of(const char *device, char driver[static NAME_MAX + 1]) {
	char path[PATH_MAX];
	int r = sysfs_path(path, "%s/driver", device);

	return r < 0 ? r : sysfs_link_name(path, driver);
}

int vhost_chardev_bind(const struct vhost_roots *roots, const char *name) {
	char device[PATH_MAX], path[PATH_MAX], driver[NAME_MAX + 1];
	int bound, r;

	r = device_path(roots, name, device);
	if (r < 0)
		return r;
	r = sysfs_path(path, "%s/bus/vdpa/drivers/" DRIVER, roots->sys);
	if (r < 0)
		return r;
	if (access(path, F_OK) < 0)
		return -errno;

	// Kernels before 5.17 have no override; there, unbind and bind alone must do.
	r = sysfs_path(path, "%s/driver_override", device);
	if (r == 0)
		r = sysfs_write(path, DRIVER);
	if (r < 0 && r != -ENOENT)
		return r;

	r = driver_of(device, driver);
	if (r < 0 || strcmp(driver, DRIVER) == 0)
		return r;
	if (driver[0] != 0) {
		r = sysfs_path(path, "%s/driver/unbind", device);
		if (r == 0)
			r = sysfs_write(path, name);
		if (r < 0)
			return r;
	}
	r = sysfs_path(path, "%s/bus/vdpa/drivers/" DRIVER "/bind", roots->sys);
	if (r < 0)
		return r;
	bound = sysfs_write(path, name);

	// Another may have bound it first: what counts is where it is now.
	r = driver_of(device, driver);
	if (r == 0 && strcmp(driver, DRIVER) == 0)
		return 0;
	return r < 0 ? r : bound < 0 ? bound : -ENXIO;
}

int vhost_chardev_driver(
	const struct vhost_roots *roots, const char *name, char driver[static NAME_MAX + 1]
) {
	char device[PATH_MAX];
	int r = device_path(roots, name, device);

	return r < 0 ? r : driver_of(device, driver);
}

// Is @entry "vhost-vdpa-" and a number?
static bool is_node_name(const char *entry) {
	uint64_t number;

	return strncmp(entry, NODE_PREFIX, strlen(NODE_PREFIX)) == 0 &&
		parse_u64(entry + strlen(NODE_PREFIX), 0, MINOR_MAX, &number) == 0;
}

// The child of @device that is the character device.
static int find_child(
	const char *device, char node_name[static VHOST_NODE_NAME_SIZE], dev_t *ret_number
) {
	_cleanup_dir_ DIR *dir = opendir(device);
	char path[PATH_MAX], text[64], *colon;
	uint64_t major_number, minor_number;
	const struct dirent *entry;
	int r;

	if (dir == NULL)
		return errno == ENOENT ? -ENODEV : -errno;
	do {
		entry = readdir(dir);
	} while (entry != NULL && !is_node_name(entry->d_name));
	if (entry == NULL)
		return -ENOENT;

	r = sysfs_path(path, "%s/%s/dev", device, entry->d_name);
	if (r == 0)
		r = sysfs_read(path, text, sizeof(text));
	if (r < 0)
		return r;
	colon = strchr(text, ':');
	if (colon == NULL)
		return -EBADMSG;
	*colon = 0;
	if (parse_u64(text, 0, UINT_MAX, &major_number) < 0 ||
	    parse_u64(colon + 1, 0, MINOR_MAX, &minor_number) < 0)
		return -EBADMSG;

	r = str_copy(node_name, VHOST_NODE_NAME_SIZE, entry->d_name);
	if (r == 0)
		*ret_number = makedev((unsigned int)major_number, (unsigned int)minor_number);
	return r;
}

static int node_path(
	const struct vhost_roots *roots, const struct vhost_chardev *chardev, bool parked,
	char path[static PATH_MAX]
) {
	return sysfs_path(
		path, "%s/%s%s", roots->dev, parked ? PARKED_PREFIX : "", chardev->node_name
	);
}

// Refer to the node without opening the device.
static int take_node(const struct vhost_roots *roots, struct vhost_chardev *chardev, bool parked) {
	char path[PATH_MAX];
	struct stat st;
	int r;

	r = node_path(roots, chardev, parked, path);
	if (r < 0)
		return r;
	chardev->node_fd = open(path, O_PATH | O_CLOEXEC);
	if (chardev->node_fd < 0)
		return errno == ENOENT ? -ENXIO : -errno;
	if (fstat(chardev->node_fd, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) || st.st_rdev != chardev->number)
		return -ESTALE;
	chardev->is_parked = parked;
	return 0;
}

int vhost_chardev_find(
	const struct vhost_roots *roots, const char *name, struct vhost_chardev *ret_chardev
) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	char device[PATH_MAX], driver[NAME_MAX + 1];
	int r;

	r = device_path(roots, name, device);
	if (r < 0)
		return r;
	r = find_child(device, chardev.node_name, &chardev.number);
	if (r == -ENOENT) {
		r = driver_of(device, driver);
		if (r < 0)
			return r;
		return strcmp(driver, DRIVER) == 0 ? -EBUSY : -ENOENT;
	}
	if (r < 0)
		return r;

	r = take_node(roots, &chardev, false);
	if (r == -ENXIO)
		r = take_node(roots, &chardev, true);
	if (r < 0)
		return r;

	*ret_chardev = chardev;
	chardev.node_fd = -EBADF;
	return 0;
}

void vhost_chardev_done(struct vhost_chardev *chardev) {
	chardev->node_fd = close_keep_errno(chardev->node_fd);
}

// The path by which an O_PATH descriptor becomes what it names.
#define FD_PATH_SIZE sizeof("/proc/self/fd/-2147483648")

static void fd_path(int fd, char path[static FD_PATH_SIZE]) {
	snprintf(path, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

int vhost_chardev_set_owner(const struct vhost_chardev *chardev, uid_t uid, gid_t gid) {
	char path[FD_PATH_SIZE];

	fd_path(chardev->node_fd, path);
	if (chmod(path, 0600) < 0)
		return -errno;
	if (fchownat(chardev->node_fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int move_node(const struct vhost_roots *roots, struct vhost_chardev *chardev, bool parked) {
	char from[PATH_MAX], to[PATH_MAX];
	int r;

	if (chardev->is_parked == parked)
		return 0;
	r = node_path(roots, chardev, chardev->is_parked, from);
	if (r == 0)
		r = node_path(roots, chardev, parked, to);
	if (r < 0)
		return r;
	if (rename(from, to) < 0)
		return -errno;
	chardev->is_parked = parked;
	return 0;
}

int vhost_chardev_park(const struct vhost_roots *roots, struct vhost_chardev *chardev) {
	return move_node(roots, chardev, true);
}

int vhost_chardev_unpark(const struct vhost_roots *roots, struct vhost_chardev *chardev) {
	return move_node(roots, chardev, false);
}

void vhost_chardev_forget_parked(const struct vhost_roots *roots, struct vhost_chardev *chardev) {
	char path[PATH_MAX];

	if (chardev->is_parked && node_path(roots, chardev, true, path) == 0)
		unlink(path);
	chardev->is_parked = false;
}

int vhost_chardev_prove_closed(const struct vhost_chardev *chardev) {
	_cleanup_close_ int fd = -EBADF;
	char path[FD_PATH_SIZE];

	fd_path(chardev->node_fd, path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	// The driver refuses with ENOTSUPP a device whose IOMMU does not serve, and does so after it
	// has made sure that nobody else has it: nobody can.
	if (fd < 0 && errno != KERNEL_ENOTSUPP)
		return -errno;
	return 0;
}
