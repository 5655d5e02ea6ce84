// SPDX-License-Identifier: GPL-2.0-or-later
// Parts of `port qemu` that are tested by themselves.

#pragma once

#include <stdint.h>

#include "vdpad/util/error.h"

// Whether a QEMU that inherits a memlock limit of @limit_bytes (RLIM_INFINITY for none) may lock
// @needed_bytes: 0, or -EPERM with a sentence that says how to raise the limit.
int port_qemu_check_memlock(uint64_t needed_bytes, uint64_t limit_bytes, struct error *e);
