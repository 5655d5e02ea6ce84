// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/util/parse.h"

int sysfs_path(char path[static PATH_MAX], const char *fmt, ...) {
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(path, PATH_MAX, fmt, ap);
	va_end(ap);
	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int sysfs_read(const char *path, char *text, size_t size) {
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	if (len < 0)
		return -errno;
	text[len] = 0;
	text[strcspn(text, "\n")] = 0;
	return 0;
}

int sysfs_write(const char *path, const char *value) {
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -errno;
	written = write(fd, value, strlen(value));
	if (written < 0)
		return -errno;
	return (size_t)written == strlen(value) ? 0 : -EIO;
}

int sysfs_link_name(const char *path, char name[static NAME_MAX + 1]) {
	char target[PATH_MAX];
	const char *slash;
	ssize_t len;

	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0 && errno == ENOENT) {
		name[0] = 0;
		return 0;
	}
	if (len < 0)
		return -errno;
	target[len] = 0;
	slash = strrchr(target, '/');
	return str_copy(name, NAME_MAX + 1, slash == NULL ? target : slash + 1);
}
