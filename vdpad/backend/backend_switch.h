// SPDX-License-Identifier: GPL-2.0-or-later
// Ports on the software switch. A network is made on vdpad-switch, with its uplink TAP from
// vdpad-netlink, when the first port joins it, and deleted after the last one.

#pragma once

#include "vdpad/backend/backend.h"
#include "vdpad/backend/switch_networks.h"
#include "vdpad/hub.h"

struct backend_switch;

// @hub is borrowed. Returns 0 or -ENOMEM.
int backend_switch_new(struct hub *hub, struct backend_switch **ret_backend);
void backend_switch_free(struct backend_switch *backend); // after the hub
struct backend *backend_switch_base(struct backend_switch *backend);
struct switch_networks *backend_switch_networks(struct backend_switch *backend); // borrowed

// The switch is gone, and all its networks with it.
void backend_switch_lost(struct backend_switch *backend);

// Make @port without a network: one whose frames do not pass the switch.
void backend_switch_make_port(
	struct backend_switch *backend, const struct port *port, backend_done_fn done,
	void *userdata
);

// Steps of reconcile. They and those of switch_networks do not wait: the link keeps the order, so
// that ports can be pushed behind their network at once.
void backend_switch_push_port(
	struct backend_switch *backend, const struct port *port, backend_done_fn done,
	void *userdata
);
// What nobody wants; a failure is logged.
void backend_switch_drop_port(struct backend_switch *backend, const char *name);
void backend_switch_drop_tap(struct backend_switch *backend, const char *tap);
