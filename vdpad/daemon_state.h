// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon remembers of its last life. Private to the daemon.

#pragma once

#include "vdpad/util/error.h"

struct daemon;

// Open the store and load its ports, in the states in which they wait for their workers. Those whose creation was
// not finished are undone. Returns 0 or -errno with a sentence.
int daemon_open_state(struct daemon *d, struct error *e);
