// SPDX-License-Identifier: GPL-2.0-or-later
// Reconcile: what is wanted against what the workers report -> a list of steps. A pure function; it
// runs when a worker becomes ready, and after the configuration was read again.
//
// A port is recognised by its generation. If the switch reports it with the generation and the fixed
// values that are wanted, it is adopted and not touched, so that a restart of vdpad costs nobody a
// frame. What the switch has and nobody wants is deleted, if three things are sure: the state file is
// trusted (store.h), the list that names the thing came whole, and no act runs on it. A list that did
// not come (NULL) never causes a deletion, neither of what it might have named nor of what another
// list names: without the switch's list no TAP is deleted.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vdpad/backend/report.h"
#include "vdpad/model/network.h"
#include "vdpad/model/port.h"

struct wanted_port {
	const struct port *port;
	bool deleting; // it was to be deleted, and that may not have happened
	bool busy;     // an act runs on it: it is left alone
};

struct wanted {
	const struct wanted_port *ports; // sorted by name
	size_t n_ports;
	const struct network *networks; // those that the ports use, each once
	size_t n_networks;
	bool may_delete; // the state file is trusted
};

// In the order in which a plan has them.
enum step_kind {
	STEP_ADOPT_NETWORK,
	STEP_SET_NETWORK,
	STEP_SET_UPLINK,
	STEP_DEL_PORT,     // nobody wants it
	STEP_REPLACE_PORT, // delete what is there, then set
	STEP_SET_PORT,
	STEP_ADOPT_PORT,
	STEP_PORT_GONE,   // it was to be deleted and is not there
	STEP_DEL_NETWORK, // and its uplink
	STEP_DEL_TAP,
};

struct step {
	enum step_kind kind;
	const char *name;                     // of the port, network or TAP
	const struct port *port;              // wanted; NULL for what nobody wants
	const struct network *network;        // wanted; NULL for what nobody wants
	const struct reported_port *reported; // NULL when the switch does not have it
	const char *uplink;                   // STEP_DEL_NETWORK: "" for none
	bool uplink_is_right;                 // STEP_ADOPT_NETWORK, STEP_SET_NETWORK
	bool renew; // STEP_SET_UPLINK: the TAP is there and has the wrong bridge or MTU
};

struct plan {
	struct step *steps; // point into the wanted and reported things
	size_t n;
	size_t n_unknown; // reported, wanted by nobody, and left alone because of may_delete
	bool complete;    // both lists were there, so that n_unknown counts everything
};

// @on_switch and @taps are NULL when that worker did not give its list.
// Returns 0 and a plan owned by the caller (plan_done), or -ENOMEM.
int reconcile(
	const struct wanted *wanted, const struct switch_report *on_switch,
	const struct tap_report *taps, struct plan *ret_plan
);
void plan_done(struct plan *plan);
