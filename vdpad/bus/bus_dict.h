// SPDX-License-Identifier: GPL-2.0-or-later
// The dictionaries of the public API (ipc.h): struct port, network and decision into messages, and a
// specification out of one. Results as of sd_bus_message_append() unless an error is filled.

#pragma once

#include <systemd/sd-bus.h>

#include "vdpad/model/decide.h"
#include "vdpad/model/network.h"
#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

// One key of a port. The same table makes the dictionary and the properties of the port's object.
struct port_field {
	const char *key;      // in dictionaries
	const char *property; // of org.vdpad1.Port
	char type;            // D-Bus
};
extern const struct port_field port_fields[];
extern const size_t n_port_fields;

// The value of one field, without a variant around it.
int bus_append_port_field(
	sd_bus_message *m, const struct port *port, const struct port_field *field
);

// Each a whole a{sv}.
int bus_append_port(sd_bus_message *m, const struct port *port);
int bus_append_network(sd_bus_message *m, const struct network *network, size_t n_ports);
int bus_append_explanation(
	sd_bus_message *m, const struct port_spec *spec, const struct decision *decision
);

// Read an a{sv} of port keys; values are strings in vdpactl's words or of the natural type. "name" is
// a key as well if @may_name. Each key at most once.
// Returns 0, or -EINVAL with the key named in @e.
int bus_read_spec(sd_bus_message *m, bool may_name, struct port_spec *spec, struct error *e);
