// SPDX-License-Identifier: GPL-2.0-or-later
// The narrow interface between a port and the forwarding code. A guest's port, a TAP and, later, a
// NIC are alike behind it. rx is into the switch, tx out of it.
//
// Threads. poll, arm and disarm are called by the one worker that owns the port; send by any
// worker, several at a time; stop by the main thread when no worker can reach the port any more.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "fallback/counters.h"

#define BURST_FRAMES 32 // librte_vhost moves no more in one call

// What a receiver takes besides complete frames (bits of switch_port.offloads).
enum {
	PORT_TAKES_CSUM = 1 << 0, // an unfinished TCP or UDP checksum
	PORT_TAKES_TSO4 = 1 << 1, // unsegmented TCP over IPv4
	PORT_TAKES_TSO6 = 1 << 2, // unsegmented TCP over IPv6
};

struct rx_buffers;
struct switch_port;

struct switch_port_ops {
	// Take up to @max (at most BURST_FRAMES) frames. They have their offload state in the form
	// of frame.h and belong to the caller. Counts what it drops, not what it returns.
	uint16_t (*poll
	)(struct switch_port *port, struct rx_buffers *buffers, struct port_counters *counters,
	  struct rte_mbuf **frames, uint16_t max);

	// Hand over up to BURST_FRAMES frames. Borrows them: it copies, and a port that keeps a
	// frame takes its own reference. It may finish or rewrite a frame's L4 checksum field,
	// nothing else. Counts what it sent and what it dropped.
	void (*send
	)(struct switch_port *port, struct port_counters *counters, struct rte_mbuf **frames,
	  uint16_t n_frames);

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
