// SPDX-License-Identifier: GPL-2.0-or-later
// The smallest program around fallback/vhost/: two to four sockets, a peer each, and what one sends
// all others get. It proves the library with real front-ends (QEMU, virtio-user) and measures it
// without a switch around it.
//
//     vhost-patch [-o] [-q QUEUE_PAIRS] SOCKET SOCKET [SOCKET [SOCKET]]
//
// -o offers checksum and segmentation offloads. Every second with traffic prints what was moved,
// and the cycles per frame of the rounds that found any. Ends on SIGTERM and SIGINT.
//
// Two threads: the main thread runs the sessions, the worker moves frames. The worker counts its
// rounds; quiesce() hides the port from it and waits until the round that may have seen it is over.

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <x86intrin.h>

#include "fallback/vhost/discard.h"
#include "fallback/vhost/session.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"

#define MAX_PORTS 4
#define F(n) (UINT64_C(1) << (n))
#define PLAIN                                                                                  \
	(F(VIRTIO_NET_F_MRG_RXBUF) | F(VIRTIO_RING_F_INDIRECT_DESC) | F(VIRTIO_NET_F_STATUS) | \
	 F(VIRTIO_RING_F_EVENT_IDX) | F(VIRTIO_F_RING_PACKED) | F(VIRTIO_NET_F_MQ) |           \
	 F(VIRTIO_NET_F_CTRL_VQ))
#define OFFLOADS                                                                               \
	(F(VIRTIO_NET_F_CSUM) | F(VIRTIO_NET_F_GUEST_CSUM) | F(VIRTIO_NET_F_HOST_TSO4) |       \
	 F(VIRTIO_NET_F_HOST_TSO6) | F(VIRTIO_NET_F_GUEST_TSO4) | F(VIRTIO_NET_F_GUEST_TSO6) | \
	 F(VIRTIO_NET_F_HOST_ECN) | F(VIRTIO_NET_F_GUEST_ECN))

struct port {
	const char *path;
	int listen_fd;
	struct session *session;           // the main thread's
	struct session *_Atomic published; // the worker's
	uint64_t resume_ms;                // the peer is not read before; 0: it is
	unsigned int n_peers;
	bool was_ready;
};

static struct port ports[MAX_PORTS];
static unsigned int n_ports;
static struct session_config config = {
	.features = PLAIN,
	.queue_pairs = 1,
	.mtu_bytes = 9000,
	.memory_bytes = UINT64_C(1) << 40,
};
static atomic_uint_fast64_t rounds, frames, bytes, busy_cycles;
static atomic_bool stopping;
static struct notifier notifier; // the main thread's

static void on_signal(int signo) {
	(void)signo;
	atomic_store(&stopping, true);
}

// What the receiver cannot take is lost: there is no switch here that could resolve it.
static bool can_take(const struct session *to, const struct virtio_net_hdr_v1 *hdr) {
	uint64_t features = session_features(to);

	if ((hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !(features & F(VIRTIO_NET_F_GUEST_CSUM)))
		return false;
	return hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE || (features & F(VIRTIO_NET_F_GUEST_TSO4));
}

// The ring of @to that is the partner of the sender's pair, or its first one.
static struct ring *receive_ring(struct session *to, unsigned int pair) {
	struct ring *r = session_ring(to, 2 * pair);

	return r->running ? r : session_ring(to, 0);
}

// Move one burst of ring @pair of port @from to all other ports.
static unsigned int move(
	struct session **sessions, unsigned int from, unsigned int pair, struct notifier *n
) {
	static struct ring_burst burst;
	struct ring *rx = session_ring(sessions[from], 2 * pair + 1);
	unsigned int n_placed = 0;
	uint64_t size = 0;

	ring_take(rx, &burst, RING_BURST);
	if (burst.n_taken == 0)
		return 0;
	for (unsigned int to = 0; to < n_ports && rx->enabled; to++) {
		struct ring *tx;

		if (to == from || sessions[to] == NULL)
			continue;
		tx = receive_ring(sessions[to], pair);
		for (uint16_t i = 0; i < burst.n_frames; i++) {
			const struct ring_frame *f = &burst.frames[i];

			if (!can_take(sessions[to], &f->offload) ||
			    ring_place(tx, f, &f->offload) < 0)
				continue;
			n_placed++;
			size += f->size;
		}
		ring_flush(tx, n);
	}
	ring_give_back(rx, &burst);
	ring_flush(rx, n);
	atomic_fetch_add_explicit(&frames, n_placed, memory_order_relaxed);
	atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
	return burst.n_taken;
}

static void *work(void *arg) {
	struct notifier mine;
	unsigned int n_idle = 0;

	(void)arg;
	if (notifier_init(&mine) < 0)
		abort();
	while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
		struct session *sessions[MAX_PORTS];
		uint64_t start = __rdtsc();
		unsigned int n = 0;

		for (unsigned int i = 0; i < n_ports; i++)
			sessions[i] = atomic_load(&ports[i].published);
		for (unsigned int i = 0; i < n_ports; i++) {
			for (unsigned int pair = 0;
			     sessions[i] != NULL && pair < config.queue_pairs; pair++)
				n += move(sessions, i, pair, &mine);
		}
		atomic_fetch_add(&rounds, 1);
		if (n > 0) {
			n_idle = 0;
			atomic_fetch_add_explicit(
				&busy_cycles, __rdtsc() - start, memory_order_relaxed
			);
		} else if (++n_idle > 20000) {
			usleep(50);
		}
	}
	atomic_fetch_add(&rounds, 2); // nobody waits for a thread that is gone
	notifier_done(&mine);
	return NULL;
}

static void quiesce(void *arg) {
	struct port *port = arg;
	uint64_t seen;

	atomic_store(&port->published, NULL);
	seen = atomic_load(&rounds);
	while (atomic_load(&rounds) < seen + 2 && !atomic_load(&stopping))
		sched_yield();
}

static void resume(void *arg) {
	struct port *port = arg;

	atomic_store(&port->published, port->session);
}

static void announce(void *arg, const uint8_t mac[6]) {
	struct port *port = arg;

	printf("%s: announce %02x:%02x:%02x:%02x:%02x:%02x\n", port->path, mac[0], mac[1], mac[2],
	       mac[3], mac[4], mac[5]);
}

static const struct session_ops ops = {.quiesce = quiesce, .resume = resume, .announce = announce};

static void watch(int epoll_fd, int fd) {
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		abort();
}

static int listen_at(struct port *port, const char *path) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	port->path = path;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	unlink(path);
	port->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (port->listen_fd < 0 ||
	    bind(port->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(port->listen_fd, 1) < 0)
		return -errno;
	return 0;
}

// One peer at a time: who comes while one is here is sent away.
static void accept_peer(struct port *port, int epoll_fd) {
	int fd = accept4(port->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct session_config c = config;

	if (fd < 0)
		return;
	c.notifier = &notifier;
	c.ops = &ops;
	c.arg = port;
	if (port->session != NULL || session_new(&c, fd, clock_now_ms(), &port->session) < 0) {
		discard_socket(fd, port);
		return;
	}
	watch(epoll_fd, session_fd(port->session));
	watch(epoll_fd, session_alert_fd(port->session));
	printf("%s: peer %u\n", port->path, ++port->n_peers);
	port->was_ready = false;
	resume(port);
}

static void run_session(struct port *port, int epoll_fd) {
	uint64_t now_ms = clock_now_ms();
	int r;

	if (port->session == NULL || now_ms < port->resume_ms)
		return;
	r = session_run(port->session, now_ms);
	if (r >= 0 && session_is_ready(port->session) != port->was_ready) {
		port->was_ready = !port->was_ready;
		printf("%s: %s, features %#lx\n", port->path,
		       port->was_ready ? "ready" : "not ready", session_features(port->session));
	}
	port->resume_ms = r > 0 ? now_ms + (uint64_t)r : 0;
	if (r < 0) {
		printf("%s: gone after %s: %s\n", port->path, session_last_request(port->session),
		       strerror(-r));
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, session_fd(port->session), NULL);
		session_free(port->session);
		port->session = NULL;
	}
}

static void print_traffic(void) {
	static uint64_t last_ms, last_frames, last_bytes, last_cycles;
	uint64_t now_ms = clock_now_ms(), n = frames - last_frames;

	if (now_ms - last_ms < 1000)
		return;
	if (n > 0)
		printf("%.3f Mpps %.3f Gbit/s %.0f cycles/frame\n",
		       (double)n / (double)(now_ms - last_ms) / 1e3,
		       (double)(bytes - last_bytes) * 8 / (double)(now_ms - last_ms) / 1e6,
		       (double)(busy_cycles - last_cycles) / (double)n);
	fflush(stdout);
	last_ms = now_ms;
	last_frames = frames;
	last_bytes = bytes;
	last_cycles = busy_cycles;
}

int main(int argc, char **argv) {
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC), opt;
	pthread_t worker;

	while ((opt = getopt(argc, argv, "oq:")) >= 0) {
		if (opt == 'o')
			config.features |= OFFLOADS;
		else if (opt == 'q')
			config.queue_pairs = (uint16_t)atoi(optarg);
		else
			return 2;
	}
	n_ports = (unsigned int)(argc - optind);
	if (n_ports < 2 || n_ports > MAX_PORTS || epoll_fd < 0 || sigbus_install() < 0 ||
	    notifier_init(&notifier) < 0)
		return 2;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	for (unsigned int i = 0; i < n_ports; i++) {
		if (listen_at(&ports[i], argv[optind + (int)i]) < 0) {
			perror(argv[optind + (int)i]);
			return 1;
		}
		watch(epoll_fd, ports[i].listen_fd);
	}
	if (pthread_create(&worker, NULL, work, NULL) != 0)
		return 1;
	while (!atomic_load(&stopping)) {
		struct epoll_event events[8];

		// So few ports: it is simplest to look at both whenever anything happens.
		epoll_wait(epoll_fd, events, ARRAY_LEN(events), 100);
		for (unsigned int i = 0; i < n_ports; i++) {
			run_session(&ports[i], epoll_fd);
			accept_peer(&ports[i], epoll_fd);
		}
		print_traffic();
	}
	pthread_join(worker, NULL);
	for (unsigned int i = 0; i < n_ports; i++) {
		session_free(ports[i].session);
		close(ports[i].listen_fd);
		unlink(ports[i].path);
	}
	notifier_done(&notifier);
	close(epoll_fd);
	return 0;
}
