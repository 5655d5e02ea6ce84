// SPDX-License-Identifier: GPL-2.0-or-later
// The narrow interface between a port and the forwarding code. A guest's port, a TAP and, later, a
// NIC are alike behind it. rx is into the switch, tx out of it.
//
// Threads. poll, release, arm and disarm are called by the one worker that owns the port; send by
// any worker, several at a time; stop by the main thread when no worker can reach the port any
// more.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fallback/counters.h"
#include "fallback/frame.h"
#include "fallback/offload.h"
#include "fallback/vhost/notify.h"
#include "fallback/vhost/ring.h"

#define BURST_FRAMES RING_BURST

// What a port reads into that must offer memory before it knows how long the frame is: one frame of
// any size, many of the usual ones.
#define PORT_BUFFER_BYTES (4 * (RING_HEAD_ROOM + RING_MAX_FRAME))

// What a worker lends to its ports. The frames in hand are in here, so one burst at a time.
struct port_context {
	struct notifier notifier;
	struct ring_burst burst;
	struct offload_cutter cutter;
	uint8_t buffer[PORT_BUFFER_BYTES];
};

struct switch_port;

struct switch_port_ops {
	// Take up to BURST_FRAMES frames, their offload requests checked; they stay good until
	// release(). Counts what it drops, not what it returns.
	uint16_t (*poll
	)(struct switch_port *port, struct port_context *ctx, struct port_counters *counters,
	  struct frame *frames);

	// The frames of the last poll() that brought any are not used any more.
	void (*release)(struct switch_port *port, struct port_context *ctx);

	// Hand over up to BURST_FRAMES frames, by copying them. Counts what it sent and what it
	// dropped.
	void (*send
	)(struct switch_port *port, struct port_context *ctx, struct port_counters *counters,
	  struct frame *const *frames, uint16_t n_frames);

	// The worker wants to sleep: make the port's descriptors wake it. Returns whether frames
	// wait already, or may arrive without a wake-up.
	bool (*arm)(struct switch_port *port);
	// The worker is awake and polls.
	void (*disarm)(struct switch_port *port);

	// Close and free it.
	void (*stop)(struct switch_port *port);
};

// Embedded as the first member of each kind of port.
struct switch_port {
	const struct switch_port_ops *ops;
	_Atomic uint32_t offloads; // PORT_TAKES_*; may change with each peer
};
