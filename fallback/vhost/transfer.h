// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes between checked pieces of guest memory and frames; the same for both layouts of a ring.

#pragma once

#include "fallback/vhost/ring.h"

#define TRANSFER_SEGMENTS 512 // pieces of the receive buffers for one frame

// Receive buffers for one frame, found but not yet taken.
struct room {
	struct segment segments[TRANSFER_SEGMENTS];
	unsigned int n_segments;
	uint16_t heads[RING_MERGED_BUFFERS];   // what names the buffer to the guest
	uint16_t n_slots[RING_MERGED_BUFFERS]; // packed: the descriptors it takes in the ring
	uint32_t sizes[RING_MERGED_BUFFERS];
	uint16_t n_heads;
};

// Whether a chain of @size bytes can be a frame. Counts those that cannot.
bool transfer_size_is_good(struct ring *r, uint64_t size);

// Make a frame of @n pieces with @size bytes in all. The head is copied to f->head, and cut off the pieces.
void transfer_read(
	struct ring *r, struct ring_frame *f, struct segment *segments, unsigned int n,
	uint32_t size
);

// Write header and frame into @room, which has at least r->header_size + f->size bytes.
void transfer_write(
	struct ring *r, const struct room *room, const struct ring_frame *f,
	const struct virtio_net_hdr_v1 *hdr
);
