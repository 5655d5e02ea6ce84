// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's table of ports, and the state machine of each.
//
//	 creating ---> ready <---> connected
//	    |            |  ^          |            PortChanged of the switch, or the view of kernel vDPA:
//	    |            |  |          |            a VM's driver came or went
//	    v            v  |          v
//	 (undone)       degraded <-----+            the switch or the device is lost, and back
//	                 |  ^
//	                 v  |
//	                failed                      the switch refused it when it came back
//	 any ---> deleting ---> (gone)              a vDPA device may be in use: then it is tried again
//
// At most one act runs on a port at a time: while it does, port_set_begin() refuses another one.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

enum port_act {
	PORT_IDLE,
	PORT_ACT_CREATE,
	PORT_ACT_CHANGE,
	PORT_ACT_DELETE,
	PORT_ACT_RESTORE, // pushed again to a worker that is back
};

struct managed_port {
	struct port port;
	enum port_act act; // what runs on it now
	bool unrecorded;   // the store has an intent to change it, whose result is to be recorded
	bool connected;    // what its backend last said
	bool was_seen;     // vDPA: its device was there since vdpad started
	uint8_t n_missed;  // vDPA: lists one after the other in which its device was not
	char detail[PORT_REASON_SIZE];
	char old_network[NETWORK_NAME_SIZE]; // while it moves to another one; else ""
};

struct port_set {
	struct managed_port *
		*list; // sorted by name; each is allocated, so that pointers stay valid
	size_t n;
	size_t capacity;
};

void port_set_done(struct port_set *set);

// NULL when there is none of that name.
struct managed_port *port_set_find(const struct port_set *set, const char *name);

// A copy of @port joins the set, which owns it. Returns 0 or -ENOMEM.
int port_set_add(struct port_set *set, const struct port *port, struct managed_port **ret_port);
void port_set_remove(struct port_set *set, struct managed_port *port);

// The port with @mac on @network, or NULL.
const struct managed_port *port_set_find_mac(
	const struct port_set *set, const char *network, const struct mac_addr *mac
);

// The port with the socket of this name, or NULL.
const struct managed_port *port_set_find_socket(const struct port_set *set, const char *socket);

size_t port_set_count_network(const struct port_set *set, const char *network);
// Those of them on one backend.
size_t port_set_count(const struct port_set *set, const char *network, enum backend_kind backend);

// Start @act: 0, or -EEXIST with a sentence that says what is running.
int port_set_begin(struct managed_port *port, enum port_act act, struct error *e);

// Into @state, for @reason.
void port_enter(struct managed_port *port, enum port_state state, const char *reason);

// Whether @reason, cut to fit, is the port's.
bool port_has_reason(const struct managed_port *port, const char *reason);

// Into ready or connected, by what the backend last said.
void port_enter_served(struct managed_port *port);

// The backend said whether a VM is attached. Returns true when that changed anything to see.
bool port_report(struct managed_port *port, bool connected, const char *detail);
