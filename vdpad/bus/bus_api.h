// SPDX-License-Identifier: GPL-2.0-or-later
// org.vdpad1 on the system bus: the manager's methods and one object for each port (ipc.h). Who may
// call what is decided by the bus's policy file.

#pragma once

#include "vdpad/port_set.h"
#include "vdpad/util/error.h"

struct daemon;
struct bus_api;

// Connect (DBUS_SYSTEM_BUS_ADDRESS or the system bus) and put the objects there. When the bus is
// lost, the event loop ends with a failure.
int bus_api_new(struct daemon *d, struct bus_api **ret_api, struct error *e);
void bus_api_free(struct bus_api *api);

// From now on clients can find the daemon. Fails if another process has the name.
int bus_api_take_name(struct bus_api *api, struct error *e);

// Signals. @api may be NULL: nobody listens yet, or any more.
void bus_api_port_added(struct bus_api *api, const struct managed_port *port);
void bus_api_port_changed(struct bus_api *api, const struct managed_port *port);
void bus_api_port_removed(struct bus_api *api, const struct managed_port *port); // before it goes
