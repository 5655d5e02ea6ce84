// SPDX-License-Identifier: GPL-2.0-or-later
// The main thread's side of a guest's port: the session, and what it lets the workers see.

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
#include <rte_ether.h>

#include "fallback/vhost_peer.h"
#include "fallback/vhost_port_state.h"
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

static void vhost_stop(struct switch_port *base) {
	struct vhost_port *port = vhost_port_of(base);

	vhost_peer_free(port->peer);
	free(port);
}

static const struct switch_port_ops vhost_ops = {
	.poll = vhost_port_poll,
	.release = vhost_port_release,
	.send = vhost_port_send,
	.arm = vhost_port_arm,
	.disarm = vhost_port_disarm,
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
