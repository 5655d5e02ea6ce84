// SPDX-License-Identifier: GPL-2.0-or-later
// One descriptor chain of a guest, read and checked: the only code that follows a guest's pointers.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include "fallback/vhost/ring.h"

// One descriptor of the split layout, or of a table of it, copied out of guest memory.
struct descriptor {
	uint64_t addr;
	uint32_t size;
	uint16_t flags;
	uint16_t next;
};

static inline struct descriptor chain_descriptor(const uint8_t *table, uint32_t i) {
	const uint8_t *at = table + (size_t)i * sizeof(struct vring_desc);
	uint64_t addr = memory_load_u64(at);
	uint64_t rest = memory_load_u64(at + sizeof(addr));

	return (struct descriptor){
		.addr = addr,
		.size = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

// chain_read() for any chain.
int chain_read_any(
	struct ring *r, uint16_t head, bool writable, struct segment *segments, unsigned int max,
	uint64_t *ret_size
);

// Follow the chain that starts at @head (below r->size) and write its pieces to @segments.
//
// @writable  each buffer must be for us to write; otherwise each must be for us to read
// @max       room in @segments; also bounds the number of descriptors that are read
// Returns the number of pieces and sets *ret_size to their bytes; -EBADMSG for anything that is no
// such chain, -E2BIG when it has more pieces or descriptors than @max.
static inline int chain_read(
	struct ring *r, uint16_t head, bool writable, struct segment *segments, unsigned int max,
	uint64_t *ret_size
) {
	const uint16_t mask = VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE;
	uint64_t size = 0;
	uint32_t i = head;

	// The most frequent ones: a buffer, or a header and a buffer, each in one region.
	for (unsigned int n = 0; n < 2 && n < max && i < r->size; n++) {
		struct descriptor d = chain_descriptor((const uint8_t *)r->desc, i);
		uint8_t *host;

		if ((d.flags & mask) != (writable ? VRING_DESC_F_WRITE : 0) || d.size == 0)
			break;
		host = memory_at(r->memory, d.addr, d.size, &r->hint);
		if (__builtin_expect(host == NULL, 0))
			break;
		segments[n] = (struct segment){.host = host, .guest_addr = d.addr, .size = d.size};
		size += d.size;
		if ((d.flags & VRING_DESC_F_NEXT) == 0) {
			*ret_size = size;
			return (int)n + 1;
		}
		i = d.next;
	}
	return chain_read_any(r, head, writable, segments, max, ret_size);
}

// A chain of the packed layout must be followed to its end even when it is refused, for the next
// one begins there. No further than this, or a guest could make each frame cost a walk round its
// ring.
#define CHAIN_MAX_SLOTS 1024

// A chain of the packed layout.
struct packed_chain {
	uint64_t size;    // bytes
	uint16_t id;      // the guest's name for the buffer
	uint16_t n_slots; // descriptors in the ring; 0 if no end was found
};

// The same for the packed layout, for the chain whose first slot is @index (below r->size). id and
// n_slots are set also for a chain of readable buffers that is refused, so that it can be given
// back.
int chain_read_packed(
	struct ring *r, uint16_t index, bool writable, struct segment *segments, unsigned int max,
	struct packed_chain *ret_chain
);
