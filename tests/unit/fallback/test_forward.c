// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "fallback/forward.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"

#define MTU 1500
#define MAX_GOT 256
#define NOW_S 1000

// A port that remembers what it was given.
struct fake_port {
	struct switch_port base;
	uint16_t n_calls;
	uint16_t n_got;
	uint16_t vlans[MAX_GOT];
	uint16_t lens[MAX_GOT];
	bool complete[MAX_GOT]; // no offload was left to it
	uint8_t first[MAX_GOT][64];
};

enum { GUEST_A, GUEST_B, GUEST_C, VLAN_10_A, VLAN_10_B, VLAN_20, UPLINK, STRANGER, N_PORTS };

static const char *const macs[N_PORTS] = {
	"52:54:00:00:00:00", "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03",
	"52:54:00:00:00:04", "52:54:00:00:00:05", "52:54:00:00:00:06", "52:54:00:00:00:07",
};

struct fixture {
	struct fdb *fdbs[2];
	struct forward_table *table;
	struct fake_port ports[N_PORTS];
	struct port_counters counters[FORWARD_MAX_PORTS];
	struct port_context io;
	struct forward_context ctx;
};

static void fake_send(
	struct switch_port *port, struct port_context *io, struct port_counters *counters,
	struct frame *const *frames, uint16_t n_frames
) {
	struct fake_port *fake = (struct fake_port *)port;

	assert_non_null(io);
	assert_true(n_frames > 0 && n_frames <= BURST_FRAMES);
	fake->n_calls++;
	for (uint16_t i = 0; i < n_frames; i++) {
		uint16_t at = fake->n_got++;

		assert_true(at < MAX_GOT);
		fake->vlans[at] = frames[i]->vlan;
		fake->lens[at] = (uint16_t)frames[i]->bytes->size;
		fake->complete[at] = frames[i]->needs == 0;
		memcpy(fake->first[at], frames[i]->bytes->head,
		       frames[i]->bytes->head_size < 64 ? frames[i]->bytes->head_size : 64);
		counters_sent(counters, 1, frames[i]->bytes->size);
	}
}

static const struct switch_port_ops fake_ops = {.send = fake_send};

static int setup(void **state) {
	struct fixture *f = calloc(1, sizeof(*f));

	f->fdbs[0] = fdb_new(1, 300);
	f->fdbs[1] = fdb_new(2, 300);
	f->table = forward_table_new(2);
	for (uint16_t i = 0; i < N_PORTS; i++) {
		f->ports[i].base.ops = &fake_ops;
		f->ports[i].base.offloads = PORT_TAKES_CSUM | PORT_TAKES_TSO4 | PORT_TAKES_TSO6;
	}
	f->table->networks[0].fdb = f->fdbs[0];
	f->table->networks[1].fdb = f->fdbs[1];
	for (uint16_t i = 0; i < N_PORTS; i++) {
		struct forward_port port = {
			.io = &f->ports[i].base,
			.id = i,
			.link_up = true,
			.trunk = i == UPLINK,
			.max_frame_bytes = MTU + 18,
		};

		if (i == VLAN_10_A || i == VLAN_10_B)
			port.vlan = 10;
		if (i == VLAN_20)
			port.vlan = 20;
		forward_table_add(f->table, i == STRANGER ? 1 : 0, &port);
	}
	f->ctx = (struct forward_context
	){.table = f->table, .counters = f->counters, .io = &f->io, .now_s = NOW_S};
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;

	forward_table_free(f->table);
	fdb_free(f->fdbs[0]);
	fdb_free(f->fdbs[1]);
	free(f);
	return 0;
}

static void send_frame(struct fixture *f, int from, struct frame *frame) {
	forward_burst(&f->ctx, &f->table->ports[from], frame, 1);
	test_frame_free(frame);
}

static void send_packet(struct fixture *f, int from, const struct test_packet *packet) {
	send_frame(f, from, test_packet_new(packet));
}

// A small frame between two stations, tagged if @vlan is not 0.
static void send_to(struct fixture *f, int from, const char *dst, int vlan) {
	send_packet(
		f, from,
		&(struct test_packet
	        ){.dst_mac = dst, .src_mac = macs[from], .vlan = vlan, .payload_bytes = 100}
	);
}

// Exactly the ports of the set @expected (bits) got one frame since the last call.
static void expect_receivers(struct fixture *f, unsigned int expected) {
	for (int i = 0; i < N_PORTS; i++) {
		assert_int_equal(f->ports[i].n_got, (expected >> i) & 1);
		f->ports[i].n_got = 0;
	}
}

#define TO(port) (1U << (port))

static void unknown_unicast_is_flooded_in_its_vlan_only(void **state) {
	send_to(*state, GUEST_A, "52:54:00:00:00:99", 0);
	expect_receivers(*state, TO(GUEST_B) | TO(GUEST_C) | TO(UPLINK));
	send_to(*state, VLAN_10_A, "52:54:00:00:00:99", 0);
	expect_receivers(*state, TO(VLAN_10_B) | TO(UPLINK));
	send_to(*state, VLAN_20, "52:54:00:00:00:99", 0);
	expect_receivers(*state, TO(UPLINK));
}

static void broadcast_and_multicast_are_flooded(void **state) {
	send_to(*state, GUEST_A, "ff:ff:ff:ff:ff:ff", 0);
	expect_receivers(*state, TO(GUEST_B) | TO(GUEST_C) | TO(UPLINK));
	send_to(*state, GUEST_A, "33:33:ff:00:00:01", 0); // IPv6 neighbour discovery
	expect_receivers(*state, TO(GUEST_B) | TO(GUEST_C) | TO(UPLINK));
}

static void learnt_station_alone_gets_the_frame(void **state) {
	send_to(*state, GUEST_B, "ff:ff:ff:ff:ff:ff", 0);
	expect_receivers(*state, TO(GUEST_A) | TO(GUEST_C) | TO(UPLINK));
	send_to(*state, GUEST_A, macs[GUEST_B], 0);
	expect_receivers(*state, TO(GUEST_B));
}

static void networks_do_not_hear_each_other(void **state) {
	struct fixture *f = *state;

	send_to(f, STRANGER, macs[GUEST_A], 0);
	expect_receivers(f, 0);
	assert_int_equal(f->counters[STRANGER].rx_drop[DROP_NO_RECEIVER], 1);
}

static void access_port_reaches_the_uplink_with_its_vlan(void **state) {
	struct fixture *f = *state;

	send_to(f, VLAN_10_A, "ff:ff:ff:ff:ff:ff", 0);
	assert_int_equal(f->ports[UPLINK].vlans[0], 10);
	assert_int_equal(f->ports[VLAN_10_B].n_got, 1);
	assert_int_equal(f->ports[VLAN_20].n_got, 0);
	assert_int_equal(f->ports[GUEST_A].n_got, 0);
}

static void tagged_frame_from_the_uplink_arrives_untagged_in_its_vlan(void **state) {
	struct fixture *f = *state;

	send_to(f, UPLINK, "ff:ff:ff:ff:ff:ff", 10);
	assert_int_equal(f->ports[VLAN_10_A].first[0][12], 0x08); // EtherType IPv4, not 0x8100
	assert_int_equal(f->ports[VLAN_10_A].first[0][13], 0x00);
	assert_int_equal(f->ports[VLAN_10_A].lens[0], 14 + 20 + 20 + 100);
	expect_receivers(f, TO(VLAN_10_A) | TO(VLAN_10_B));

	send_to(f, VLAN_20, "ff:ff:ff:ff:ff:ff", 0); // learnt in VLAN 20
	expect_receivers(f, TO(UPLINK));
	send_to(f, UPLINK, macs[VLAN_20], 10); // but asked for in VLAN 10
	expect_receivers(f, TO(VLAN_10_A) | TO(VLAN_10_B));
	send_to(f, UPLINK, macs[VLAN_20], 20);
	expect_receivers(f, TO(VLAN_20));
}

static void tagged_frame_from_a_guest_is_dropped(void **state) {
	struct fixture *f = *state;

	send_to(f, VLAN_10_A, "ff:ff:ff:ff:ff:ff", 20);
	send_to(f, VLAN_10_A, "ff:ff:ff:ff:ff:ff", 10);
	send_to(f, GUEST_A, "ff:ff:ff:ff:ff:ff", 10);
	expect_receivers(f, 0);
	assert_int_equal(f->counters[VLAN_10_A].rx_drop[DROP_TAGGED], 2);
	assert_int_equal(f->counters[GUEST_A].rx_drop[DROP_TAGGED], 1);
}

static void doubly_tagged_frame_does_not_hop(void **state) {
	const struct test_packet packet = {
		.dst_mac = "ff:ff:ff:ff:ff:ff",
		.src_mac = macs[VLAN_10_A],
		.vlan = -1,
		.payload_bytes = 100};
	struct fixture *f = *state;
	uint8_t bytes[512];
	uint32_t len = test_packet_write(&packet, bytes);

	// A priority tag in front of a tag for VLAN 20, and in front of a service tag.
	memcpy(&bytes[16], "\x81\x00\x00\x14", 4);
	send_frame(f, VLAN_10_A, test_frame_new(bytes, len));
	memcpy(&bytes[16], "\x88\xa8\x00\x14", 4);
	send_frame(f, VLAN_10_A, test_frame_new(bytes, len));
	memcpy(&bytes[12], "\x88\xa8\x00\x14", 4); // a service tag alone
	send_frame(f, VLAN_10_A, test_frame_new(bytes, len));
	expect_receivers(f, 0);
	assert_int_equal(f->counters[VLAN_10_A].rx_drop[DROP_TAGGED], 3);
}

static void priority_tag_is_no_vlan(void **state) {
	struct fixture *f = *state;

	send_to(f, VLAN_10_A, "ff:ff:ff:ff:ff:ff", -1);
	assert_int_equal(f->ports[UPLINK].vlans[0], 10);
	expect_receivers(f, TO(VLAN_10_B) | TO(UPLINK));
}

// The table may be older than the configuration: what it says is checked.
static void stale_entry_does_not_leak_into_another_vlan(void **state) {
	struct fixture *f = *state;
	uint8_t mac[6] = {0x52, 0x54, 0, 0, 0, 0x55};

	fdb_learn(f->fdbs[0], mac, 10, GUEST_A, NOW_S);
	send_to(f, VLAN_10_A, "52:54:00:00:00:55", 0);
	expect_receivers(f, TO(VLAN_10_B) | TO(UPLINK));
	fdb_learn(f->fdbs[0], mac, 10, STRANGER, NOW_S); // of another network by now
	send_to(f, VLAN_10_A, "52:54:00:00:00:55", 0);
	expect_receivers(f, TO(VLAN_10_B) | TO(UPLINK));
	fdb_learn(f->fdbs[0], mac, 10, N_PORTS + 5, NOW_S); // gone
	send_to(f, VLAN_10_A, "52:54:00:00:00:55", 0);
	expect_receivers(f, TO(VLAN_10_B) | TO(UPLINK));
}

static void frame_for_the_senders_own_port_is_dropped(void **state) {
	struct fixture *f = *state;

	send_to(f, GUEST_A, macs[GUEST_A], 0);
	expect_receivers(f, 0);
	assert_int_equal(f->counters[GUEST_A].rx_drop[DROP_HAIRPIN], 1);
}

static void bad_source_is_dropped_and_not_learnt(void **state) {
	struct fixture *f = *state;
	const char *const sources[] = {
		"01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"};

	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		send_packet(
			f, GUEST_A,
			&(struct test_packet){.dst_mac = macs[GUEST_B], .src_mac = sources[i]}
		);
	expect_receivers(f, 0);
	assert_int_equal(f->counters[GUEST_A].rx_drop[DROP_BAD_SOURCE], 3);
	assert_int_equal(fdb_count_port(f->fdbs[0], GUEST_A), 0);
}

static void link_local_protocols_end_here(void **state) {
	struct fixture *f = *state;

	send_to(f, GUEST_A, "01:80:c2:00:00:00", 0); // spanning tree
	send_to(f, GUEST_A, "01:80:c2:00:00:0e", 0); // LLDP
	expect_receivers(f, 0);
	assert_int_equal(f->counters[GUEST_A].rx_drop[DROP_RESERVED], 2);
	send_to(f, GUEST_A, "01:80:c2:00:00:10", 0); // a group address like any other
	expect_receivers(f, TO(GUEST_B) | TO(GUEST_C) | TO(UPLINK));
}

static void runt_is_dropped(void **state) {
	struct fixture *f = *state;
	const uint8_t bytes[18] = {0x52, 0x54, 0, 0, 0,    2,    0x52, 0x54,
	                           0,    0,    0, 1, 0x81, 0x00, 0,    1};

	send_frame(f, GUEST_A, test_frame_new(bytes, 13));
	send_frame(f, UPLINK, test_frame_new(bytes, 16)); // ends within its tag
	assert_int_equal(f->counters[GUEST_A].rx_drop[DROP_RUNT], 1);
	assert_int_equal(f->counters[UPLINK].rx_drop[DROP_RUNT], 1);
	expect_receivers(f, 0);
}

static void link_down_neither_sends_nor_receives(void **state) {
	struct fixture *f = *state;

	f->table->ports[GUEST_B].link_up = false;
	send_to(f, GUEST_A, "ff:ff:ff:ff:ff:ff", 0);
	expect_receivers(f, TO(GUEST_C) | TO(UPLINK));
	assert_int_equal(f->counters[GUEST_B].tx_drop[DROP_LINK_DOWN], 1);
	send_to(f, GUEST_B, "ff:ff:ff:ff:ff:ff", 0);
	expect_receivers(f, 0);
	assert_int_equal(f->counters[GUEST_B].rx_drop[DROP_LINK_DOWN], 1);
}

static void frame_over_the_receivers_mtu_is_dropped(void **state) {
	struct fixture *f = *state;

	send_packet(f, GUEST_A, &(struct test_packet){.payload_bytes = MTU - 40 + 4});
	expect_receivers(f, TO(GUEST_B) | TO(GUEST_C) | TO(UPLINK));
	f->table->ports[GUEST_C].max_frame_bytes = 9018;
	send_packet(f, GUEST_A, &(struct test_packet){.payload_bytes = MTU - 40 + 5});
	expect_receivers(f, TO(GUEST_C));
	assert_int_equal(f->counters[GUEST_B].tx_drop[DROP_TOO_BIG], 1);
	assert_int_equal(f->counters[UPLINK].tx_drop[DROP_TOO_BIG], 1);
}

// A TSO frame from a guest, for one receiver.
static void send_tso(struct fixture *f, const char *dst, uint32_t payload_bytes, uint16_t size) {
	const struct test_packet packet = {
		.dst_mac = dst, .src_mac = macs[GUEST_A], .payload_bytes = payload_bytes};
	struct frame *frame = test_packet_new(&packet);

	frame->bytes->offload = (struct virtio_net_hdr_v1
	){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .csum_start = 34,
	  .csum_offset = 16,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	  .gso_size = size};
	assert_int_equal(offload_check(frame), 0);
	send_frame(f, GUEST_A, frame);
}

static void tso_frame_goes_whole_to_who_takes_it_and_in_pieces_to_who_does_not(void **state) {
	struct fixture *f = *state;

	f->ports[GUEST_B].base.offloads = 0;
	f->ports[GUEST_C].base.offloads = PORT_TAKES_CSUM;
	send_tso(f, "ff:ff:ff:ff:ff:ff", 60000, 1460);
	assert_int_equal(f->ports[UPLINK].n_got, 1);
	assert_false(f->ports[UPLINK].complete[0]);
	assert_int_equal(f->ports[GUEST_B].n_got, 42);
	assert_int_equal(f->ports[GUEST_C].n_got, 42);
	for (int i = 0; i < 42; i++) {
		assert_true(f->ports[GUEST_B].complete[i]);
		assert_true(f->ports[GUEST_B].lens[i] <= MTU + 14);
	}
}

static void tso_frame_with_segments_over_the_mtu_is_dropped(void **state) {
	struct fixture *f = *state;

	send_tso(f, "ff:ff:ff:ff:ff:ff", 60000, 8960);
	expect_receivers(f, 0);
	assert_int_equal(f->counters[UPLINK].tx_drop[DROP_TOO_BIG], 1);
}

static void tso_frame_of_too_many_segments_is_dropped_with_a_reason(void **state) {
	struct fixture *f = *state;

	f->ports[GUEST_B].base.offloads = PORT_TAKES_CSUM;
	send_tso(f, "ff:ff:ff:ff:ff:ff", 60000, 100);
	assert_int_equal(f->ports[GUEST_B].n_got, 0);
	assert_int_equal(f->counters[GUEST_B].tx_drop[DROP_BAD_OFFLOAD], 1);
	assert_int_equal(f->ports[UPLINK].n_got, 1);
}

static void burst_keeps_the_order_for_each_receiver(void **state) {
	struct fixture *f = *state;
	struct frame *packets[BURST_FRAMES], burst[BURST_FRAMES];

	send_to(f, GUEST_B, "ff:ff:ff:ff:ff:ff", 0);
	send_to(f, GUEST_C, "ff:ff:ff:ff:ff:ff", 0);
	f->ports[GUEST_A].n_got = f->ports[GUEST_B].n_got = f->ports[GUEST_C].n_got = 0;
	for (uint32_t i = 0; i < BURST_FRAMES; i++) {
		packets[i] = test_packet_new(&(struct test_packet){
			.dst_mac = macs[i % 2 == 0 ? GUEST_B : GUEST_C],
			.src_mac = macs[GUEST_A],
			.payload_bytes = i,
		});
		burst[i] = *packets[i];
	}
	forward_burst(&f->ctx, &f->table->ports[GUEST_A], burst, BURST_FRAMES);
	for (uint32_t i = 0; i < BURST_FRAMES; i++)
		test_frame_free(packets[i]);
	assert_int_equal(f->ports[GUEST_B].n_got, BURST_FRAMES / 2);
	assert_int_equal(f->ports[GUEST_C].n_got, BURST_FRAMES / 2);
	for (uint16_t i = 0; i < BURST_FRAMES / 2; i++) {
		assert_int_equal(f->ports[GUEST_B].lens[i], 54 + 2 * i);
		assert_int_equal(f->ports[GUEST_C].lens[i], 55 + 2 * i);
	}
	assert_int_equal(f->counters[GUEST_A].rx_packets, BURST_FRAMES);
	assert_int_equal(
		f->counters[GUEST_B].tx_packets, 1 + BURST_FRAMES / 2
	); // and a flooded one
}

static void flooded_frame_does_not_overtake_another(void **state) {
	const char *const to[] = {macs[GUEST_B], "ff:ff:ff:ff:ff:ff", macs[GUEST_B]};
	struct frame *packets[ARRAY_LEN(to)], burst[ARRAY_LEN(to)];
	struct fixture *f = *state;

	send_to(f, GUEST_B, "ff:ff:ff:ff:ff:ff", 0);
	f->ports[GUEST_B].n_got = 0;
	for (uint32_t i = 0; i < ARRAY_LEN(to); i++) {
		packets[i] = test_packet_new(&(struct test_packet
		){.dst_mac = to[i], .src_mac = macs[GUEST_A], .payload_bytes = i});
		burst[i] = *packets[i];
	}
	forward_burst(&f->ctx, &f->table->ports[GUEST_A], burst, ARRAY_LEN(to));
	assert_int_equal(f->ports[GUEST_B].n_got, ARRAY_LEN(to));
	for (uint16_t i = 0; i < ARRAY_LEN(to); i++) {
		assert_int_equal(f->ports[GUEST_B].lens[i], 54 + i);
		test_frame_free(packets[i]);
	}
}

// Each call may take a lock and interrupt a guest: a guest that floods must not make the switch do
// so for each of its frames and each of its neighbours.
static void flooded_burst_is_one_call_to_each_receiver_in_its_vlans(void **state) {
	struct frame *packets[BURST_FRAMES], burst[BURST_FRAMES];
	struct fixture *f = *state;

	for (uint16_t i = 0; i < BURST_FRAMES; i++) {
		packets[i] = test_packet_new(&(struct test_packet
		){.dst_mac = "ff:ff:ff:ff:ff:ff",
		  .src_mac = macs[UPLINK],
		  .vlan = i % 3 * 10, // none, 10, 20
		  .payload_bytes = i});
		burst[i] = *packets[i];
	}
	f->table->ports[VLAN_20].link_up = false;
	forward_burst(&f->ctx, &f->table->ports[UPLINK], burst, BURST_FRAMES);
	for (int port = 0; port < N_PORTS; port++) {
		bool receives = port != UPLINK && port != STRANGER && port != VLAN_20;
		uint16_t vlan = f->table->ports[port].vlan;

		assert_int_equal(f->ports[port].n_calls, receives ? 1 : 0);
		for (uint16_t i = 0; i < f->ports[port].n_got; i++) {
			assert_int_equal(f->ports[port].vlans[i], vlan);
			assert_int_equal(f->ports[port].lens[i], 54 + vlan / 10 + 3 * i);
		}
	}
	assert_int_equal(f->ports[GUEST_A].n_got, 22);
	assert_int_equal(f->ports[VLAN_10_A].n_got, 21);
	assert_int_equal(f->counters[VLAN_20].tx_drop[DROP_LINK_DOWN], 21);
	assert_int_equal(f->counters[UPLINK].rx_drop[DROP_NO_RECEIVER], 0);
	for (uint16_t i = 0; i < BURST_FRAMES; i++)
		test_frame_free(packets[i]);
}

#define FORWARD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		FORWARD_TEST(unknown_unicast_is_flooded_in_its_vlan_only),
		FORWARD_TEST(broadcast_and_multicast_are_flooded),
		FORWARD_TEST(learnt_station_alone_gets_the_frame),
		FORWARD_TEST(networks_do_not_hear_each_other),
		FORWARD_TEST(access_port_reaches_the_uplink_with_its_vlan),
		FORWARD_TEST(tagged_frame_from_the_uplink_arrives_untagged_in_its_vlan),
		FORWARD_TEST(tagged_frame_from_a_guest_is_dropped),
		FORWARD_TEST(doubly_tagged_frame_does_not_hop),
		FORWARD_TEST(priority_tag_is_no_vlan),
		FORWARD_TEST(stale_entry_does_not_leak_into_another_vlan),
		FORWARD_TEST(frame_for_the_senders_own_port_is_dropped),
		FORWARD_TEST(bad_source_is_dropped_and_not_learnt),
		FORWARD_TEST(link_local_protocols_end_here),
		FORWARD_TEST(runt_is_dropped),
		FORWARD_TEST(link_down_neither_sends_nor_receives),
		FORWARD_TEST(frame_over_the_receivers_mtu_is_dropped),
		FORWARD_TEST(tso_frame_goes_whole_to_who_takes_it_and_in_pieces_to_who_does_not),
		FORWARD_TEST(tso_frame_with_segments_over_the_mtu_is_dropped),
		FORWARD_TEST(tso_frame_of_too_many_segments_is_dropped_with_a_reason),
		FORWARD_TEST(burst_keeps_the_order_for_each_receiver),
		FORWARD_TEST(flooded_frame_does_not_overtake_another),
		FORWARD_TEST(flooded_burst_is_one_call_to_each_receiver_in_its_vlans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
