// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts over a long time, in which a ring's 16-bit index comes round.

#include "tests/unit/unit.h"

#include <unistd.h>

#include <linux/virtio_config.h>

#include "tests/fake/vhost_front.h"

#define INDEXES 65536 // after so many frames an index of a split ring is what it was
#define FRAME_BYTES (12 + 100)

static struct front a, b;

// Send @n frames from a to b, each burst of @burst in one go.
static void forward(uint32_t n, uint32_t burst) {
	for (uint32_t sent = 0; sent < n; sent += burst) {
		for (uint32_t i = 0; i < burst; i++) {
			front_post(&b, 0, FRONT_DATA, 2048, true);
			front_post(&a, 1, FRONT_DATA, FRAME_BYTES, false);
		}
		assert_int_equal(front_forward(&a, &b), burst);
	}
}

// How often b was interrupted since the last call.
static uint64_t interrupts(void) {
	uint64_t n = 0;

	return read(b.rings[0].call_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

// A guest under load polls, and leaves the index at which it was interrupted last where it is. When
// it has nothing left to do it asks for the next frame. However long that took, and however many
// frames come at once then, it must get its interrupt, for nothing else would ever wake it.
static void guest_that_has_polled_through_a_whole_round_is_woken(void **state) {
	(void)state;
	for (uint32_t burst = 1; burst <= 64; burst *= 4) {
		front_open(&a, &front_config);
		front_open(&b, &front_config);
		front_start(&a, UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX);
		front_start(&b, UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX);
		b.rings[0].avail->ring[FRONT_RING_SIZE] = 0;
		forward(1, 1);
		assert_true(interrupts() > 0);
		forward(INDEXES - 1, 1); // the index is 0 now
		assert_int_equal(interrupts(), 0);

		b.rings[0].avail->ring[FRONT_RING_SIZE] = b.rings[0].used->idx;
		forward(burst, burst);
		assert_int_equal(interrupts(), 1);
		front_close(&a);
		front_close(&b);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_that_has_polled_through_a_whole_round_is_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
