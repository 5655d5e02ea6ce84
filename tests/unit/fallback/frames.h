// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of the switch share: EAL without huge pages, frames built byte by byte as a port
// would give them, and checksums computed independently of the code under test.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fallback/frame.h"
#include "fallback/worker.h"

#define FRAME_TEST_BYTES 65536

// A TCP or UDP packet. Zero members get a sensible value.
struct test_packet {
	const char *dst_mac; // "52:54:00:00:00:02"
	const char *src_mac; // "52:54:00:00:00:01"
	int vlan;            // > 0: with an 802.1Q tag; < 0: a priority tag with VLAN 0
	bool ipv6;
	bool udp;
	bool hop_by_hop;        // with an IPv6 extension header
	uint16_t options_bytes; // of TCP; a multiple of 4
	uint32_t payload_bytes;
	uint8_t tcp_flags;
};

// Starts EAL; group setup for cmocka.
int frames_setup(void **state);

// The same, with two workers on whatever CPUs; group fixtures for cmocka.
extern struct workers *test_workers;
int test_workers_setup(void **state);
int test_workers_teardown(void **state);

// The frame, its L4 checksum holding the pseudo-header's sum as a sender with checksum offload
// leaves it. Payload byte i is (i * 7 + i / 256). Returns its length.
uint32_t test_packet_write(const struct test_packet *packet, uint8_t *bytes);

// The same as a frame: its head in memory of exactly that size, the rest in pieces of odd sizes, no
// offload requested. To be freed by test_frame_free().
struct frame *test_packet_new(const struct test_packet *packet);
struct frame *test_frame_new(const uint8_t *bytes, uint32_t len);
void test_frame_free(struct frame *f);

// The bytes of @f. Returns how many.
uint32_t test_frame_bytes(const struct frame *f, uint8_t *bytes);

// Where the IP and the L4 header begin.
uint32_t test_packet_l3(const struct test_packet *packet);
uint32_t test_packet_l4(const struct test_packet *packet);

// Whether the L4 checksum (and that of an IPv4 header) of a complete frame is right.
bool checksums_are_right(const uint8_t *bytes, uint32_t len);
