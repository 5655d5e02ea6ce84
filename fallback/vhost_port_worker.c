// SPDX-License-Identifier: GPL-2.0-or-later
// The workers' side of a guest's port: frames off its rings and onto them.

#include "fallback/vhost_port_state.h"

#include <errno.h>
#include <string.h>

#include <linux/virtio_net.h>
#include <rte_byteorder.h>
#include <rte_ether.h>

#include "fallback/spread.h"

// Frames before the end of a burst. A line of another CPU's cache takes 100 to 600 cycles to come, a
// frame 100 to 200 to be placed.
#define FLUSH_IS_NEAR 4

#define RARP_BYTES 60 // with the padding of an Ethernet frame

static void count_drops(
	struct port_counters *counters, const struct ring_stats *before,
	const struct ring_stats *after
) {
	counter_add(&counters->rx_drop[DROP_RUNT], after->runts - before->runts);
	counter_add(&counters->rx_drop[DROP_TOO_BIG], after->oversized - before->oversized);
	counter_add(&counters->rx_drop[DROP_MALFORMED], after->malformed - before->malformed);
}

static void give_back(struct ring *r, struct port_context *ctx) {
	ring_give_back(r, &ctx->burst);
	ring_flush(r, &ctx->notifier);
}

static uint16_t take_from(
	struct vhost_port *port, struct ring *r, struct port_context *ctx,
	struct port_counters *counters, struct frame *frames
) {
	const struct ring_stats before = r->stats;
	struct ring_burst *burst = &ctx->burst;
	uint16_t n_frames = 0;

	ring_take(r, burst, BURST_FRAMES);
	if (burst->n_taken == 0)
		return 0;
	if (unlikely(burst->n_taken != burst->n_frames))
		count_drops(counters, &before, &r->stats);
	if (unlikely(!r->enabled)) {
		counter_add(&counters->rx_drop[DROP_NOT_READY], burst->n_frames);
		burst->n_frames = 0;
	}
	for (uint16_t i = 0; i < burst->n_frames; i++) {
		struct frame *f = &frames[n_frames];

		f->bytes = &burst->frames[i];
		if (unlikely(offload_check(f) < 0))
			counter_add(&counters->rx_drop[DROP_BAD_OFFLOAD], 1);
		else
			n_frames++;
	}
	if (n_frames > 0)
		port->in_use = r;
	else
		give_back(r, ctx);
	return n_frames;
}

// A frame that the guest would send if it knew that it has moved: a reverse ARP request for its own
// address, so that the network learns where it is.
static uint16_t take_announcement(
	struct vhost_port *port, struct port_context *ctx, struct frame *frames
) {
	static const uint8_t request[] = {0, 1, 0x08, 0, 6, 4, 0, 3}; // Ethernet, IPv4, RFC 903
	uint64_t mac = atomic_exchange(&port->announced, 0);
	struct ring_frame *bytes = &ctx->burst.frames[0];
	uint8_t *p = ctx->burst.heads[0] + RING_HEAD_ROOM;

	*bytes = (struct ring_frame){.head = p, .head_size = RARP_BYTES, .size = RARP_BYTES};
	memset(p, 0, RARP_BYTES);
	memset(p, 0xff, RTE_ETHER_ADDR_LEN);
	memcpy(p + 6, &mac, RTE_ETHER_ADDR_LEN);
	p[12] = 0x80; // RARP
	p[13] = 0x35;
	memcpy(p + 14, request, sizeof(request));
	memcpy(p + 22, &mac, RTE_ETHER_ADDR_LEN); // of the sender
	memcpy(p + 32, &mac, RTE_ETHER_ADDR_LEN); // and of who is looked for
	frames[0] = (struct frame){.bytes = bytes};
	return 1;
}

// A burst from the next ring that has frames, so that each gets its turn.
uint16_t vhost_port_poll(
	struct switch_port *base, struct port_context *ctx, struct port_counters *counters,
	struct frame *frames
) {
	struct vhost_port *port = vhost_port_of(base);

	port->in_use = NULL;
	if (unlikely(atomic_load_explicit(&port->announced, memory_order_relaxed) != 0))
		return take_announcement(port, ctx, frames);
	if (!atomic_load_explicit(&port->live, memory_order_acquire))
		return 0;
	for (uint16_t i = 0; i < port->queue_pairs; i++) {
		uint16_t pair = port->next_pair;
		uint16_t n;

		port->next_pair = (uint16_t)(pair + 1 == port->queue_pairs ? 0 : pair + 1);
		if (!(port->rx_up & (UINT64_C(1) << pair)))
			continue;
		n = take_from(port, port->rx_rings[pair], ctx, counters, frames);
		if (n > 0)
			return n;
	}
	return 0;
}

void vhost_port_release(struct switch_port *base, struct port_context *ctx) {
	struct vhost_port *port = vhost_port_of(base);

	if (port->in_use != NULL)
		give_back(port->in_use, ctx);
	port->in_use = NULL;
}

static void send_on_ring(
	struct vhost_port *port, uint16_t pair, struct port_context *ctx,
	struct port_counters *counters, struct frame *const *frames, uint16_t n_frames
) {
	struct ring *r = port->tx_rings[pair];
	struct virtio_net_hdr_v1 headers[BURST_FRAMES];
	uint16_t n_sent = 0, n_full = 0;
	uint64_t bytes = 0;

	// All before the first is used, or its load would wait for these stores.
	for (uint16_t i = 0; i < n_frames; i++)
		offload_describe(frames[i], 0, &headers[i]);
	if (port->tx_shared)
		rte_spinlock_lock(&port->tx_locks[pair]);
	if (n_frames > 1)
		ring_expect(r, n_frames);
	for (uint16_t i = 0; i < n_frames; i++) {
		int error;

		if (i + FLUSH_IS_NEAR == n_frames)
			ring_expect_flush(r);
		error = ring_place(r, frames[i]->bytes, &headers[i]);
		if (error < 0) {
			n_full += error == -ENOBUFS;
			continue;
		}
		n_sent++;
		bytes += frames[i]->bytes->size;
	}
	ring_flush(r, &ctx->notifier);
	if (port->tx_shared)
		rte_spinlock_unlock(&port->tx_locks[pair]);

	counters_sent(counters, n_sent, bytes);
	if (n_sent == n_frames)
		return;
	counter_add(&counters->tx_drop[DROP_RING_FULL], n_full);
	counter_add(&counters->tx_drop[DROP_NOT_READY], n_frames - n_sent - n_full);
}

// Each flow keeps to one ring, and so keeps its order.
static void send_by_flow(
	struct vhost_port *port, struct port_context *ctx, struct port_counters *counters,
	struct frame *const *frames, uint16_t n_frames
) {
	uint8_t pairs[BURST_FRAMES];
	uint64_t used = spread_flows(port->tx_up, frames, n_frames, pairs);

	for (; used != 0; used &= used - 1) {
		uint16_t pair = (uint16_t)__builtin_ctzll(used);
		struct frame *group[BURST_FRAMES];
		uint16_t n_group = 0;

		for (uint16_t i = 0; i < n_frames; i++) {
			if (pairs[i] == pair)
				group[n_group++] = frames[i];
		}
		send_on_ring(port, pair, ctx, counters, group, n_group);
	}
}

void vhost_port_send(
	struct switch_port *base, struct port_context *ctx, struct port_counters *counters,
	struct frame *const *frames, uint16_t n_frames
) {
	struct vhost_port *port = vhost_port_of(base);
	uint64_t up;

	if (!atomic_load_explicit(&port->live, memory_order_acquire) || port->tx_up == 0) {
		counter_add(&counters->tx_drop[DROP_NOT_READY], n_frames);
		return;
	}
	up = port->tx_up;
	if ((up & (up - 1)) == 0)
		send_on_ring(port, (uint16_t)__builtin_ctzll(up), ctx, counters, frames, n_frames);
	else
		send_by_flow(port, ctx, counters, frames, n_frames);
}

static bool watch_rings(struct vhost_port *port, bool on) {
	bool pending = false;

	for (uint64_t pairs = port->rx_up; pairs != 0; pairs &= pairs - 1)
		pending |= ring_watch(port->rx_rings[__builtin_ctzll(pairs)], on);
	return pending;
}

bool vhost_port_arm(struct switch_port *base) {
	struct vhost_port *port = vhost_port_of(base);
	bool pending = atomic_load(&port->announced) != 0;

	if (atomic_load_explicit(&port->live, memory_order_acquire))
		pending |= watch_rings(port, true) || port->unwatched;
	return pending;
}

void vhost_port_disarm(struct switch_port *base) {
	struct vhost_port *port = vhost_port_of(base);

	if (atomic_load_explicit(&port->live, memory_order_acquire))
		watch_rings(port, false);
}
