// SPDX-License-Identifier: GPL-2.0-or-later
// The sections [socket NAME]. Private to config.c and config_sections.c.

#pragma once

#include <stdbool.h>

#include "vdpad/config/config_sections.h"

// A path may become a part of QEMU's options and of a line of /proc/net/unix.
bool socket_config_path_is_valid(const char *path);
#define SOCKET_CONFIG_PATH_RULE \
	"an absolute path of at most 107 printable characters without blank, comma, '//' or '..'"

// A section begins. Returns 0, or -EINVAL or -ENOMEM with the error said.
int socket_config_open(struct config_parser *p, const char *name);

// What can be judged when all sections were read: each has a path of its own and a network. Sorts
// them. The first failure is said, and -EINVAL returned.
int socket_config_finish(struct config_parser *p);

void socket_config_forget_places(struct config_parser *p);
