// SPDX-License-Identifier: GPL-2.0-or-later
// The VLANs of a trunk port as text: "10,20-29".

#pragma once

#include <stddef.h>

#define TRUNKS_SIZE 200

// Read a list of VLANs and ranges of them, 1 to 4094, and write it in the one form that this set of
// VLANs has: sorted, joined where they touch. Returns 0, -EINVAL for what is no such list, or
// -ERANGE when its form is longer than TRUNKS_SIZE - 1 characters.
int trunks_normalize(const char *text, char ret_trunks[static TRUNKS_SIZE]);
