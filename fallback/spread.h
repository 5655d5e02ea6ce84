// SPDX-License-Identifier: GPL-2.0-or-later
// Flows onto the queue pairs of a guest.

#pragma once

#include <stdint.h>

#include "fallback/frame.h"

// Choose one of the queue pairs in the set @up (a bit each, not 0) for each frame, the same one for
// all frames of a flow. @ret_pairs has @n_frames elements. Returns the set of those chosen.
uint64_t spread_flows(
	uint64_t up, struct frame *const *frames, uint16_t n_frames, uint8_t *ret_pairs
);
