// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include "fallback/port.h"
#include "fallback/spread.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"

static struct frame *frames[BURST_FRAMES];

// One frame for each of 16 senders, twice.
static int setup(void **state) {
	(void)state;
	for (int i = 0; i < BURST_FRAMES; i++) {
		frames[i] = test_packet_new(&(struct test_packet){.udp = true, .payload_bytes = 9});
		frames[i]->bytes->head[26 + 3] = (uint8_t)(i % 16);
	}
	return 0;
}

static int teardown(void **state) {
	(void)state;
	for (int i = 0; i < BURST_FRAMES; i++)
		test_frame_free(frames[i]);
	return 0;
}

static void only_pairs_that_are_up_are_chosen_and_reported(void **state) {
	const uint64_t sets[] = {1, UINT64_C(1) << 63, 0x8000000000000001, 0xa5, UINT64_MAX};

	(void)state;
	for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
		uint8_t pairs[BURST_FRAMES];
		uint64_t chosen = 0, used = spread_flows(sets[s], frames, BURST_FRAMES, pairs);

		for (int i = 0; i < BURST_FRAMES; i++)
			chosen |= UINT64_C(1) << pairs[i];
		assert_int_equal(used, chosen);
		assert_int_equal(used & ~sets[s], 0);
	}
}

static void flow_keeps_its_pair_and_flows_share_the_pairs(void **state) {
	uint8_t pairs[BURST_FRAMES];

	(void)state;
	assert_true(__builtin_popcountll(spread_flows(0xff, frames, BURST_FRAMES, pairs)) > 3);
	for (int i = 0; i < 16; i++)
		assert_int_equal(pairs[i], pairs[16 + i]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			only_pairs_that_are_up_are_chosen_and_reported, setup, teardown
		),
		cmocka_unit_test_setup_teardown(
			flow_keeps_its_pair_and_flows_share_the_pairs, setup, teardown
		),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
