// SPDX-License-Identifier: GPL-2.0-or-later
// The D-Bus object that vdpad calls (org.vdpad1.Netlink in vdpad/util/ipc.h), and the link to vdpad.
//
// The link is made again whenever it is lost. Operations on TAPs run one after the other in the caller's
// thread, those on vDPA and on functions each in one of their own.

#pragma once

#include <systemd/sd-event.h>

#include "netlink/nic.h"
#include "vdpad/util/error.h"

struct service;

// Start to look for vdpad's socket in @run_dir, now and as often as it takes. @event is borrowed.
// @kernel, for vDPA and the functions of NICs, is borrowed for as long as the process lasts.
// Returns 0 and a service owned by the caller, or -errno with @e filled.
int service_new(
	sd_event *event, const char *run_dir, const struct nic_kernel *kernel,
	struct service **ret_service, struct error *e
);
void service_free(struct service *service);
