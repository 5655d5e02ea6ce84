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

#include "tests/bench/front.h"
#include "tests/bench/queue.h"

#define FLOW_TSO_SIZE 64294 // 44 segments of 1,460 bytes behind one header

// How a frame lies in the sender's memory and in the receiver's.
enum flow_layout {
	FLOW_PLAIN,    // one descriptor with header and frame; one receive buffer for a frame
	FLOW_LINUX,    // a chain: header, data (TSO: headers, two pages); mergeable buffers
	FLOW_INDIRECT, // the same chain in an indirect table, as Linux does where it is offered
};

// What the generator does to the bytes of each frame, besides posting it.
enum flow_touch {
	FLOW_TOUCH_NONE, // nothing but to the sample
	FLOW_TOUCH_HEAD, // writes and reads the first cache line
	FLOW_TOUCH_ALL,  // writes and reads every cache line
};

// One kind of traffic.
struct flow_shape {
	uint32_t size; // bytes of a frame, without checksum
	enum flow_layout layout;
	enum flow_touch touch;
	bool packed;
	uint16_t n_flows; // TCP connections that the frames seem to belong to
};

struct port {
	struct front front;
	struct queue rx, tx; // the guest's words
	const struct flow_shape *shape;
	uint8_t number; // in its MAC address
	uint8_t *frames;
	uint8_t *buffers;
	uint32_t frame_stride, buffer_stride;
	uint32_t buffer_size;
	uint16_t n_frames, n_buffers; // distinct ones; slots go round them
	uint16_t buffers_per_frame;
};

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

// The features that the shape needs, and those that it takes where they are offered.
uint64_t flow_needed_features(const struct flow_shape *shape);
uint64_t flow_wanted_features(const struct flow_shape *shape);

// Share memory, prepare every frame and buffer, and enable the rings. @front is open. @number is 1
// or 2; frames go to the other one.
void port_start(struct port *p, const struct flow_shape *shape, uint8_t number);

// Frames from one port to the other, at most @limit.
void flow_init(struct flow *f, struct port *from, struct port *to, uint64_t limit);

// Take what has come, send what may be sent. Returns how many frames were taken and sent.
uint32_t flow_turn(struct flow *f, uint64_t now_tsc);

// How many have been sent and not arrived.
uint64_t flow_underway(const struct flow *f);
