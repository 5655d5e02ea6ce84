// SPDX-License-Identifier: GPL-2.0-or-later
// What the node has of kernel vDPA, as vdpad-netlink last told it: management devices and devices. Asked for
// by vdpa_restore.c, which knows when: the kernel tells nobody that a guest's driver came or went.
//
// The view is never taken as proof that something is absent unless both lists came whole. As the lists go through
// vdpa_calls, what was done before they were asked for is in them, and what an act is doing
// meanwhile is known by its port being busy. While the kernel's family is wedged, the last view stays.

#pragma once

#include "vdpad/backend/vdpa_calls.h"
#include "vdpad/backend/vdpa_report.h"

struct vdpa_view;

// Both lists came, or not: then the old ones stay. @e is NULL if they did, and borrowed.
typedef void (*vdpa_view_fn)(void *userdata, const struct error *e);

// @calls is borrowed. Returns 0 or -ENOMEM. Freed after the hub.
int vdpa_view_new(
	struct vdpa_calls *calls, vdpa_view_fn told, void *userdata, struct vdpa_view **ret_view
);
void vdpa_view_free(struct vdpa_view *view);

// Ask for both lists; once more after those that are on their way, however often this is called.
void vdpa_view_ask(struct vdpa_view *view);
bool vdpa_view_is_asking(const struct vdpa_view *view);

// What was told last; NULL when nothing ever was.
const struct vdpa_report *vdpa_view_report(const struct vdpa_view *view);

// The device @name was just deleted: what it used is free before the next lists say so.
void vdpa_view_forget(struct vdpa_view *view, const char *name);

// The view's part of the facts: management devices, asked, wedged.
void vdpa_view_fill_facts(const struct vdpa_view *view, struct facts *facts);
