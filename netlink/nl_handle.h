// SPDX-License-Identifier: GPL-2.0-or-later
// How generic netlink names a device of the kernel: by its bus and its name there, "pci/0000:3b:00.2".

#pragma once

#include <stdbool.h>

struct nl_handle {
	char *bus; // NULL for none
	char *dev;
};

// "BUS/DEV" or "DEV" -> a handle. Only the first slash divides. Returns 0, -EINVAL or -ENOMEM.
int nl_handle_parse(const char *text, struct nl_handle *ret_handle);
void nl_handle_done(struct nl_handle *handle);
bool nl_handle_equal(const struct nl_handle *a, const struct nl_handle *b);
