// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/forward.h"

#include <stdlib.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

struct forward_table *forward_table_new(uint16_t n_networks) {
	struct forward_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->networks = calloc(n_networks, sizeof(*table->networks));
	if (table->networks == NULL && n_networks > 0) {
		free(table);
		return NULL;
	}
	table->n_networks = n_networks;
	return table;
}

void forward_table_free(struct forward_table *table) {
	if (table == NULL)
		return;
	free(table->networks);
	free(table);
}

void forward_table_add(
	struct forward_table *table, uint16_t network_index, const struct forward_port *port
) {
	struct forward_network *network = &table->networks[network_index];

	table->ports[port->id] = *port;
	table->ports[port->id].network = network;
	table->polled[table->n_polled++] = port->id;
	network->ports[network->n_ports++] = port->id;
}

static struct port_counters *counters_of(
	const struct forward_context *ctx, const struct forward_port *port
) {
	return &ctx->counters[port->id];
}

// Count a frame that came from @in and goes nowhere.
static void drop_received(
	const struct forward_context *ctx, const struct forward_port *in, enum drop_reason reason
) {
	counter_add(&counters_of(ctx, in)->rx_drop[reason], 1);
}

// Count frames that do not reach @out.
static void refuse(
	const struct forward_context *ctx, const struct forward_port *out, uint64_t n_frames,
	enum drop_reason reason
) {
	counter_add(&counters_of(ctx, out)->tx_drop[reason], n_frames);
}

static bool is_member(const struct forward_port *port, uint16_t vlan) {
	return port->trunk || port->vlan == vlan;
}

// Find the frame's VLAN; the tag leaves the bytes. Returns DROP_REASONS if the frame may go on.
static enum drop_reason classify(const struct forward_port *in, struct frame *f) {
	const struct rte_ether_hdr *eth = (const struct rte_ether_hdr *)f->bytes->head;
	int vlan = 0;

	if (unlikely(f->bytes->head_size < FRAME_HEADER_BYTES))
		return DROP_RUNT;
	if (unlikely(!in->link_up))
		return DROP_LINK_DOWN;
	if (unlikely(
		    rte_is_multicast_ether_addr(&eth->src_addr) ||
		    rte_is_zero_ether_addr(&eth->src_addr)
	    ))
		return DROP_BAD_SOURCE;
	// IEEE 802.1Q 8.6.3: spanning tree, pause, LACP, LLDP end at each bridge.
	if (unlikely(
		    (*(const unaligned_uint64_t *)eth & RTE_BE64(0xfffffffffff00000)) ==
		    RTE_BE64(0x0180c20000000000)
	    ))
		return DROP_RESERVED;

	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		vlan = frame_pop_tag(f);
		if (vlan < 0)
			return DROP_RUNT;
		// VLAN 0 is a priority without a VLAN. Any other tag is for trunks; behind one,
		// whatever follows belongs to the guests of that VLAN.
		if (!in->trunk && (vlan != 0 || frame_ether_type(f->bytes) == RTE_ETHER_TYPE_VLAN))
			return DROP_TAGGED;
	}
	if (unlikely(frame_ether_type(f->bytes) == RTE_ETHER_TYPE_QINQ) && vlan == 0)
		return DROP_TAGGED;
	f->vlan = in->trunk ? (uint16_t)vlan : in->vlan;
	return DROP_REASONS;
}

// The one port that @f is for, or NULL to flood it. The table is advice, membership is checked
// here.
static const struct forward_port *look_up(
	const struct forward_context *ctx, const struct forward_port *in, const struct frame *f
) {
	const struct rte_ether_hdr *eth = (const struct rte_ether_hdr *)f->bytes->head;
	const struct forward_port *out;
	uint16_t id;

	if (rte_is_multicast_ether_addr(&eth->dst_addr))
		return NULL;
	id = fdb_find(in->network->fdb, &eth->dst_addr, f->vlan, ctx->now_s);
	if (id >= FORWARD_MAX_PORTS)
		return NULL;
	out = &ctx->table->ports[id];
	if (unlikely(out->io == NULL || out->network != in->network || !is_member(out, f->vlan)))
		return NULL;
	return out;
}

static void hand_over(
	const struct forward_context *ctx, const struct forward_port *out,
	struct frame *const *frames, uint16_t n_frames
) {
	if (n_frames > 0)
		out->io->ops->send(out->io, ctx->io, counters_of(ctx, out), frames, n_frames);
}

// Segment a TSO frame for a receiver that does not take it whole.
static void send_segmented(
	const struct forward_context *ctx, const struct forward_port *out, const struct frame *f
) {
	struct offload_cutter *cutter = &ctx->io->cutter;
	uint16_t n;

	if (offload_cut_begin(cutter, f) < 0) {
		refuse(ctx, out, 1, DROP_BAD_OFFLOAD);
		return;
	}
	while ((n = offload_cut_next(cutter)) > 0) {
		struct frame *segments[OFFLOAD_SEGMENTS_AT_ONCE];

		for (uint16_t i = 0; i < n; i++)
			segments[i] = &cutter->frames[i];
		hand_over(ctx, out, segments, n);
	}
}

// Send frames of a VLAN that @out is a member of, in order.
static void send_group(
	const struct forward_context *ctx, const struct forward_port *out, struct frame **frames,
	uint16_t n_frames
) {
	uint32_t offloads = atomic_load_explicit(&out->io->offloads, memory_order_relaxed);
	struct frame *ready[BURST_FRAMES];
	uint16_t n_ready = 0;

	if (unlikely(!out->link_up)) {
		refuse(ctx, out, n_frames, DROP_LINK_DOWN);
		return;
	}
	for (uint16_t i = 0; i < n_frames; i++) {
		struct frame *f = frames[i];

		if (unlikely(frame_wire_bytes(f) > out->max_frame_bytes)) {
			refuse(ctx, out, 1, DROP_TOO_BIG);
			continue;
		}
		if (offload_must_resolve(f, offloads)) {
			if (f->needs & FRAME_NEEDS_TSO) {
				hand_over(ctx, out, ready, n_ready); // keep the order
				n_ready = 0;
				send_segmented(ctx, out, f);
				continue;
			}
			offload_finish_checksum(f); // right for every other receiver as well
		}
		ready[n_ready++] = f;
	}
	hand_over(ctx, out, ready, n_ready);
}

// Frames without a known receiver that follow one another.
struct flood {
	uint16_t n_frames;
	struct frame *frames[BURST_FRAMES];
};
_Static_assert(BURST_FRAMES <= 64, "send_flood() has a bit for each frame");

// Give each frame to every other member of its VLAN, in order, and empty the flood. A receiver gets
// its frames at once: it may cost a lock and an interrupt, and there may be hundreds.
static void send_flood(
	const struct forward_context *ctx, const struct forward_port *in, struct flood *flood
) {
	uint64_t received = 0; // frames that somebody was there for

	for (uint16_t p = 0; p < in->network->n_ports; p++) {
		const struct forward_port *out = &ctx->table->ports[in->network->ports[p]];
		struct frame *group[BURST_FRAMES];
		uint16_t n_group = 0;

		if (out == in)
			continue;
		for (uint16_t i = 0; i < flood->n_frames; i++) {
			if (!is_member(out, flood->frames[i]->vlan))
				continue;
			group[n_group++] = flood->frames[i];
			received |= UINT64_C(1) << i;
		}
		if (n_group > 0)
			send_group(ctx, out, group, n_group);
	}
	for (uint16_t i = 0; i < flood->n_frames; i++) {
		if (!(received & UINT64_C(1) << i))
			drop_received(ctx, in, DROP_NO_RECEIVER);
	}
	flood->n_frames = 0;
}

// An address and a VLAN as one number, by loads that do not stall (fdb.c).
static uint64_t station(const uint8_t *mac, uint16_t vlan) {
	uint32_t low = *(const unaligned_uint32_t *)mac;
	uint16_t high = *(const unaligned_uint16_t *)(mac + sizeof(low));

	return (uint64_t)high << 48 | (uint64_t)low << 16 | vlan;
}

// Frames that have one receiver each.
struct batch {
	uint16_t n_frames;
	struct frame *frames[BURST_FRAMES];
	const struct forward_port *receivers[BURST_FRAMES];
};

// Send each receiver its frames, in order, and empty the batch.
static void send_batch(const struct forward_context *ctx, struct batch *batch) {
	for (uint16_t first = 0; first < batch->n_frames; first++) {
		const struct forward_port *out = batch->receivers[first];
		struct frame *group[BURST_FRAMES];
		uint16_t n_group = 0;

		if (out == NULL)
			continue; // went with an earlier group
		for (uint16_t i = first; i < batch->n_frames; i++) {
			if (batch->receivers[i] != out)
				continue;
			group[n_group++] = batch->frames[i];
			batch->receivers[i] = NULL;
		}
		send_group(ctx, out, group, n_group);
	}
	batch->n_frames = 0;
}

// Frames that follow one another mostly go between the same two stations, so the last answers of
// the FDB are kept in mind.
void forward_burst(
	const struct forward_context *ctx, const struct forward_port *in, struct frame *frames,
	uint16_t n_frames
) {
	uint64_t learnt = 0, found = 0; // who is 0 is nowhere
	const struct forward_port *out = NULL;
	struct batch batch = {.n_frames = 0}; // one of the two is empty: this keeps the order
	struct flood flood = {.n_frames = 0};
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n_frames; i++) {
		struct frame *f = &frames[i];
		uint64_t source, destination;
		enum drop_reason reason;

		bytes += f->bytes->size;
		reason = classify(in, f);
		if (unlikely(reason != DROP_REASONS)) {
			drop_received(ctx, in, reason);
			continue;
		}
		source = station(f->bytes->head + RTE_ETHER_ADDR_LEN, f->vlan);
		if (source != learnt)
			fdb_learn(
				in->network->fdb, f->bytes->head + RTE_ETHER_ADDR_LEN, f->vlan,
				in->id, ctx->now_s
			);
		learnt = source;
		destination = station(f->bytes->head, f->vlan);
		if (destination != found)
			out = look_up(ctx, in, f);
		found = destination;
		if (out == NULL) {
			send_batch(ctx, &batch);
			flood.frames[flood.n_frames++] = f;
		} else if (unlikely(out == in)) {
			drop_received(ctx, in, DROP_HAIRPIN);
		} else {
			if (unlikely(flood.n_frames > 0))
				send_flood(ctx, in, &flood);
			batch.frames[batch.n_frames] = f;
			batch.receivers[batch.n_frames++] = out;
		}
	}
	send_batch(ctx, &batch);
	if (unlikely(flood.n_frames > 0))
		send_flood(ctx, in, &flood);
	counters_received(counters_of(ctx, in), n_frames, bytes);
}
