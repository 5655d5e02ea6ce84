// SPDX-License-Identifier: GPL-2.0-or-later
// The driver's side of one virtqueue whose buffers never change.
//
// A slot is one buffer: a descriptor, a chain of them, or an indirect table. Slots are set once and
// then posted in a circle. The switches complete them in order, so that in the split layout
// posting n slots again is one store, to the available index: the descriptors and the available
// ring already say the right thing. In the packed layout it is one store for each descriptor, as
// the switch writes over them. That is what makes the generator light.
//
// Everything is counted in slots since the start, in 64 bits; positions follow from that.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_SIZE 256 // as QEMU's default

// Descriptors of one slot, header included.
#define QUEUE_MAX_PIECES 4

struct queue_piece {
	uint64_t addr; // the guest's
	uint32_t size;
};

struct queue {
	bool packed;
	bool event_index;
	uint16_t n_descs; // of the ring for each slot; a power of two
	uint16_t n_slots;
	uint64_t posted;
	uint64_t done;
	uint64_t checked_kick; // `posted` when it was last looked whether the switch sleeps
	int kick_fd;
	void *desc, *driver, *device; // the three areas
	uint64_t image[QUEUE_SIZE];   // packed: length, id and flags of each descriptor
};

// Bytes of shared memory for the areas of one queue.
#define QUEUE_AREA_SIZE 0x4000

// @memory: QUEUE_AREA_SIZE bytes of shared memory, zeroes, page-aligned. @n_descs: how many
// descriptors queue_set() is given for each slot (1 for an indirect table).
void queue_init(
	struct queue *q, void *memory, bool packed, bool event_index, uint16_t n_descs, int kick_fd
);

// Describe a slot by n_descs pieces. @writable: a receive buffer.
void queue_set(struct queue *q, uint16_t slot, const struct queue_piece *pieces, bool writable);

// Describe a slot by a table of @n pieces at @table (16 * n bytes of shared memory), whose address
// for the guest is @addr. For sending.
void queue_set_indirect(
	struct queue *q, uint16_t slot, const struct queue_piece *pieces, uint16_t n, void *table,
	uint64_t addr
);

// How many slots the switch has completed since queue_done(), at most @max.
uint32_t queue_completed(const struct queue *q, uint32_t max);

// Slot number @n (since the start, completed, not done): whether the switch completed the right
// one, and how many bytes it wrote.
bool queue_completed_is(const struct queue *q, uint64_t n, uint32_t *ret_size);

// Completed slots have been looked at.
static inline void queue_done(struct queue *q, uint32_t n) {
	q->done += n;
}

// Hand the next @n slots over.
void queue_post(struct queue *q, uint32_t n);

// Kick the switch if it sleeps. For when nothing happens: a switch that polls is not asked.
void queue_wake(struct queue *q);
