// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "tests/fake/vhost_front.h"

#define F(n) (UINT64_C(1) << (n))
#define BASE (F(VIRTIO_F_VERSION_1) | F(30))

static uint64_t ask(struct front *f, uint32_t request) {
	union message_payload p = {0};
	struct message_header header;

	front_send(f, request, 0, NULL, 0, NULL, 0);
	assert_int_equal(front_run(f), 0);
	assert_int_equal(front_receive(f, &header, &p), 8);
	assert_int_equal(header.request, request);
	return p.number;
}

static uint32_t ask_base(struct front *f, uint32_t ring) {
	union message_payload p = {0};
	struct message_header header;

	front_send_vring(f, MESSAGE_GET_VRING_BASE, 0, ring, 0);
	assert_int_equal(front_run(f), 0);
	assert_int_equal(front_receive(f, &header, &p), 8);
	assert_int_equal(p.vring.index, ring);
	return p.vring.num;
}

static uint64_t ack_number(struct front *f, uint32_t request, uint64_t number) {
	return front_ack(f, request, &number, sizeof(number), NULL, 0);
}

static uint64_t ack_vring(struct front *f, uint32_t request, uint32_t index, uint32_t num) {
	uint32_t p[] = {index, num};

	return front_ack(f, request, p, sizeof(p), NULL, 0);
}

static void session_negotiates_and_remembers(void **state) {
	struct front f;

	(void)state;
	front_open(&f, &front_config);
	front_negotiate(&f, BASE | F(VIRTIO_NET_F_MTU), UINT64_MAX);
	assert_true(session_features(f.session) == (BASE | F(VIRTIO_NET_F_MTU)));
	assert_int_equal(ask(&f, MESSAGE_GET_QUEUE_NUM), 2);
	assert_int_equal(ask(&f, MESSAGE_GET_MAX_MEM_SLOTS), MEMORY_MAX_REGIONS);
	assert_int_equal(ask(&f, MESSAGE_GET_STATUS), 0);
	front_ok(&f, MESSAGE_SET_STATUS, 11);
	assert_int_equal(ask(&f, MESSAGE_GET_STATUS), 11);
	assert_int_equal(ack_number(&f, MESSAGE_NET_SET_MTU, 9000), 0);
	assert_int_equal(session_mtu_bytes(f.session), 9000);
	assert_int_equal(ack_number(&f, MESSAGE_NET_SET_MTU, 9001), 1);
	assert_int_equal(ack_number(&f, MESSAGE_NET_SET_MTU, 67), 1);
	assert_int_equal(ack_number(&f, MESSAGE_NET_SET_MTU, 65536 + 1500), 1);
	assert_int_equal(session_mtu_bytes(f.session), 9000);
	front_close(&f);
}

static void session_offers_nothing_it_cannot_serve(void **state) {
	struct front f;
	uint64_t features;

	(void)state;
	front_open(&f, &front_config);
	features = ask(&f, MESSAGE_GET_FEATURES);
	assert_false(features & F(VIRTIO_F_ACCESS_PLATFORM));
	assert_false(features & F(VIRTIO_F_IN_ORDER));
	assert_false(features & F(VIRTIO_NET_F_GUEST_UFO));
	front_close(&f);
}

static void session_wrong_request_fails_alone_when_an_answer_is_asked_for(void **state) {
	struct front f;

	(void)state;
	front_open(&f, &front_config);
	front_negotiate(&f, BASE, UINT64_MAX);
	assert_int_equal(ack_number(&f, MESSAGE_SET_FEATURES, F(50)), 1);
	assert_int_equal(ack_number(&f, MESSAGE_SET_PROTOCOL_FEATURES, F(12)), 1);
	assert_int_equal(ack_number(&f, MESSAGE_SET_STATUS, 256), 1);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_NUM, 4, 256), 1);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_NUM, 0, 0), 1);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_NUM, 0, 255), 1);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_NUM, 0, 65536), 1);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_NUM, 0, 65536 + 256), 1);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_BASE, 0, 65536), 1);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_ENABLE, 0, 2), 1);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_ENABLE, UINT32_MAX, 1), 1);
	assert_int_equal(ack_number(&f, MESSAGE_SET_VRING_KICK, MESSAGE_VRING_NO_FD | 200), 1);
	assert_int_equal(ack_number(&f, MESSAGE_SET_VRING_KICK, MESSAGE_VRING_NO_FD | 0), 0);
	assert_int_equal(ack_vring(&f, MESSAGE_SET_VRING_NUM, 0, 32768), 0);
	front_send_vring(&f, MESSAGE_SET_VRING_NUM, 0, 4, 256);
	assert_int_equal(front_run(&f), -EINVAL);
	front_close(&f);
}

static void session_request_of_a_feature_that_was_not_agreed_fails(void **state) {
	static const uint32_t requests[] = {
		MESSAGE_GET_QUEUE_NUM, MESSAGE_GET_MAX_MEM_SLOTS, MESSAGE_GET_STATUS};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct front f;

		front_open(&f, &front_config);
		front_send(&f, requests[i], 0, NULL, 0, NULL, 0);
		assert_int_equal(front_run(&f), -EOPNOTSUPP);
		assert_string_equal(session_last_request(f.session), message_name(requests[i]));
		front_close(&f);
	}
}

static void session_ring_runs_only_when_all_is_there(void **state) {
	struct front f;

	(void)state;
	front_open(&f, &front_config);
	front_negotiate(&f, BASE, UINT64_MAX);
	front_set_ring(&f, 0, 256); // before the memory is known
	assert_false(session_ring(f.session, 0)->running);
	front_ok(&f, MESSAGE_SET_STATUS, 15);
	assert_false(session_ring(f.session, 0)->running);
	front_set_memory(&f);
	assert_true(session_ring(f.session, 0)->running);
	front_ok(&f, MESSAGE_SET_STATUS, 0);
	assert_false(session_ring(f.session, 0)->running);
	front_ok(&f, MESSAGE_SET_STATUS, 15);
	assert_true(session_ring(f.session, 0)->running);
	front_send_vring(&f, MESSAGE_SET_VRING_ENABLE, 0, 0, 0);
	assert_int_equal(front_run(&f), 0);
	assert_true(session_ring(f.session, 0)->running);
	assert_false(session_ring(f.session, 0)->enabled);
	front_close(&f);
}

static void session_without_protocol_features_enables_rings_at_once(void **state) {
	struct front f;

	(void)state;
	front_open(&f, &front_config);
	front_ok(&f, MESSAGE_SET_FEATURES, F(VIRTIO_F_VERSION_1));
	assert_true(session_ring(f.session, 3)->enabled);
	front_close(&f);
}

static void session_position_survives_every_kind_of_restart(void **state) {
	static struct ring_burst burst;
	struct vring_used_elem used;
	struct front f;
	struct ring *r;

	(void)state;
	front_open(&f, &front_config);
	front_start(&f, 0);
	r = session_ring(f.session, 1);
	for (unsigned int i = 0; i < 5; i++) {
		front_post(&f, 1, FRONT_DATA, 112, false);
		front_post(&f, 1, FRONT_DATA, 112, false);
		assert_int_equal(ring_take(r, &burst, 1), 1);
		ring_give_back(r, &burst);
		ring_flush(r, f.notifier);
		switch (i) {
		case 0:
			front_set_memory(&f);
			break;
		case 1:
			assert_int_equal(ask_base(&f, 1), 2);
			assert_false(r->running);
			front_set_ring(&f, 1, FRONT_RING_SIZE);
			break;
		case 2:
			front_ok(&f, MESSAGE_SET_STATUS, 0);
			front_ok(&f, MESSAGE_SET_STATUS, 15);
			break;
		case 3:
			front_ok(&f, MESSAGE_SET_FEATURES, BASE | F(VIRTIO_RING_F_INDIRECT_DESC));
			break;
		default:
			// A front-end that does not know says 0; the guest's memory knows better.
			front_send_vring(&f, MESSAGE_SET_VRING_BASE, 0, 1, 0);
			assert_int_equal(front_run(&f), 0);
			break;
		}
		assert_true(r->running);
	}
	assert_int_equal(ring_take(r, &burst, RING_BURST), 5);
	ring_give_back(r, &burst);
	ring_flush(r, f.notifier);
	for (unsigned int i = 0; i < 10; i++) {
		assert_true(front_used(&f, 1, &used));
		assert_int_equal(used.id, i);
	}
	front_close(&f);
}

static void session_workers_are_out_whenever_rings_or_memory_change(void **state) {
	unsigned int before;
	struct front f;

	(void)state;
	front_open(&f, &front_config);
	front_start(&f, 0);
	before = f.n_quiesced;
	front_set_memory(&f);
	assert_int_equal(f.n_quiesced, before + 1);
	front_ok(&f, MESSAGE_SET_FEATURES, BASE | F(26)); // LOG_ALL
	assert_int_equal(f.n_quiesced, before + 2);
	assert_int_equal(ask(&f, MESSAGE_GET_STATUS), 15);
	assert_int_equal(f.n_quiesced, before + 2);
	assert_false(f.quiet);
	front_close(&f);
	assert_true(f.quiet); // free does not let workers back in
}

static void session_memory_slots_come_and_go(void **state) {
	struct message_region region = {
		.guest_addr = UINT64_C(1) << 32, .user_addr = UINT64_C(1) << 40, .size = 4096};
	union message_payload p = {0};
	unsigned int n_maps, n_fds;
	struct front f;

	(void)state;
	front_open(&f, &front_config);
	front_start(&f, 0);
	n_maps = front_count_maps();
	n_fds = front_count_fds();
	for (unsigned int i = 0; i < MEMORY_MAX_REGIONS - 1; i++) {
		p.slot.region = region;
		p.slot.region.guest_addr += i * UINT64_C(4096);
		assert_int_equal(front_ack(&f, MESSAGE_ADD_MEM_REG, &p, 40, &f.memory_fd, 1), 0);
	}
	p.slot.region.guest_addr += 4096;
	assert_int_equal(front_ack(&f, MESSAGE_ADD_MEM_REG, &p, 40, &f.memory_fd, 1), 1);
	p.slot.region.guest_addr -= 4096;
	// Twice, as QEMU does for each queue pair; and the same place, but with other memory.
	assert_int_equal(front_ack(&f, MESSAGE_ADD_MEM_REG, &p, 40, &f.memory_fd, 1), 0);
	p.slot.region.mmap_offset = 4096;
	assert_int_equal(front_ack(&f, MESSAGE_ADD_MEM_REG, &p, 40, &f.memory_fd, 1), 1);
	assert_true(session_ring(f.session, 0)->running);
	for (unsigned int i = 0; i < MEMORY_MAX_REGIONS - 1; i++) {
		p.slot.region = region;
		p.slot.region.guest_addr += i * UINT64_C(4096);
		// With a descriptor, as old front-ends do.
		assert_int_equal(
			front_ack(&f, MESSAGE_REM_MEM_REG, &p, 40, &f.memory_fd, i % 2), 0
		);
	}
	assert_int_equal(front_ack(&f, MESSAGE_REM_MEM_REG, &p, 40, NULL, 0), 0); // gone already
	assert_int_equal(front_count_maps(), n_maps);
	assert_int_equal(front_count_fds(), n_fds);
	assert_true(session_ring(f.session, 0)->running);

	// The region with the rings in it.
	p.slot.region = (struct message_region
	){.guest_addr = FRONT_GUEST_BASE, .user_addr = FRONT_USER_BASE, .size = FRONT_MEMORY_SIZE};
	assert_int_equal(front_ack(&f, MESSAGE_REM_MEM_REG, &p, 40, NULL, 0), 0);
	assert_false(session_ring(f.session, 0)->running);
	assert_int_equal(front_ack(&f, MESSAGE_ADD_MEM_REG, &p, 40, &f.memory_fd, 1), 0);
	assert_true(session_ring(f.session, 0)->running);
	front_close(&f);
}

static void session_refuses_more_memory_than_allowed_and_keeps_what_it_has(void **state) {
	union message_payload p = {0};
	int fds[2], big = memfd_create("big", MFD_CLOEXEC);
	struct front f;

	(void)state;
	assert_return_code(ftruncate(big, 1 << 30), errno);
	front_open(&f, &front_config);
	front_start(&f, 0);
	p.table.n_regions = 2;
	p.table.regions[0].size = 4096;
	p.table.regions[1] = (struct message_region){.guest_addr = 1 << 20, .size = 64 << 20};
	fds[0] = big;
	fds[1] = big;
	assert_int_equal(front_ack(&f, MESSAGE_SET_MEM_TABLE, &p, 72, fds, 2), 1);
	p.table.regions[0].size = UINT64_MAX;
	assert_int_equal(front_ack(&f, MESSAGE_SET_MEM_TABLE, &p, 72, fds, 2), 1);
	p.slot.region = (struct message_region){.guest_addr = UINT64_C(1) << 40, .size = 64 << 20};
	assert_int_equal(front_ack(&f, MESSAGE_ADD_MEM_REG, &p, 40, &big, 1), 1);
	assert_true(session_is_ready(f.session));
	assert_true(session_ring(f.session, 0)->running);
	front_close(&f);
	close(big);
}

static void session_announces_a_guest_that_has_moved(void **state) {
	const uint8_t mac[8] = {2, 1, 2, 3, 4, 5};
	struct front f;

	(void)state;
	front_open(&f, &front_config);
	front_negotiate(&f, BASE, UINT64_MAX);
	assert_int_equal(front_ack(&f, MESSAGE_SEND_RARP, mac, 8, NULL, 0), 0);
	assert_int_equal(f.n_announced, 1);
	assert_memory_equal(f.announced, mac, 6);
	front_close(&f);
}

static void session_ends_when_memory_is_taken_away(void **state) {
	static struct ring_burst burst;
	struct front f;

	(void)state;
	assert_int_equal(sigbus_install(), 0);
	front_open(&f, &front_config);
	front_start(&f, 0);
	front_post(&f, 1, FRONT_DATA, 112, false);
	assert_return_code(ftruncate(f.memory_fd, 4096), errno);
	ring_take(session_ring(f.session, 1), &burst, RING_BURST);
	ring_give_back(session_ring(f.session, 1), &burst);
	ring_flush(session_ring(f.session, 1), f.notifier);
	assert_int_equal(front_run(&f), -EFAULT);
	front_close(&f);
}

static void session_flood_is_slowed_and_paid_back_by_time(void **state) {
	union message_payload p;
	struct message_header header;
	struct front f;
	int r = 0;

	(void)state;
	front_open(&f, &front_config);
	for (unsigned int i = 0; i < 2 * SESSION_BURST_MESSAGES && r == 0; i++) {
		front_send(&f, MESSAGE_GET_FEATURES, 0, NULL, 0, NULL, 0);
		r = session_run(f.session, 5);
		assert_true(r > 0 || front_receive(&f, &header, &p) == 8);
	}
	assert_true(r > 0);
	assert_true(session_run(f.session, 5) > 0);
	assert_int_equal(session_run(f.session, 5 + (uint64_t)r), 0);
	assert_int_equal(front_receive(&f, &header, &p), 8);
	front_close(&f);
}

// To stop the workers for one peer is not free, so it may be had a few times in a row only.
static void session_run_quiesces_a_few_times_only_and_each_is_paid(void **state) {
	struct front f;
	unsigned int n = 0;

	(void)state;
	front_open(&f, &front_config);
	front_start(&f, 0);
	f.n_quiesced = 0;
	for (unsigned int i = 0; i < 2 * SESSION_RUN_QUIESCES; i++)
		front_send_vring(&f, MESSAGE_SET_VRING_ENABLE, 0, 0, i & 1);
	assert_int_equal(front_run(&f), 0);
	assert_int_equal(f.n_quiesced, SESSION_RUN_QUIESCES);
	assert_int_equal(front_run(&f), 0);
	assert_int_equal(f.n_quiesced, 2 * SESSION_RUN_QUIESCES);
	front_send_vring(&f, MESSAGE_SET_VRING_ENABLE, 0, 0, 1); // as it is
	assert_int_equal(front_run(&f), 0);
	assert_int_equal(f.n_quiesced, 2 * SESSION_RUN_QUIESCES);
	while (front_run(&f) == 0) {
		front_send_vring(&f, MESSAGE_SET_VRING_ENABLE, 0, 0, n++ & 1);
		assert_true(n < SESSION_BURST_MESSAGES / SESSION_QUIESCE_MESSAGES);
	}
	front_close(&f);
}

static void session_run_is_bounded(void **state) {
	struct front f;

	(void)state;
	front_open(&f, &front_config);
	for (unsigned int i = 0; i < 2 * SESSION_RUN_MESSAGES; i++)
		front_send_number(&f, MESSAGE_SET_FEATURES, 0, 0);
	assert_int_equal(front_run(&f), 0);
	assert_int_equal(recv(session_fd(f.session), &(char){0}, 1, MSG_PEEK), 1);
	front_close(&f);
}

static void session_takes_no_descriptor_that_may_make_it_wait(void **state) {
	int pair[2];
	struct front f;
	uint64_t ring = 0;

	(void)state;
	assert_return_code(pipe(pair), errno);
	front_open(&f, &front_config);
	front_negotiate(&f, BASE, UINT64_MAX);
	assert_int_equal(front_ack(&f, MESSAGE_SET_VRING_CALL, &ring, 8, &pair[1], 1), 1);
	assert_int_equal(front_ack(&f, MESSAGE_SET_VRING_KICK, &ring, 8, &pair[0], 1), 1);
	assert_int_equal(
		front_ack(&f, MESSAGE_SET_VRING_CALL, &ring, 8, &f.rings[0].call_fd, 1), 0
	);
	front_close(&f);
	close(pair[0]);
	close(pair[1]);
}

// Any message after any other, right and wrong, with and without descriptors: in the end nothing is
// left over.
static void session_descriptors_and_maps_balance_after_any_sequence(void **state) {
	unsigned int n_fds = front_count_fds(), n_maps = front_count_maps();
	uint32_t seed = 1;

	(void)state;
	for (unsigned int round = 0; round < 300; round++) {
		struct front f;
		int r = 0;

		front_open(&f, &front_config);
		if (round % 2)
			front_start(&f, 0);
		for (unsigned int i = 0; i < 40 && r >= 0; i++) {
			static const uint32_t sizes[] = {0, 8, 8, 16, 40, 40, 72, 264};
			union message_payload p = {0};
			int fds[9];
			uint32_t request, size, n;

			seed = seed * 1664525 + 1013904223;
			request = (seed >> 24) % (MESSAGE_REQUESTS + 2);
			size = sizes[seed >> 20 & 7];
			n = (seed >> 16 & 15) < 10 ? (seed >> 16 & 1) : (seed >> 16 & 15) - 8;
			for (unsigned int k = 0; k < 9; k++)
				fds[k] = k % 3 == 1 ? f.rings[0].kick_fd : f.memory_fd;
			p.table.n_regions = n;
			for (unsigned int k = 0; k < MESSAGE_TABLE_REGIONS; k++)
				p.table.regions[k] = (struct message_region
				){.guest_addr = k << 20,
				  .user_addr = k << 20,
				  .size = 4096 * (seed >> 10 & 3)};
			front_send(&f, request, seed & MESSAGE_FLAG_NEED_REPLY, &p, size, fds, n);
			r = front_run(&f);
		}
		assert_false(f.quiet);
		front_close(&f);
		assert_int_equal(front_count_fds(), n_fds);
		assert_int_equal(front_count_maps(), n_maps);
	}
}

static void session_serves_64_queue_pairs(void **state) {
	struct session_config config = front_config;
	struct front f;

	(void)state;
	config.queue_pairs = 64;
	front_open(&f, &config);
	front_start(&f, F(VIRTIO_NET_F_MQ));
	assert_int_equal(ask(&f, MESSAGE_GET_QUEUE_NUM), 64);
	for (uint32_t i = 4; i < 128; i++) {
		union message_payload p = {.vring_addr = {.index = i}};

		// One ring for all is enough to see each start.
		p.vring_addr.desc_user_addr = FRONT_USER_BASE;
		p.vring_addr.avail_user_addr = FRONT_USER_BASE + 0x8000;
		p.vring_addr.used_user_addr = FRONT_USER_BASE + 0xa000;
		front_send_vring(&f, MESSAGE_SET_VRING_NUM, 0, i, 256);
		front_send(&f, MESSAGE_SET_VRING_ADDR, 0, &p, sizeof(p.vring_addr), NULL, 0);
		front_send_fd(&f, MESSAGE_SET_VRING_KICK, 0, i, f.rings[0].kick_fd);
		assert_int_equal(front_run(&f), 0);
		assert_true(session_ring(f.session, i)->running);
	}
	front_close(&f);
	config.queue_pairs = 65;
	assert_int_equal(session_new(&config, -1, 0, &f.session), -EINVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session_negotiates_and_remembers),
		cmocka_unit_test(session_offers_nothing_it_cannot_serve),
		cmocka_unit_test(session_wrong_request_fails_alone_when_an_answer_is_asked_for),
		cmocka_unit_test(session_request_of_a_feature_that_was_not_agreed_fails),
		cmocka_unit_test(session_ring_runs_only_when_all_is_there),
		cmocka_unit_test(session_without_protocol_features_enables_rings_at_once),
		cmocka_unit_test(session_position_survives_every_kind_of_restart),
		cmocka_unit_test(session_workers_are_out_whenever_rings_or_memory_change),
		cmocka_unit_test(session_memory_slots_come_and_go),
		cmocka_unit_test(session_refuses_more_memory_than_allowed_and_keeps_what_it_has),
		cmocka_unit_test(session_announces_a_guest_that_has_moved),
		cmocka_unit_test(session_ends_when_memory_is_taken_away),
		cmocka_unit_test(session_flood_is_slowed_and_paid_back_by_time),
		cmocka_unit_test(session_run_quiesces_a_few_times_only_and_each_is_paid),
		cmocka_unit_test(session_run_is_bounded),
		cmocka_unit_test(session_takes_no_descriptor_that_may_make_it_wait),
		cmocka_unit_test(session_descriptors_and_maps_balance_after_any_sequence),
		cmocka_unit_test(session_serves_64_queue_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
