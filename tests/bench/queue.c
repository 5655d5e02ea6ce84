// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/bench/queue.h"

#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>

#include <linux/virtio_ring.h>

#define DRIVER_AREA 0x2000
#define DEVICE_AREA 0x3000
#define DESC_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define DESC_USED (1u << VRING_PACKED_DESC_F_USED)
// Where the switch should interrupt: never, half a circle away from wherever it is.
#define NO_EVENT 0x8000

static_assert(sizeof(struct vring_desc) * QUEUE_SIZE <= DRIVER_AREA, "areas overlap");
static_assert(
	DEVICE_AREA + sizeof(struct vring_used) + sizeof(struct vring_used_elem) * QUEUE_SIZE + 2 <=
		QUEUE_AREA_SIZE,
	"areas overlap"
);

void queue_init(
	struct queue *q, void *memory, bool packed, bool event_index, uint16_t n_descs, int kick_fd
) {
	uint8_t *at = memory;

	*q = (struct queue){
		.packed = packed,
		.event_index = event_index,
		.n_descs = n_descs,
		.n_slots = (uint16_t)(QUEUE_SIZE / n_descs),
		.kick_fd = kick_fd,
		.desc = at,
		.driver = at + DRIVER_AREA,
		.device = at + DEVICE_AREA,
	};
	if (packed) {
		struct vring_packed_desc_event *driver = q->driver;

		driver->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	} else {
		struct vring_avail *avail = q->driver;

		avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
		for (uint16_t i = 0; i < QUEUE_SIZE; i++)
			avail->ring[i] = (uint16_t)(i % q->n_slots * n_descs);
	}
}

// Bytes 8 to 15 of a packed descriptor.
static uint64_t packed_tail(uint32_t size, uint16_t id, uint16_t flags) {
	return size | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

static void set_desc(
	struct queue *q, uint16_t slot, uint16_t i, uint64_t addr, uint32_t size, uint16_t flags
) {
	uint16_t at = (uint16_t)(slot * q->n_descs + i);

	if (q->packed) {
		((struct vring_packed_desc *)q->desc)[at].addr = addr;
		q->image[at] = packed_tail(size, slot, flags);
	} else {
		((struct vring_desc *)q->desc)[at] =
			(struct vring_desc){addr, size, flags, (uint16_t)(at + 1)};
	}
}

void queue_set(struct queue *q, uint16_t slot, const struct queue_piece *pieces, bool writable) {
	for (uint16_t i = 0; i < q->n_descs; i++) {
		uint16_t flags = writable ? VRING_DESC_F_WRITE : 0;

		if (i + 1 < q->n_descs)
			flags |= VRING_DESC_F_NEXT;
		set_desc(q, slot, i, pieces[i].addr, pieces[i].size, flags);
	}
}

void queue_set_indirect(
	struct queue *q, uint16_t slot, const struct queue_piece *pieces, uint16_t n, void *table,
	uint64_t addr
) {
	for (uint16_t i = 0; i < n; i++) {
		if (q->packed)
			((struct vring_packed_desc *)table)[i] =
				(struct vring_packed_desc){pieces[i].addr, pieces[i].size, slot, 0};
		else
			((struct vring_desc *)table)[i] = (struct vring_desc
			){pieces[i].addr, pieces[i].size, i + 1 < n ? VRING_DESC_F_NEXT : 0,
			  (uint16_t)(i + 1)};
	}
	set_desc(q, slot, 0, addr, 16 * n, VRING_DESC_F_INDIRECT);
}

static uint16_t packed_position(const struct queue *q, uint64_t n) {
	return (uint16_t)(n % q->n_slots * q->n_descs);
}

// The wrap counter is 1 on the first way round.
static bool packed_wrap(const struct queue *q, uint64_t n) {
	return n / q->n_slots % 2 == 0;
}

static bool packed_is_used(const struct queue *q, uint64_t n) {
	const struct vring_packed_desc *d = q->desc;
	uint16_t used = packed_wrap(q, n) ? DESC_AVAIL | DESC_USED : 0;
	uint16_t flags = __atomic_load_n(&d[packed_position(q, n)].flags, __ATOMIC_ACQUIRE);

	return (flags & (DESC_AVAIL | DESC_USED)) == used;
}

uint32_t queue_completed(const struct queue *q, uint32_t max) {
	uint32_t n = 0;

	if (q->packed) {
		uint64_t posted = q->posted - q->done;

		while (n < max && n < posted && packed_is_used(q, q->done + n))
			n++;
		return n;
	}
	n = (uint16_t
	)(__atomic_load_n(&((struct vring_used *)q->device)->idx, __ATOMIC_ACQUIRE) -
	  (uint16_t)q->done);
	return n < max ? n : max;
}

bool queue_completed_is(const struct queue *q, uint64_t n, uint32_t *ret_size) {
	uint16_t slot = (uint16_t)(n % q->n_slots);

	if (q->packed) {
		const struct vring_packed_desc *d = q->desc;

		d += packed_position(q, n);
		*ret_size = d->len;
		return d->id == slot;
	} else {
		const struct vring_used_elem *elem =
			&((struct vring_used *)q->device)->ring[n % QUEUE_SIZE];

		*ret_size = elem->len;
		return elem->id == (uint32_t)slot * q->n_descs;
	}
}

// A chain counts when its first descriptor is marked, so that one is written last.
static void post_packed(struct queue *q, uint32_t n) {
	struct vring_packed_desc *desc = q->desc;

	for (uint64_t i = q->posted; i < q->posted + n; i++) {
		uint16_t at = packed_position(q, i);
		uint64_t mark = (uint64_t)(packed_wrap(q, i) ? DESC_AVAIL : DESC_USED) << 48;

		for (uint16_t j = q->n_descs; j-- > 0;)
			__atomic_store_n(
				(uint64_t *)&desc[at + j].len, q->image[at + j] | mark,
				__ATOMIC_RELEASE
			);
	}
}

void queue_post(struct queue *q, uint32_t n) {
	if (n == 0)
		return;
	if (q->packed) {
		post_packed(q, n);
		q->posted += n;
		return;
	}
	struct vring_avail *avail = q->driver;

	q->posted += n;
	if (q->event_index)
		avail->ring[QUEUE_SIZE] = (uint16_t)(q->posted + NO_EVENT);
	__atomic_store_n(&avail->idx, (uint16_t)q->posted, __ATOMIC_RELEASE);
}

static bool split_wants_kick(const struct queue *q) {
	const struct vring_used *used = q->device;
	const void *behind = &used->ring[QUEUE_SIZE];

	if (!q->event_index)
		return (used->flags & VRING_USED_F_NO_NOTIFY) == 0;
	return vring_need_event(
		__atomic_load_n((const uint16_t *)behind, __ATOMIC_RELAXED), (uint16_t)q->posted,
		(uint16_t)q->checked_kick
	);
}

static bool packed_wants_kick(const struct queue *q) {
	const struct vring_packed_desc_event *device = q->device;
	uint16_t at = packed_position(q, q->posted);
	uint16_t event = device->off_wrap & 0x7fff;

	if (device->flags != VRING_PACKED_EVENT_FLAG_DESC)
		return device->flags == VRING_PACKED_EVENT_FLAG_ENABLE;
	if (device->off_wrap >> VRING_PACKED_EVENT_F_WRAP_CTR != packed_wrap(q, q->posted))
		event -= QUEUE_SIZE;
	return vring_need_event(
		event, at, (uint16_t)(at - (q->posted - q->checked_kick) * q->n_descs)
	);
}

void queue_wake(struct queue *q) {
	if (q->checked_kick == q->posted)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); // what was posted is seen before the switch's wish
	if (q->packed ? packed_wants_kick(q) : split_wants_kick(q))
		eventfd_write(q->kick_fd, 1);
	q->checked_kick = q->posted;
}
