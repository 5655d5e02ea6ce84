// SPDX-License-Identifier: GPL-2.0-or-later
// What the acts on ports have in common: one request, from its intent to its result. Private to provision.

#pragma once

#include "vdpad/model/decide.h"
#include "vdpad/provision.h"

struct act {
	struct daemon *d;
	struct managed_port *port;
	struct port_spec old_spec; // PORT_ACT_CHANGE
	struct error failure;      // PORT_ACT_CREATE: why it is undone
	struct decision *decision; // PORT_ACT_CREATE: owned; chosen is what is being tried
	struct network network;    // PORT_ACT_CREATE
	// PORT_ACT_CHANGE of one that moves, else ""
	char left_network[NETWORK_NAME_SIZE], joined_network[NETWORK_NAME_SIZE];
	bool is_quiet; // nothing changed that is to be seen
	provision_done_fn done;
	void *userdata;
};

// NULL without memory.
struct act *act_new(
	struct daemon *d, struct managed_port *port, provision_done_fn done, void *userdata
);

// The request is over, and @act freed; @port is NULL if it is gone.
void act_end(struct act *act, struct managed_port *port, const struct error *e);

// The port leaves the table, and its network the backend if it was the last one there.
void act_forget(struct daemon *d, struct managed_port *port);

// Tell @kind that no port of it uses @network any more, if that is so.
void act_release_network(struct daemon *d, enum backend_kind kind, const char *network);

// Why a worker failed. "No such file" or "exists" is then about something of its own, which must not
// reach a caller as "no such port" or as a conflict.
struct error act_failure(const struct error *e);

void act_answer_error(provision_done_fn done, void *userdata, int code, const char *text);
