// SPDX-License-Identifier: GPL-2.0-or-later
// Calls of kernel vDPA to vdpad-netlink, one after the other: the worker does one at a time, so that a
// call sent behind others would lose its time to them. What the order is worth besides: a list never
// misses what a call before it has done.
//
// The breaker is here too. A call that the worker answers with ETIMEDOUT says that the kernel's vDPA family is
// wedged; the first other answer of the worker, that it goes again.

#pragma once

#include <stdbool.h>

#include "vdpad/hub.h"

struct vdpa_calls;

// @hub is borrowed. Returns 0 or -ENOMEM. Freed after the hub; what still waits is failed then.
int vdpa_calls_new(struct hub *hub, struct vdpa_calls **ret_calls);
void vdpa_calls_free(struct vdpa_calls *calls);

// Fill the message when its turn comes. Result as of sd_bus_message_append().
typedef int (*vdpa_fill_fn)(void *userdata, sd_bus_message *m);

// @member (static storage) is called in its turn, with @fill's arguments (none when NULL), and ends in one call
// of @done, possibly at once. @userdata goes to both.
void vdpa_calls_add(
	struct vdpa_calls *calls, const char *member, vdpa_fill_fn fill, uint32_t timeout_ms,
	hub_reply_fn done, void *userdata
);

// Why the kernel's vDPA family does not answer; "" if it does.
const char *vdpa_calls_wedged(const struct vdpa_calls *calls);
