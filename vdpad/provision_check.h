// SPDX-License-Identifier: GPL-2.0-or-later
// The checks of a new port that need the daemon's tables, besides those of provision_check().

#pragma once

#include "vdpad/port.h"
#include "vdpad/util/error.h"

struct daemon;

// The limit of ports, and the MAC address being free on its network.
int provision_check_new(struct daemon *d, const struct port_spec *spec, struct error *e);
