// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/tap_port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_ether.h>

#include "vdpad/util/cleanup.h"

// An empty TAP is not read again before this time, as each read is a system call in the loop that
// also serves the guests. It adds to latency only while the worker is busy with others.
#define EMPTY_PAUSE_US 10
#define SLOT_BYTES (RING_HEAD_ROOM + RING_MAX_FRAME) // of the buffer, for one frame of any size

struct tap_port {
	struct switch_port base;
	int fd;
	int epoll_fd;
	// Of the worker that polls.
	uint64_t next_read_tsc;
	bool empty; // the last read found nothing
};

static struct tap_port *tap_of(struct switch_port *port) {
	return (struct tap_port *)port;
}

// Read one frame so that its head is at @at, behind the room for a tag, and present it in place.
// There is room for any. Returns 1, or 0 when there is none, or -EBADMSG for one that was taken and
// must be dropped.
static int read_frame(
	struct tap_port *tap, uint8_t *at, struct segment *rest, struct ring_frame *ret_bytes
) {
	const size_t header_size = sizeof(ret_bytes->offload);
	uint8_t *header = at - header_size;
	ssize_t n = read(tap->fd, header, header_size + RING_MAX_FRAME);

	if (n < 0)
		return 0;
	if (n <= (ssize_t)header_size)
		return -EBADMSG;
	*ret_bytes = (struct ring_frame){
		.head = at,
		.size = (uint32_t)n - header_size,
		.segments = rest,
	};
	memcpy(&ret_bytes->offload, header, header_size);
	ret_bytes->head_size = (uint16_t)RTE_MIN(ret_bytes->size, (uint32_t)RING_HEAD_SIZE);
	if (ret_bytes->size > ret_bytes->head_size) {
		rest->host = ret_bytes->head + ret_bytes->head_size;
		rest->size = ret_bytes->size - ret_bytes->head_size;
		ret_bytes->n_segments = 1;
	}
	return 1;
}

_Static_assert(
	RING_HEAD_ROOM >= sizeof(struct virtio_net_hdr_v1), "the header is read into the room"
);

static uint16_t tap_poll(
	struct switch_port *port, struct port_context *ctx, struct port_counters *counters,
	struct frame *frames
) {
	struct tap_port *tap = tap_of(port);
	uint8_t *at = ctx->buffer;
	uint16_t n_frames = 0;

	if (rte_rdtsc() < tap->next_read_tsc)
		return 0;
	for (uint16_t i = 0; i < BURST_FRAMES && ctx->buffer + PORT_BUFFER_BYTES - at >= SLOT_BYTES;
	     i++) {
		struct frame *f = &frames[n_frames];
		int r;

		f->bytes = &ctx->burst.frames[n_frames];
		r = read_frame(tap, at + RING_HEAD_ROOM, &ctx->burst.segments[n_frames], f->bytes);
		tap->empty = r == 0;
		if (tap->empty) {
			tap->next_read_tsc =
				rte_rdtsc() + rte_get_tsc_hz() / US_PER_S * EMPTY_PAUSE_US;
			break;
		}
		if (r > 0)
			r = offload_check(f);
		if (r < 0) {
			counter_add(&counters->rx_drop[DROP_BAD_OFFLOAD], 1);
			continue;
		}
		at += RTE_ALIGN(RING_HEAD_ROOM + f->bytes->size, RTE_CACHE_LINE_SIZE);
		n_frames++;
	}
	return n_frames;
}

static void tap_release(struct switch_port *port, struct port_context *ctx) {
	(void)port;
	(void)ctx;
}

static enum drop_reason write_frame(const struct tap_port *tap, const struct frame *f) {
	const struct ring_frame *bytes = f->bytes;
	rte_be16_t tag[2] = {RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(f->vlan)};
	uint16_t tag_bytes = f->vlan != 0 ? FRAME_TAG_BYTES : 0;
	struct iovec iov[4 + RING_FRAME_SEGMENTS];
	struct virtio_net_hdr_v1 hdr;
	int n = 0;

	offload_describe(f, tag_bytes, &hdr);
	iov[n++] = (struct iovec){&hdr, sizeof(hdr)};
	iov[n++] = (struct iovec){bytes->head, FRAME_ADDRESSES_BYTES};
	iov[n++] = (struct iovec){tag, tag_bytes};
	iov[n++] = (struct iovec
	){bytes->head + FRAME_ADDRESSES_BYTES, bytes->head_size - FRAME_ADDRESSES_BYTES};
	for (uint16_t i = 0; i < bytes->n_segments; i++)
		iov[n++] = (struct iovec){bytes->segments[i].host, bytes->segments[i].size};
	if (writev(tap->fd, iov, n) >= 0)
		return DROP_REASONS;
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? DROP_RING_FULL
								      : DROP_IO_ERROR;
}

static void tap_send(
	struct switch_port *port, struct port_context *ctx, struct port_counters *counters,
	struct frame *const *frames, uint16_t n_frames
) {
	(void)ctx;
	for (uint16_t i = 0; i < n_frames; i++) {
		enum drop_reason reason = write_frame(tap_of(port), frames[i]);

		if (reason == DROP_REASONS)
			counters_sent(counters, 1, frames[i]->bytes->size);
		else
			counter_add(&counters->tx_drop[reason], 1);
	}
}

// The descriptor is in the worker's epoll set, edge-triggered: a frame that came since the TAP was
// found empty is remembered there.
static bool tap_arm(struct switch_port *port) {
	tap_of(port)->next_read_tsc = 0;
	return !tap_of(port)->empty;
}

static void tap_disarm(struct switch_port *port) {
	(void)port;
}

static void tap_stop(struct switch_port *port) {
	struct tap_port *tap = tap_of(port);

	epoll_ctl(tap->epoll_fd, EPOLL_CTL_DEL, tap->fd, NULL);
	close(tap->fd);
	free(tap);
}

static const struct switch_port_ops tap_ops = {
	.poll = tap_poll,
	.release = tap_release,
	.send = tap_send,
	.arm = tap_arm,
	.disarm = tap_disarm,
	.stop = tap_stop,
};

static int set_up_fd(int fd, struct error *e) {
	int header_bytes = sizeof(struct virtio_net_hdr_v1), little_endian = 1;
	struct ifreq ifr = {0};
	int flags;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return error_set(e, EINVAL, "the descriptor is no TAP: %s", strerror(errno));
	if ((ifr.ifr_flags & (IFF_TAP | IFF_VNET_HDR)) != (IFF_TAP | IFF_VNET_HDR))
		return error_set(e, EINVAL, "the TAP must have been opened with IFF_VNET_HDR");
	if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0 ||
	    ioctl(fd, TUNSETVNETLE, &little_endian) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0)
		return error_set(e, errno, "cannot set the TAP's offloads: %s", strerror(errno));
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set(e, errno, "fcntl of the TAP: %s", strerror(errno));
	return 0;
}

int tap_port_new(int fd, int epoll_fd, struct switch_port **ret_port, struct error *e) {
	_cleanup_close_ int owned_fd = fd;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct tap_port *tap;
	int r;

	r = set_up_fd(owned_fd, e);
	if (r < 0)
		return r;
	tap = calloc(1, sizeof(*tap));
	if (tap == NULL)
		return error_set(e, ENOMEM, "out of memory");
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, owned_fd, &event) < 0) {
		r = error_set(e, errno, "epoll refuses the TAP: %s", strerror(errno));
		free(tap);
		return r;
	}
	tap->base.ops = &tap_ops;
	tap->base.offloads = PORT_TAKES_CSUM | PORT_TAKES_TSO4 | PORT_TAKES_TSO6 | PORT_TAKES_ECN;
	tap->fd = TAKE_FD(owned_fd);
	tap->epoll_fd = epoll_fd;
	*ret_port = &tap->base;
	return 0;
}
