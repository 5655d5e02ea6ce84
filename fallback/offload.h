// SPDX-License-Identifier: GPL-2.0-or-later
// Checksum and segmentation offload: what a sender asks for, checked; what a receiver is told; and
// its resolution in software for a receiver that cannot take it.
//
// A guest's request is distrusted. A well-formed TCP or UDP request is passed on, its checksum
// field untouched; a checksum request of another shape (a tunnel's inner header, an IPv6 extension
// header) is finished here and now; a request that contradicts the frame is refused.
//
// Nothing is gathered: a checksum is summed over the sender's memory, and a segment of a TSO frame
// is a head of ours before pieces of that memory. So even these are copied once, into the receiver.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#include "fallback/frame.h"

// A TSO frame makes at most so many frames: 64 KiB at 536 bytes, IPv4's smallest MTU. More is
// refused, as one tiny gso_size would let a guest keep the switch busy.
#define OFFLOAD_MAX_SEGMENTS 128
#define OFFLOAD_SEGMENTS_AT_ONCE 32
// Each ends where a piece of the sender's memory ends, or a segment of TCP.
#define OFFLOAD_PIECES (RING_FRAME_SEGMENTS + 1 + OFFLOAD_SEGMENTS_AT_ONCE)

// Cold half of offload_check().
int offload_check_request(struct frame *f);

// Take the request that came with the frame (f->bytes->offload). Returns 0 with f->needs and what
// goes with it set, or -EBADMSG if the request contradicts the frame.
static inline int offload_check(struct frame *f) {
	const struct virtio_net_hdr_v1 *hdr = &f->bytes->offload;

	f->needs = 0;
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return 0;
	return offload_check_request(f);
}

// Describe what is left to do in @ret_hdr, for a receiver that gets @tag_bytes more in front of the
// IP header than @f has.
void offload_describe(const struct frame *f, uint16_t tag_bytes, struct virtio_net_hdr_v1 *ret_hdr);

// Whether a receiver that takes @offloads (PORT_TAKES_*) must not get @f as it is.
static inline bool offload_must_resolve(const struct frame *f, uint32_t offloads) {
	return (f->needs & ~offloads) != 0;
}

// Finish the TCP or UDP checksum of a frame that needs no more than that. The result is right for
// every receiver.
void offload_finish_checksum(struct frame *f);

// A TSO frame on its way into complete frames, some at a time.
struct offload_cutter {
	const struct frame *from;
	uint32_t offset; // bytes of payload that are cut
	uint32_t n_cut;  // segments so far
	uint16_t i;  // the piece of the sender's memory to go on with: 0 is the rest of the head
	uint32_t at; // and where in it
	struct frame frames[OFFLOAD_SEGMENTS_AT_ONCE];
	struct ring_frame bytes[OFFLOAD_SEGMENTS_AT_ONCE];
	uint8_t heads[OFFLOAD_SEGMENTS_AT_ONCE][RING_HEAD_ROOM + RING_HEAD_SIZE];
	struct segment pieces[OFFLOAD_PIECES];
};

// Begin with @f (borrowed until the last frame is sent). Returns 0, or -E2BIG for more than
// OFFLOAD_MAX_SEGMENTS.
int offload_cut_begin(struct offload_cutter *cutter, const struct frame *f);

// The next frames, in cutter->frames until the next call; how many, 0 at the end.
uint16_t offload_cut_next(struct offload_cutter *cutter);
