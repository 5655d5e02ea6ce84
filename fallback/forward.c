// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/forward.h"

#include <stdlib.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "fallback/frame.h"
#include "fallback/offload.h"

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

// Count and free a frame that came from @in.
static void drop_received(
	const struct forward_context *ctx, const struct forward_port *in, struct rte_mbuf *m,
	enum drop_reason reason
) {
	counter_add(&counters_of(ctx, in)->rx_drop[reason], 1);
	rte_pktmbuf_free(m);
}

// Count frames that do not reach @out. Borrows them, as a flooded one has other receivers.
static void refuse(
	const struct forward_context *ctx, const struct forward_port *out, uint64_t n_frames,
	enum drop_reason reason
) {
	counter_add(&counters_of(ctx, out)->tx_drop[reason], n_frames);
}

static bool is_member(const struct forward_port *port, uint16_t vlan) {
	return port->trunk || port->vlan == vlan;
}

// Find the frame's VLAN and put it into vlan_tci; the tag leaves the bytes. Returns DROP_REASONS if
// the frame may go on.
static enum drop_reason classify(const struct forward_port *in, struct rte_mbuf *m) {
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	int vlan = 0;

	if (unlikely(m->data_len < FRAME_HEADER_BYTES))
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
		vlan = frame_pop_tag(m);
		if (vlan < 0)
			return DROP_RUNT;
		// VLAN 0 is a priority without a VLAN. Any other tag is for trunks; behind one,
		// whatever follows belongs to the guests of that VLAN.
		if (!in->trunk && (vlan != 0 || frame_ether_type(m) == RTE_ETHER_TYPE_VLAN))
			return DROP_TAGGED;
	}
	if (unlikely(frame_ether_type(m) == RTE_ETHER_TYPE_QINQ) && vlan == 0)
		return DROP_TAGGED;
	m->vlan_tci = in->trunk ? (uint16_t)vlan : in->vlan;
	return DROP_REASONS;
}

// The one port that @m is for, or NULL to flood it. The table is advice, membership is checked
// here.
static const struct forward_port *look_up(
	const struct forward_context *ctx, const struct forward_port *in, const struct rte_mbuf *m
) {
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct forward_port *out;
	uint16_t id;

	if (rte_is_multicast_ether_addr(&eth->dst_addr))
		return NULL;
	id = fdb_find(in->network->fdb, &eth->dst_addr, m->vlan_tci, ctx->now_s);
	if (id >= FORWARD_MAX_PORTS)
		return NULL;
	out = &ctx->table->ports[id];
	if (unlikely(
		    out->io == NULL || out->network != in->network || !is_member(out, m->vlan_tci)
	    ))
		return NULL;
	return out;
}

// Segment a TSO frame for a receiver that does not take it whole. Borrows @m.
static void send_segmented(
	const struct forward_context *ctx, const struct forward_port *out, const struct rte_mbuf *m
) {
	struct rte_mbuf *segments[OFFLOAD_MAX_SEGMENTS];
	int n = offload_segment(m, ctx->pool, segments);

	if (n < 0) {
		refuse(ctx, out, 1, n == -E2BIG ? DROP_BAD_OFFLOAD : DROP_NO_MEMORY);
		return;
	}
	for (int i = 0; i < n; i += BURST_FRAMES)
		out->io->ops->send(
			out->io, counters_of(ctx, out), &segments[i],
			(uint16_t)RTE_MIN(n - i, BURST_FRAMES)
		);
	rte_pktmbuf_free_bulk(segments, (unsigned int)n);
}

// Send frames of a VLAN that @out is a member of, in order. Borrows them.
static void send_group(
	const struct forward_context *ctx, const struct forward_port *out, struct rte_mbuf **frames,
	uint16_t n_frames
) {
	uint32_t offloads = atomic_load_explicit(&out->io->offloads, memory_order_relaxed);
	struct rte_mbuf *ready[BURST_FRAMES];
	uint16_t n_ready = 0;

	if (unlikely(!out->link_up)) {
		refuse(ctx, out, n_frames, DROP_LINK_DOWN);
		return;
	}
	for (uint16_t i = 0; i < n_frames; i++) {
		struct rte_mbuf *m = frames[i];

		if (unlikely(frame_wire_bytes(m) > out->max_frame_bytes)) {
			refuse(ctx, out, 1, DROP_TOO_BIG);
			continue;
		}
		if (offload_must_resolve(m, offloads)) {
			if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
				if (n_ready > 0) // keep the order
					out->io->ops->send(
						out->io, counters_of(ctx, out), ready, n_ready
					);
				n_ready = 0;
				send_segmented(ctx, out, m);
				continue;
			}
			offload_finish_checksum(m); // right for every other receiver as well
		}
		ready[n_ready++] = m;
	}
	if (n_ready > 0)
		out->io->ops->send(out->io, counters_of(ctx, out), ready, n_ready);
}

// Give @m to every other member of its VLAN. Consumes it.
static void flood(
	const struct forward_context *ctx, const struct forward_port *in, struct rte_mbuf *m
) {
	uint16_t n_receivers = 0;

	for (uint16_t i = 0; i < in->network->n_ports; i++) {
		const struct forward_port *out = &ctx->table->ports[in->network->ports[i]];

		if (out == in || !is_member(out, m->vlan_tci))
			continue;
		send_group(ctx, out, &m, 1);
		n_receivers++;
	}
	if (n_receivers == 0)
		drop_received(ctx, in, m, DROP_NO_RECEIVER);
	else
		rte_pktmbuf_free(m);
}

// Classify, learn, and flood what has no single receiver. What has one stays in @frames, its
// receiver in @receivers. Returns how many stayed.
static uint16_t sort_out(
	const struct forward_context *ctx, const struct forward_port *in, struct rte_mbuf **frames,
	uint16_t n_frames, const struct forward_port **receivers
) {
	uint16_t n_kept = 0;

	for (uint16_t i = 0; i < n_frames; i++) {
		struct rte_mbuf *m = frames[i];
		enum drop_reason reason = classify(in, m);
		const struct forward_port *out;

		if (unlikely(reason != DROP_REASONS)) {
			drop_received(ctx, in, m, reason);
			continue;
		}
		fdb_learn(
			in->network->fdb, &rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->src_addr,
			m->vlan_tci, in->id, ctx->now_s
		);
		out = look_up(ctx, in, m);
		if (out == NULL) {
			flood(ctx, in, m);
		} else if (unlikely(out == in)) {
			drop_received(ctx, in, m, DROP_HAIRPIN);
		} else {
			frames[n_kept] = m;
			receivers[n_kept++] = out;
		}
	}
	return n_kept;
}

void forward_burst(
	const struct forward_context *ctx, const struct forward_port *in, struct rte_mbuf **frames,
	uint16_t n_frames
) {
	const struct forward_port *receivers[BURST_FRAMES];
	uint16_t n_kept;

	counters_received(counters_of(ctx, in), frames, n_frames);
	n_kept = sort_out(ctx, in, frames, n_frames, receivers);

	for (uint16_t first = 0; first < n_kept; first++) {
		const struct forward_port *out = receivers[first];
		struct rte_mbuf *group[BURST_FRAMES];
		uint16_t n_group = 0;

		if (out == NULL)
			continue; // went with an earlier group
		for (uint16_t i = first; i < n_kept; i++) {
			if (receivers[i] != out)
				continue;
			group[n_group++] = frames[i];
			receivers[i] = NULL;
		}
		send_group(ctx, out, group, n_group);
	}
	rte_pktmbuf_free_bulk(frames, n_kept);
}
