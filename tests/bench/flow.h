// SPDX-License-Identifier: GPL-2.0-or-later
// Frames on their way from one port to another, through the switch that is measured.
//
// The sender has a circle of prepared frames; to send is to post slots again. No more are on their
// way than the receiver has room for, so none may get lost, and frame number n of the receiver is
// frame number n of the sender. That is what is checked, on a sample: the number stamped into the
// frame, the slot it was sent from, its length and its offload request; more rarely all its bytes.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/port.h"

struct flow {
	struct port *from, *to;
	uint64_t limit;    // frames to send altogether
	uint64_t received; // frames
	uint64_t lost;
	uint64_t wrong;   // of the sample: not what was sent
	uint64_t checked; // the sample
	uint64_t looks;
	uint64_t starved;      // looks at which the switch had taken almost all there was
	uint64_t progress_tsc; // when a frame came last
	uint32_t window;       // frames on their way at most
	// At first, while the switch gets ready and drops some: every frame is stamped, and what
	// arrives says how many were lost.
	bool settling;
};

// Frames from one port to the other, at most @limit.
void flow_init(struct flow *f, struct port *from, struct port *to, uint64_t limit);

// Take what has come, send what may be sent. Returns how many frames were taken and sent.
uint32_t flow_turn(struct flow *f, uint64_t now_tsc);

// How many have been sent and not arrived.
uint64_t flow_underway(const struct flow *f);
