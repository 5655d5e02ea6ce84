// SPDX-License-Identifier: GPL-2.0-or-later
// Reconcile for ports on kernel vDPA: what is wanted against what vdpad-netlink reports -> a list of
// steps. A pure function; vdpa_restore.c runs it on each new view.
//
// A device is ours by its name, which carries the generation of the lease (vdpa_report.h), and by nothing else. What
// is not ours is never named in a step. A device of ours that is as wanted is adopted and not
// touched. One that nobody wants is deleted if the state file is trusted (store.h), which also decides
// about devices that another vdpad may have made.
//
// A dump of the kernel can miss a device that is there. So a device counts as absent only when it was
// missing from two lists one after the other; what is done then (adding it) is no harm to one that is
// there after all. A port that is to be deleted is deleted without such proof: the deletion proves by
// itself.
//
// A device whose values are wrong is replaced when it is first seen, while no guest's driver runs on
// it. Later on a guest may have changed its MAC address.
//
// A port has one step at a time; when that is done, the next run sees what else there is.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vdpad/backend/vdpa_report.h"
#include "vdpad/config/config.h"

#define VDPA_ABSENT_AFTER 2 // lists

struct wanted_vdpa {
	const struct port *port;
	bool deleting;
	bool busy;                 // an act runs on it: it is left alone
	bool was_seen;             // its device was there since vdpad started, so a VM may have it
	bool unsettled;            // its function may have other values than the port
	uint32_t n_missed;         // lists before this one in which its device was not
	char link[PORT_PATH_SIZE]; // where the port's link points to; "" for nowhere
};

struct vdpa_wanted {
	const struct wanted_vdpa *ports;
	size_t n_ports;
	const struct pool_config *pools;
	size_t n_pools;
	uint32_t uid;    // the owner of nodes
	bool may_delete; // the state file is trusted
};

enum vdpa_step_kind {
	VDPA_DROP,    // nobody wants the device
	VDPA_DELETE,  // of a port that is to be deleted
	VDPA_MISSED,  // not in this list: look again
	VDPA_REPLACE, // delete what is there, then make it
	VDPA_MAKE,    // on @resource
	VDPA_KEEP,    // take the node out of its parking place
	VDPA_OWN,     // give the node to its user
	VDPA_SETTLE,  // give the function the port's values again
	VDPA_LINK,    // renew the link, then adopt it
	VDPA_ADOPT,   // as it is
	VDPA_DEGRADE, // it cannot be made now, for @reason
};

struct vdpa_step {
	enum vdpa_step_kind kind;
	const struct port *port;            // NULL for VDPA_DROP
	const struct reported_vdpa *device; // NULL when it is not there
	char resource[PORT_RESOURCE_SIZE];  // VDPA_MAKE, VDPA_REPLACE
	char reason[PORT_REASON_SIZE];      // VDPA_DEGRADE
};

struct vdpa_plan {
	struct vdpa_step *steps; // point into the wanted and reported things
	size_t n;
	size_t n_unknown; // devices by our name that nobody wants, left alone because of may_delete
};

// Returns 0 and a plan owned by the caller (vdpa_plan_done), or -ENOMEM.
int vdpa_reconcile(
	const struct vdpa_wanted *wanted, const struct vdpa_report *report,
	struct vdpa_plan *ret_plan
);
void vdpa_plan_done(struct vdpa_plan *plan);
