// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/fallback/frames.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/mac_addr.h"

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define HOP_BY_HOP_BYTES 8
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

#define PIECE_BYTES 777 // of a frame behind its head

struct test_frame {
	struct frame frame;
	struct ring_frame bytes;
	uint8_t *head; // with the room before it
	uint8_t *rest;
	struct segment segments[FRAME_TEST_BYTES / PIECE_BYTES + 2];
};

int frames_setup(void **state) {
	const char *argv[] = {"test",           "--no-huge",
	                      "--no-shconf",    "--no-pci",
	                      "-m64",           "--no-telemetry",
	                      "--iova-mode=va", "--log-level=error",
	                      "--lcores=0",     "--file-prefix=vdpad-test"};

	(void)state;
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])), (char **)argv) < 0)
		return -1;
	return 0;
}

struct workers *test_workers;

int test_workers_setup(void **state) {
	const int cpus[] = {-1, -1};
	int r = frames_setup(state);

	return r < 0 ? r : workers_new(cpus, ARRAY_LEN(cpus), &test_workers, NULL);
}

int test_workers_teardown(void **state) {
	(void)state;
	workers_free(test_workers);
	return 0;
}

static void put16(uint8_t *p, uint32_t value) {
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *p) {
	return (uint32_t)(p[0] << 8 | p[1]);
}

// One's complement sum of big-endian words, the plain way.
static uint32_t sum_bytes(uint32_t sum, const uint8_t *p, uint32_t len) {
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t pseudo_sum(const uint8_t *ip, bool ipv6, uint32_t protocol, uint32_t l4_bytes) {
	return sum_bytes(protocol + l4_bytes, ipv6 ? ip + 8 : ip + 12, ipv6 ? 32 : 8);
}

uint32_t test_packet_l3(const struct test_packet *packet) {
	return packet->vlan != 0 ? 18 : 14;
}

uint32_t test_packet_l4(const struct test_packet *packet) {
	return test_packet_l3(packet) + (packet->ipv6 ? IPV6_BYTES : IPV4_BYTES) +
		(packet->hop_by_hop ? HOP_BY_HOP_BYTES : 0);
}

static void write_mac(uint8_t *p, const char *text) {
	struct mac_addr mac;

	if (mac_addr_parse(text, &mac) < 0)
		abort();
	memcpy(p, mac.octets, sizeof(mac.octets));
}

static void write_ip(
	const struct test_packet *packet, uint8_t *ip, uint8_t protocol, uint32_t l4_bytes
) {
	if (packet->ipv6) {
		ip[0] = 0x60;
		put16(ip + 4, l4_bytes + (packet->hop_by_hop ? HOP_BY_HOP_BYTES : 0));
		ip[6] = packet->hop_by_hop ? 0 : protocol;
		ip[7] = 64;
		memcpy(ip + 8, "\xfd\x99\0\0\0\0\0\0\0\0\0\0\0\0\0\x11", 16);
		memcpy(ip + 24, "\xfd\x99\0\0\0\0\0\0\0\0\0\0\0\0\0\x12", 16);
		if (packet->hop_by_hop) {
			ip[40] = protocol;
			ip[42] = 1; // PadN
			ip[43] = 4;
		}
		return;
	}
	ip[0] = 0x45;
	put16(ip + 2, l4_bytes + IPV4_BYTES);
	put16(ip + 4, 0xfffe); // the identification will wrap
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, "\x0a\x63\0\x0b\x0a\x63\0\x0c", 8);
	put16(ip + 10, ~sum_bytes(0, ip, IPV4_BYTES));
}

uint32_t test_packet_write(const struct test_packet *packet, uint8_t *bytes) {
	uint32_t l3 = test_packet_l3(packet), l4 = test_packet_l4(packet);
	uint8_t protocol = packet->udp ? PROTOCOL_UDP : PROTOCOL_TCP;
	uint32_t l4_header = packet->udp ? 8 : 20U + packet->options_bytes;
	uint32_t l4_bytes = l4_header + packet->payload_bytes;
	uint8_t *p = bytes + l4;

	memset(bytes, 0, l4 + l4_header);
	write_mac(bytes, packet->dst_mac != NULL ? packet->dst_mac : "52:54:00:00:00:02");
	write_mac(bytes + 6, packet->src_mac != NULL ? packet->src_mac : "52:54:00:00:00:01");
	if (packet->vlan != 0) {
		put16(bytes + 12, 0x8100);
		put16(bytes + 14, packet->vlan > 0 ? (uint32_t)packet->vlan : 0xe000);
	}
	put16(bytes + l3 - 2, packet->ipv6 ? 0x86dd : 0x0800);
	write_ip(packet, bytes + l3, protocol, l4_bytes);

	put16(p, 1234);
	put16(p + 2, 80);
	if (packet->udp) {
		put16(p + 4, l4_bytes);
	} else {
		put16(p + 4, 0xffff);
		put16(p + 6, 0xf000); // the sequence number will wrap
		p[12] = (uint8_t)(l4_header / 4 << 4);
		p[13] = packet->tcp_flags != 0 ? packet->tcp_flags : 0x10;
		memset(p + 20, 1, packet->options_bytes); // NOP
	}
	put16(p + (packet->udp ? 6 : 16), pseudo_sum(bytes + l3, packet->ipv6, protocol, l4_bytes));
	for (uint32_t i = 0; i < packet->payload_bytes; i++)
		p[l4_header + i] = (uint8_t)(i * 7 + i / 256);
	return l4 + l4_bytes;
}

struct frame *test_frame_new(const uint8_t *bytes, uint32_t len) {
	struct test_frame *t = calloc(1, sizeof(*t));
	uint32_t head_size = len < RING_HEAD_SIZE ? len : RING_HEAD_SIZE;
	uint32_t rest_size = len - head_size;

	assert(t != NULL);
	t->head = malloc(RING_HEAD_ROOM + head_size);
	t->rest = malloc(rest_size > 0 ? rest_size : 1);
	assert(t->head != NULL && t->rest != NULL);
	memcpy(t->head + RING_HEAD_ROOM, bytes, head_size);
	memcpy(t->rest, bytes + head_size, rest_size);
	t->frame.bytes = &t->bytes;
	t->bytes.head = t->head + RING_HEAD_ROOM;
	t->bytes.head_size = (uint16_t)head_size;
	t->bytes.size = len;
	t->bytes.segments = t->segments;
	for (uint32_t at = 0; at < rest_size; at += PIECE_BYTES)
		t->segments[t->bytes.n_segments++] = (struct segment){
			.host = t->rest + at,
			.size = rest_size - at < PIECE_BYTES ? rest_size - at : PIECE_BYTES,
		};
	return &t->frame;
}

struct frame *test_packet_new(const struct test_packet *packet) {
	static uint8_t bytes[FRAME_TEST_BYTES + 256];

	return test_frame_new(bytes, test_packet_write(packet, bytes));
}

void test_frame_free(struct frame *f) {
	struct test_frame *t = (struct test_frame *)f;

	free(t->head);
	free(t->rest);
	free(t);
}

uint32_t test_frame_bytes(const struct frame *f, uint8_t *bytes) {
	uint32_t len = f->bytes->head_size;

	memcpy(bytes, f->bytes->head, len);
	for (uint16_t i = 0; i < f->bytes->n_segments; i++) {
		memcpy(bytes + len, f->bytes->segments[i].host, f->bytes->segments[i].size);
		len += f->bytes->segments[i].size;
	}
	assert(len == f->bytes->size);
	return len;
}

bool checksums_are_right(const uint8_t *bytes, uint32_t len) {
	uint32_t l3 = get16(bytes + 12) == 0x8100 ? 18 : 14;
	const uint8_t *ip = bytes + l3;
	bool ipv6 = ip[0] >> 4 == 6;
	uint32_t l4 = l3 + (ipv6 ? IPV6_BYTES : IPV4_BYTES);
	uint32_t protocol = ipv6 ? ip[6] : ip[9];

	if (!ipv6 && (sum_bytes(0, ip, IPV4_BYTES) != 0xffff || get16(ip + 2) != len - l3))
		return false;
	if (ipv6 && get16(ip + 4) != len - l3 - IPV6_BYTES)
		return false;
	if (ipv6 && protocol == 0) { // hop-by-hop options
		protocol = ip[IPV6_BYTES];
		l4 += HOP_BY_HOP_BYTES;
	}
	return sum_bytes(pseudo_sum(ip, ipv6, protocol, len - l4), bytes + l4, len - l4) == 0xffff;
}
