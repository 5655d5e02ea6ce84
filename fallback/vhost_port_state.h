// SPDX-License-Identifier: GPL-2.0-or-later
// What the main thread's side of a guest's port (vhost_port.c) and that of the workers
// (vhost_port_worker.c) share. Nobody else includes this.
//
// Theory. The main thread runs the session; workers use its rings. What they may use is a view of
// it: the rings that run, as pointers and sets of queue pairs. The view is plain memory. It is
// changed only while `live` is false and every worker has passed a quiescent state since
// (quiesce), and used only by a worker that has found `live` true in the same turn. While nothing
// runs there is no view, and the many messages that set up a device make no worker wait.
//
// A kick descriptor leaves the worker's epoll set before the session may close it (closing alone
// would not do: the set knows what the descriptor stands for, and the peer has it too), and comes
// back with the view; so it needs no duplicate.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_spinlock.h>

#include "fallback/port.h"
#include "fallback/vhost_peer.h"
#include "fallback/vhost_port.h"
#include "fallback/worker.h"

// Numbers of the rings of a queue pair, named by the guest in virtio and by the switch here.
#define RING_RX(pair) ((pair)*2 + 1) // what the guest sends
#define RING_TX(pair) ((pair)*2)     // what the guest receives

struct vhost_port {
	struct switch_port base;

	// The view.
	atomic_bool live;
	uint64_t rx_up; // queue pairs whose ring runs, a bit each
	uint64_t tx_up; // and is enabled
	bool unwatched; // a ring of rx_up has no kick that could wake the worker
	struct ring *rx_rings[VHOST_PORT_MAX_QUEUE_PAIRS];
	struct ring *tx_rings[VHOST_PORT_MAX_QUEUE_PAIRS];

	// Of the worker that polls.
	uint16_t next_pair;  // where the next poll begins
	struct ring *in_use; // that the frames in hand are from, or NULL

	_Atomic uint64_t announced; // the address to be told to the network, or 0
	rte_spinlock_t tx_locks[VHOST_PORT_MAX_QUEUE_PAIRS];
	bool tx_shared; // more than one worker sends

	struct vhost_peer *peer;
	int kick_fds[VHOST_PORT_MAX_QUEUE_PAIRS]; // in the epoll set, or -1
	uint16_t queue_pairs;
	struct workers *workers;
	uint16_t worker;
	int changed_fd;
};

static inline struct vhost_port *vhost_port_of(struct switch_port *port) {
	return (struct vhost_port *)port;
}

// Of struct switch_port_ops.
uint16_t vhost_port_poll(
	struct switch_port *base, struct port_context *ctx, struct port_counters *counters,
	struct frame *frames
);
void vhost_port_release(struct switch_port *base, struct port_context *ctx);
void vhost_port_send(
	struct switch_port *base, struct port_context *ctx, struct port_counters *counters,
	struct frame *const *frames, uint16_t n_frames
);
bool vhost_port_arm(struct switch_port *base);
void vhost_port_disarm(struct switch_port *base);
