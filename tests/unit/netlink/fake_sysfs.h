// SPDX-License-Identifier: GPL-2.0-or-later
// A node in a temporary folder: sys/, dev/ and proc/, in which vDPA devices have pseudo terminals for
// character devices. Those need no privilege, have numbers of their own, and can be made exclusive.

#pragma once

#include <stdbool.h>

#include "netlink/vhost_chardev.h"

struct fake_sysfs {
	char top[64];
	char sys[128], dev[128], proc[128];
	struct vhost_roots roots;
};

struct fake_terminal {
	int master, slave; // slave is -1 unless opened
	char path[64];
};

void fake_sysfs_init(struct fake_sysfs *f);
void fake_sysfs_done(struct fake_sysfs *f);

// Below the folder; parents are made.
void fake_file(const struct fake_sysfs *f, const char *path, const char *text);
void fake_link(const struct fake_sysfs *f, const char *path, const char *target);
bool fake_exists(const struct fake_sysfs *f, const char *path);
void fake_assert_file(const struct fake_sysfs *f, const char *path, const char *text);

// A vDPA device bound to @driver ("" for none).
void fake_vdpa_dev(const struct fake_sysfs *f, const char *name, const char *driver);

// Give it the character device vhost-vdpa-@index, which is @terminal.
void fake_chardev(
	const struct fake_sysfs *f, const char *name, unsigned int index,
	struct fake_terminal *terminal
);
void fake_terminal_done(struct fake_terminal *terminal);

// Open it so that nobody else can: -EBUSY, as vhost_vdpa answers. Even to root, for the rest of
// this program.
void fake_terminal_hold(struct fake_terminal *terminal);
void fake_terminal_release(struct fake_terminal *terminal);
