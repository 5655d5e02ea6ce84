// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vhost_holder.h"

#include <ctype.h>
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

#define DRIVER_REMOVE \
	"vhost_vdpa_remove"        // the function of the kernel that waits for the last close
#define NODE_WORDS "vhost-vdpa-"   // in the name of a node, parked or not, whatever it is below
#define CHARDEV_NAME " vhost-vdpa" // in /proc/devices

// Which device is looked for.
struct wanted {
	bool any; // one that has left sysfs, of the major number of @number
	dev_t number;
};

static bool is_wanted(const struct vhost_roots *roots, const struct wanted *wanted, dev_t number) {
	char path[PATH_MAX];

	if (!wanted->any)
		return number == wanted->number;
	return major(number) == major(wanted->number) &&
		sysfs_path(path, "%s/dev/char/%u:%u", roots->sys, major(number), minor(number)) ==
		0 &&
		access(path, F_OK) < 0 && errno == ENOENT;
}

// By what it is called, whether @link, a descriptor in procfs, can be a device. Everything else is left
// alone: a look at a file of a server that does not answer would not return.
static bool is_called_device(const char *link) {
	char target[PATH_MAX];
	ssize_t len = readlink(link, target, sizeof(target) - 1);

	if (len < 0)
		return false;
	target[len] = 0;
	return strncmp(target, "/dev/", strlen("/dev/")) == 0 || strstr(target, NODE_WORDS) != NULL;
}

// Is descriptor @fd_name of process @pid the device itself, and not only its name (O_PATH)?
static bool fd_is_open_device(
	const struct vhost_roots *roots, const char *pid, const char *fd_name,
	const struct wanted *wanted, dev_t *ret_number
) {
	char path[PATH_MAX], text[256];
	_cleanup_close_ int fd = -EBADF;
	const char *flags;
	struct stat st;
	ssize_t len;

	if (sysfs_path(path, "%s/%s/fd/%s", roots->proc, pid, fd_name) < 0 ||
	    !is_called_device(path) || stat(path, &st) < 0 || !S_ISCHR(st.st_mode) ||
	    !is_wanted(roots, wanted, st.st_rdev))
		return false;

	// "pos:\t0\nflags:\t02100002\n..."
	if (sysfs_path(path, "%s/%s/fdinfo/%s", roots->proc, pid, fd_name) < 0)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (len < 0)
		return false;
	text[len] = 0;
	flags = strstr(text, "flags:");
	*ret_number = st.st_rdev;
	return flags != NULL && !(strtoul(flags + strlen("flags:"), NULL, 8) & O_PATH);
}

static bool process_has_open(
	const struct vhost_roots *roots, const char *pid, const struct wanted *wanted,
	dev_t *ret_number
) {
	_cleanup_dir_ DIR *fds = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];

	if (sysfs_path(path, "%s/%s/fd", roots->proc, pid) < 0)
		return false;
	fds = opendir(path);
	while (fds != NULL && (entry = readdir(fds)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    fd_is_open_device(roots, pid, entry->d_name, wanted, ret_number))
			return true;
	return false;
}

// The next process, as procfs names it; NULL after the last.
static const char *next_process(DIR *processes) {
	const struct dirent *entry;
	uint64_t pid;

	while (processes != NULL && (entry = readdir(processes)) != NULL)
		if (parse_u64(entry->d_name, 1, INT_MAX, &pid) == 0)
			return entry->d_name;
	return NULL;
}

static void take_process(
	const struct vhost_roots *roots, const char *pid, struct vhost_holder *ret_holder
) {
	char path[PATH_MAX];

	ret_holder->pid = atoi(pid);
	if (sysfs_path(path, "%s/%s/comm", roots->proc, pid) < 0 ||
	    sysfs_read(path, ret_holder->command, sizeof(ret_holder->command)) < 0)
		ret_holder->command[0] = 0;
}

static void find(
	const struct vhost_roots *roots, const struct wanted *wanted,
	struct vhost_holder *ret_holder, dev_t *ret_number
) {
	_cleanup_dir_ DIR *processes = opendir(roots->proc);
	const char *pid;

	*ret_holder = (struct vhost_holder){0};
	while ((pid = next_process(processes)) != NULL) {
		if (process_has_open(roots, pid, wanted, ret_number)) {
			take_process(roots, pid, ret_holder);
			return;
		}
	}
}

void vhost_holder_find(
	const struct vhost_roots *roots, dev_t number, struct vhost_holder *ret_holder
) {
	const struct wanted wanted = {.number = number};
	dev_t found;

	find(roots, &wanted, ret_holder, &found);
}

// The major number of all vhost-vdpa devices; 0 if the driver is not there.
static unsigned int driver_major(const struct vhost_roots *roots) {
	char path[PATH_MAX], line[128];
	unsigned int number = 0;
	FILE *file;

	if (sysfs_path(path, "%s/devices", roots->proc) < 0)
		return 0;
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (number == 0 && fgets(line, sizeof(line), file) != NULL) {
		const char *name = strstr(line, CHARDEV_NAME);

		if (name != NULL && strcspn(name, "\n") == strlen(CHARDEV_NAME))
			number = (unsigned int)strtoul(line, NULL, 10);
	}
	fclose(file);
	return number;
}

// A process that waits in the driver's remove function. Of ourselves, every thread; of others, the first.
static bool waits_in_driver(const struct vhost_roots *roots, const char *pid, const char *task) {
	char path[PATH_MAX], function[64];

	return sysfs_path(path, "%s/%s/task/%s/wchan", roots->proc, pid, task) == 0 &&
		sysfs_read(path, function, sizeof(function)) == 0 &&
		strcmp(function, DRIVER_REMOVE) == 0;
}

static bool own_thread_waits(const struct vhost_roots *roots) {
	_cleanup_dir_ DIR *tasks = NULL;
	const char *task;
	char path[PATH_MAX];

	if (sysfs_path(path, "%s/self/task", roots->proc) < 0)
		return false;
	tasks = opendir(path);
	while ((task = next_process(tasks)) != NULL)
		if (waits_in_driver(roots, "self", task))
			return true;
	return false;
}

// Its command line, blanks for the NULs between the words.
static void read_command_line(
	const struct vhost_roots *roots, const char *pid, char *text, size_t size
) {
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];
	ssize_t len = -1;

	if (sysfs_path(path, "%s/%s/cmdline", roots->proc, pid) == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		len = read(fd, text, size - 1);
	if (len < 0)
		len = 0;
	text[len] = 0;
	for (ssize_t i = 0; i + 1 < len; i++)
		if (text[i] == 0)
			text[i] = ' ';
}

// Who deletes, in words; "" if that cannot be seen.
static void print_deleter(const struct vhost_roots *roots, char *text, size_t size) {
	_cleanup_dir_ DIR *processes = opendir(roots->proc);
	char command[VHOST_COMMAND_SIZE];
	const char *pid;

	text[0] = 0;
	if (own_thread_waits(roots)) {
		snprintf(text, size, "vdpad itself deletes a device");
		return;
	}
	while ((pid = next_process(processes)) != NULL) {
		if (!waits_in_driver(roots, pid, pid))
			continue;
		read_command_line(roots, pid, command, sizeof(command));
		snprintf(text, size, "process %d (%s) deletes a device", atoi(pid), command);
		return;
	}
}

void vhost_hang_explain(const struct vhost_roots *roots, char text[static VHOST_HANG_TEXT_SIZE]) {
	const struct wanted wanted = {.any = true, .number = makedev(driver_major(roots), 0)};
	struct vhost_holder holder = {0};
	char deleter[128];
	dev_t number = 0;

	if (major(wanted.number) != 0)
		find(roots, &wanted, &holder, &number);
	print_deleter(roots, deleter, sizeof(deleter));
	if (holder.pid == 0 && deleter[0] == 0)
		snprintf(text, VHOST_HANG_TEXT_SIZE, "who or what it waits for cannot be seen");
	else if (holder.pid == 0)
		snprintf(text, VHOST_HANG_TEXT_SIZE, "%s that somebody has open", deleter);
	else
		snprintf(
			text, VHOST_HANG_TEXT_SIZE,
			"%s that process %d (%s) has open (vhost-vdpa-%u); it goes on when that "
			"process "
			"closes it",
			deleter[0] != 0 ? deleter : "somebody deletes a device", (int)holder.pid,
			holder.command, minor(number)
		);
}
