// SPDX-License-Identifier: GPL-2.0-or-later
// Checksum and segmentation offload: from the sender's form into that of frame.h, out of it, and
// its resolution in software for a receiver that cannot take it.
//
// A guest's request is distrusted. A well-formed TCP or UDP request is passed on; a checksum
// request of another shape (a tunnel's inner header, an IPv6 extension header) is finished here and
// now; a request that contradicts the frame is refused.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

// A TSO frame makes at most so many frames: 64 KiB at 536 bytes, IPv4's smallest MTU. More is
// refused, as one tiny gso_size would let a guest keep the switch busy and empty its buffers.
#define OFFLOAD_MAX_SEGMENTS 128

// Take the request in a virtio-net header that came with @m. @hdr is the caller's private copy.
// Returns 0, or -EBADMSG if the request contradicts the frame.
int offload_from_header(struct rte_mbuf *m, const struct virtio_net_hdr *hdr);

// Take the request from the receive flags that librte_vhost leaves with
// RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS. Returns as above.
int offload_from_rx_flags(struct rte_mbuf *m);

// Describe the offload state of @m in @ret_hdr, for a receiver that gets @tag_bytes more in front
// of the IP header than @m has. Writes the exact pseudo-header checksum, with the length, into the
// frame.
void offload_to_header(struct rte_mbuf *m, uint16_t tag_bytes, struct virtio_net_hdr *ret_hdr);

// Whether a receiver that takes @offloads (PORT_TAKES_*) must not get @m as it is.
bool offload_must_resolve(const struct rte_mbuf *m, uint32_t offloads);

// Finish the TCP or UDP checksum of a frame that wants it and is no TSO frame.
void offload_finish_checksum(struct rte_mbuf *m);

// Cut a TSO frame into complete frames, checksums included, in new mbufs of @pool. Borrows @m.
// Returns how many (1 to OFFLOAD_MAX_SEGMENTS, all in @segments, owned by the caller), -E2BIG for
// more, or -ENOMEM; no segment is left over then.
int offload_segment(
	const struct rte_mbuf *m, struct rte_mempool *pool,
	struct rte_mbuf *segments[static OFFLOAD_MAX_SEGMENTS]
);
