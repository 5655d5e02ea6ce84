// SPDX-License-Identifier: GPL-2.0-or-later
// One vdpad per run directory: a lock on RUN_DIR/lock, held by the open file description as long as
// the process lives, whatever way it ends.

#pragma once

#include "vdpad/util/error.h"

// Make @run_dir if it is missing, and take its lock. Returns 0 and a descriptor owned by the caller
// (closing it gives the lock up); -EEXIST with the holder's process id in @e; or another -errno.
int lock_take(const char *run_dir, int *ret_fd, struct error *e);
