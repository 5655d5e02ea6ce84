// SPDX-License-Identifier: GPL-2.0-or-later
// The way to vdpad: connect, Register, start what the settings ask for, Ready; and again whenever
// the link was lost. The switch goes on switching without it.

#pragma once

#include <stdbool.h>

#include <systemd/sd-event.h>

struct link_client;

// Start to connect to vdpad's socket in @run_dir, now and every LINK_RETRY_MS. @verbose: for EAL. A
// failure to start the switch itself ends @event with a negative exit code.
int link_client_new(
	sd_event *event, const char *run_dir, bool verbose, struct link_client **ret_client
);

// Also stops the switch.
void link_client_free(struct link_client *client);
