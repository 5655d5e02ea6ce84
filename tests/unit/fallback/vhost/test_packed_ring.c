// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "tests/fake/vhost_front.h"

#define F(n) (UINT64_C(1) << (n))
#define BASE (F(VIRTIO_F_VERSION_1) | F(VIRTIO_F_RING_PACKED) | F(30))
#define FULL \
	(F(VIRTIO_NET_F_MRG_RXBUF) | F(VIRTIO_RING_F_INDIRECT_DESC) | F(VIRTIO_RING_F_EVENT_IDX))
#define SIZE 8
#define START 0x80008000u
#define AVAIL 0x80u
#define USED 0x8000u

// The guest's side of a packed ring.
struct driver {
	struct front *f;
	unsigned int ring;
	struct vring_packed_desc *desc;
	struct vring_packed_desc_event *events; // which interrupts it wants
	uint16_t next, used;
	bool wrap, used_wrap;
	uint16_t n_slots[SIZE * 2]; // by name
};

static struct front a, b;
static struct driver tx, rx;
static struct ring_burst burst;

static void driver_open(struct driver *d, struct front *f, unsigned int ring) {
	*d = (struct driver){.f = f, .ring = ring, .wrap = true, .used_wrap = true};
	d->desc = (struct vring_packed_desc *)f->rings[ring].desc;
	d->events = (struct vring_packed_desc_event *)f->rings[ring].avail;
}

static void start(uint64_t features) {
	struct front *fronts[] = {&a, &b};

	for (unsigned int i = 0; i < 2; i++) {
		front_open(fronts[i], &front_config);
		front_start(fronts[i], features | F(VIRTIO_F_RING_PACKED));
		for (unsigned int k = 0; k < 2; k++) {
			front_set_ring(fronts[i], k, SIZE);
			front_send_vring(fronts[i], MESSAGE_SET_VRING_BASE, 0, k, START);
			assert_int_equal(front_run(fronts[i]), 0);
			assert_true(session_ring(fronts[i]->session, k)->running);
		}
	}
	driver_open(&tx, &a, 1);
	driver_open(&rx, &b, 0);
}

static void stop(void) {
	front_close(&a);
	front_close(&b);
}

// Put one descriptor; @first's flags are for the caller to write last.
static uint16_t put(
	struct driver *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t id, bool now
) {
	uint16_t mine = flags | (d->wrap ? AVAIL : USED);

	d->desc[d->next].addr = addr;
	d->desc[d->next].len = len;
	d->desc[d->next].id = id;
	if (now)
		__atomic_store_n(&d->desc[d->next].flags, mine, __ATOMIC_RELEASE);
	if (++d->next == SIZE) {
		d->next = 0;
		d->wrap = !d->wrap;
	}
	return mine;
}

// A buffer of @n equal pieces of @size bytes in all at @offset.
static void post(
	struct driver *d, uint16_t id, uint64_t offset, uint32_t size, uint16_t n, uint16_t flags
) {
	uint16_t first = d->next, first_flags = 0;

	for (uint16_t i = 0; i < n; i++) {
		uint32_t len = i + 1 < n ? size / n : size - size / n * (n - 1u);
		uint16_t f =
			put(d, front_addr(offset) + i * (size / n), len,
		            flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0), id, i > 0);

		if (i == 0)
			first_flags = f;
	}
	d->n_slots[id] = n;
	__atomic_store_n(&d->desc[first].flags, first_flags, __ATOMIC_RELEASE);
}

static bool get_used(struct driver *d, uint16_t *ret_id, uint32_t *ret_len) {
	struct vring_packed_desc *desc = &d->desc[d->used];
	uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);

	if (!!(flags & AVAIL) != d->used_wrap || !!(flags & USED) != d->used_wrap)
		return false;
	*ret_id = desc->id;
	*ret_len = desc->len;
	d->used += d->n_slots[desc->id];
	if (d->used >= SIZE) {
		d->used -= SIZE;
		d->used_wrap = !d->used_wrap;
	}
	return true;
}

static void write_frame(uint64_t offset, uint32_t size) {
	memset(a.memory + offset, 0, 12);
	for (uint32_t i = 0; i < size; i++)
		a.memory[offset + 12 + i] = (uint8_t)(i * 7 + size);
}

static void packed_forwards_chains_of_every_length_round_and_round(void **state) {
	uint32_t len;
	uint16_t id;

	(void)state;
	start(FULL);
	for (unsigned int round = 0; round < 200; round++) {
		uint16_t n_tx = 1 + round % 5, n_rx = 1 + round % 3;
		uint32_t size = 60 + round * 7;

		write_frame(FRONT_DATA, size);
		post(&rx, round % SIZE, FRONT_DATA, 2048, n_rx, VRING_DESC_F_WRITE);
		post(&tx, round % SIZE, FRONT_DATA, 12 + size, n_tx, 0);
		assert_int_equal(front_forward(&a, &b), 1);
		assert_true(get_used(&rx, &id, &len));
		assert_int_equal(id, round % SIZE);
		assert_int_equal(len, 12 + size);
		assert_memory_equal(b.memory + FRONT_DATA + 12, a.memory + FRONT_DATA + 12, size);
		assert_true(get_used(&tx, &id, &len));
		assert_int_equal(id, round % SIZE);
		assert_false(get_used(&tx, &id, &len));
		assert_false(get_used(&rx, &id, &len));
	}
	stop();
}

static void packed_merges_buffers_and_shows_all_or_none(void **state) {
	uint32_t len, sum = 0;
	uint16_t id;

	(void)state;
	start(FULL);
	write_frame(FRONT_DATA, 3000);
	for (uint16_t i = 0; i < 3; i++)
		post(&rx, i, FRONT_DATA + i * 4096, 1100, 1, VRING_DESC_F_WRITE);
	post(&tx, 0, FRONT_DATA, 3012, 1, 0);
	assert_int_equal(ring_take(session_ring(a.session, 1), &burst, 1), 1);
	assert_int_equal(
		ring_place(session_ring(b.session, 0), &burst.frames[0], &burst.frames[0].offload),
		0
	);
	assert_false(get_used(&rx, &id, &len)); // before the flush
	ring_give_back(session_ring(a.session, 1), &burst);
	ring_flush(session_ring(a.session, 1), a.notifier);
	ring_flush(session_ring(b.session, 0), b.notifier);
	for (uint16_t i = 0; i < 3; i++) {
		assert_true(get_used(&rx, &id, &len));
		assert_int_equal(id, i);
		sum += len;
	}
	assert_int_equal(sum, 3012);
	assert_int_equal(b.memory[FRONT_DATA + 10], 3);
	stop();
}

static void packed_takes_indirect_tables_and_refuses_bad_ones(void **state) {
	struct vring_packed_desc *table;
	struct ring *r;
	uint32_t len;
	uint16_t id;

	(void)state;
	start(FULL);
	r = session_ring(a.session, 1);
	table = (struct vring_packed_desc *)(a.memory + FRONT_DATA + 0x10000);
	write_frame(FRONT_DATA, 300);
	table[0] = (struct vring_packed_desc){front_addr(FRONT_DATA), 100, 0, 0};
	table[1] = (struct vring_packed_desc){front_addr(FRONT_DATA + 100), 212, 0, 0};
	post(&rx, 0, FRONT_DATA, 2048, 1, VRING_DESC_F_WRITE);
	post(&tx, 3, FRONT_DATA + 0x10000, 32, 1, VRING_DESC_F_INDIRECT);
	assert_int_equal(front_forward(&a, &b), 1);
	assert_memory_equal(b.memory + FRONT_DATA + 12, a.memory + FRONT_DATA + 12, 300);
	assert_true(get_used(&tx, &id, &len));
	assert_int_equal(id, 3);

	table[1].flags = VRING_DESC_F_INDIRECT;
	post(&tx, 3, FRONT_DATA + 0x10000, 32, 1, VRING_DESC_F_INDIRECT);
	post(&tx, 4, FRONT_DATA + 0x10000, 33, 1, VRING_DESC_F_INDIRECT);
	post(&tx, 5, FRONT_MEMORY_SIZE - 16, 32, 1, VRING_DESC_F_INDIRECT);
	post(&tx, 6, FRONT_DATA, 112, 1, VRING_DESC_F_WRITE);
	post(&tx, 7, FRONT_MEMORY_SIZE - 16, 112, 1, 0);
	assert_int_equal(front_forward(&a, &b), 0);
	assert_int_equal(r->stats.malformed, 5);
	for (uint16_t i = 3; i < 8; i++) {
		assert_true(get_used(&tx, &id, &len));
		assert_int_equal(id, i);
	}
	stop();
}

static void packed_chain_without_end_costs_the_ring(void **state) {
	(void)state;
	start(FULL);
	for (uint16_t i = 0; i < SIZE; i++)
		put(&tx, front_addr(FRONT_DATA), 100, VRING_DESC_F_NEXT, 0, true);
	assert_int_equal(front_forward(&a, &b), 0);
	assert_int_equal(session_ring(a.session, 1)->fault, RING_FAULT_HEAD);

	post(&rx, 0, FRONT_DATA, 0, 1, VRING_DESC_F_WRITE);
	driver_open(&tx, &a, 1);
	memset(tx.desc, 0, SIZE * sizeof(*tx.desc));
	front_send_vring(&a, MESSAGE_SET_VRING_BASE, 0, 1, START);
	assert_int_equal(front_run(&a), 0);
	post(&tx, 0, FRONT_DATA, 112, 1, 0);
	assert_int_equal(front_forward(&a, &b), 0);
	assert_int_equal(session_ring(b.session, 0)->fault, RING_FAULT_BUFFER);
	stop();
}

static void packed_position_goes_with_the_front_end(void **state) {
	union message_payload p = {0};
	struct message_header header;
	uint32_t len;
	uint16_t id;

	(void)state;
	start(FULL);
	write_frame(FRONT_DATA, 100);
	for (unsigned int i = 0; i < SIZE + 3; i++) {
		post(&rx, 0, FRONT_DATA, 2048, 1, VRING_DESC_F_WRITE);
		post(&tx, 0, FRONT_DATA, 112, 1, 0);
		assert_int_equal(front_forward(&a, &b), 1);
		assert_true(get_used(&tx, &id, &len));
		assert_true(get_used(&rx, &id, &len));
	}
	front_send_vring(&a, MESSAGE_GET_VRING_BASE, 0, 1, 0);
	assert_int_equal(front_run(&a), 0);
	assert_int_equal(front_receive(&a, &header, &p), 8);
	assert_int_equal(p.vring.num, 0x00030003); // once round: the counter has turned
	front_send_vring(&a, MESSAGE_SET_VRING_BASE, 0, 1, p.vring.num);
	front_send_fd(&a, MESSAGE_SET_VRING_KICK, 0, 1, a.rings[1].kick_fd);
	assert_int_equal(front_run(&a), 0);
	front_set_memory(&b); // a restart without the front-end's word
	post(&rx, 0, FRONT_DATA, 2048, 1, VRING_DESC_F_WRITE);
	post(&tx, 0, FRONT_DATA, 112, 1, 0);
	assert_int_equal(front_forward(&a, &b), 1);
	assert_true(get_used(&tx, &id, &len));

	front_send_vring(&a, MESSAGE_SET_VRING_BASE, 0, 1, SIZE); // outside of the ring
	assert_int_equal(front_run(&a), 0);
	assert_false(session_ring(a.session, 1)->running);
	stop();
}

static uint64_t calls(void) {
	uint64_t n = 0;

	return read(b.rings[0].call_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void one_frame(void) {
	uint32_t len;
	uint16_t id;

	post(&rx, 0, FRONT_DATA, 2048, 1, VRING_DESC_F_WRITE);
	post(&tx, 0, FRONT_DATA, 112, 1, 0);
	assert_int_equal(front_forward(&a, &b), 1);
	assert_true(get_used(&tx, &id, &len));
	assert_true(get_used(&rx, &id, &len));
}

static void packed_interrupts_as_the_guest_wants(void **state) {
	(void)state;
	start(FULL);
	write_frame(FRONT_DATA, 100);
	one_frame();
	calls();
	rx.events->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	one_frame();
	assert_int_equal(calls(), 0);
	rx.events->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	one_frame();
	assert_int_equal(calls(), 1);
	rx.events->flags = VRING_PACKED_EVENT_FLAG_DESC;
	rx.events->off_wrap = 5 | 1 << 15; // the used descriptor of slot 5 of this round
	one_frame();                       // 3
	one_frame();                       // 4
	assert_int_equal(calls(), 0);
	one_frame(); // 5
	assert_int_equal(calls(), 1);
	rx.events->off_wrap = 1; // slot 1 of the next round
	one_frame();             // 6
	one_frame();             // 7
	one_frame();             // 0
	assert_int_equal(calls(), 0);
	one_frame();
	assert_int_equal(calls(), 1);
	stop();
}

static void packed_asks_for_kicks_only_when_watched(void **state) {
	struct vring_packed_desc_event *device;
	struct ring *r;

	(void)state;
	start(FULL);
	r = session_ring(a.session, 1);
	device = (struct vring_packed_desc_event *)a.rings[1].used;
	assert_int_equal(device->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	assert_false(ring_watch(r, true));
	assert_int_equal(device->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	post(&tx, 0, FRONT_DATA, 112, 1, 0);
	assert_true(ring_watch(r, true));
	assert_false(ring_watch(r, false));
	assert_int_equal(device->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	stop();
}

static void packed_marks_descriptors_and_data_in_the_dirty_log(void **state) {
	uint8_t log[256] = {0};
	uint64_t payload[2] = {sizeof(log), 0};
	union message_payload p = {.vring_addr = {.flags = 1}};
	struct message_header header;
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)state;
	start(FULL);
	assert_return_code(ftruncate(fd, sizeof(log)), errno);
	front_send(&b, MESSAGE_SET_LOG_BASE, 0, payload, sizeof(payload), &fd, 1);
	assert_int_equal(front_run(&b), 0);
	assert_int_equal(front_receive(&b, &header, &p), 0);
	front_ok(&b, MESSAGE_SET_FEATURES, BASE | FULL | F(26));
	p = (union message_payload){.vring_addr = {.flags = 1}};
	p.vring_addr.desc_user_addr = FRONT_USER_BASE;
	p.vring_addr.avail_user_addr = FRONT_USER_BASE + 0x8000;
	p.vring_addr.used_user_addr = FRONT_USER_BASE + 0xa000;
	p.vring_addr.log_guest_addr = front_addr(0xa000);
	front_send(&b, MESSAGE_SET_VRING_ADDR, 0, &p, sizeof(p.vring_addr), NULL, 0);
	assert_int_equal(front_run(&b), 0);
	write_frame(FRONT_DATA, 100);
	one_frame();
	assert_int_equal(pread(fd, log, sizeof(log), 0), sizeof(log));
	for (uint64_t page = 0; page < sizeof(log) * 8; page++) {
		bool dirty = log[page / 8] & 1 << page % 8;
		bool written = page == front_addr(0) / 4096 || page == front_addr(0xa000) / 4096 ||
			page == front_addr(FRONT_DATA) / 4096;

		assert_int_equal(dirty, written);
	}
	close(fd);
	stop();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_forwards_chains_of_every_length_round_and_round),
		cmocka_unit_test(packed_merges_buffers_and_shows_all_or_none),
		cmocka_unit_test(packed_takes_indirect_tables_and_refuses_bad_ones),
		cmocka_unit_test(packed_chain_without_end_costs_the_ring),
		cmocka_unit_test(packed_position_goes_with_the_front_end),
		cmocka_unit_test(packed_interrupts_as_the_guest_wants),
		cmocka_unit_test(packed_asks_for_kicks_only_when_watched),
		cmocka_unit_test(packed_marks_descriptors_and_data_in_the_dirty_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
