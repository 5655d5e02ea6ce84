// SPDX-License-Identifier: GPL-2.0-or-later
// What the configuration names and this node lacks: groups, users, CPUs. That is no error of the
// configuration, which may be a whole cluster's, and must not take the node's ports at a start: vdpad
// goes on without, and says so.

#pragma once

#include <stddef.h>

#include "vdpad/config/config.h"
#include "vdpad/util/error.h"

#define CONFIG_MAX_WARNINGS 3

struct config_warnings {
	char list[CONFIG_MAX_WARNINGS]
		 [ERROR_TEXT_SIZE]; // what is missing, what that means, what to do
	size_t n;
};

// @root is where the node's /sys is: "" for the real one. Groups and users are those of this system.
void config_check_node(
	const struct config *config, const char *root, struct config_warnings *ret_warnings
);
