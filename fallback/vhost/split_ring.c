// SPDX-License-Identifier: GPL-2.0-or-later
// Three structures in guest memory: the descriptor table, which the guest writes; the available
// ring, in which it names the heads of chains for us; the used ring, in which we name them back.
//
// Position. Buffers are used in the order in which they were made available, and all that one call
// has taken or placed is told to the guest by one store of used->idx. So at each moment in which no
// call is under way, the number of buffers taken is the number told: used->idx, in the guest's own
// memory, is the whole state of a ring. A switch that dies in the middle has either not stored it,
// and the next one takes the same buffers again (the guest's frames are sent once more, its receive
// buffers are filled anew, nothing of the first attempt was told), or has stored it, and the next
// one goes on behind. No buffer is lost or told twice, without a log of buffers in flight. The
// position that a front-end sends (SET_VRING_BASE) can only repeat this number or be wrong, so a
// ring starts at used->idx. The number is the guest's to corrupt, as are the entries it leads to:
// all are checked at use.
//
// Bounds. Entries of the rings are at index & (size - 1), and the setup has checked that `size`
// entries are mapped. Heads are compared with size. What chain_read() returns is mapped. A frame is
// copied with a cursor over the pieces, which holds their number and never goes beyond it.
//
// Notification. With event indexes each side writes the index at which it wants to be woken;
// without them, a flag. A full barrier lies between telling something and looking whether the other
// side wants to know, and between asking to be woken and looking whether there is something; so one
// of the two always sees the other (virtio 1.2, 2.7.7, 2.7.10). An index is compared with what was
// told since the last comparison, never with more: what is older may be a whole round old, and then
// 16 bits do not tell it from what is new.

#include "fallback/vhost/split_ring.h"

#include <assert.h>
#include <errno.h>

#include <linux/virtio_ring.h>

#include "fallback/vhost/chain.h"
#include "fallback/vhost/transfer.h"

#define PREFETCH_LINE 64

static uint16_t *avail_event(const struct ring *r) {
	return (uint16_t *)&r->used->ring[r->size];
}

static const uint16_t *used_event(const struct ring *r) {
	return &r->avail->ring[r->size];
}

static void store_used_u16(struct ring *r, uint16_t *at, uint16_t value) {
	uint64_t offset = (uint64_t)((uint8_t *)at - (uint8_t *)r->used);

	memory_store_u16(r->memory, at, r->log, r->log_addr + offset, value);
}

static int split_start(struct ring *r, const struct ring_setup *setup) {
	const uint64_t size = setup->size;
	const uint64_t event = r->event_index ? sizeof(uint16_t) : 0;

	if (size == 0 || size > RING_MAX_SIZE || (size & (size - 1)) != 0)
		return -EINVAL;
	r->desc = (struct vring_desc *)memory_at_user(
		r->memory, setup->desc_user_addr, size * sizeof(struct vring_desc)
	);
	r->avail = (struct vring_avail *)memory_at_user(
		r->memory, setup->avail_user_addr,
		sizeof(struct vring_avail) + size * sizeof(uint16_t) + event
	);
	r->used = (struct vring_used *)memory_at_user(
		r->memory, setup->used_user_addr,
		sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) + event
	);
	if (r->desc == NULL || r->avail == NULL || r->used == NULL)
		return -EFAULT;
	if ((uintptr_t)r->desc % VRING_DESC_ALIGN_SIZE != 0 ||
	    (uintptr_t)r->avail % VRING_AVAIL_ALIGN_SIZE != 0 ||
	    (uintptr_t)r->used % VRING_USED_ALIGN_SIZE != 0)
		return -EINVAL;

	r->next_used = memory_load_u16(&r->used->idx);
	r->next_avail = r->next_used;
	r->seen_avail = r->next_used;
	r->must_signal = true; // the guest may wait for something told before
	store_used_u16(r, &r->used->flags, r->event_index ? 0 : VRING_USED_F_NO_NOTIFY);
	if (r->event_index)
		store_used_u16(r, avail_event(r), r->next_avail - 1);
	return 0;
}

// How many buffers the guest has made available behind next_avail + @ahead.
static uint16_t available(struct ring *r, uint16_t ahead) {
	uint16_t n = r->seen_avail - r->next_avail;

	if (n > ahead)
		return n - ahead;
	r->seen_avail = memory_load_u16_acquire(&r->avail->idx);
	n = r->seen_avail - r->next_avail;
	if (__builtin_expect(n > r->size, 0)) {
		ring_fail(r, RING_FAULT_INDEX);
		return 0;
	}
	return n > ahead ? n - ahead : 0;
}

static bool next_head(struct ring *r, uint16_t ahead, uint16_t *ret_head) {
	uint16_t i = (uint16_t)(r->next_avail + ahead) & (r->size - 1);
	uint16_t head = memory_load_u16(&r->avail->ring[i]);

	if (__builtin_expect(head >= r->size, 0)) {
		ring_fail(r, RING_FAULT_HEAD);
		return false;
	}
	*ret_head = head;
	return true;
}

// Name @head as used, behind all that is pending. The guest sees it after split_publish().
static void put_used(struct ring *r, uint16_t head, uint32_t written) {
	uint16_t i = (uint16_t)(r->next_used + r->n_pending) & (r->size - 1);
	struct vring_used_elem elem = {.id = head, .len = written};
	uint8_t *at = (uint8_t *)&r->used->ring[i];

	memory_write(
		r->memory, at, r->log, r->log_addr + (uint64_t)(at - (uint8_t *)r->used), &elem,
		sizeof(elem)
	);
	r->n_pending++;
}

// Read the chain at @head into @pool, which has room for RING_FRAME_SEGMENTS. Returns the number of
// pieces, or -errno for a frame that is dropped and counted.
static int take_one(struct ring *r, uint16_t head, struct segment *pool, uint32_t *ret_size) {
	uint64_t size;
	int n = chain_read(r, head, false, pool, RING_FRAME_SEGMENTS, &size);

	if (n < 0) {
		r->stats.malformed++;
		return n;
	}
	if (!transfer_size_is_good(r, size))
		return -EINVAL;
	*ret_size = (uint32_t)size;
	return n;
}

// The lines of the header and of most of the headers behind it.
static void prefetch_head(const struct segment *pieces, unsigned int n) {
	__builtin_prefetch(pieces[0].host);
	if (pieces[0].size > PREFETCH_LINE)
		__builtin_prefetch(pieces[0].host + PREFETCH_LINE);
	if (n > 1) {
		__builtin_prefetch(pieces[1].host);
		if (pieces[1].size > PREFETCH_LINE)
			__builtin_prefetch(pieces[1].host + PREFETCH_LINE);
	}
}

// Three passes, so that the cache misses of a burst overlap: heads, then descriptors, then bytes.
static uint16_t split_take(struct ring *r, struct ring_burst *b, uint16_t max) {
	struct segment *first[RING_BURST];
	uint32_t sizes[RING_BURST];
	uint16_t n_pieces[RING_BURST];
	unsigned int used = 0;
	uint16_t n = available(r, 0);
	uint64_t bytes = 0;

	if (n > max)
		n = max;
	if (n > RING_BURST)
		n = RING_BURST;
	for (uint16_t i = 0; i < n; i++) {
		if (!next_head(r, i, &b->ids[i])) {
			n = i;
			break;
		}
		__builtin_prefetch(&r->desc[b->ids[i]]);
	}
	for (uint16_t i = 0; i < n && RING_BURST_SEGMENTS - used >= RING_FRAME_SEGMENTS; i++) {
		struct segment *pool = b->segments + used;
		int pieces = take_one(r, b->ids[i], pool, &sizes[b->n_frames]);

		b->n_taken++;
		if (pieces < 0) {
			used += RING_FRAME_SEGMENTS; // it may have cost as much as the longest
			continue;
		}
		prefetch_head(pool, (unsigned int)pieces);
		first[b->n_frames] = pool;
		n_pieces[b->n_frames++] = (uint16_t)pieces;
		used += (unsigned int)pieces;
	}
	for (uint16_t i = 0; i < b->n_frames; i++) {
		struct ring_frame *f = &b->frames[i];

		f->head = b->heads[i] + RING_HEAD_ROOM;
		transfer_read(r, f, first[i], n_pieces[i], sizes[i]);
		bytes += f->size;
	}
	r->next_avail += b->n_taken;
	r->stats.frames += b->n_frames;
	r->stats.bytes += bytes;
	return b->n_frames;
}

static void split_give_back(struct ring *r, const struct ring_burst *b) {
	ring_expect_flush(r);
	for (uint16_t i = 0; i < b->n_taken; i++)
		put_used(r, b->ids[i], 0);
}

// As in split_take(), the cache misses of a burst shall overlap. What is read here is not used for
// anything else: split_place() reads it again.
static void split_expect(struct ring *r, uint16_t n_frames) {
	uint16_t heads[RING_BURST];
	uint16_t n = available(r, 0);

	if (n > n_frames)
		n = n_frames;
	if (n > RING_BURST)
		n = RING_BURST;
	for (uint16_t i = 0; i < n; i++) {
		heads[i] = memory_load_u16(
			&r->avail->ring[(uint16_t)(r->next_avail + i) & (r->size - 1)]
		);
		heads[i] &= r->size - 1;
		__builtin_prefetch(&r->desc[heads[i]]);
	}
	for (uint16_t i = 0; i < n; i++) {
		struct descriptor d = chain_descriptor((const uint8_t *)r->desc, heads[i]);
		uint8_t *host = memory_at(r->memory, d.addr, d.size, &r->hint);

		if (host == NULL)
			continue;
		__builtin_prefetch(host, 1);
		if (d.size > PREFETCH_LINE)
			__builtin_prefetch(host + PREFETCH_LINE, 1);
	}
}

static int find_room(struct ring *r, struct room *room, uint32_t needed) {
	const uint16_t max_heads = r->mergeable ? RING_MERGED_BUFFERS : 1;
	uint64_t found = 0;

	room->n_segments = 0;
	room->n_heads = 0;
	while (found < needed) {
		uint64_t size;
		int n;

		if (room->n_heads == max_heads || available(r, room->n_heads) == 0)
			return r->running ? -ENOBUFS : -EBADMSG;
		if (!next_head(r, room->n_heads, &room->heads[room->n_heads]))
			return -EBADMSG;
		n = chain_read(
			r, room->heads[room->n_heads], true, room->segments + room->n_segments,
			TRANSFER_SEGMENTS - room->n_segments, &size
		);
		if (n == -E2BIG && room->n_heads > 0)
			return -ENOBUFS; // each alone is right; together they are more than we hold
		if (n <= 0 || size > UINT32_MAX) {
			ring_fail(r, RING_FAULT_BUFFER);
			return -EBADMSG;
		}
		room->n_segments += (unsigned int)n;
		room->sizes[room->n_heads++] = (uint32_t)size;
		found += size;
	}
	return 0;
}

// Place @f into as many buffers as it takes.
static __attribute__((noinline)) int place_any(
	struct ring *r, const struct ring_frame *f, const struct virtio_net_hdr_v1 *hdr
) {
	uint32_t left = r->header_size + f->size;
	struct room room;
	int error;

	error = find_room(r, &room, left);
	if (error < 0)
		return error;
	transfer_write(r, &room, f, hdr);
	for (uint16_t i = 0; i < room.n_heads; i++) {
		uint32_t written = left < room.sizes[i] ? left : room.sizes[i];

		put_used(r, room.heads[i], written);
		left -= written;
	}
	r->next_avail += room.n_heads;
	return 0;
}

// The next buffer, if it has been seen already and is one descriptor in one region. What is not so
// is no fault here: place_any() looks at it anew.
static bool next_single(struct ring *r, uint16_t *ret_head, struct segment *ret_buffer) {
	const uint16_t kinds = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT;
	struct descriptor d;
	uint16_t head;
	uint8_t *host;

	if (r->seen_avail == r->next_avail)
		return false;
	head = memory_load_u16(&r->avail->ring[r->next_avail & (r->size - 1)]);
	if (head >= r->size)
		return false;
	d = chain_descriptor((const uint8_t *)r->desc, head);
	if ((d.flags & kinds) != VRING_DESC_F_WRITE || d.size == 0)
		return false;
	host = memory_at(r->memory, d.addr, d.size, &r->hint);
	if (host == NULL)
		return false;
	*ret_buffer = (struct segment){.host = host, .guest_addr = d.addr, .size = d.size};
	*ret_head = head;
	return true;
}

static int split_place(
	struct ring *r, const struct ring_frame *f, const struct virtio_net_hdr_v1 *hdr
) {
	struct segment to;
	uint16_t head;

	if (__builtin_expect(!next_single(r, &head, &to) || !transfer_is_one(r, &to, f), 0))
		return place_any(r, f, hdr);
	transfer_write_one(r, &to, 1, f, hdr);
	put_used(r, head, r->header_size + f->size);
	r->next_avail++;
	return 0;
}

static bool split_publish(struct ring *r) {
	uint16_t old = r->next_used;
	uint16_t now = old + r->n_pending;

	store_used_u16(r, &r->used->idx, now);
	r->next_used = now;
	r->n_pending = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!r->event_index)
		return (memory_load_u16(&r->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT) == 0;
	if (!r->must_signal && !vring_need_event(memory_load_u16(used_event(r)), now, old))
		return false;
	r->must_signal = false;
	return true;
}

static uint32_t split_position(const struct ring *r) {
	return r->next_used;
}

static bool split_watch(struct ring *r, bool on) {
	if (r->event_index)
		store_used_u16(r, avail_event(r), on ? r->next_avail : r->next_avail - 1);
	else
		store_used_u16(r, &r->used->flags, on ? 0 : VRING_USED_F_NO_NOTIFY);
	if (!on)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return memory_load_u16(&r->avail->idx) != r->next_avail;
}

const struct ring_ops split_ring_ops = {
	.start = split_start,
	.position = split_position,
	.take = split_take,
	.give_back = split_give_back,
	.expect = split_expect,
	.place = split_place,
	.publish = split_publish,
	.watch = split_watch,
};
