// SPDX-License-Identifier: GPL-2.0-or-later
// Who has a vhost-vdpa device open, and who is stuck in the kernel because of it; from sysfs and procfs
// alone, which answer while netlink hangs.
//
// Finds nothing without the right to look (root, CAP_SYS_PTRACE), and no process that sent its descriptor
// away or only mapped the device.
//
// Source: Documentation/filesystems/proc.rst; drivers/vhost/vdpa.c.

#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "netlink/vhost_chardev.h"

#define VHOST_COMMAND_SIZE 64
#define VHOST_HANG_TEXT_SIZE 320

struct vhost_holder {
	pid_t pid; // 0: none was found
	char command[VHOST_COMMAND_SIZE];
};

// Name the process that has the device @number open.
void vhost_holder_find(
	const struct vhost_roots *roots, dev_t number, struct vhost_holder *ret_holder
);

// Why deletions of vDPA devices hang, in a sentence without its stop: who waits for which device, and who
// has it open.
void vhost_hang_explain(const struct vhost_roots *roots, char text[static VHOST_HANG_TEXT_SIZE]);
