// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include <rte_tcp.h>

#include "fallback/offload.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"

static uint8_t sent[FRAME_TEST_BYTES + 256], got[FRAME_TEST_BYTES + 256];

// The header with which a sender asks for offload of @packet.
static struct virtio_net_hdr_v1 request(const struct test_packet *packet, uint16_t gso_size) {
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)test_packet_l4(packet),
		.csum_offset = packet->udp ? 6 : 16,
	};

	if (gso_size > 0) {
		hdr.gso_type = packet->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = gso_size;
	}
	return hdr;
}

// Have @f ask for @hdr.
static int check(struct frame *f, const struct virtio_net_hdr_v1 *hdr) {
	f->bytes->offload = *hdr;
	return offload_check(f);
}

static const struct test_packet shapes[] = {
	{.payload_bytes = 1000},
	{.payload_bytes = 1001, .ipv6 = true},
	{.payload_bytes = 999, .udp = true},
	{.payload_bytes = 1, .udp = true, .ipv6 = true},
	{.payload_bytes = 0},
	{.payload_bytes = 500, .vlan = 10},
	{.payload_bytes = 8000, .options_bytes = 12}, // in many pieces
	{.payload_bytes = 8001, .ipv6 = true, .options_bytes = 12, .vlan = 10},
};

static void frame_parse_finds_the_headers(void **state) {
	struct frame_layout layout;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct frame *m = test_packet_new(&shapes[i]);

		assert_true(frame_parse(m->bytes, &layout));
		assert_int_equal(layout.l2_len, test_packet_l3(&shapes[i]));
		assert_int_equal(layout.l2_len + layout.l3_len, test_packet_l4(&shapes[i]));
		assert_int_equal(layout.l4_len, shapes[i].udp ? 8 : 20 + shapes[i].options_bytes);
		assert_true(layout.plain);
		test_frame_free(m);
	}
}

// No prefix of a frame makes the parser look behind its end (the sanitizer watches) or believe it
// whole.
static void frame_parse_refuses_every_truncation(void **state) {
	const struct test_packet packets[] = {
		{.payload_bytes = 10},
		{.payload_bytes = 10, .ipv6 = true, .hop_by_hop = true, .vlan = 5},
	};
	struct frame_layout layout;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
		uint32_t len = test_packet_write(&packets[i], sent);

		for (uint32_t cut = 1; cut < len; cut++) {
			struct frame *m = test_frame_new(sent, cut);

			assert_false(frame_parse(m->bytes, &layout));
			test_frame_free(m);
		}
	}
}

static void frame_parse_refuses_fragments(void **state) {
	const struct test_packet packet = {.payload_bytes = 100};
	struct frame_layout layout;
	struct frame *m = test_packet_new(&packet);
	uint8_t *ip = m->bytes->head + 14;

	(void)state;
	ip[6] = 0x20; // more fragments
	assert_false(frame_parse(m->bytes, &layout));
	ip[6] = 0x00;
	ip[7] = 1; // an offset
	assert_false(frame_parse(m->bytes, &layout));
	ip[6] = 0x40; // don't fragment
	ip[7] = 0;
	assert_true(frame_parse(m->bytes, &layout));
	test_frame_free(m);
}

static void frame_pop_tag_moves_the_headers(void **state) {
	struct test_packet packet = {.payload_bytes = 300, .vlan = 4094};
	struct virtio_net_hdr_v1 hdr = request(&packet, 0), after;
	struct frame *m = test_packet_new(&packet);
	uint32_t len;

	(void)state;
	assert_int_equal(check(m, &hdr), 0);
	assert_int_equal(frame_pop_tag(m), 4094);
	packet.vlan = 0;
	len = test_packet_write(&packet, sent);
	assert_int_equal(test_frame_bytes(m, got), len);
	assert_memory_equal(got, sent, len);
	offload_describe(m, 0, &after);
	assert_int_equal(after.csum_start, hdr.csum_start - 4);
	offload_describe(m, FRAME_TAG_BYTES, &after);
	assert_int_equal(after.csum_start, hdr.csum_start);
	test_frame_free(m);
}

static void checksum_request_passes_through_exactly(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct virtio_net_hdr_v1 hdr = request(&shapes[i], 0), after;
		struct frame *m = test_packet_new(&shapes[i]);
		uint32_t len = test_packet_write(&shapes[i], sent);

		assert_int_equal(check(m, &hdr), 0);
		assert_true(offload_must_resolve(m, 0));
		assert_false(offload_must_resolve(m, PORT_TAKES_CSUM));
		offload_describe(m, 0, &after);
		assert_memory_equal(&after, &hdr, sizeof(hdr));
		test_frame_bytes(m, got);
		assert_memory_equal(got, sent, len);
		test_frame_free(m);
	}
}

static void checksum_is_finished_in_software(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct virtio_net_hdr_v1 hdr = request(&shapes[i], 0), after;
		struct frame *m = test_packet_new(&shapes[i]);

		assert_int_equal(check(m, &hdr), 0);
		offload_finish_checksum(m);
		assert_false(offload_must_resolve(m, 0));
		assert_true(checksums_are_right(got, test_frame_bytes(m, got)));
		offload_describe(m, 0, &after);
		assert_int_equal(after.flags, 0);
		test_frame_free(m);
	}
}

static void udp_checksum_of_zero_is_sent_as_ones(void **state) {
	const struct test_packet packet = {.payload_bytes = 2, .udp = true};
	struct virtio_net_hdr_v1 hdr = request(&packet, 0);
	uint32_t len = test_packet_write(&packet, sent);
	struct frame *m;
	uint16_t sum;

	(void)state;
	// Choose the payload so that the whole sum is 0xffff, its complement 0.
	memset(&sent[len - 2], 0, 2);
	m = test_frame_new(sent, len);
	assert_int_equal(check(m, &hdr), 0);
	offload_finish_checksum(m);
	test_frame_bytes(m, got);
	memcpy(&sent[len - 2], &got[hdr.csum_start + 6], 2);
	test_frame_free(m);

	m = test_frame_new(sent, len);
	assert_int_equal(check(m, &hdr), 0);
	offload_finish_checksum(m);
	test_frame_bytes(m, got);
	memcpy(&sum, &got[hdr.csum_start + 6], 2);
	assert_int_equal(sum, 0xffff);
	assert_true(checksums_are_right(got, len));
	test_frame_free(m);
}

// An inner header, an extension header: no receiver is bothered with it.
static void unusual_checksum_request_is_finished_at_once(void **state) {
	const struct test_packet packet = {.payload_bytes = 777, .ipv6 = true, .hop_by_hop = true};
	struct virtio_net_hdr_v1 hdr = request(&packet, 0);
	struct frame *m = test_packet_new(&packet);

	(void)state;
	assert_int_equal(check(m, &hdr), 0);
	assert_int_equal(m->needs, 0);
	assert_true(checksums_are_right(got, test_frame_bytes(m, got)));
	test_frame_free(m);
}

static void request_that_contradicts_the_frame_is_refused(void **state) {
	const struct test_packet tcp = {.payload_bytes = 3000},
				 udp = {.payload_bytes = 3000, .udp = true};
	const struct test_packet extension = {
		.payload_bytes = 3000, .ipv6 = true, .hop_by_hop = true};
	const struct {
		const struct test_packet *packet;
		struct virtio_net_hdr_v1 hdr;
	} cases[] = {
		{&tcp, {.flags = 1, .csum_start = 3100, .csum_offset = 16}}, // outside
		{&tcp, {.flags = 1, .csum_start = 65535, .csum_offset = 65535}},
		{&tcp, {.flags = 1, .csum_start = 34, .csum_offset = 2100}}, // behind the head
		{&tcp, {.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 1}}, // no size
		{&tcp,
	         {.flags = 0,
	          .csum_start = 34,
	          .csum_offset = 16,
	          .gso_type = 1,
	          .gso_size = 1448}},
		{&tcp,
	         {.flags = 1,
	          .csum_start = 34,
	          .csum_offset = 16,
	          .gso_type = 4,
	          .gso_size = 1448}},
		{&tcp,
	         {.flags = 1,
	          .csum_start = 35,
	          .csum_offset = 16,
	          .gso_type = 1,
	          .gso_size = 1448}},
		{&tcp,
	         {.flags = 1, .csum_start = 34, .csum_offset = 6, .gso_type = 1, .gso_size = 1448}},
		{&tcp,
	         {.flags = 1,
	          .csum_start = 34,
	          .csum_offset = 16,
	          .gso_type = 99,
	          .gso_size = 1448}},
		{&udp,
	         {.flags = 1, .csum_start = 34, .csum_offset = 6, .gso_type = 3, .gso_size = 1448}},
		{&udp,
	         {.flags = 1, .csum_start = 34, .csum_offset = 6, .gso_type = 1, .gso_size = 1448}},
		{&extension,
	         {.flags = 1,
	          .csum_start = 62,
	          .csum_offset = 16,
	          .gso_type = 4,
	          .gso_size = 1448}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct frame *m = test_packet_new(cases[i].packet);

		assert_int_equal(check(m, &cases[i].hdr), -EBADMSG);
		test_frame_free(m);
	}
}

static void length_lie_in_a_tso_frame_is_refused(void **state) {
	const struct test_packet packet = {.payload_bytes = 3000};
	struct virtio_net_hdr_v1 hdr = request(&packet, 1448);
	struct frame *m = test_packet_new(&packet);
	uint8_t *total = m->bytes->head + 16;

	(void)state;
	total[1]--; // the frame is longer than the packet
	assert_int_equal(check(m, &hdr), -EBADMSG);
	total[1] += 2; // shorter
	assert_int_equal(check(m, &hdr), -EBADMSG);
	test_frame_free(m);
}

static void gso_request_that_fits_one_segment_is_a_checksum_request(void **state) {
	const struct test_packet packet = {.payload_bytes = 1448};
	struct virtio_net_hdr_v1 hdr = request(&packet, 1448);
	struct frame *m = test_packet_new(&packet);

	(void)state;
	assert_int_equal(check(m, &hdr), 0);
	assert_false(offload_must_resolve(m, PORT_TAKES_CSUM));
	test_frame_free(m);
}

static void receiver_gets_what_it_takes(void **state) {
	const struct test_packet v4 = {.payload_bytes = 3000},
				 v6 = {.payload_bytes = 3000, .ipv6 = true};
	struct virtio_net_hdr_v1 hdr4 = request(&v4, 1000), hdr6 = request(&v6, 1000);
	struct frame *m4 = test_packet_new(&v4), *m6 = test_packet_new(&v6);

	(void)state;
	assert_int_equal(check(m4, &hdr4), 0);
	assert_int_equal(check(m6, &hdr6), 0);
	assert_true(offload_must_resolve(m4, PORT_TAKES_CSUM | PORT_TAKES_TSO6));
	assert_false(offload_must_resolve(m4, PORT_TAKES_CSUM | PORT_TAKES_TSO4));
	assert_true(offload_must_resolve(m6, PORT_TAKES_CSUM | PORT_TAKES_TSO4));
	assert_false(offload_must_resolve(m6, PORT_TAKES_CSUM | PORT_TAKES_TSO6));
	hdr4.gso_type |= VIRTIO_NET_HDR_GSO_ECN; // the first segment differs from the others
	assert_int_equal(check(m4, &hdr4), 0);
	assert_true(offload_must_resolve(m4, PORT_TAKES_CSUM | PORT_TAKES_TSO4));
	assert_false(offload_must_resolve(m4, PORT_TAKES_CSUM | PORT_TAKES_TSO4 | PORT_TAKES_ECN));
	test_frame_free(m4);
	test_frame_free(m6);
}

static uint32_t sequence_of(const uint8_t *tcp) {
	return (uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7];
}

// Segment, then put the stream together again as a receiver does.
static void segment_and_check(const struct test_packet *packet, uint16_t gso_size) {
	static struct offload_cutter cutter;
	struct virtio_net_hdr_v1 hdr = request(packet, gso_size);
	struct frame *m = test_packet_new(packet);
	uint32_t headers = test_packet_l4(packet) + 20 + packet->options_bytes, offset = 0, i = 0;
	uint32_t n_all = (packet->payload_bytes + gso_size - 1) / gso_size;
	uint16_t n;

	test_packet_write(packet, sent);
	assert_int_equal(check(m, &hdr), 0);
	assert_int_equal(offload_cut_begin(&cutter, m), 0);
	while ((n = offload_cut_next(&cutter)) > 0) {
		for (uint16_t k = 0; k < n; k++, i++) {
			uint32_t len = test_frame_bytes(&cutter.frames[k], got);
			const uint8_t *tcp = got + test_packet_l4(packet);

			assert_true(len <= headers + gso_size);
			assert_true(checksums_are_right(got, len));
			assert_false(offload_must_resolve(&cutter.frames[k], 0));
			assert_int_equal(
				sequence_of(tcp) - sequence_of(sent + test_packet_l4(packet)),
				offset
			);
			if (!packet->ipv6) // the identification counts up
				assert_int_equal((got[18] << 8 | got[19]), (0xfffe + i) & 0xffff);
			assert_int_equal((tcp[13] & RTE_TCP_FIN_FLAG) != 0, i == n_all - 1);
			assert_int_equal((tcp[13] & RTE_TCP_PSH_FLAG) != 0, i == n_all - 1);
			assert_int_equal((tcp[13] & RTE_TCP_CWR_FLAG) != 0, i == 0);
			assert_memory_equal(got + headers, sent + headers + offset, len - headers);
			offset += len - headers;
		}
	}
	assert_int_equal(i, n_all);
	assert_int_equal(offset, packet->payload_bytes);
	test_frame_free(m);
}

static void segments_carry_the_same_stream(void **state) {
	const uint8_t flags =
		RTE_TCP_ACK_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG | RTE_TCP_CWR_FLAG;

	(void)state;
	segment_and_check(&(struct test_packet){.payload_bytes = 64000, .tcp_flags = flags}, 1448);
	segment_and_check(
		&(struct test_packet
	        ){.payload_bytes = 64000, .tcp_flags = flags, .ipv6 = true, .options_bytes = 12},
		1428
	);
	segment_and_check(&(struct test_packet){.payload_bytes = 1001, .tcp_flags = flags}, 1000);
	segment_and_check(
		&(struct test_packet){.payload_bytes = 60000, .tcp_flags = flags, .ipv6 = true},
		8928
	); // each segment in many pieces
}

static void too_many_segments_are_refused(void **state) {
	const struct test_packet packet = {.payload_bytes = 60000};
	struct virtio_net_hdr_v1 hdr = request(&packet, 1);
	static struct offload_cutter cutter;
	struct frame *m = test_packet_new(&packet);

	(void)state;
	assert_int_equal(check(m, &hdr), 0);
	assert_int_equal(offload_cut_begin(&cutter, m), -E2BIG);
	test_frame_free(m);
}

static void flow_hash_depends_on_the_flow_only(void **state) {
	struct frame *a = test_packet_new(&(struct test_packet){.payload_bytes = 10});
	struct frame *b = test_packet_new(&(struct test_packet){.payload_bytes = 900});
	struct frame *other = test_packet_new(&(struct test_packet){.payload_bytes = 10});

	(void)state;
	other->bytes->head[34]++; // another source port
	assert_int_equal(frame_flow_hash(a), frame_flow_hash(b));
	assert_int_not_equal(frame_flow_hash(a), frame_flow_hash(other));
	test_frame_free(a);
	test_frame_free(b);
	test_frame_free(other);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_parse_finds_the_headers),
		cmocka_unit_test(frame_parse_refuses_every_truncation),
		cmocka_unit_test(frame_parse_refuses_fragments),
		cmocka_unit_test(frame_pop_tag_moves_the_headers),
		cmocka_unit_test(checksum_request_passes_through_exactly),
		cmocka_unit_test(checksum_is_finished_in_software),
		cmocka_unit_test(udp_checksum_of_zero_is_sent_as_ones),
		cmocka_unit_test(unusual_checksum_request_is_finished_at_once),
		cmocka_unit_test(request_that_contradicts_the_frame_is_refused),
		cmocka_unit_test(length_lie_in_a_tso_frame_is_refused),
		cmocka_unit_test(gso_request_that_fits_one_segment_is_a_checksum_request),
		cmocka_unit_test(receiver_gets_what_it_takes),
		cmocka_unit_test(segments_carry_the_same_stream),
		cmocka_unit_test(too_many_segments_are_refused),
		cmocka_unit_test(flow_hash_depends_on_the_flow_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
