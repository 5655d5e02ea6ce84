// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/spread.h"

static uint8_t nth_pair(uint64_t pairs, uint32_t n) {
	while (n-- > 0)
		pairs &= pairs - 1;
	return (uint8_t)__builtin_ctzll(pairs);
}

uint64_t spread_flows(
	uint64_t up, struct frame *const *frames, uint16_t n_frames, uint8_t *ret_pairs
) {
	uint32_t n_pairs = (uint32_t)__builtin_popcountll(up);
	uint64_t used = 0;

	for (uint16_t i = 0; i < n_frames; i++) {
		ret_pairs[i] = nth_pair(up, frame_flow_hash(frames[i]) % n_pairs);
		used |= UINT64_C(1) << ret_pairs[i];
	}
	return used;
}
