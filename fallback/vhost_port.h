// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's port: a vhost-user socket that the switch listens on, served by vhost/.
//
// Offered are the features that the configuration names and vhost/ can serve, except packed rings:
// their position is in no memory that outlives the switch, so a guest with packed rings would stand
// still after a restart of the switch until its driver starts anew (vhost/packed_ring.c).

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "fallback/port.h"
#include "fallback/vhost/session.h"
#include "fallback/worker.h"
#include "vdpad/util/error.h"

#define VHOST_PORT_MAX_QUEUE_PAIRS SESSION_MAX_QUEUE_PAIRS
#define VHOST_PORT_DETAIL_SIZE 128

struct vhost_port_config {
	const char *path;
	mode_t socket_mode;
	gid_t socket_group;        // (gid_t)-1 leaves the group alone
	uint64_t features;         // virtio features to offer, besides what the transport needs
	uint16_t queue_pairs;      // 1 to VHOST_PORT_MAX_QUEUE_PAIRS; further ones are not served
	uint16_t mtu_bytes;        // the largest that the front-end may set
	struct workers *workers;   // must outlive the port
	uint16_t worker;           // which of them polls it
	sd_event *event;           // of the main thread; must outlive the port
	struct notifier *notifier; // of the main thread; must outlive the port
	int changed_fd; // an eventfd that is written when vhost_port_read_status() may have changed
};

struct vhost_port_status {
	bool connected; // the guest's driver is ready: a ring each way is up
	char detail[VHOST_PORT_DETAIL_SIZE];
	uint64_t connects; // peers since the port exists
};

// Listen on @config->path (the strings of @config are copied). A stale socket of ours is replaced;
// anything else there is -EEXIST, a socket that somebody has bound -EADDRINUSE. On success the
// socket listens.
int vhost_port_new(
	const struct vhost_port_config *config, struct switch_port **ret_port, struct error *e
);

// Main thread only, as vhost_port_new().
void vhost_port_read_status(const struct switch_port *port, struct vhost_port_status *ret_status);
