// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of the switch share: EAL without huge pages, frames built byte by byte, and
// checksums computed independently of the code under test.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

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

// Starts EAL and makes a pool with data rooms of 2048 bytes; group setup and teardown for cmocka.
int frames_setup(void **state);
int frames_teardown(void **state);
struct rte_mempool *frames_pool(void);

// The frame, its L4 checksum holding the pseudo-header's sum as a sender with checksum offload
// leaves it. Payload byte i is (i * 7 + i / 256). Returns its length.
uint32_t test_packet_write(const struct test_packet *packet, uint8_t *bytes);

// The same in a chain of mbufs of frames_pool().
struct rte_mbuf *test_packet_new(const struct test_packet *packet);
struct rte_mbuf *frame_from_bytes(const uint8_t *bytes, uint32_t len);

// The bytes of @m. Returns how many.
uint32_t frame_to_bytes(const struct rte_mbuf *m, uint8_t *bytes);

// Where the IP and the L4 header begin.
uint32_t test_packet_l3(const struct test_packet *packet);
uint32_t test_packet_l4(const struct test_packet *packet);

// Whether the L4 checksum (and that of an IPv4 header) of a complete frame is right.
bool checksums_are_right(const uint8_t *bytes, uint32_t len);
