// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of the daemon that are about hardware, as one: their life, and what the facts say of them.

#pragma once

#include <systemd/sd-bus.h>

#include "vdpad/backend/backend_dpdk.h"
#include "vdpad/backend/backend_vdpa.h"
#include "vdpad/backend/dpdk_view.h"
#include "vdpad/backend/vdpa_functions.h"
#include "vdpad/backend/vdpa_restore.h"
#include "vdpad/backend/vdpa_stats.h"
#include "vdpad/backend/vdpa_view.h"

struct daemon;

// In struct daemon, whose hub, event loop and switch backend are there before.
// Returns 0 or -errno.
int hardware_init(struct daemon *d);
void hardware_done(struct daemon *d); // after the hub

// A worker is ready, or went. The configuration was read again.
void hardware_worker_ready(struct daemon *d, enum worker worker);
void hardware_worker_lost(struct daemon *d, enum worker worker);
void hardware_reload(struct daemon *d);

// What the switch is told when it registers. Result as of sd_bus_message_append().
int hardware_settings(const struct daemon *d, sd_bus_message *reply);

// Management devices, devices for DPDK, pools, and how much of them our ports use.
void hardware_fill_facts(struct daemon *d);
