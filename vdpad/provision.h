// SPDX-License-Identifier: GPL-2.0-or-later
// What the API can do to ports: check, decide, write the intent, ask the backend, record.
// Each request ends in one call of its function, possibly at once, and changes nothing if it fails
// (a port whose deletion failed stays in state deleting). Names are valid ones: bus_api.c reads them.

#pragma once

#include <stdbool.h>

#include "vdpad/model/decide.h"
#include "vdpad/model/network.h"
#include "vdpad/port_set.h"

struct daemon;

// @port is NULL on failure and after a deletion; @e is NULL on success. Both are borrowed.
typedef void (*provision_done_fn
)(void *userdata, const struct managed_port *port, const struct error *e);

// What adding a port with @request would come to. @request may lack a name. Nothing is changed.
// Returns 0 with the complete specification, its network and the decision, or -errno.
int provision_check(
	struct daemon *d, const struct port_spec *request, struct port_spec *ret_spec,
	struct network *ret_network, struct decision *ret_decision, struct error *e
);

// The port that provision_add() would make of @request, as far as it can be known before: with its
// backend and path, without a generation. Nothing is changed. Returns 0 or -errno, as it would fail; if
// there is a port of that name, as if the new one came into its place.
int provision_plan(
	struct daemon *d, const struct port_spec *request, struct port *ret_port, struct error *e
);

void provision_add(
	struct daemon *d, const struct port_spec *request, bool may_exist, provision_done_fn done,
	void *userdata
);

// Only the keys that @changes sets; PORT_KEYS_CHANGEABLE of them are possible.
void provision_set(
	struct daemon *d, const struct port_spec *changes, provision_done_fn done, void *userdata
);

void provision_delete(
	struct daemon *d, const char *name, bool may_not_exist, provision_done_fn done,
	void *userdata
);

// Try again with a port that was left in state deleting.
void provision_delete_again(struct daemon *d, struct managed_port *port);
