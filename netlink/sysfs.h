// SPDX-License-Identifier: GPL-2.0-or-later
// Files of sysfs and procfs: short texts, read and written whole. All return 0 or -errno.

#pragma once

#include <dirent.h>
#include <limits.h>
#include <stddef.h>

#include "vdpad/util/cleanup.h"

static inline void cleanup_closedirp(DIR **dir) {
	if (*dir != NULL)
		closedir(*dir);
}
#define _cleanup_dir_ _cleanup_(cleanup_closedirp)

int sysfs_path(char path[static PATH_MAX], const char *fmt, ...) _printf_(2, 3);

// The first line, without its end; cut to fit.
int sysfs_read(const char *path, char *text, size_t size);

// In one write, as sysfs wants it.
int sysfs_write(const char *path, const char *value);

// The last part of what the link points to; "" if there is no link.
int sysfs_link_name(const char *path, char name[static NAME_MAX + 1]);
