// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's port: a vhost-user socket that the switch listens on, served by librte_vhost. The only
// file that knows librte_vhost.
//
// A known weakness of the library is not ours to mend here: one thread reads the messages of all
// peers, with blocking calls, and answers some while workers wait for the port's rings. We bound each
// such wait to a few milliseconds, so a peer that sends half a message loses its connection, and one
// that reads no answers slows the others down as long as it sends.
//
// Another one: for a TSO frame it writes a pseudo-header checksum without the length into the frame
// that the guest receives (rte_net_intel_cksum_prepare(), as NICs want it). A guest that is the end
// of the TCP connection does not look; one that forwards the frame and segments it in software
// makes bad checksums.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <rte_mempool.h>

#include "fallback/port.h"
#include "fallback/worker.h"
#include "vdpad/util/error.h"

#define VHOST_PORT_MAX_QUEUE_PAIRS 64
#define VHOST_PORT_DETAIL_SIZE 64

struct vhost_port_config {
	const char *path;
	mode_t socket_mode;
	gid_t socket_group;   // (gid_t)-1 leaves the group alone
	uint64_t features;    // virtio features to offer, besides what the transport needs
	uint16_t queue_pairs; // 1 to VHOST_PORT_MAX_QUEUE_PAIRS; further ones are not served
	struct rte_mempool *pool;
	struct workers *workers; // must outlive the port
	uint16_t worker;         // which of them polls it
	int changed_fd;          // an eventfd that is written when vhost_port_status() changed
};

struct vhost_port_status {
	bool connected; // the guest's driver is ready: a ring each way is up
	char detail[VHOST_PORT_DETAIL_SIZE];
	uint64_t connects; // peers since the port exists
};

// Listen on @config->path (the strings of @config are copied). A stale socket of ours is replaced;
// anything else there is -EEXIST, a socket that somebody has bound -EADDRINUSE. On success the
// socket listens. The port is ended by its stop(), which blocks while librte_vhost handles a
// message of any peer.
int vhost_port_new(
	const struct vhost_port_config *config, struct switch_port **ret_port, struct error *e
);

// From any thread but a worker's.
void vhost_port_read_status(const struct switch_port *port, struct vhost_port_status *ret_status);
