// SPDX-License-Identifier: GPL-2.0-or-later
// A pool as the public API shows it.

#pragma once

#include <systemd/sd-bus.h>

#include "vdpad/daemon.h"

// The entries of an open a{sv}.
void bus_append_pool(
	sd_bus_message *m, const struct daemon *d, const struct facts *facts,
	const struct pool_facts *pool
);
