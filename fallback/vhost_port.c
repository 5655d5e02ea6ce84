// SPDX-License-Identifier: GPL-2.0-or-later
// Theory. The main thread runs the session; workers use its rings. What they may use is a view of
// it: the rings that run, as pointers and sets of queue pairs. The view is plain memory. It is
// changed only while `live` is false and every worker has passed a quiescent state since
// (quiesce), and used only by a worker that has found `live` true in the same turn. While nothing
// runs there is no view, and the many messages that set up a device make no worker wait.
//
// A kick descriptor leaves the worker's epoll set before the session may close it (closing alone
// would not do: the set knows what the descriptor stands for, and the peer has it too), and comes
// back with the view; so it needs no duplicate.

#include "fallback/vhost_port.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_spinlock.h>

#include "fallback/spread.h"
#include "fallback/vhost_peer.h"
#include "vdpad/util/cleanup.h"

#define BIT(n) (UINT64_C(1) << (n))
// A VM larger than this cannot be served. Address space is all that it costs, of which a process
// has 128 TiB: many peers would have to ask for it at once.
#define MAX_GUEST_BYTES (UINT64_C(4) << 40)
// Newer than Debian 12's headers: segmentation of UDP, which is resolved nowhere here.
#define F_GUEST_USO4 54
#define F_GUEST_USO6 55
#define F_HOST_USO 56
#define REFUSED_FEATURES \
	(BIT(VIRTIO_F_RING_PACKED) | BIT(F_GUEST_USO4) | BIT(F_GUEST_USO6) | BIT(F_HOST_USO))

// Numbers of the rings of a queue pair, named by the guest in virtio and by the switch here.
#define RING_RX(pair) ((pair)*2 + 1) // what the guest sends
#define RING_TX(pair) ((pair)*2)     // what the guest receives

// Frames before the end of a burst. A line of another CPU's cache takes 100 to 600 cycles to come, a
// frame 100 to 200 to be placed.
#define FLUSH_IS_NEAR 4

#define RARP_BYTES 60 // with the padding of an Ethernet frame

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

static struct vhost_port *vhost_of(struct switch_port *port) {
	return (struct vhost_port *)port;
}

// The worker's side

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
static uint16_t vhost_poll(
	struct switch_port *base, struct port_context *ctx, struct port_counters *counters,
	struct frame *frames
) {
	struct vhost_port *port = vhost_of(base);

	port->in_use = NULL;
	if (unlikely(atomic_load_explicit(&port->announced, memory_order_relaxed) != 0))
		return take_announcement(port, ctx, frames);
	if (!atomic_load_explicit(&port->live, memory_order_acquire))
		return 0;
	for (uint16_t i = 0; i < port->queue_pairs; i++) {
		uint16_t pair = port->next_pair;
		uint16_t n;

		port->next_pair = (uint16_t)(pair + 1 == port->queue_pairs ? 0 : pair + 1);
		if (!(port->rx_up & BIT(pair)))
			continue;
		n = take_from(port, port->rx_rings[pair], ctx, counters, frames);
		if (n > 0)
			return n;
	}
	return 0;
}

static void vhost_release(struct switch_port *base, struct port_context *ctx) {
	struct vhost_port *port = vhost_of(base);

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

static void vhost_send(
	struct switch_port *base, struct port_context *ctx, struct port_counters *counters,
	struct frame *const *frames, uint16_t n_frames
) {
	struct vhost_port *port = vhost_of(base);
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

static bool vhost_arm(struct switch_port *base) {
	struct vhost_port *port = vhost_of(base);
	bool pending = atomic_load(&port->announced) != 0;

	if (atomic_load_explicit(&port->live, memory_order_acquire))
		pending |= watch_rings(port, true) || port->unwatched;
	return pending;
}

static void vhost_disarm(struct switch_port *base) {
	struct vhost_port *port = vhost_of(base);

	if (atomic_load_explicit(&port->live, memory_order_acquire))
		watch_rings(port, false);
}

// The main thread's side

static void vhost_stop(struct switch_port *base) {
	struct vhost_port *port = vhost_of(base);

	vhost_peer_free(port->peer);
	free(port);
}

static const struct switch_port_ops vhost_ops = {
	.poll = vhost_poll,
	.release = vhost_release,
	.send = vhost_send,
	.arm = vhost_arm,
	.disarm = vhost_disarm,
	.stop = vhost_stop,
};

static void unwatch_kicks(struct vhost_port *port) {
	int epoll_fd = workers_epoll_fd(port->workers, port->worker);

	for (uint16_t pair = 0; pair < port->queue_pairs; pair++) {
		if (port->kick_fds[pair] >= 0)
			epoll_ctl(epoll_fd, EPOLL_CTL_DEL, port->kick_fds[pair], NULL);
		port->kick_fds[pair] = -EBADF;
	}
}

// Session: no worker may use the rings any more, nor send to the next driver what only this one
// takes.
static void on_quiesce(void *arg) {
	struct vhost_port *port = arg;

	if (!atomic_load(&port->live))
		return;
	atomic_store(&port->live, false);
	atomic_store(&port->base.offloads, 0);
	workers_synchronize(port->workers);
	unwatch_kicks(port);
}

static uint32_t offloads_of(uint64_t features) {
	uint32_t offloads = 0;

	if (!(features & BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return 0;
	offloads |= PORT_TAKES_CSUM;
	if (features & BIT(VIRTIO_NET_F_GUEST_TSO4))
		offloads |= PORT_TAKES_TSO4;
	if (features & BIT(VIRTIO_NET_F_GUEST_TSO6))
		offloads |= PORT_TAKES_TSO6;
	if (features & BIT(VIRTIO_NET_F_GUEST_ECN))
		offloads |= PORT_TAKES_ECN;
	return offloads;
}

// Have the guest's kick wake the worker. It is edge-triggered and never read.
static void watch_kick(struct vhost_port *port, uint16_t pair, int fd) {
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll_fd = workers_epoll_fd(port->workers, port->worker);

	if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		port->unwatched = true;
	else
		port->kick_fds[pair] = fd;
}

static void on_resume(void *arg) {
	struct vhost_port *port = arg;
	struct session *s = vhost_peer_session(port->peer);

	port->rx_up = port->tx_up = 0;
	port->unwatched = false;
	for (uint16_t pair = 0; pair < port->queue_pairs; pair++) {
		port->rx_rings[pair] = session_ring(s, RING_RX(pair));
		port->tx_rings[pair] = session_ring(s, RING_TX(pair));
		if (port->tx_rings[pair]->running && port->tx_rings[pair]->enabled)
			port->tx_up |= BIT(pair);
		if (!port->rx_rings[pair]->running)
			continue;
		port->rx_up |= BIT(pair);
		watch_kick(port, pair, session_kick_fd(s, RING_RX(pair)));
	}
	if ((port->rx_up | port->tx_up) == 0)
		return;
	atomic_store(&port->base.offloads, offloads_of(session_features(s)));
	atomic_store_explicit(&port->live, true, memory_order_release);
	workers_wake(port->workers, port->worker); // the new rings are not watched yet
}

static void on_announce(void *arg, const uint8_t mac[6]) {
	struct vhost_port *port = arg;
	uint64_t number = 0;

	memcpy(&number, mac, RTE_ETHER_ADDR_LEN);
	atomic_store(&port->announced, number);
	workers_wake(port->workers, port->worker);
}

static void on_changed(void *arg) {
	struct vhost_port *port = arg;

	eventfd_write(port->changed_fd, 1);
}

static const struct session_ops session_ops = {
	.quiesce = on_quiesce,
	.resume = on_resume,
	.announce = on_announce,
};

// Pairs that move frames both ways. @ret_fault: the number of a ring that the guest has broken, or
// -1.
static unsigned int count_pairs(const struct vhost_port *port, struct session *s, int *ret_fault) {
	unsigned int n = 0;

	*ret_fault = -1;
	for (unsigned int pair = 0; pair < port->queue_pairs; pair++) {
		const struct ring *rx = session_ring(s, RING_RX(pair));
		const struct ring *tx = session_ring(s, RING_TX(pair));

		if (rx->running && rx->enabled && tx->running && tx->enabled)
			n++;
		if (rx->fault != RING_FAULT_NONE)
			*ret_fault = (int)RING_RX(pair);
		if (tx->fault != RING_FAULT_NONE)
			*ret_fault = (int)RING_TX(pair);
	}
	return n;
}

void vhost_port_read_status(const struct switch_port *base, struct vhost_port_status *ret_status) {
	const struct vhost_port *port = (const struct vhost_port *)base;
	struct session *s = vhost_peer_session(port->peer);
	const char *reason = vhost_peer_reason(port->peer);
	char *text = ret_status->detail;
	unsigned int n_pairs;
	int fault;

	*ret_status = (struct vhost_port_status){.connects = vhost_peer_connects(port->peer)};
	if (s == NULL) {
		snprintf(
			text, VHOST_PORT_DETAIL_SIZE, "no VM is attached%s%s",
			reason[0] != '\0' ? "; the last was sent away at " : "", reason
		);
		return;
	}
	n_pairs = count_pairs(port, s, &fault);
	ret_status->connected = n_pairs > 0;
	if (fault >= 0)
		snprintf(
			text, VHOST_PORT_DETAIL_SIZE,
			"the guest's driver has broken ring %d (%s); it must start again", fault,
			ring_fault_name(session_ring(s, (unsigned int)fault)->fault)
		);
	else if (n_pairs == 0)
		snprintf(text, VHOST_PORT_DETAIL_SIZE, "peer connected, guest driver not ready");
	else
		snprintf(
			text, VHOST_PORT_DETAIL_SIZE, "%u of %u queue pairs up", n_pairs,
			port->queue_pairs
		);
}

int vhost_port_new(
	const struct vhost_port_config *config, struct switch_port **ret_port, struct error *e
) {
	struct vhost_port *port;
	struct session_config session = {
		.features = config->features & ~REFUSED_FEATURES,
		.queue_pairs = config->queue_pairs,
		.mtu_bytes = config->mtu_bytes,
		.memory_bytes = MAX_GUEST_BYTES,
		.notifier = config->notifier,
		.ops = &session_ops,
	};
	struct vhost_peer_config peer = {
		.path = config->path,
		.socket_mode = config->socket_mode,
		.socket_group = config->socket_group,
		.event = config->event,
		.session = &session,
		.changed = on_changed,
	};
	int r;

	assert(config->queue_pairs >= 1 && config->queue_pairs <= VHOST_PORT_MAX_QUEUE_PAIRS);
	port = calloc(1, sizeof(*port));
	if (port == NULL)
		return error_set(e, ENOMEM, "out of memory");
	port->base.ops = &vhost_ops;
	port->queue_pairs = config->queue_pairs;
	port->workers = config->workers;
	port->worker = config->worker;
	port->changed_fd = config->changed_fd;
	port->tx_shared = workers_count(config->workers) > 1;
	for (int i = 0; i < VHOST_PORT_MAX_QUEUE_PAIRS; i++) {
		rte_spinlock_init(&port->tx_locks[i]);
		port->kick_fds[i] = -EBADF;
	}
	session.arg = peer.arg = port;
	r = vhost_peer_new(&peer, &port->peer, e);
	if (r < 0)
		free(port);
	else
		*ret_port = &port->base;
	return r;
}
