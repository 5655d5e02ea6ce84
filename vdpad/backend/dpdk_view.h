// SPDX-License-Identifier: GPL-2.0-or-later
// The devices for DPDK's vDPA drivers, as vdpad-switch last listed them. It is told which ones there may be
// when it registers (pools with class = vdpa).

#pragma once

#include "vdpad/config/config.h"
#include "vdpad/hub.h"
#include "vdpad/model/facts.h"

struct dpdk_view;

// @hub is borrowed. Returns 0 or -ENOMEM. Freed after the hub.
int dpdk_view_new(struct hub *hub, struct dpdk_view **ret_view);
void dpdk_view_free(struct dpdk_view *view);

// Ask for the list, unless @config has no pool of such devices.
void dpdk_view_ask(struct dpdk_view *view, const struct config *config);

// The switch is gone: nothing is known.
// The port that had device @pci was just deleted: no list says so until the next is asked for.
void dpdk_view_forget_user(struct dpdk_view *view, const char *pci);

void dpdk_view_lost(struct dpdk_view *view);

// The part about these devices.
void dpdk_view_fill_facts(const struct dpdk_view *view, struct facts *facts);

// The devices of all pools with commas between them, for the switch's settings; "" for none.
void dpdk_view_configured(const struct config *config, char *text, size_t size);
