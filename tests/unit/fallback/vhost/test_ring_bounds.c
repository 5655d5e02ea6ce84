// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest can make one call on its ring cost.

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "tests/fake/vhost_front.h"

static struct front a, b;
static struct ring_burst burst;

static int setup(void **state) {
	(void)state;
	front_open(&a, &front_config);
	front_open(&b, &front_config);
	front_start(&a, 0);
	front_start(&b, 0);
	return 0;
}

static int teardown(void **state) {
	(void)state;
	front_close(&a);
	front_close(&b);
	return 0;
}

// Room is looked for once in a burst, however many frames want it.
static void ring_without_room_says_so_at_once_until_it_is_flushed(void **state) {
	struct ring *tx, *rx;

	(void)state;
	tx = session_ring(b.session, 0);
	rx = session_ring(a.session, 1);
	front_post(&b, 0, FRONT_DATA, 512, true);
	front_post(&a, 1, FRONT_DATA, 1012, false);
	front_post(&a, 1, FRONT_DATA, 112, false);
	assert_int_equal(ring_take(rx, &burst, RING_BURST), 2);
	assert_int_equal(ring_place(tx, &burst.frames[0], &burst.frames[0].offload), -ENOBUFS);
	front_desc(&b, 0, 0, front_addr(FRONT_DATA), 2048, VRING_DESC_F_WRITE, 0);
	assert_int_equal(ring_place(tx, &burst.frames[0], &burst.frames[0].offload), -ENOBUFS);
	assert_int_equal(ring_place(tx, &burst.frames[1], &burst.frames[1].offload), 0); // smaller
	front_post(&b, 0, FRONT_DATA, 2048, true);
	assert_int_equal(ring_place(tx, &burst.frames[0], &burst.frames[0].offload), -ENOBUFS);
	assert_int_equal(tx->stats.no_buffer, 3);
	ring_flush(tx, b.notifier);
	assert_int_equal(ring_place(tx, &burst.frames[0], &burst.frames[0].offload), 0);
	ring_give_back(rx, &burst);
}

// Each chain is refused after 257 descriptors; a burst of them must not cost 32 times that.
static void ring_take_is_bounded_also_by_what_is_refused(void **state) {
	struct ring *rx;

	(void)state;
	rx = session_ring(a.session, 1);
	for (uint16_t i = 0; i < FRONT_RING_SIZE; i++) {
		front_desc(
			&a, 1, i, front_addr(FRONT_DATA), 1, VRING_DESC_F_NEXT,
			(i + 1) % FRONT_RING_SIZE
		);
		front_avail(&a, 1, i);
	}
	assert_int_equal(ring_take(rx, &burst, RING_BURST), 0);
	assert_int_equal(burst.n_taken, RING_BURST_SEGMENTS / RING_FRAME_SEGMENTS);
	ring_give_back(rx, &burst);
}

static void ring_refuses_descriptors_of_no_bytes(void **state) {
	(void)state;
	front_desc(&a, 1, 0, front_addr(FRONT_DATA), 112, VRING_DESC_F_NEXT, 1);
	front_desc(&a, 1, 1, front_addr(FRONT_DATA), 0, 0, 0);
	front_avail(&a, 1, 0);
	assert_int_equal(ring_take(session_ring(a.session, 1), &burst, RING_BURST), 0);
	assert_int_equal(session_ring(a.session, 1)->stats.malformed, 1);
	ring_give_back(session_ring(a.session, 1), &burst);
}

static void ring_place_of_a_frame_whose_sizes_disagree_stays_in_the_buffer(void **state) {
	uint8_t bytes[2000], head[RING_HEAD_SIZE];
	const struct segment segment = {.host = bytes, .size = sizeof(bytes)};
	struct ring_frame frames[] = {
		{.head = head, .head_size = 60, .size = 100, .segments = &segment, .n_segments = 1},
		{.head = head, .head_size = sizeof(head), .size = 60},
	};
	struct ring *tx = session_ring(b.session, 0);

	(void)state;
	memset(bytes, 0x77, sizeof(bytes));
	memset(head, 0x77, sizeof(head));
	for (unsigned int i = 0; i < 2; i++) {
		memset(b.memory + FRONT_DATA, 0, 4096);
		front_post(&b, 0, FRONT_DATA, 120, true);
		ring_place(tx, &frames[i], &frames[i].offload);
		ring_flush(tx, b.notifier);
		for (unsigned int k = 120; k < 4096; k++)
			assert_int_equal(b.memory[FRONT_DATA + k], 0);
	}
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ring_without_room_says_so_at_once_until_it_is_flushed),
		T(ring_take_is_bounded_also_by_what_is_refused),
		T(ring_refuses_descriptors_of_no_bytes),
		T(ring_place_of_a_frame_whose_sizes_disagree_stays_in_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
