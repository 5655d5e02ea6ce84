// SPDX-License-Identifier: GPL-2.0-or-later
// The objects of ports: org.vdpad1.Port below /org/vdpad1/port, and their signals.

#pragma once

#include <systemd/sd-bus.h>

#include "vdpad/port_set.h"

// Serve an object for each port of @ports (borrowed) on @bus. Returns 0 or -errno.
int bus_port_serve(sd_bus *bus, struct port_set *ports);

int bus_port_emit_added(sd_bus *bus, const struct port *port);
int bus_port_emit_changed(sd_bus *bus, const struct port *port);
int bus_port_emit_removed(sd_bus *bus, const struct port *port); // while it is still in the set
