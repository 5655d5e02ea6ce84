// SPDX-License-Identifier: GPL-2.0-or-later
// Rings and descriptors of two guests, written by the input, while a second thread goes on changing
// them. Frames are moved between the guests as the switch does. Each guest's memory has a fence on
// both sides (mapping.c).
//
// A reference model says what may be written where: in the sender's memory the used ring, in the
// receiver's memory the used ring and the bytes of writable descriptors, whole ranges only. It
// knows nothing of chains, headers or frames, so it shares no mistake with the code. It is exact
// while nothing changes the descriptors, so an input whose buffers lie over them, and the second
// thread, come without it.

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "tests/fake/vhost_front.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define F(n) (UINT64_C(1) << (n))
#define ENTRIES 16
#define DATA_SIZE 0x28000
#define TABLES (FRONT_DATA + 0x100000) // indirect tables
// The descriptors end where the memory ends: one too many is in the fence.
#define DESCS (FRONT_MEMORY_SIZE - ENTRIES * sizeof(struct vring_desc))

static struct front a, b;
static bool ready;
static struct ring_burst burst;

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t get_byte(struct input *in) {
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static uint16_t get_u16(struct input *in) {
	uint16_t low = get_byte(in);

	return (uint16_t)(low | get_byte(in) << 8);
}

// Addresses and lengths near the edges are the interesting ones.
static struct vring_desc get_desc(struct input *in, bool writable) {
	static const uint64_t edges[] = {
		0,
		FRONT_GUEST_BASE - 1,
		FRONT_GUEST_BASE,
		FRONT_GUEST_BASE + FRONT_MEMORY_SIZE - 64,
		FRONT_GUEST_BASE + FRONT_MEMORY_SIZE,
		UINT64_MAX - 63,
		UINT64_C(1) << 63,
		FRONT_GUEST_BASE + FRONT_DATA};
	uint8_t kind = get_byte(in);
	struct vring_desc d;

	d.addr = kind & 8 ? edges[kind & 7] + (kind >> 4)
			  : FRONT_GUEST_BASE + FRONT_DATA + get_u16(in);
	d.len = kind & 128 ? UINT32_MAX - (kind & 15) : get_u16(in) >> (kind >> 4 & 7);
	d.flags = get_byte(in) & 7;
	if (kind & 64)
		d.flags = (uint16_t)((d.flags & 1) | (writable ? VRING_DESC_F_WRITE : 0));
	if (d.flags & VRING_DESC_F_INDIRECT && kind & 1) {
		// Some tables end where the memory ends, too, or a little behind it.
		d.addr = FRONT_GUEST_BASE +
			(kind & 2 ? FRONT_MEMORY_SIZE - (kind >> 2 & 3) * 16u
		                  : TABLES + (kind >> 2 & 3) * 256);
		d.len = (kind >> 4) * 16u;
		d.flags &= (uint16_t)~VRING_DESC_F_NEXT;
	}
	d.next = get_byte(in) % (ENTRIES + 1);
	return d;
}

static void set_memory(struct front *f, struct input *in, bool writable, bool packed) {
	struct front_ring *r = &f->rings[writable ? 0 : 1];
	struct vring_desc *tables = (struct vring_desc *)(f->memory + TABLES);
	uint8_t n = get_byte(in);

	// Nothing is left of earlier inputs, and a byte that is written looks different afterwards.
	memset(f->memory + FRONT_DATA, writable ? 0 : 0x5a, DATA_SIZE);
	memset(tables, 0, 64 * sizeof(tables[0]));
	for (unsigned int i = 0; i < ENTRIES; i++)
		r->desc[i] = get_desc(in, writable);
	for (unsigned int i = 0; i < (n >> 4) * 4u; i++)
		tables[i] = get_desc(in, writable);
	if (packed) {
		for (unsigned int i = 0; i < ENTRIES; i++) {
			uint16_t id = r->desc[i].next;

			// Available in the first round, but for some.
			r->desc[i].next = r->desc[i].flags |
				(id == ENTRIES ? 0 : 1 << VRING_PACKED_DESC_F_AVAIL);
			r->desc[i].flags = id;
		}
		for (unsigned int i = 0; i < (n >> 4) * 4u; i++)
			tables[i].next = tables[i].flags & VRING_DESC_F_WRITE;
		((struct vring_packed_desc_event *)r->avail)->off_wrap = get_u16(in);
		((struct vring_packed_desc_event *)r->avail)->flags = n & 3;
		return;
	}
	for (unsigned int i = 0; i < ENTRIES; i++)
		r->avail->ring[i] = get_byte(in) % (ENTRIES + (n & 1));
	r->avail->flags = n >> 1 & 1;
	r->avail->ring[ENTRIES] = get_byte(in);
	__atomic_store_n(
		&r->avail->idx, r->used->idx + (n >> 2 & 31) % (ENTRIES + 2), __ATOMIC_RELEASE
	);
}

// The parts of the memory that get_desc() can name.
static const struct {
	size_t from, size;
} windows[] = {
	{0, 2 * FRONT_RING_AREA},
	{FRONT_DATA, DATA_SIZE},
	{TABLES, 0x1000},
	{FRONT_MEMORY_SIZE - 4096, 4096},
};

static uint8_t before[FRONT_MEMORY_SIZE];
static uint8_t allowed[FRONT_MEMORY_SIZE];

static void allow(uint64_t offset, uint64_t size) {
	memset(allowed + offset, 1, size);
}

// Returns false if a buffer lies over descriptors or rings.
static bool allow_desc(const struct vring_desc *d) {
	uint64_t offset = d->addr - FRONT_GUEST_BASE;

	if ((d->flags & VRING_DESC_F_WRITE) == 0 || d->addr < FRONT_GUEST_BASE ||
	    offset > FRONT_MEMORY_SIZE || d->len > FRONT_MEMORY_SIZE - offset)
		return true;
	allow(offset, d->len);
	if (offset + d->len > DESCS)
		return false;
	return offset >= FRONT_DATA && (offset >= TABLES + 0x1000 || offset + d->len <= TABLES);
}

// Packed descriptors have the last two fields the other way round.
static struct vring_desc as_split(const struct vring_desc *d, bool packed) {
	struct vring_desc s = *d;

	if (packed) {
		s.flags = d->next;
		s.next = d->flags;
	}
	return s;
}

static bool model(const struct front *f, bool receiver, bool packed) {
	const struct vring_desc *tables = (const struct vring_desc *)(f->memory + TABLES);
	uint64_t used = (receiver ? 0 : FRONT_RING_AREA) + 0xa000;
	bool exact = true;

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		memcpy(before + windows[i].from, f->memory + windows[i].from, windows[i].size);
		memset(allowed + windows[i].from, 0, windows[i].size);
	}
	if (packed)
		allow(DESCS, ENTRIES * sizeof(struct vring_desc)); // used descriptors
	allow(used, packed ? 4 : 6 + 8 * ENTRIES);
	for (unsigned int i = 0; receiver && i < ENTRIES + 64; i++) {
		struct vring_desc d =
			as_split(i < 64 ? &tables[i] : &f->rings[0].desc[i - 64], packed);

		exact &= allow_desc(&d);
	}
	// A chain over the end goes on where used descriptors lie by then, and a used one has another
	// length than the guest gave it.
	if (receiver && packed && (f->rings[0].desc[ENTRIES - 1].next & VRING_DESC_F_NEXT))
		exact = false;
	return exact;
}

static void compare(const struct front *f) {
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		if (memcmp(f->memory + windows[i].from, before + windows[i].from,
		           windows[i].size) == 0)
			continue;
		for (size_t k = windows[i].from; k < windows[i].from + windows[i].size; k++) {
			if (f->memory[k] != before[k] && !allowed[k])
				abort();
		}
	}
}

struct changer {
	struct front *f;
	uint32_t seed;
	bool stop;
};

static void *change(void *arg) {
	struct changer *c = arg;
	uint32_t seed = c->seed;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		struct front_ring *r = &c->f->rings[c->f == &a ? 1 : 0];
		struct vring_desc *d = &r->desc[seed >> 8 & (ENTRIES - 1)];
		struct vring_desc *t =
			(struct vring_desc *)(c->f->memory + TABLES) + (seed >> 8 & 31);

		seed = seed * 1664525 + 1013904223;
		switch (seed >> 28 & 7) {
		case 0:
			__atomic_store_n(&d->len, seed >> 4, __ATOMIC_RELAXED);
			break;
		case 1:
			__atomic_store_n(&d->flags, seed >> 20 & 7, __ATOMIC_RELAXED);
			break;
		case 2:
			__atomic_store_n(
				&d->addr, FRONT_GUEST_BASE + (seed >> 3) % FRONT_MEMORY_SIZE,
				__ATOMIC_RELAXED
			);
			break;
		case 3:
			__atomic_store_n(&t->len, seed >> 12, __ATOMIC_RELAXED);
			break;
		case 4:
			__atomic_store_n(&t->flags, seed >> 20 & 3, __ATOMIC_RELAXED);
			break;
		case 5:
			__atomic_store_n(
				&r->avail->ring[seed & (ENTRIES - 1)], seed >> 16 & 31,
				__ATOMIC_RELAXED
			);
			break;
		case 6:
			__atomic_store_n(
				&r->avail->idx, r->used->idx + (seed >> 16 & 15), __ATOMIC_RELAXED
			);
			break;
		default:
			__atomic_store_n(&d->next, seed >> 16 & 31, __ATOMIC_RELAXED);
			break;
		}
	}
	return NULL;
}

// As SET_VRING_* would, but a hundred times faster.
static void restart(struct front *f, uint64_t features, uint16_t position) {
	for (unsigned int i = 0; i < 2; i++) {
		struct ring *r = session_ring(f->session, i);
		const struct ring_setup setup = {
			.features = features | F(VIRTIO_F_VERSION_1),
			.desc_user_addr = FRONT_USER_BASE + DESCS,
			.avail_user_addr = FRONT_USER_BASE + i * FRONT_RING_AREA + 0x8000,
			.used_user_addr = FRONT_USER_BASE + i * FRONT_RING_AREA + 0xa000,
			.size = ENTRIES,
			.base = 0x8000, // packed: slot 0 of the first round
		};

		memset(f->rings[i].used, 0, 8 + 8 * ENTRIES);
		f->rings[i].used->idx = position;
		if (ring_start(r, r->memory, &setup) < 0)
			abort();
	}
}

static void check_frames(void) {
	for (uint16_t i = 0; i < burst.n_frames; i++) {
		const struct ring_frame *frame = &burst.frames[i];
		uint64_t sum = frame->head_size;

		for (uint16_t k = 0; k < frame->n_segments; k++) {
			if (frame->segments[k].size == 0)
				abort();
			sum += frame->segments[k].size;
		}
		if (sum != frame->size || frame->size < RING_MIN_FRAME ||
		    frame->size > RING_MAX_FRAME)
			abort();
	}
}

static void forward(unsigned int rounds) {
	struct ring *rx = session_ring(a.session, 1), *tx = session_ring(b.session, 0);

	for (unsigned int k = 0; k < rounds; k++) {
		ring_take(rx, &burst, RING_BURST);
		check_frames();
		ring_expect(tx, burst.n_frames);
		for (uint16_t i = 0; i < burst.n_frames; i++)
			ring_place(tx, &burst.frames[i], &burst.frames[i].offload);
		ring_give_back(rx, &burst);
		ring_flush(rx, a.notifier);
		ring_flush(tx, b.notifier);
		ring_watch(rx, k & 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct input in = {data, size};
	uint8_t how = get_byte(&in);
	uint8_t layout = get_byte(&in);
	bool packed = layout & 1;
	uint16_t position = (layout >> 4) * 4369; // 0 to 65535, anywhere in the ring
	bool second_thread = (layout & 14) == 14; // it costs as much as a hundred other inputs
	uint64_t features = (how & 1 ? F(VIRTIO_NET_F_MRG_RXBUF) : 0) |
		(how & 2 ? F(VIRTIO_RING_F_EVENT_IDX) : 0) |
		(how & 4 ? F(VIRTIO_RING_F_INDIRECT_DESC) : 0) |
		(how & 8 ? F(VIRTIO_NET_F_CSUM) : 0) | (packed ? F(VIRTIO_F_RING_PACKED) : 0);
	struct changer changer = {.f = how & 32 ? &a : &b, .seed = how};
	pthread_t thread;

	if (!ready) {
		front_open(&a, &front_config);
		front_open(&b, &front_config);
		front_start(&a, F(VIRTIO_RING_F_INDIRECT_DESC));
		front_start(&b, F(VIRTIO_RING_F_INDIRECT_DESC));
		a.rings[1].desc = (struct vring_desc *)(a.memory + DESCS);
		b.rings[0].desc = (struct vring_desc *)(b.memory + DESCS);
		ready = true;
	}
	restart(&a, features, position);
	restart(&b, features ^ (how & 16 ? 1 << VIRTIO_NET_F_MRG_RXBUF : 0), position);
	set_memory(&a, &in, false, packed);
	set_memory(&b, &in, true, packed);
	switch (how >> 6) {
	case 0: // the model on the receiver
		if (model(&b, true, packed)) {
			forward(2);
			compare(&b);
		}
		break;
	case 1: // and on the sender
		model(&a, false, packed);
		forward(2);
		compare(&a);
		break;
	default:
		if (!second_thread) {
			forward(2);
			break;
		}
		if (pthread_create(&thread, NULL, change, &changer) != 0)
			abort();
		forward(50);
		__atomic_store_n(&changer.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		break;
	}
	return 0;
}
