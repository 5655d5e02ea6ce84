// SPDX-License-Identifier: GPL-2.0-or-later
// Bring the kernel's vDPA devices to what is wanted: look (vdpa_view), vdpa_reconcile(), run the steps. A look is
// taken when vdpad-netlink becomes ready or signals a change, after acts of ours, after the configuration was
// read again, and from time to time: soon while something is to be done, every LOOK_PORTS_MS while ports are
// on devices, since nobody says that a guest's driver came or went, else every LOOK_IDLE_MS.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-event.h>

#include "vdpad/util/error.h"

struct daemon;

struct vdpa_restore {
	sd_event_source *timer;
	bool is_due;      // a look that was asked for: what comes meanwhile may be older
	bool told;        // by the vdpad-netlink that is there now, or it cannot tell
	size_t n_unknown; // devices by our name, of the last run, that nobody wants
	char trouble[ERROR_TEXT_SIZE]; // why there is no list; logged
	bool unknown_logged;
	bool drop_again; // a device that nobody wants could not be deleted yet
};

// Returns 0 or -errno.
int vdpa_restore_init(struct daemon *d);
void vdpa_restore_done(struct daemon *d);

// Look within a moment, however often this is called.
void vdpa_restore_look(struct daemon *d);

// vdpad-netlink is not there any more.
void vdpa_restore_lost(struct daemon *d);

// Whether the first look is still to be taken, with a worker that is there: a decision about hardware is better
// made after it.
bool vdpa_restore_is_pending(const struct daemon *d);

// Whether there is no device by our name that the state file does not know.
bool vdpa_restore_knows_all(const struct daemon *d);

// struct vdpa_view's, whose userdata is the daemon.
void vdpa_restore_told(void *userdata, const struct error *e);
