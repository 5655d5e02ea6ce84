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

#include "fallback/frame.h"
#include "fallback/offload.h"
#include "fallback/rx_buffers.h"
#include "vdpad/util/cleanup.h"

// An empty TAP is not read again before this time, as each read is a system call in the loop that
// also serves the guests. It adds to latency only while the worker is busy with others.
#define EMPTY_PAUSE_US 10
#define MAX_SEGMENTS 64 // of a frame to be written

struct tap_port {
	struct switch_port base;
	int fd;
	int epoll_fd;
	uint64_t next_read_tsc; // of the worker that polls
	bool starved;           // the last read failed for want of buffers
};

static struct tap_port *tap_of(struct switch_port *port) {
	return (struct tap_port *)port;
}

// One frame, or 0 when there is none, or -EBADMSG for one that was taken and must be dropped.
static int read_frame(
	struct tap_port *tap, struct rx_buffers *buffers, struct rte_mbuf **ret_frame
) {
	struct iovec iov[1 + RX_SPARE_BUFFERS];
	struct virtio_net_hdr_mrg_rxbuf hdr;
	struct rte_mbuf *m;
	ssize_t len;
	int r;

	r = rx_buffers_offer(buffers, &iov[1]);
	if (r < 0)
		return r;
	iov[0] = (struct iovec){&hdr, sizeof(hdr)};
	len = readv(tap->fd, iov, ARRAY_LEN(iov));
	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EIO;
	if (len <= (ssize_t)sizeof(hdr))
		return -EBADMSG;
	m = rx_buffers_take(buffers, (uint32_t)len - sizeof(hdr));
	r = offload_from_header(m, &hdr.hdr);
	if (r < 0) {
		rte_pktmbuf_free(m);
		return r;
	}
	*ret_frame = m;
	return 1;
}

static uint16_t tap_poll(
	struct switch_port *port, struct rx_buffers *buffers, struct port_counters *counters,
	struct rte_mbuf **frames, uint16_t max
) {
	struct tap_port *tap = tap_of(port);
	uint16_t n_frames = 0;

	if (rte_rdtsc() < tap->next_read_tsc)
		return 0;
	tap->starved = false;
	for (uint16_t i = 0; i < max; i++) {
		int r = read_frame(tap, buffers, &frames[n_frames]);

		if (r > 0) {
			n_frames++;
			continue;
		}
		if (r == -EBADMSG) {
			counter_add(&counters->rx_drop[DROP_BAD_OFFLOAD], 1);
			continue;
		}
		tap->starved = r == -ENOMEM;
		tap->next_read_tsc = rte_rdtsc() + rte_get_tsc_hz() / US_PER_S * EMPTY_PAUSE_US;
		break;
	}
	return n_frames;
}

// Point @iov at the bytes of @m from @offset on. Returns how many entries, or 0 if they do not
// suffice.
static int point_at(const struct rte_mbuf *m, uint32_t offset, struct iovec *iov, int max) {
	int n = 0;

	for (; m != NULL; m = m->next, offset = 0) {
		if (m->data_len == offset)
			continue;
		if (n == max)
			return 0;
		iov[n].iov_base = rte_pktmbuf_mtod_offset(m, void *, offset);
		iov[n++].iov_len = m->data_len - offset;
	}
	return n;
}

static enum drop_reason write_frame(const struct tap_port *tap, struct rte_mbuf *m) {
	struct virtio_net_hdr_mrg_rxbuf hdr = {.num_buffers = 0};
	rte_be16_t tag[2] = {RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(m->vlan_tci)};
	uint16_t tag_bytes = m->vlan_tci != 0 ? FRAME_TAG_BYTES : 0;
	struct iovec iov[3 + MAX_SEGMENTS];
	int n;

	offload_to_header(m, tag_bytes, &hdr.hdr);
	iov[0] = (struct iovec){&hdr, sizeof(hdr)};
	iov[1] = (struct iovec){rte_pktmbuf_mtod(m, void *), 2 * RTE_ETHER_ADDR_LEN};
	iov[2] = (struct iovec){tag, tag_bytes};
	n = point_at(m, 2 * RTE_ETHER_ADDR_LEN, &iov[3], MAX_SEGMENTS);
	if (n == 0)
		return DROP_IO_ERROR;
	if (writev(tap->fd, iov, 3 + n) >= 0)
		return DROP_REASONS;
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? DROP_RING_FULL
								      : DROP_IO_ERROR;
}

static void tap_send(
	struct switch_port *port, struct port_counters *counters, struct rte_mbuf **frames,
	uint16_t n_frames
) {
	for (uint16_t i = 0; i < n_frames; i++) {
		enum drop_reason reason = write_frame(tap_of(port), frames[i]);

		if (reason == DROP_REASONS)
			counters_sent(counters, &frames[i], 1);
		else
			counter_add(&counters->tx_drop[reason], 1);
	}
}

// The descriptor is in the worker's epoll set, edge-triggered: a frame that came since the TAP was
// found empty is remembered there.
static bool tap_arm(struct switch_port *port) {
	tap_of(port)->next_read_tsc = 0;
	return tap_of(port)->starved;
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
	.send = tap_send,
	.arm = tap_arm,
	.disarm = tap_disarm,
	.stop = tap_stop,
};

static int set_up_fd(int fd, struct error *e) {
	int header_bytes = sizeof(struct virtio_net_hdr_mrg_rxbuf), little_endian = 1;
	struct ifreq ifr = {0};
	int flags;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return error_set(e, EINVAL, "the descriptor is no TAP: %s", strerror(errno));
	if ((ifr.ifr_flags & (IFF_TAP | IFF_VNET_HDR)) != (IFF_TAP | IFF_VNET_HDR))
		return error_set(e, EINVAL, "the TAP must have been opened with IFF_VNET_HDR");
	if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0 ||
	    ioctl(fd, TUNSETVNETLE, &little_endian) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
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
	tap->base.offloads = PORT_TAKES_CSUM | PORT_TAKES_TSO4 | PORT_TAKES_TSO6;
	tap->fd = TAKE_FD(owned_fd);
	tap->epoll_fd = epoll_fd;
	*ret_port = &tap->base;
	return 0;
}
