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
#define FULL                                                                                       \
	(F(VIRTIO_NET_F_MRG_RXBUF) | F(VIRTIO_RING_F_INDIRECT_DESC) | F(VIRTIO_RING_F_EVENT_IDX) | \
	 F(VIRTIO_NET_F_CSUM))

static struct front a, b;
static struct ring_burst burst;

static void start(uint64_t features) {
	front_open(&a, &front_config);
	front_open(&b, &front_config);
	front_start(&a, features);
	front_start(&b, features);
}

static void stop(void) {
	front_close(&a);
	front_close(&b);
}

// A recognizable frame of @size bytes behind a zero header at @offset of @f's memory.
static void write_frame(struct front *f, uint64_t offset, uint32_t size) {
	memset(f->memory + offset, 0, 12);
	for (uint32_t i = 0; i < size; i++)
		f->memory[offset + 12 + i] = (uint8_t)(i * 7 + size);
}

static void check_frame(
	struct front *f, uint64_t offset, uint32_t size, uint32_t from, uint32_t to
) {
	for (uint32_t i = from; i < to; i++)
		assert_int_equal(f->memory[offset + i - from], (uint8_t)(i * 7 + size));
}

static uint64_t calls(struct front *f, unsigned int ring) {
	uint64_t n = 0;

	return read(f->rings[ring].call_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void ring_forwards_frames_of_every_size_unchanged(void **state) {
	static const uint32_t sizes[] = {14, 15, 60, 64, 127, 128, 129, 140, 1514, 1518, 9018};
	struct vring_used_elem used;

	(void)state;
	start(0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		write_frame(&a, FRONT_DATA, sizes[i]);
		front_post(&b, 0, FRONT_DATA, 16384, true);
		front_post(&a, 1, FRONT_DATA, 12 + sizes[i], false);
		assert_int_equal(front_forward(&a, &b), 1);
		assert_true(front_used(&a, 1, &used));
		assert_int_equal(used.len, 0);
		assert_true(front_used(&b, 0, &used));
		assert_int_equal(used.len, 12 + sizes[i]);
		assert_int_equal(b.memory[FRONT_DATA + 10], 1); // num_buffers
		check_frame(&b, FRONT_DATA + 12, sizes[i], 0, sizes[i]);
	}
	assert_int_equal(
		session_ring(a.session, 1)->stats.frames, sizeof(sizes) / sizeof(sizes[0])
	);
	stop();
}

static void ring_forwards_across_every_pair_of_cuts(void **state) {
	const uint32_t size = 200;
	struct vring_used_elem used;

	(void)state;
	start(FULL);
	for (uint32_t cut = 1; cut < 12 + size; cut += 3) {
		for (uint32_t room = 1; room < 12 + size; room += 11) {
			uint16_t head = 10;

			write_frame(&a, FRONT_DATA, size);
			memset(b.memory + FRONT_DATA, 0, 1024);
			front_desc(&a, 1, 0, front_addr(FRONT_DATA), cut, VRING_DESC_F_NEXT, 1);
			front_desc(&a, 1, 1, front_addr(FRONT_DATA) + cut, 12 + size - cut, 0, 0);
			front_desc(
				&b, 0, head, front_addr(FRONT_DATA), room,
				VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 11
			);
			front_desc(
				&b, 0, 11, front_addr(FRONT_DATA) + room, 1024, VRING_DESC_F_WRITE,
				0
			);
			front_avail(&b, 0, head);
			front_avail(&a, 1, 0);
			assert_int_equal(front_forward(&a, &b), 1);
			assert_true(front_used(&b, 0, &used));
			assert_int_equal(used.id, head);
			assert_int_equal(used.len, 12 + size);
			check_frame(&b, FRONT_DATA + 12, size, 0, size);
			assert_true(front_used(&a, 1, &used));
		}
	}
	stop();
}

static void ring_merges_receive_buffers_and_says_how_many(void **state) {
	const uint32_t size = 5000;
	struct vring_used_elem used;
	uint32_t at = 0;

	(void)state;
	start(FULL);
	write_frame(&a, FRONT_DATA, size);
	for (unsigned int i = 0; i < 8; i++)
		front_post(&b, 0, FRONT_DATA + i * 4096, 1526, true);
	front_post(&a, 1, FRONT_DATA, 12 + size, false);
	assert_int_equal(front_forward(&a, &b), 1);
	assert_int_equal(b.memory[FRONT_DATA + 10], 4);
	for (unsigned int i = 0; i < 4; i++) {
		uint32_t skip = i == 0 ? 12 : 0;

		assert_true(front_used(&b, 0, &used));
		assert_int_equal(used.id, i);
		check_frame(&b, FRONT_DATA + i * 4096 + skip, size, at, at + used.len - skip);
		at += used.len - skip;
	}
	assert_int_equal(at, size);
	assert_false(front_used(&b, 0, &used));
	stop();
}

static void ring_without_room_drops_the_frame_and_uses_no_buffer(void **state) {
	struct vring_used_elem used;

	(void)state;
	start(0); // without mergeable buffers
	write_frame(&a, FRONT_DATA, 1000);
	front_post(&b, 0, FRONT_DATA, 512, true);
	front_post(&b, 0, FRONT_DATA + 4096, 512, true);
	front_post(&a, 1, FRONT_DATA, 1012, false);
	assert_int_equal(front_forward(&a, &b), 0);
	assert_false(front_used(&b, 0, &used));
	assert_true(front_used(&a, 1, &used));
	assert_int_equal(session_ring(b.session, 0)->stats.no_buffer, 1);
	front_post(&a, 1, FRONT_DATA, 12 + 100, false);
	assert_int_equal(front_forward(&a, &b), 1);
	stop();
}

static void ring_takes_indirect_chains_also_behind_direct_ones(void **state) {
	struct vring_desc *table = (struct vring_desc *)(a.memory + FRONT_DATA + 0x10000);
	struct vring_used_elem used;

	(void)state;
	start(FULL);
	table = (struct vring_desc *)(a.memory + FRONT_DATA + 0x10000);
	write_frame(&a, FRONT_DATA, 600);
	table[0] = (struct vring_desc){front_addr(FRONT_DATA) + 12, 100, VRING_DESC_F_NEXT, 2};
	table[2] = (struct vring_desc){front_addr(FRONT_DATA) + 112, 500, 0, 0};
	front_desc(&a, 1, 5, front_addr(FRONT_DATA), 12, VRING_DESC_F_NEXT, 6);
	front_desc(&a, 1, 6, front_addr(FRONT_DATA + 0x10000), 48, VRING_DESC_F_INDIRECT, 0);
	front_avail(&a, 1, 5);
	front_post(&b, 0, FRONT_DATA, 2048, true);
	assert_int_equal(front_forward(&a, &b), 1);
	check_frame(&b, FRONT_DATA + 12, 600, 0, 600);
	assert_true(front_used(&a, 1, &used));
	assert_int_equal(used.id, 5);
	stop();
}

static void ring_survives_malformed_transmit_chains_and_counts_them(void **state) {
	struct vring_desc *table;
	struct ring *r;
	uint16_t n = 0;
	struct vring_used_elem used;

	(void)state;
	start(FULL);
	r = session_ring(a.session, 1);
	table = (struct vring_desc *)(a.memory + FRONT_DATA + 0x10000);
#define BAD(addr, len, flags, next)                                   \
	do {                                                          \
		front_desc(&a, 1, n, (addr), (len), (flags), (next)); \
		front_avail(&a, 1, n++);                              \
	} while (0)
	BAD(0, 100, 0, 0);                                        // unmapped
	BAD(front_addr(FRONT_MEMORY_SIZE) - 10, 100, 0, 0);       // ends beyond
	BAD(UINT64_MAX - 10, 100, 0, 0);                          // wraps
	BAD(front_addr(FRONT_DATA), 100, VRING_DESC_F_WRITE, 0);  // not for us to read
	BAD(front_addr(FRONT_DATA), 100, VRING_DESC_F_NEXT, 256); // outside of the table
	BAD(front_addr(FRONT_DATA), 100, VRING_DESC_F_NEXT, n);   // its own successor
	BAD(front_addr(FRONT_DATA), 0, VRING_DESC_F_NEXT, n);     // the same, of no bytes
	BAD(front_addr(FRONT_DATA + 0x10000), 0, VRING_DESC_F_INDIRECT, 0);
	BAD(front_addr(FRONT_DATA + 0x10000), 17, VRING_DESC_F_INDIRECT, 0);
	BAD(front_addr(FRONT_DATA + 0x10000), 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 0);
	BAD(front_addr(FRONT_MEMORY_SIZE) - 16, 32, VRING_DESC_F_INDIRECT, 0);
	BAD(front_addr(FRONT_DATA + 0x10000), 0xfffffff0u, VRING_DESC_F_INDIRECT, 0);
	// An indirect table inside an indirect table.
	table[0] =
		(struct vring_desc){front_addr(FRONT_DATA + 0x10000), 16, VRING_DESC_F_INDIRECT, 0};
	BAD(front_addr(FRONT_DATA + 0x10000), 16, VRING_DESC_F_INDIRECT, 0);
#undef BAD
	assert_int_equal(front_forward(&a, &b), 0);
	assert_int_equal(r->stats.malformed, n);
	assert_int_equal(r->fault, RING_FAULT_NONE);
	for (uint16_t i = 0; i < n; i++) {
		assert_true(front_used(&a, 1, &used));
		assert_int_equal(used.id, i);
	}
	stop();
}

static void ring_drops_runts_and_giants(void **state) {
	struct ring *r;

	(void)state;
	start(FULL);
	r = session_ring(a.session, 1);
	front_post(&a, 1, FRONT_DATA, 25, false);
	front_post(&a, 1, FRONT_DATA, 1, false);
	front_post(&a, 1, FRONT_DATA, 12 + RING_MAX_FRAME + 1, false);
	assert_int_equal(ring_take(r, &burst, RING_BURST), 0);
	assert_int_equal(burst.n_taken, 3);
	ring_give_back(r, &burst);
	assert_int_equal(r->stats.runts, 2);
	assert_int_equal(r->stats.oversized, 1);
	front_post(&a, 1, FRONT_DATA, 12 + RING_MAX_FRAME, false);
	assert_int_equal(ring_take(r, &burst, RING_BURST), 1);
	assert_int_equal(burst.frames[0].size, RING_MAX_FRAME);
	ring_give_back(r, &burst);
	stop();
}

static void ring_at_fault_rests_until_it_is_set_up_again(void **state) {
	struct ring *r;

	(void)state;
	start(FULL);
	r = session_ring(a.session, 1);
	a.rings[1].avail->idx = FRONT_RING_SIZE + 1;
	assert_int_equal(ring_take(r, &burst, RING_BURST), 0);
	assert_int_equal(burst.n_taken, 0);
	assert_int_equal(r->fault, RING_FAULT_INDEX);
	assert_false(r->running);
	assert_int_equal(front_run(&a), 0); // the alert is no end of the session
	a.rings[1].avail->idx = 0;
	front_set_ring(&a, 1, FRONT_RING_SIZE);
	assert_true(r->running);

	front_avail(&a, 1, FRONT_RING_SIZE);
	assert_int_equal(ring_take(r, &burst, RING_BURST), 0);
	assert_int_equal(r->fault, RING_FAULT_HEAD);
	stop();
}

static void ring_receive_side_fault_costs_that_ring_only(void **state) {
	static const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{0x10, 2048, VRING_DESC_F_WRITE},
		{UINT64_C(0x300000), 2048, 0},
		{UINT64_C(0x300000), 0, VRING_DESC_F_WRITE},
		{UINT64_C(0x4ffff0), 2048, VRING_DESC_F_WRITE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(FULL);
		front_desc(&b, 0, 0, bad[i].addr, bad[i].len, bad[i].flags, 0);
		front_avail(&b, 0, 0);
		write_frame(&a, FRONT_DATA, 100);
		front_post(&a, 1, FRONT_DATA, 112, false);
		assert_int_equal(front_forward(&a, &b), 0);
		assert_int_equal(session_ring(b.session, 0)->fault, RING_FAULT_BUFFER);
		assert_true(session_ring(a.session, 1)->running);
		assert_true(session_ring(b.session, 1)->running);
		stop();
	}
}

static void ring_interrupts_by_event_index_and_by_flag(void **state) {
	(void)state;
	for (unsigned int event = 0; event < 2; event++) {
		start(event ? F(VIRTIO_RING_F_EVENT_IDX) : 0);
		write_frame(&a, FRONT_DATA, 100);
		assert_true(calls(&b, 0) > 0); // a start is news
		for (unsigned int i = 0; i < 4; i++)
			front_post(&b, 0, FRONT_DATA, 2048, true);
		if (event)
			b.rings[0].avail->ring[FRONT_RING_SIZE] = 0;
		front_post(&a, 1, FRONT_DATA, 112, false);
		front_forward(&a, &b);
		assert_int_equal(calls(&b, 0), 1);
		if (event)
			b.rings[0].avail->ring[FRONT_RING_SIZE] = 2;
		else
			b.rings[0].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
		front_post(&a, 1, FRONT_DATA, 112, false);
		front_forward(&a, &b);
		assert_int_equal(calls(&b, 0), 0);
		b.rings[0].avail->flags = 0;
		front_post(&a, 1, FRONT_DATA, 112, false);
		front_forward(&a, &b);
		assert_int_equal(calls(&b, 0), 1);
		stop();
	}
}

static uint16_t avail_event(const struct front_ring *r) {
	uint16_t event;

	memcpy(&event, &r->used->ring[FRONT_RING_SIZE], sizeof(event));
	return event;
}

static void ring_that_starts_again_wakes_a_guest_that_missed_an_interrupt(void **state) {
	(void)state;
	start(F(VIRTIO_RING_F_EVENT_IDX));
	write_frame(&a, FRONT_DATA, 100);
	for (unsigned int i = 0; i < 4; i++)
		front_post(&b, 0, FRONT_DATA, 2048, true);
	b.rings[0].avail->ring[FRONT_RING_SIZE] = 0;
	front_post(&a, 1, FRONT_DATA, 112, false);
	front_post(&a, 1, FRONT_DATA, 112, false);
	front_forward(&a, &b);
	calls(&b, 0); // lost with the switch that has sent it
	front_set_ring(&b, 0, FRONT_RING_SIZE);
	assert_true(calls(&b, 0) > 0);
	front_post(&a, 1, FRONT_DATA, 112, false);
	front_forward(&a, &b);
	assert_int_equal(calls(&b, 0), 1);
	front_post(&a, 1, FRONT_DATA, 112, false);
	front_forward(&a, &b);
	assert_int_equal(calls(&b, 0), 0);
	stop();
}

static void ring_asks_for_kicks_only_when_watched(void **state) {
	struct ring *r;

	(void)state;
	start(F(VIRTIO_RING_F_EVENT_IDX));
	r = session_ring(a.session, 1);
	assert_int_equal(avail_event(&a.rings[1]), UINT16_MAX);
	assert_false(ring_watch(r, true));
	assert_int_equal(avail_event(&a.rings[1]), 0);
	front_post(&a, 1, FRONT_DATA, 112, false);
	assert_true(ring_watch(r, true));
	assert_false(ring_watch(r, false));
	stop();

	start(0);
	r = session_ring(a.session, 1);
	assert_int_equal(a.rings[1].used->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(ring_watch(r, true));
	assert_int_equal(a.rings[1].used->flags, 0);
	stop();
}

static void ring_call_descriptor_that_is_full_never_waits(void **state) {
	uint64_t top = UINT64_MAX - 1;

	(void)state;
	start(0);
	calls(&b, 0);
	assert_int_equal(write(b.rings[0].call_fd, &top, sizeof(top)), sizeof(top));
	write_frame(&a, FRONT_DATA, 100);
	for (unsigned int i = 0; i < 3; i++) {
		front_post(&b, 0, FRONT_DATA, 2048, true);
		front_post(&a, 1, FRONT_DATA, 112, false);
		assert_int_equal(front_forward(&a, &b), 1);
	}
	stop();
}

static void ring_reads_offload_header_only_if_it_was_negotiated(void **state) {
	(void)state;
	for (unsigned int csum = 0; csum < 2; csum++) {
		start(csum ? F(VIRTIO_NET_F_CSUM) : 0);
		write_frame(&a, FRONT_DATA, 100);
		a.memory[FRONT_DATA] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		front_post(&a, 1, FRONT_DATA, 112, false);
		assert_int_equal(ring_take(session_ring(a.session, 1), &burst, 1), 1);
		assert_int_equal(burst.frames[0].offload.flags, csum);
		ring_give_back(session_ring(a.session, 1), &burst);
		stop();
	}
}

static void ring_marks_what_it_writes_in_the_dirty_log(void **state) {
	const uint64_t f = F(VIRTIO_F_VERSION_1) | F(30);
	uint8_t log[256] = {0};
	uint64_t payload[2] = {sizeof(log), 0};
	union message_payload p = {0};
	struct message_header header;
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)state;
	start(0);
	assert_return_code(ftruncate(fd, sizeof(log)), errno);
	front_send(&b, MESSAGE_SET_LOG_BASE, 0, payload, sizeof(payload), &fd, 1);
	assert_int_equal(front_run(&b), 0);
	assert_int_equal(front_receive(&b, &header, &p), 0);
	front_ok(&b, MESSAGE_SET_FEATURES, f | F(26));
	assert_true(session_ring(b.session, 0)->running);
	p.vring_addr.index = 0;
	p.vring_addr.flags = 1;
	p.vring_addr.desc_user_addr = FRONT_USER_BASE;
	p.vring_addr.avail_user_addr = FRONT_USER_BASE + 0x8000;
	p.vring_addr.used_user_addr = FRONT_USER_BASE + 0xa000;
	p.vring_addr.log_guest_addr = front_addr(0xa000);
	front_send(&b, MESSAGE_SET_VRING_ADDR, 0, &p, sizeof(p.vring_addr), NULL, 0);
	assert_int_equal(front_run(&b), 0);

	write_frame(&a, FRONT_DATA, 1000);
	front_post(&b, 0, FRONT_DATA + 4000, 2048, true);
	front_post(&a, 1, FRONT_DATA, 1012, false);
	assert_int_equal(front_forward(&a, &b), 1);
	assert_int_equal(pread(fd, log, sizeof(log), 0), sizeof(log));
	for (uint64_t page = 0; page < sizeof(log) * 8; page++) {
		bool dirty = log[page / 8] & 1 << page % 8;
		bool written = page == front_addr(0xa000) / 4096 ||
			page == front_addr(FRONT_DATA) / 4096 ||
			page == front_addr(FRONT_DATA) / 4096 + 1;

		assert_int_equal(dirty, written);
	}
	front_ok(&b, MESSAGE_SET_FEATURES, f);
	assert_true(session_ring(b.session, 0)->running);
	close(fd);
	stop();
}

static void ring_of_the_largest_size_wraps(void **state) {
	struct front *f = &a;
	struct vring_used_elem used;
	uint32_t n = 0;

	(void)state;
	front_open(f, &front_config);
	front_start(f, FULL);
	// The last descriptor of a ring of 32,768 must be in the memory: not behind this ring's
	// place.
	front_send_vring(f, MESSAGE_SET_VRING_NUM, 0, 1, 32768);
	assert_int_equal(front_run(f), 0);
	front_set_ring(f, 1, 2);
	f->rings[1].next_desc = 0;
	for (; n < 70000; n++) {
		front_post(f, 1, FRONT_DATA, 112, false);
		assert_int_equal(ring_take(session_ring(f->session, 1), &burst, RING_BURST), 1);
		ring_give_back(session_ring(f->session, 1), &burst);
		ring_flush(session_ring(f->session, 1), f->notifier);
		assert_true(front_used(f, 1, &used));
		assert_int_equal(used.id, n % 2);
	}
	front_close(f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_forwards_frames_of_every_size_unchanged),
		cmocka_unit_test(ring_forwards_across_every_pair_of_cuts),
		cmocka_unit_test(ring_merges_receive_buffers_and_says_how_many),
		cmocka_unit_test(ring_without_room_drops_the_frame_and_uses_no_buffer),
		cmocka_unit_test(ring_takes_indirect_chains_also_behind_direct_ones),
		cmocka_unit_test(ring_survives_malformed_transmit_chains_and_counts_them),
		cmocka_unit_test(ring_drops_runts_and_giants),
		cmocka_unit_test(ring_at_fault_rests_until_it_is_set_up_again),
		cmocka_unit_test(ring_receive_side_fault_costs_that_ring_only),
		cmocka_unit_test(ring_interrupts_by_event_index_and_by_flag),
		cmocka_unit_test(ring_that_starts_again_wakes_a_guest_that_missed_an_interrupt),
		cmocka_unit_test(ring_asks_for_kicks_only_when_watched),
		cmocka_unit_test(ring_call_descriptor_that_is_full_never_waits),
		cmocka_unit_test(ring_reads_offload_header_only_if_it_was_negotiated),
		cmocka_unit_test(ring_marks_what_it_writes_in_the_dirty_log),
		cmocka_unit_test(ring_of_the_largest_size_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
