// SPDX-License-Identifier: GPL-2.0-or-later
// A frame on its way through the switch: the first bytes as a copy of our own, the rest where the
// sender has it (vhost/ring.h), and what the switch has found out about it.
//
// Everything is decided on the head, and the head is what is written out; a sender that changes its
// memory meanwhile changes its own payload only. Frames live from a port's poll() to its release().

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fallback/vhost/ring.h"

#define FRAME_HEADER_BYTES 14 // Ethernet, without tag
#define FRAME_TAG_BYTES 4
#define FRAME_ADDRESSES_BYTES 12

// What a frame may need of its receiver, and what a port takes (bits of switch_port.offloads).
enum {
	PORT_TAKES_CSUM = 1 << 0, // an unfinished TCP or UDP checksum
	PORT_TAKES_TSO4 = 1 << 1, // unsegmented TCP over IPv4
	PORT_TAKES_TSO6 = 1 << 2, // unsegmented TCP over IPv6
	PORT_TAKES_ECN = 1 << 3,  // such with the "congestion window reduced" flag
};
#define FRAME_NEEDS_TSO (PORT_TAKES_TSO4 | PORT_TAKES_TSO6)

// Where the headers of a frame are. Everything up to the end of the L4 header was checked to be in
// the head.
struct frame_layout {
	uint16_t l2_len;   // with tags
	uint16_t l3_len;   // with IPv6 extension headers
	uint16_t l4_len;   // TCP with options, UDP
	uint16_t l4_bytes; // L4 header and payload by the IP header's word
	bool ipv4;         // else IPv6
	bool tcp;          // else UDP
	bool plain;        // no IPv6 extension header, and the frame ends where the IP packet ends
};

struct frame {
	struct ring_frame *bytes; // borrowed; the head may be edited
	uint16_t vlan;            // that the frame belongs to, 0: none. Its tag is not in the bytes
	uint8_t needs;     // of PORT_TAKES_*; 0: the frame is complete. With any, in addition:
	uint16_t gso_size; // bytes of payload in each segment, if it needs TSO
	struct frame_layout layout;
};

// Find the headers of an unfragmented TCP or UDP packet. Returns false for anything else.
bool frame_parse(const struct ring_frame *bytes, struct frame_layout *ret_layout);

// The EtherType behind the addresses; 0 if the frame is too short to have one.
static inline uint16_t frame_ether_type(const struct ring_frame *bytes) {
	const uint8_t *type = bytes->head + FRAME_ADDRESSES_BYTES;

	return bytes->head_size < FRAME_HEADER_BYTES ? 0 : (uint16_t)(type[0] << 8 | type[1]);
}

// Take the 802.1Q tag that the frame begins with out of its bytes. Returns the tag's VLAN, or
// -EBADMSG if the frame is too short. Keeps the layout right.
int frame_pop_tag(struct frame *f);

// The same number for all frames of one flow.
uint32_t frame_flow_hash(const struct frame *f);

// The Internet checksum, folded and not inverted, of everything from @start on, which is in the
// head.
uint16_t frame_sum(const struct ring_frame *bytes, uint16_t start);

static inline uint32_t frame_headers_bytes(const struct frame *f) {
	return (uint32_t)(f->layout.l2_len + f->layout.l3_len + f->layout.l4_len);
}

// The longest piece that a receiver will see: the frame, or one segment of it if it is to be
// segmented.
static inline uint32_t frame_wire_bytes(const struct frame *f) {
	if (f->needs & FRAME_NEEDS_TSO)
		return frame_headers_bytes(f) + f->gso_size;
	return f->bytes->size;
}
