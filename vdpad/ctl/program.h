// SPDX-License-Identifier: GPL-2.0-or-later
// Asking the installed QEMU for its version.

#pragma once

#include <stddef.h>

#include "vdpad/model/qemu_args.h"

// Run @argv (searched in PATH, no shell) and take the first line that it prints, without its newline.
// Returns 0, -ENOENT if there is no such program, -ETIMEDOUT if it does not end within @timeout_ms
// (it is killed), -EIO if it fails or prints nothing, or another -errno.
int program_first_line(const char *const argv[], int timeout_ms, char *line, size_t size);

// The QEMU that would be started: $QEMU, or the first installed one. @line of @size bytes gets what
// it calls itself. Returns 0; -ENOENT or -EIO with @e filled.
int program_find_qemu(struct qemu_version *ret_version, char *line, size_t size, struct error *e);
