// SPDX-License-Identifier: GPL-2.0-or-later
// Counters of vDPA devices, as their vendors name them. Kept for VDPA_STATS_MAX_AGE_MS, so that a client that
// asks often does not keep the kernel's control plane busy.

#pragma once

#include <systemd/sd-bus.h>

#include "vdpad/backend/vdpa_calls.h"
#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

#define VDPA_STATS_MAX_AGE_MS 1000

struct vdpa_stats;

// @calls is borrowed. Returns 0 or -ENOMEM. Freed after the hub.
int vdpa_stats_new(struct vdpa_calls *calls, struct vdpa_stats **ret_stats);
void vdpa_stats_free(struct vdpa_stats *stats);

// @counters is an a{st} at its beginning, or NULL when there are none; borrowed.
typedef void (*vdpa_stats_fn)(void *userdata, sd_bus_message *counters);

// @fn is called once, possibly at once.
void vdpa_stats_get(
	struct vdpa_stats *stats, uint64_t generation, vdpa_stats_fn fn, void *userdata
);
