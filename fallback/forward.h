// SPDX-License-Identifier: GPL-2.0-or-later
// The hot path: classify each frame, look up its receiver, group by receiver, send.
//
// A table is what the workers see of the configuration. It is immutable: a change publishes a new
// one, and the old one is freed when every worker has let go of it (worker.h). VLANs: an access
// port sends and receives untagged frames, which belong to its VLAN; a trunk port (the uplink) is a
// member of every VLAN.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fallback/counters.h"
#include "fallback/fdb.h"
#include "fallback/port.h"

#define FORWARD_MAX_PORTS 768 // guests' ports and uplinks
_Static_assert(FORWARD_MAX_PORTS <= FDB_MAX_PORTS, "the FDB counts each port's entries");

struct forward_network {
	struct fdb *fdb; // borrowed
	uint16_t n_ports;
	uint16_t ports[FORWARD_MAX_PORTS]; // ids of its members
};

struct forward_port {
	struct switch_port *io; // borrowed; NULL: no such port
	struct forward_network *network;
	uint16_t id;
	uint16_t vlan; // of an access port; 0: untagged
	uint16_t worker;
	bool trunk;
	bool link_up;
	uint32_t max_frame_bytes; // without tag
};

struct forward_table {
	struct forward_port ports[FORWARD_MAX_PORTS]; // by id
	uint16_t n_polled;
	uint16_t polled[FORWARD_MAX_PORTS]; // ids in use
	uint16_t n_networks;
	struct forward_network *networks;
};

// A table for @n_networks networks, without ports; NULL when out of memory.
struct forward_table *forward_table_new(uint16_t n_networks);
void forward_table_free(struct forward_table *table);

// Make @port, complete but for its network, a member of network @network_index.
void forward_table_add(
	struct forward_table *table, uint16_t network_index, const struct forward_port *port
);

// What a worker forwards with.
struct forward_context {
	const struct forward_table *table;
	struct port_counters *counters; // of this worker, by port id
	struct port_context *io;
	uint32_t now_s;
};

// Forward one burst that arrived on @in. The frames are not used afterwards.
void forward_burst(
	const struct forward_context *ctx, const struct forward_port *in, struct frame *frames,
	uint16_t n_frames
);
