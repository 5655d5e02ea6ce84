// SPDX-License-Identifier: GPL-2.0-or-later
// Theory. librte_vhost runs one thread for the messages of all peers, and calls us from it. What
// workers look at is therefore atomic: the device's number (vid, -1 for none) and two sets of queue
// pairs, whose guest TX ring (rx for us) and guest RX ring (tx for us) are up.
//
// - new_device comes when the first pair is ready, destroy_device before anything of it is taken
//   away: we clear vid and wait for the workers before we return.
// - vring_state_changed comes with the locks of all rings held, so it may neither wait for a worker
//   (which may spin on such a lock) nor call a function that takes one. It needs not wait: the
//   library itself refuses to touch a disabled ring, under that lock.

#include "fallback/vhost_port.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <rte_spinlock.h>
#include <rte_version.h>
#include <rte_vhost.h>

#include "fallback/frame.h"
#include "fallback/kick_fds.h"
#include "fallback/offload.h"
#include "fallback/socket_path.h"
#include "fallback/spread.h"
#include "fallback/vhost_registry.h"
#include "fallback/vhost_waker.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define SEND_RETRIES 4  // as long as the guest makes room
#define PEER_WAIT_MS 10 // a peer writes a message at once, and reads the few answers

#define BIT(n) (UINT64_C(1) << (n))
#define TRANSPORT_FEATURES                                                           \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VHOST_F_LOG_ALL) | \
	 BIT(VHOST_USER_F_PROTOCOL_FEATURES))
// UDP fragmentation offload is resolved nowhere; IOMMU_PLATFORM would translate each access;
// rte_vhost_rx_queue_count(), which vhost_arm() relies on, reads a packed ring as a split one.
#define REFUSED_FEATURES                                                                           \
	(BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_F_IOMMU_PLATFORM) | \
	 BIT(VIRTIO_F_RING_PACKED))
#define PROTOCOL_FEATURES                                                         \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |   \
	 BIT(VHOST_USER_PROTOCOL_F_RARP) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	 BIT(VHOST_USER_PROTOCOL_F_NET_MTU) | BIT(VHOST_USER_PROTOCOL_F_STATUS))

// Numbers of the rings of a queue pair, named by the guest in virtio and by the switch here.
#define RING_RX(pair) ((uint16_t)((pair)*2 + 1)) // what the guest sends
#define RING_TX(pair) ((uint16_t)((pair)*2))     // what the guest receives

struct vhost_port {
	struct switch_port base;

	atomic_bool has_peer;
	_Atomic int vid;        // -1: no guest driver is ready
	_Atomic uint64_t rx_up; // queue pairs, one bit each
	_Atomic uint64_t tx_up;
	_Atomic uint64_t tx_started; // came up since the worker looked: kicks are to be turned off
	_Atomic uint64_t connects;

	uint16_t next_pair; // of the worker: where the next poll begins
	rte_spinlock_t tx_locks[VHOST_PORT_MAX_QUEUE_PAIRS];
	bool tx_shared; // more than one worker sends

	struct kick_fds kicks; // changed by librte_vhost's thread

	char path[SOCKET_PATH_SIZE];
	uint16_t queue_pairs;
	struct rte_mempool *pool;
	struct workers *workers;
	uint16_t worker;
	int changed_fd;
};

static int waker_fd = -EBADF;

_Static_assert(KICK_FDS_MAX_PAIRS >= VHOST_PORT_MAX_QUEUE_PAIRS, "each pair has its place");
_Static_assert(VHOST_MAX_PEERS >= RTE_MAX_VHOST_DEVICE, "each peer has its place");

static struct vhost_port *vhost_of(struct switch_port *port) {
	return (struct vhost_port *)port;
}

static void announce_change(struct vhost_port *port) {
	workers_wake(port->workers, port->worker);
	eventfd_write(port->changed_fd, 1);
}

// Callbacks of librte_vhost

// A port has one peer. Returns -1 to have the library close the connection.
static int on_new_connection(int vid) {
	char path[SOCKET_PATH_SIZE];
	struct vhost_port *port;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return -1;
	port = vhost_registry_join(path, vid);
	if (port == NULL)
		return -1;
	socket_path_limit_waits(path, PEER_WAIT_MS);
	atomic_store(&port->has_peer, true);
	atomic_fetch_add(&port->connects, 1);
	announce_change(port);
	return 0;
}

static int on_vring_state_changed(int vid, uint16_t ring, int enabled) {
	struct vhost_port *port = vhost_registry_find(vid);
	struct rte_vhost_vring vring = {.kickfd = -EBADF};
	uint16_t pair = ring / 2;
	bool rx = ring == RING_RX(pair);

	if (port == NULL || pair >= port->queue_pairs)
		return 0;
	if (rx && enabled) {
		rte_vhost_get_vhost_vring(vid, ring, &vring);
		kick_fds_take(&port->kicks, pair, vring.kickfd);
	}
	if (rx && !enabled)
		kick_fds_drop(&port->kicks, pair);
	if (!rx && enabled)
		atomic_fetch_or(&port->tx_started, BIT(pair));
	if (enabled)
		atomic_fetch_or(rx ? &port->rx_up : &port->tx_up, BIT(pair));
	else
		atomic_fetch_and(rx ? &port->rx_up : &port->tx_up, ~BIT(pair));
	announce_change(port);
	return 0;
}

static int on_new_device(int vid) {
	struct vhost_port *port = vhost_registry_find(vid);
	uint64_t features = 0;
	uint32_t offloads = 0;

	if (port == NULL || rte_vhost_get_negotiated_features(vid, &features) < 0)
		return -1;
	if (features & BIT(VIRTIO_NET_F_GUEST_CSUM)) {
		offloads |= PORT_TAKES_CSUM;
		if (features & BIT(VIRTIO_NET_F_GUEST_TSO4))
			offloads |= PORT_TAKES_TSO4;
		if (features & BIT(VIRTIO_NET_F_GUEST_TSO6))
			offloads |= PORT_TAKES_TSO6;
	}
	atomic_store(&port->base.offloads, offloads);
	atomic_store(&port->vid, vid);
	announce_change(port);
	return 0;
}

static void on_destroy_device(int vid) {
	struct vhost_port *port = vhost_registry_find(vid);

	if (port == NULL)
		return;
	atomic_store(&port->vid, -1);
	// No worker may send to the next driver what only this one takes.
	atomic_store(&port->base.offloads, 0);
	workers_synchronize(port->workers);
	announce_change(port);
}

static void on_destroy_connection(int vid) {
	struct vhost_port *port = vhost_registry_find(vid);

	if (port == NULL)
		return;
	kick_fds_done(&port->kicks);
	atomic_store(&port->rx_up, 0);
	atomic_store(&port->tx_up, 0);
	vhost_registry_leave(vid);
	atomic_store(&port->has_peer, false);
	announce_change(port);
}

static const struct rte_vhost_device_ops device_ops = {
	.new_connection = on_new_connection,
	.vring_state_changed = on_vring_state_changed,
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
	.destroy_connection = on_destroy_connection,
};

// The worker's side

// Guests need not kick when they give back receive buffers: nobody waits for that.
static void silence_tx_rings(struct vhost_port *port, int vid) {
	uint64_t pairs = atomic_exchange(&port->tx_started, 0);

	for (; pairs != 0; pairs &= pairs - 1)
		rte_vhost_enable_guest_notification(vid, RING_TX(__builtin_ctzll(pairs)), 0);
}

// Bring the library's receive flags into our form; drop what contradicts itself. Returns how many
// stay.
static uint16_t check_offloads(
	struct port_counters *counters, struct rte_mbuf **frames, uint16_t n_frames
) {
	uint16_t n_kept = 0;

	for (uint16_t i = 0; i < n_frames; i++) {
		if (unlikely(offload_from_rx_flags(frames[i]) < 0)) {
			counter_add(&counters->rx_drop[DROP_BAD_OFFLOAD], 1);
			rte_pktmbuf_free(frames[i]);
			continue;
		}
		frames[n_kept++] = frames[i];
	}
	return n_kept;
}

// A burst from the next ring that has frames, so that each gets its turn.
static uint16_t vhost_poll(
	struct switch_port *base, struct rx_buffers *buffers, struct port_counters *counters,
	struct rte_mbuf **frames, uint16_t max
) {
	struct vhost_port *port = vhost_of(base);
	int vid = atomic_load_explicit(&port->vid, memory_order_acquire);
	uint64_t up = atomic_load_explicit(&port->rx_up, memory_order_acquire);

	(void)buffers; // the library takes buffers of the right number from the pool
	if (vid < 0)
		return 0;
	if (unlikely(atomic_load_explicit(&port->tx_started, memory_order_relaxed) != 0))
		silence_tx_rings(port, vid);

	for (uint16_t i = 0; i < port->queue_pairs; i++) {
		uint16_t pair = port->next_pair;
		uint16_t n;

		port->next_pair = (uint16_t)(pair + 1 == port->queue_pairs ? 0 : pair + 1);
		if (!(up & BIT(pair)))
			continue;
		n = rte_vhost_dequeue_burst(vid, RING_RX(pair), port->pool, frames, max);
		if (n > 0)
			return check_offloads(counters, frames, n);
	}
	return 0;
}

static void send_on_ring(
	struct vhost_port *port, int vid, uint16_t pair, struct port_counters *counters,
	struct rte_mbuf **frames, uint16_t n_frames
) {
	uint16_t n_sent = 0;

	if (port->tx_shared)
		rte_spinlock_lock(&port->tx_locks[pair]);
	for (int i = 0; i <= SEND_RETRIES && n_sent < n_frames; i++) {
		uint16_t n = rte_vhost_enqueue_burst(
			vid, RING_TX(pair), &frames[n_sent], n_frames - n_sent
		);

		n_sent += n;
		if (n == 0)
			break;
	}
	if (port->tx_shared)
		rte_spinlock_unlock(&port->tx_locks[pair]);

	counters_sent(counters, frames, n_sent);
	if (n_sent < n_frames)
		counter_add(&counters->tx_drop[DROP_RING_FULL], n_frames - n_sent);
}

// Each flow keeps to one ring, and so keeps its order.
static void send_by_flow(
	struct vhost_port *port, int vid, uint64_t up, struct port_counters *counters,
	struct rte_mbuf **frames, uint16_t n_frames
) {
	uint8_t pairs[BURST_FRAMES];
	uint64_t used = spread_flows(up, frames, n_frames, pairs);

	for (; used != 0; used &= used - 1) {
		uint16_t pair = (uint16_t)__builtin_ctzll(used);
		struct rte_mbuf *group[BURST_FRAMES];
		uint16_t n_group = 0;

		for (uint16_t i = 0; i < n_frames; i++) {
			if (pairs[i] == pair)
				group[n_group++] = frames[i];
		}
		send_on_ring(port, vid, pair, counters, group, n_group);
	}
}

static void vhost_send(
	struct switch_port *base, struct port_counters *counters, struct rte_mbuf **frames,
	uint16_t n_frames
) {
	struct vhost_port *port = vhost_of(base);
	int vid = atomic_load_explicit(&port->vid, memory_order_acquire);
	uint64_t up = atomic_load_explicit(&port->tx_up, memory_order_acquire);

	if (vid < 0 || up == 0)
		counter_add(&counters->tx_drop[DROP_NOT_READY], n_frames);
	else if ((up & (up - 1)) == 0)
		send_on_ring(port, vid, (uint16_t)__builtin_ctzll(up), counters, frames, n_frames);
	else
		send_by_flow(port, vid, up, counters, frames, n_frames);
}

static bool vhost_arm(struct switch_port *base) {
	struct vhost_port *port = vhost_of(base);
	int vid = atomic_load_explicit(&port->vid, memory_order_acquire);
	uint64_t up = atomic_load_explicit(&port->rx_up, memory_order_acquire);

	if (vid < 0)
		return false;
	for (uint64_t pairs = up; pairs != 0; pairs &= pairs - 1)
		rte_vhost_enable_guest_notification(vid, RING_RX(__builtin_ctzll(pairs)), 1);
	rte_smp_mb(); // the guest must see that we want a kick before we see that its ring is empty
	for (uint64_t pairs = up; pairs != 0; pairs &= pairs - 1) {
		if (rte_vhost_rx_queue_count(vid, RING_RX(__builtin_ctzll(pairs))) > 0)
			return true;
	}
	return (up & atomic_load(&port->kicks.missing)) != 0;
}

static void vhost_disarm(struct switch_port *base) {
	struct vhost_port *port = vhost_of(base);
	int vid = atomic_load_explicit(&port->vid, memory_order_acquire);
	uint64_t pairs = atomic_load_explicit(&port->rx_up, memory_order_acquire);

	if (vid < 0)
		return;
	for (; pairs != 0; pairs &= pairs - 1)
		rte_vhost_enable_guest_notification(vid, RING_RX(__builtin_ctzll(pairs)), 0);
}

// The main thread's side

static void vhost_stop(struct switch_port *base) {
	struct vhost_port *port = vhost_of(base);

	// Calls on_destroy_device() in this thread, but not on_destroy_connection().
	rte_vhost_driver_unregister(port->path);

	vhost_registry_remove(port);
	kick_fds_done(&port->kicks);
	free(port);
}

static const struct switch_port_ops vhost_ops = {
	.poll = vhost_poll,
	.send = vhost_send,
	.arm = vhost_arm,
	.disarm = vhost_disarm,
	.stop = vhost_stop,
};

void vhost_port_read_status(const struct switch_port *base, struct vhost_port_status *ret_status) {
	const struct vhost_port *port = (const struct vhost_port *)base;
	uint64_t both = atomic_load(&port->rx_up) & atomic_load(&port->tx_up);

	*ret_status = (struct vhost_port_status){.connects = atomic_load(&port->connects)};
	if (!atomic_load(&port->has_peer)) {
		snprintf(ret_status->detail, sizeof(ret_status->detail), "no VM is attached");
	} else if (atomic_load(&port->vid) < 0 || both == 0) {
		snprintf(
			ret_status->detail, sizeof(ret_status->detail),
			"peer connected, guest driver not ready"
		);
	} else {
		ret_status->connected = true;
		snprintf(
			ret_status->detail, sizeof(ret_status->detail), "%d of %u queue pairs up",
			__builtin_popcountll(both), port->queue_pairs
		);
	}
}

// Connect the library to ourselves: see vhost_waker.h. Ports work without it, later.
static void start_waker(const char *port_path) {
	static const struct rte_vhost_device_ops no_ops;
	static bool tried;
	char path[SOCKET_PATH_SIZE];
	_cleanup_close_ int listen_fd = -EBADF;

	if (tried || RTE_VERSION >= RTE_VERSION_NUM(24, 7, 0, 0))
		return;
	tried = true;
	listen_fd = vhost_waker_listen(port_path, path, sizeof(path));
	if (listen_fd < 0)
		return;
	if (rte_vhost_driver_register(path, RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT) ==
	            0 &&
	    rte_vhost_driver_callback_register(path, &no_ops) == 0 &&
	    rte_vhost_driver_start(path) == 0)
		waker_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	unlink(path);
}

static int register_socket(const struct vhost_port_config *config, struct error *e) {
	const char *path = config->path;
	uint64_t features;

	if (rte_vhost_driver_register(path, RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS) < 0)
		return error_set(e, EPERM, "librte_vhost does not accept another port");
	if (rte_vhost_driver_get_features(path, &features) < 0 ||
	    rte_vhost_driver_disable_features(
		    path, features & (~(config->features | TRANSPORT_FEATURES) | REFUSED_FEATURES)
	    ) < 0 ||
	    rte_vhost_driver_set_protocol_features(path, PROTOCOL_FEATURES) < 0 ||
	    rte_vhost_driver_callback_register(path, &device_ops) < 0) {
		rte_vhost_driver_unregister(path);
		return error_set(e, EIO, "librte_vhost does not take the features of '%s'", path);
	}
	return 0;
}

// Bind with no rights for anybody else, then grant them.
static int listen_on_socket(const struct vhost_port_config *config, struct error *e) {
	mode_t mask = umask(0177);
	int r = rte_vhost_driver_start(config->path);

	umask(mask);
	if (r < 0)
		return error_set(e, EIO, "cannot listen on '%s'", config->path);
	return socket_path_grant(config->path, config->socket_group, config->socket_mode, e);
}

int vhost_port_new(
	const struct vhost_port_config *config, struct switch_port **ret_port, struct error *e
) {
	struct vhost_port *port;
	int r;

	assert(config->queue_pairs >= 1 && config->queue_pairs <= VHOST_PORT_MAX_QUEUE_PAIRS);
	r = socket_path_clear(config->path, e);
	if (r < 0)
		return r;
	port = calloc(1, sizeof(*port));
	if (port == NULL)
		return error_set(e, ENOMEM, "out of memory");
	port->base.ops = &vhost_ops;
	port->vid = -1;
	str_copy(port->path, sizeof(port->path), config->path);
	port->queue_pairs = config->queue_pairs;
	port->pool = config->pool;
	port->workers = config->workers;
	port->worker = config->worker;
	port->changed_fd = config->changed_fd;
	port->tx_shared = workers_count(config->workers) > 1;
	kick_fds_init(&port->kicks, workers_epoll_fd(port->workers, port->worker));
	for (int i = 0; i < VHOST_PORT_MAX_QUEUE_PAIRS; i++)
		rte_spinlock_init(&port->tx_locks[i]);

	start_waker(port->path);
	r = register_socket(config, e);
	if (r < 0) {
		free(port);
		return r;
	}
	r = vhost_registry_add(port->path, port);
	if (r < 0)
		error_set(e, -r, "out of memory");
	else
		r = listen_on_socket(config, e);
	if (r < 0) {
		vhost_stop(&port->base);
		return r;
	}
	if (waker_fd >= 0)
		vhost_waker_wake(waker_fd); // failing, it costs the first peer up to a second
	*ret_port = &port->base;
	return 0;
}
