// SPDX-License-Identifier: GPL-2.0-or-later
// What the switch counts: for each port and worker, so that no worker writes what another one
// writes. Readers add them up. rx is into the switch, tx out of it. A TSO frame is one packet.

#pragma once

#include <stdint.h>

#include <rte_common.h>

// Why a frame was dropped. The one list of reasons: counters.c has the names that people see.
enum drop_reason {
	DROP_RUNT,        // rx: shorter than an Ethernet header
	DROP_MALFORMED,   // rx: the guest's descriptors are no frame in its memory
	DROP_BAD_SOURCE,  // rx: the source address is a group address or zero
	DROP_RESERVED,    // rx: to 01:80:c2:00:00:0x, which a bridge must not forward
	DROP_TAGGED,      // rx: a VLAN tag where none is allowed
	DROP_BAD_OFFLOAD, // rx: the offload request contradicts the frame
	DROP_HAIRPIN,     // rx: the receiver is the sender
	DROP_NO_RECEIVER, // rx: nobody else is in the VLAN
	DROP_LINK_DOWN,   // both: the port's link is down
	DROP_NOT_READY,   // tx: no driver, or its ring is at fault; rx: its ring is disabled
	DROP_TOO_BIG,     // rx: longer than any frame; tx: than the receiver's MTU
	DROP_RING_FULL,   // tx: the receiver does not keep up
	DROP_IO_ERROR,    // tx: the kernel refused the frame
	DROP_REASONS,     // how many
};

struct port_counters {
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t rx_drop[DROP_REASONS];
	uint64_t tx_drop[DROP_REASONS];
} __rte_cache_aligned;

// "ring_full". Static storage.
const char *drop_reason_name(enum drop_reason reason);

// Add to a counter that only the calling thread writes and that others read.
static inline void counter_add(uint64_t *counter, uint64_t n) {
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

// Add the counters of another thread to @sum.
void counters_add(struct port_counters *sum, const struct port_counters *counters);

// Count frames that arrived, or were handed to the receiver.
static inline void counters_received(
	struct port_counters *counters, uint64_t n_frames, uint64_t bytes
) {
	counter_add(&counters->rx_packets, n_frames);
	counter_add(&counters->rx_bytes, bytes);
}

static inline void counters_sent(
	struct port_counters *counters, uint64_t n_frames, uint64_t bytes
) {
	counter_add(&counters->tx_packets, n_frames);
	counter_add(&counters->tx_bytes, bytes);
}
