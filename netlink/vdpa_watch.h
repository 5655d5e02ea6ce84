// SPDX-License-Identifier: GPL-2.0-or-later
// When to look at the node's vDPA again: after a uevent of a bus that matters, or when events were lost. They come in
// swarms, of which one notice is given.

#pragma once

#include <systemd/sd-event.h>

#include "vdpad/util/error.h"

struct vdpa_watch {
	sd_event_source *on_uevent, *on_quiet;
	void (*changed)(void *userdata);
	void *userdata;
};

// Returns 0, or -errno with @e filled; call vdpa_watch_done() in either case.
int vdpa_watch_init(
	struct vdpa_watch *watch, sd_event *event, void (*changed)(void *userdata), void *userdata,
	struct error *e
);
void vdpa_watch_done(struct vdpa_watch *watch);

// Something else has happened for which to look again.
void vdpa_watch_tell(struct vdpa_watch *watch);
