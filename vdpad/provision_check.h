// SPDX-License-Identifier: GPL-2.0-or-later
// What is checked before a port is made or changed, besides provision_check(). Only provision.c uses it.

#pragma once

#include "vdpad/model/decide.h"
#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

struct daemon;
struct managed_port;

// The limit of ports; the MAC address being free on its network, and the socket.
int provision_check_new(struct daemon *d, const struct port_spec *spec, struct error *e);

// No candidate was accepted: the reason of each that the policy allows, or that the switch is not there.
int provision_refuse(
	struct daemon *d, const struct port_spec *spec, const struct decision *decision,
	struct error *e
);

// Whether @port can be changed so: keys that can change, that its backend can change, and a network that
// it can join, which is then in @ret_network with @ret_moves set.
int provision_check_changes(
	struct daemon *d, const struct port_spec *changes, const struct managed_port *port,
	struct network *ret_network, bool *ret_moves, struct error *e
);

// Whether a change from @a to @b is one that the backend must do something for.
bool provision_must_act(const struct port_spec *a, const struct port_spec *b);
