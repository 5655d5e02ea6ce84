// SPDX-License-Identifier: GPL-2.0-or-later
// The peer of a guest's port: the socket at which it is awaited, and its session (vhost/session.h)
// in the main thread's event loop. One at a time; who comes while one is there is sent away. When
// a peer goes, by itself or because of what it did, the next one may come.
//
// Everything here runs in the main thread and never waits.

#pragma once

#include <sys/types.h>

#include <systemd/sd-event.h>

#include "fallback/vhost/session.h"
#include "vdpad/util/error.h"

#define VHOST_PEER_REASON_SIZE 80

struct vhost_peer;

struct vhost_peer_config {
	const char *path;
	mode_t socket_mode;
	gid_t socket_group;                   // (gid_t)-1 leaves the group alone
	sd_event *event;                      // borrowed
	const struct session_config *session; // copied; its ops and notifier are borrowed
	void (*changed)(void *arg); // the session has begun, ended, or may be in another state
	void *arg;
};

// Listen at @config->path. A stale socket of ours is replaced; anything else there is -EEXIST, a
// socket that somebody has bound -EADDRINUSE.
int vhost_peer_new(
	const struct vhost_peer_config *config, struct vhost_peer **ret_peer, struct error *e
);

// Ends the session and removes the socket.
void vhost_peer_free(struct vhost_peer *peer);

// NULL while nobody is there.
struct session *vhost_peer_session(const struct vhost_peer *peer);

// How many have come so far.
uint64_t vhost_peer_connects(const struct vhost_peer *peer);

// Why the last session was ended by us; "" if the peer went by itself or none was there.
const char *vhost_peer_reason(const struct vhost_peer *peer);
