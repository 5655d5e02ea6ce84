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
static inline bool transfer_size_is_good(struct ring *r, uint64_t size) {
	if (__builtin_expect(size < (uint64_t)r->header_size + RING_MIN_FRAME, 0)) {
		r->stats.runts++;
		return false;
	}
	if (__builtin_expect(size > (uint64_t)r->header_size + RING_MAX_FRAME, 0)) {
		r->stats.oversized++;
		return false;
	}
	return true;
}

// The two below for any pieces; transfer_read_any() when the sizes of f are set already, and
// transfer_write_any() with the whole header.
void transfer_read_any(
	struct ring *r, struct ring_frame *f, struct segment *segments, unsigned int n
);
void transfer_write_any(
	struct ring *r, const struct room *room, const struct ring_frame *f,
	const struct virtio_net_hdr_v1 *hdr
);

// Make a frame of @n pieces with @size bytes in all. The head is copied to f->head, and cut off the
// pieces.
static inline void transfer_read(
	struct ring *r, struct ring_frame *f, struct segment *segments, unsigned int n,
	uint32_t size
) {
	struct segment *s = segments;
	uint32_t skip = sizeof(f->offload);

	f->size = size - r->header_size;
	f->head_size = f->size < RING_HEAD_SIZE ? (uint16_t)f->size : RING_HEAD_SIZE;
	// Linux sends the header in front of the frame's first bytes or as a piece of its own.
	if (n > 1 && s->size == skip)
		s++;
	if (__builtin_expect(
		    r->header_size != skip || segments->size < skip ||
			    s->size < f->head_size + (s == segments ? skip : 0),
		    0
	    )) {
		transfer_read_any(r, f, segments, n);
		return;
	}
	if (r->offloads)
		memory_read(&f->offload, segments->host, sizeof(f->offload));
	else
		f->offload = (struct virtio_net_hdr_v1){0};
	skip = f->head_size + (s == segments ? skip : 0);
	if (f->head_size == RING_HEAD_SIZE) // a constant size needs no call
		memory_read(f->head, s->host + skip - RING_HEAD_SIZE, RING_HEAD_SIZE);
	else
		memory_read(f->head, s->host + skip - f->head_size, f->head_size);
	s->host += skip;
	s->guest_addr += skip;
	s->size -= skip;
	if (s->size == 0)
		s++;
	f->segments = s;
	f->n_segments = (uint16_t)(segments + n - s);
}

// Whether transfer_write_one() can write @f.
static inline bool transfer_is_one(
	const struct ring *r, const struct segment *to, const struct ring_frame *f
) {
	return r->header_size == sizeof(struct virtio_net_hdr_v1) &&
		to->size >= r->header_size + f->size && f->size >= f->head_size;
}

// Write header and frame into one piece, as it is for most frames.
static inline void transfer_write_one(
	struct ring *r, const struct segment *to, uint16_t n_buffers, const struct ring_frame *f,
	const struct virtio_net_hdr_v1 *hdr
) {
	const uint16_t last[2] = {hdr->csum_offset, n_buffers};
	uint32_t offset = sizeof(*hdr);

	// A copy of the header with another number in it would be loaded wider than it was stored,
	// and wait for the store. So the last two fields go apart.
	memory_write(r->memory, to->host, true, to->guest_addr, hdr, sizeof(*hdr) - sizeof(last));
	memory_write(
		r->memory, to->host + offset - sizeof(last), true,
		to->guest_addr + offset - sizeof(last), last, sizeof(last)
	);
	if (f->head_size == RING_HEAD_SIZE) // a constant size needs no call
		memory_write(
			r->memory, to->host + offset, true, to->guest_addr + offset, f->head,
			RING_HEAD_SIZE
		);
	else
		memory_write(
			r->memory, to->host + offset, true, to->guest_addr + offset, f->head,
			f->head_size
		);
	offset += f->head_size;
	for (uint16_t i = 0; i < f->n_segments; i++) {
		// A frame whose sizes disagree, by a mistake of ours, must not go beyond the buffer.
		if (__builtin_expect(f->segments[i].size > to->size - offset, 0))
			return;
		memory_write(
			r->memory, to->host + offset, true, to->guest_addr + offset,
			f->segments[i].host, f->segments[i].size
		);
		offset += f->segments[i].size;
	}
}

// Write header and frame into @room, which has at least r->header_size + f->size bytes.
static inline void transfer_write(
	struct ring *r, const struct room *room, const struct ring_frame *f,
	const struct virtio_net_hdr_v1 *hdr
) {
	const uint16_t n_buffers = r->mergeable ? room->n_heads : 1;
	struct virtio_net_hdr_v1 header;

	if (__builtin_expect(transfer_is_one(r, &room->segments[0], f), 1)) {
		transfer_write_one(r, &room->segments[0], n_buffers, f, hdr);
		return;
	}
	header = *hdr;
	header.num_buffers = n_buffers;
	transfer_write_any(r, room, f, &header);
}
