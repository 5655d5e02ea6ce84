// SPDX-License-Identifier: GPL-2.0-or-later
// A socket on which workers are awaited. Private to the hub.

#pragma once

#include "vdpad/util/error.h"

// Listen on @path with mode 0660. A stale socket there is replaced. Returns 0 and a descriptor owned by
// the caller, or -errno with a sentence.
int hub_listen(const char *path, int *ret_fd, struct error *e);
