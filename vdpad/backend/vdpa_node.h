// SPDX-License-Identifier: GPL-2.0-or-later
// The device node of a port: who is to own it, and the link by which QEMU opens it. The node's number is the
// lowest free one, so only the link is the same for the port's life.

#pragma once

#include "vdpad/config/config.h"
#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

// The configured user and group; all zero before the first look.
struct vdpa_owner {
	char user[33], group[33]; // that were looked up
	uint32_t uid, gid;
};

// Looked up once, as a user database in the network may take its time, and again when the
// configuration names others. Returns 0, or -ESRCH with a sentence.
int vdpa_owner_find(struct vdpa_owner *owner, const struct config *config, struct error *e);

// Have the port's link point to @node: 0 or -errno with a sentence.
int vdpa_link_set(const struct port *port, const char *node, struct error *e);

// Where it points to: "" for nowhere.
void vdpa_link_read(const struct port *port, char *node, size_t size);
