// SPDX-License-Identifier: GPL-2.0-or-later
// A guest of the load generator: its NIC, with all frames that it will send and all buffers for what
// it will receive prepared before.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#include "tests/bench/front.h"
#include "tests/bench/queue.h"

#define PORT_TSO_SIZE 64294 // 44 segments of 1,460 bytes behind one header
#define PORT_MSS 1460
#define PORT_HEADER_SIZE 12 // of the virtio-net header before each frame
#define PORT_LINE 64        // bytes of a cache line

// Offsets in a frame: behind Ethernet, IP and TCP, which are the same in each, come the slot that it
// is sent from, a number, and from here on the content.
#define PORT_SLOT_AT 54
#define PORT_STAMP_AT 56
#define PORT_PATTERN_AT 64

#define PORT_FRAME_AT 128 // of a frame in its stride: aligned, with room for the header before it

// How a frame lies in the sender's memory and in the receiver's.
enum port_layout {
	PORT_PLAIN,    // one descriptor with header and frame; one receive buffer for a frame
	PORT_LINUX,    // a chain: header, data (TSO: headers, two pages); mergeable buffers
	PORT_INDIRECT, // the same chain in an indirect table, as Linux does where it is offered
};

// What the generator does to the bytes of each frame, besides posting it.
enum port_touch {
	PORT_TOUCH_NONE, // nothing but to the sample
	PORT_TOUCH_HEAD, // writes and reads the first cache line
	PORT_TOUCH_ALL,  // writes and reads every cache line
};

// One kind of traffic.
struct port_shape {
	uint32_t size; // bytes of a frame, without checksum
	enum port_layout layout;
	enum port_touch touch;
	bool packed;
	uint16_t n_flows; // TCP connections that the frames seem to belong to
};

struct port {
	struct front front;
	struct queue rx, tx; // the guest's words
	const struct port_shape *shape;
	uint8_t number; // in its MAC address
	uint8_t *frames;
	uint8_t *buffers;
	uint32_t frame_stride, buffer_stride;
	uint32_t buffer_size;
	uint16_t n_frames, n_buffers; // distinct ones; slots go round them
	uint16_t buffers_per_frame;
};

// The features that the shape needs.
uint64_t port_needed_features(const struct port_shape *shape);

// Share memory, prepare every frame and buffer, and enable the rings. @front is open. @number is 1
// or 2; frames go to the other one.
void port_start(struct port *p, const struct port_shape *shape, uint8_t number);

// Whether the header of a frame that arrived asks for what all frames are sent with.
bool port_offload_is_right(const struct port *p, const struct virtio_net_hdr_v1 *hdr);

// Frame @slot as it lies in the sender's memory, and the receive buffer that slot number @n (since
// the start) has, header first.
static inline uint8_t *port_frame(const struct port *p, uint64_t slot) {
	return p->frames + slot * p->frame_stride + PORT_FRAME_AT;
}

static inline uint8_t *port_buffer(const struct port *p, uint64_t n) {
	return p->buffers + n % p->rx.n_slots % p->n_buffers * p->buffer_stride;
}

// 8 bytes of the content of a frame, at offset @at, which is PORT_PATTERN_AT or more.
static inline uint64_t port_pattern(uint16_t slot, uint32_t at) {
	return (uint64_t)(slot + 1) << 32 | at;
}
