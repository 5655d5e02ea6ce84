// SPDX-License-Identifier: GPL-2.0-or-later
// The methods about kernel vDPA (ListMgmtdevs to VdpaStats of org.vdpad1.Netlink in vdpad/util/ipc.h) and
// the uevents behind VdpaChanged. Operations run in a kernel thread and are answered when they have
// ended, or when they are late.

#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "netlink/service_job.h"
#include "netlink/vdpa_device.h"
#include "netlink/vdpa_watch.h"

struct service_vdpa {
	struct service_jobs jobs;
	const struct vdpa_kernel *kernel; // borrowed, for as long as the process lasts
	struct vdpa_watch watch;
};

// @changed is called when vdpad should look again. Returns 0, or -errno with @e filled; call
// service_vdpa_done() in either case.
int service_vdpa_init(
	struct service_vdpa *vdpa, sd_event *event, const struct vdpa_kernel *kernel,
	void (*changed)(void *userdata), void *userdata, struct error *e
);

// Before the link is closed. What hangs is left to itself.
void service_vdpa_done(struct service_vdpa *vdpa);

// Handlers of sd-bus methods; @userdata is a struct service_vdpa.
int service_vdpa_list_mgmtdevs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_vdpa_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_vdpa_add(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_vdpa_del(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_vdpa_keep(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_vdpa_own(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_vdpa_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
