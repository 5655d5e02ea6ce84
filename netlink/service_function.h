// SPDX-License-Identifier: GPL-2.0-or-later
// The methods about functions of a PF (EnsureVfs to ListFunctions of org.vdpad1.Netlink in
// vdpad/util/ipc.h). They take as long as firmware does, so they have a kernel thread of their own. While
// operations on vDPA hang they are refused: they would hang too.

#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "netlink/nic.h"
#include "netlink/service_job.h"

struct service_function {
	struct service_jobs jobs;
	const struct nic_kernel *kernel; // borrowed, for as long as the process lasts
};

// @vdpa: whose operations come first; borrowed. Returns 0, or -errno with @e filled; call
// service_function_done() in either case.
int service_function_init(
	struct service_function *functions, sd_event *event, const struct nic_kernel *kernel,
	const struct service_jobs *vdpa, struct error *e
);
void service_function_done(struct service_function *functions);

// Handlers of sd-bus methods; @userdata is a struct service_function.
int service_function_ensure_vfs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_function_ensure(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_function_del(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_function_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
