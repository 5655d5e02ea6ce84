// SPDX-License-Identifier: GPL-2.0-or-later
// One ring in guest memory, in which the guest makes buffers available and we write used ones over
// them. A descriptor's flags say whose it is: AVAIL equal to the guest's wrap counter and USED not,
// it is available; both equal to ours, it is used. A chain lies in consecutive slots, and only its
// last one names the buffer. Each side goes on by the number of slots of a chain and turns its
// counter at the end of the ring.
//
// Order. The guest writes the flags of a chain's first descriptor last, and we read them first. Of
// all that one call gives back, the flags of the first slot are written last (packed_publish), so
// the guest sees all of it or none.
//
// Position. As with the split layout, what was taken is what was told at each moment between two
// calls, so one index and one wrap counter are the whole state. But here they are not in guest
// memory: they come and go with SET_VRING_BASE and GET_VRING_BASE, and a front-end that lost its
// back-end can only repeat what it was told last. So a switch that dies loses packed rings until
// the guest's driver starts anew; who wants to survive it uses split rings.
//
// Bounds. A slot is always below the size; a chain has no more slots than the ring, nor than
// CHAIN_MAX_SLOTS.

#include "fallback/vhost/packed_ring.h"

#include <errno.h>
#include <stddef.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "fallback/vhost/chain.h"
#include "fallback/vhost/transfer.h"

#define FLAG_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define FLAG_USED (1u << VRING_PACKED_DESC_F_USED)
#define POSITION_INDEX 0x7fffu
#define POSITION_WRAP 0x8000u

// Both event structures are one 32-bit word: an index with a wrap bit, and flags.
struct event {
	uint16_t position;
	uint16_t flags;
};

// A place in the ring.
struct slot {
	uint16_t index;
	bool wrap;
};

static struct vring_packed_desc *ring_desc(const struct ring *r) {
	return (struct vring_packed_desc *)r->desc;
}

static struct slot slot_behind(const struct ring *r, struct slot s, uint16_t n) {
	uint32_t index = (uint32_t)s.index + n;

	if (index >= r->size)
		return (struct slot){.index = (uint16_t)(index - r->size), .wrap = !s.wrap};
	return (struct slot){.index = (uint16_t)index, .wrap = s.wrap};
}

static struct slot next_avail(const struct ring *r) {
	return (struct slot){.index = r->next_avail, .wrap = r->avail_wrap};
}

static bool slot_is_available(const struct ring *r, struct slot s) {
	uint16_t flags = memory_load_u16_acquire(&ring_desc(r)[s.index].flags);

	return !!(flags & FLAG_AVAIL) == s.wrap && !!(flags & FLAG_USED) != s.wrap;
}

static void store_device_event(struct ring *r, uint16_t flags) {
	uint16_t *at = &((struct vring_packed_desc_event *)r->used)->flags;

	memory_store_u16(r->memory, at, r->log, r->log_addr + sizeof(uint16_t), flags);
}

static int packed_start(struct ring *r, const struct ring_setup *setup) {
	const uint64_t size = setup->size;
	uint16_t index = setup->base & POSITION_INDEX;

	if (size == 0 || size > RING_MAX_SIZE || index >= size)
		return -EINVAL;
	r->desc = (struct vring_desc *)memory_at_user(
		r->memory, setup->desc_user_addr, size * sizeof(struct vring_packed_desc)
	);
	r->avail = (struct vring_avail *)memory_at_user(
		r->memory, setup->avail_user_addr, sizeof(struct vring_packed_desc_event)
	);
	r->used = (struct vring_used *)memory_at_user(
		r->memory, setup->used_user_addr, sizeof(struct vring_packed_desc_event)
	);
	if (r->desc == NULL || r->avail == NULL || r->used == NULL)
		return -EFAULT;
	if ((uintptr_t)r->desc % VRING_DESC_ALIGN_SIZE != 0 ||
	    (uintptr_t)r->avail % sizeof(uint32_t) != 0 ||
	    (uintptr_t)r->used % sizeof(uint32_t) != 0)
		return -EINVAL;

	// The front-end's log address is that of the used ring, which this layout does not have.
	r->desc_log_addr = memory_user_to_guest(r->memory, setup->desc_user_addr);
	r->next_avail = index;
	r->avail_wrap = setup->base & POSITION_WRAP;
	r->next_used = index;
	r->used_wrap = r->avail_wrap;
	r->last_publish = index;
	r->must_signal = true;
	store_device_event(r, VRING_PACKED_EVENT_FLAG_DISABLE);
	return 0;
}

static uint32_t packed_position(const struct ring *r) {
	uint32_t half = r->next_used | (r->used_wrap ? POSITION_WRAP : 0);

	return half | half << 16; // taken and told are the same
}

// Write the used descriptor of a buffer that took @n_slots, behind all that is pending.
static void put_used(struct ring *r, uint16_t id, uint32_t written, uint16_t n_slots) {
	struct vring_packed_desc *desc = &ring_desc(r)[r->next_used];
	uint16_t flags = (r->used_wrap ? FLAG_AVAIL | FLAG_USED : 0) |
		(written > 0 ? VRING_DESC_F_WRITE : 0);
	uint64_t offset = r->next_used * UINT64_C(16);
	struct slot behind;

	memory_write(
		r->memory, (uint8_t *)&desc->len, r->log,
		r->desc_log_addr + offset + offsetof(struct vring_packed_desc, len), &written,
		sizeof(written)
	);
	memory_write(
		r->memory, (uint8_t *)&desc->id, r->log,
		r->desc_log_addr + offset + offsetof(struct vring_packed_desc, id), &id, sizeof(id)
	);
	if (r->n_pending == 0) {
		r->first_slot = r->next_used;
		r->first_flags = flags;
	} else {
		memory_store_u16(
			r->memory, &desc->flags, r->log,
			r->desc_log_addr + offset + offsetof(struct vring_packed_desc, flags), flags
		);
	}
	behind =
		slot_behind(r, (struct slot){.index = r->next_used, .wrap = r->used_wrap}, n_slots);
	r->next_used = behind.index;
	r->used_wrap = behind.wrap;
	r->n_pending++;
}

static uint16_t packed_take(struct ring *r, struct ring_burst *b, uint16_t max) {
	struct segment *first[RING_BURST];
	uint32_t sizes[RING_BURST];
	uint16_t n_pieces[RING_BURST];
	struct slot at = next_avail(r);
	unsigned int used = 0;
	uint64_t bytes = 0;

	if (max > RING_BURST)
		max = RING_BURST;
	while (b->n_taken < max && RING_BURST_SEGMENTS - used >= RING_FRAME_SEGMENTS &&
	       slot_is_available(r, at)) {
		struct segment *pool = b->segments + used;
		struct packed_chain chain;
		int pieces =
			chain_read_packed(r, at.index, false, pool, RING_FRAME_SEGMENTS, &chain);

		if (chain.n_slots == 0) {
			ring_fail(r, RING_FAULT_HEAD); // where the next one begins cannot be known
			break;
		}
		b->ids[b->n_taken] = chain.id;
		b->n_slots[b->n_taken++] = chain.n_slots;
		at = slot_behind(r, at, chain.n_slots);
		if (pieces < 0)
			r->stats.malformed++;
		if (pieces < 0 || !transfer_size_is_good(r, chain.size)) {
			used += RING_FRAME_SEGMENTS; // it may have cost as much as the longest
			continue;
		}
		__builtin_prefetch(pool[0].host);
		__builtin_prefetch(pool[pieces - 1].host);
		first[b->n_frames] = pool;
		sizes[b->n_frames] = (uint32_t)chain.size;
		n_pieces[b->n_frames++] = (uint16_t)pieces;
		used += (unsigned int)pieces;
	}
	for (uint16_t i = 0; i < b->n_frames; i++) {
		struct ring_frame *f = &b->frames[i];

		f->head = b->heads[i] + RING_HEAD_ROOM;
		transfer_read(r, f, first[i], n_pieces[i], sizes[i]);
		bytes += f->size;
	}
	r->next_avail = at.index;
	r->avail_wrap = at.wrap;
	r->stats.frames += b->n_frames;
	r->stats.bytes += bytes;
	return b->n_frames;
}

static void packed_give_back(struct ring *r, const struct ring_burst *b) {
	for (uint16_t i = 0; i < b->n_taken; i++)
		put_used(r, b->ids[i], 0, b->n_slots[i]);
}

static int find_room(struct ring *r, struct room *room, uint32_t needed, struct slot *ret_behind) {
	const uint16_t max_heads = r->mergeable ? RING_MERGED_BUFFERS : 1;
	struct slot at = next_avail(r);
	uint32_t n_slots = 0;
	uint64_t found = 0;

	room->n_segments = 0;
	room->n_heads = 0;
	while (found < needed) {
		struct packed_chain chain;
		int n;

		// A ring that is full of one frame's buffers would come round to its own first
		// slot.
		if (room->n_heads == max_heads || n_slots >= r->size || !slot_is_available(r, at))
			return -ENOBUFS;
		n = chain_read_packed(
			r, at.index, true, room->segments + room->n_segments,
			TRANSFER_SEGMENTS - room->n_segments, &chain
		);
		if (n == -E2BIG && room->n_heads > 0)
			return -ENOBUFS;
		if (n <= 0 || chain.size > UINT32_MAX) {
			ring_fail(r, RING_FAULT_BUFFER);
			return -EBADMSG;
		}
		room->n_segments += (unsigned int)n;
		room->heads[room->n_heads] = chain.id;
		room->n_slots[room->n_heads] = chain.n_slots;
		room->sizes[room->n_heads++] = (uint32_t)chain.size;
		n_slots += chain.n_slots;
		at = slot_behind(r, at, chain.n_slots);
		found += chain.size;
	}
	*ret_behind = at;
	return 0;
}

static int packed_place(
	struct ring *r, const struct ring_frame *f, const struct virtio_net_hdr_v1 *hdr
) {
	uint32_t left = r->header_size + f->size;
	struct slot behind;
	struct room room;
	int error;

	error = find_room(r, &room, left, &behind);
	if (error < 0)
		return error;
	transfer_write(r, &room, f, hdr);
	for (uint16_t i = 0; i < room.n_heads; i++) {
		uint32_t written = left < room.sizes[i] ? left : room.sizes[i];

		put_used(r, room.heads[i], written, room.n_slots[i]);
		left -= written;
	}
	r->next_avail = behind.index;
	r->avail_wrap = behind.wrap;
	return 0;
}

static bool packed_publish(struct ring *r) {
	uint64_t offset = r->first_slot * UINT64_C(16);
	uint16_t old = r->last_publish, now = r->next_used, wanted;
	struct event event;
	uint32_t word;

	memory_store_u16(
		r->memory, &ring_desc(r)[r->first_slot].flags, r->log,
		r->desc_log_addr + offset + offsetof(struct vring_packed_desc, flags),
		r->first_flags
	);
	r->n_pending = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	word = __atomic_load_n((const uint32_t *)r->avail, __ATOMIC_RELAXED);
	memcpy(&event, &word, sizeof(event));
	r->last_publish = now;
	if (r->must_signal) {
		r->must_signal = false;
		return true;
	}
	if (!r->event_index || event.flags != VRING_PACKED_EVENT_FLAG_DESC)
		return event.flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	// Compare as if the ring went on behind its end: what lies in the round before has passed.
	wanted = event.position & POSITION_INDEX;
	if (!!(event.position & POSITION_WRAP) != r->used_wrap)
		wanted -= r->size;
	if (now <= old)
		old -= r->size;
	return vring_need_event(wanted, now, old);
}

static bool packed_watch(struct ring *r, bool on) {
	store_device_event(
		r, on ? VRING_PACKED_EVENT_FLAG_ENABLE : VRING_PACKED_EVENT_FLAG_DISABLE
	);
	if (!on)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return slot_is_available(r, next_avail(r));
}

const struct ring_ops packed_ring_ops = {
	.start = packed_start,
	.position = packed_position,
	.take = packed_take,
	.give_back = packed_give_back,
	.place = packed_place,
	.publish = packed_publish,
	.watch = packed_watch,
};
