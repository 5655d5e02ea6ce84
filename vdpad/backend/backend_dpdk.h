// SPDX-License-Identifier: GPL-2.0-or-later
// Ports on NIC functions that a DPDK vDPA driver in vdpad-switch drives. To vdpad such a port is one of the
// switch with a device: made by the same call, listed, restored and lost as the others. It has no network
// there, as its frames do not pass the switch.

#pragma once

#include "vdpad/backend/backend_switch.h"

struct backend_dpdk;

// @fallback is borrowed. Returns 0 or -ENOMEM.
int backend_dpdk_new(struct backend_switch *fallback, struct backend_dpdk **ret_backend);
void backend_dpdk_free(struct backend_dpdk *backend); // after the hub
struct backend *backend_dpdk_base(struct backend_dpdk *backend);
