// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fallback/vhost/message.h"
#include "tests/fake/vhost_front.h"

struct wire {
	int fds[2];
	struct message m;
};

static void wire_open(struct wire *w) {
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, w->fds), errno);
	message_init(&w->m, NULL);
}

static void wire_close(struct wire *w) {
	message_reset(&w->m);
	close(w->fds[0]);
	close(w->fds[1]);
}

static void say(
	struct wire *w, const void *bytes, size_t size, const int *fds, unsigned int n_fds
) {
	struct iovec iov = {(void *)bytes, size};

	assert_int_equal(front_sendmsg(w->fds[0], &iov, 1, fds, n_fds, 0), size);
}

static int get(struct wire *w) {
	return message_receive(&w->m, w->fds[1], 0);
}

static void message_arrives_byte_by_byte(void **state) {
	struct {
		struct message_header header;
		uint32_t index, num;
	} bytes = {{MESSAGE_SET_VRING_NUM, 1, 8}, 3, 256};
	struct wire w;

	(void)state;
	wire_open(&w);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(get(&w), 0);
		assert_int_equal(send(w.fds[0], (uint8_t *)&bytes + i, 1, 0), 1);
	}
	assert_int_equal(get(&w), 1);
	assert_int_equal(w.m.payload.vring.index, 3);
	assert_int_equal(w.m.payload.vring.num, 256);
	wire_close(&w);
}

static void message_never_takes_a_byte_or_descriptor_of_the_next(void **state) {
	uint32_t first[] = {MESSAGE_SET_VRING_KICK, 1, 8, MESSAGE_VRING_NO_FD, 0};
	uint32_t second[] = {MESSAGE_SET_VRING_KICK, 1, 8, 1, 0};
	unsigned int n_fds = front_count_fds();
	struct wire w;

	(void)state;
	wire_open(&w);
	say(&w, first, sizeof(first), NULL, 0);
	say(&w, second, sizeof(second), &w.fds[0], 1);
	assert_int_equal(get(&w), 1);
	assert_int_equal(w.m.n_fds, 0);
	message_reset(&w.m);
	assert_int_equal(get(&w), 1);
	assert_int_equal(w.m.n_fds, 1);
	assert_int_equal(w.m.payload.number, 1);
	wire_close(&w);
	assert_int_equal(front_count_fds(), n_fds);
}

static void message_half_of_it_times_out_and_silence_does_not(void **state) {
	uint32_t header[] = {MESSAGE_SET_FEATURES, 1, 8};
	struct wire w;

	(void)state;
	wire_open(&w);
	assert_int_equal(message_receive(&w.m, w.fds[1], 1000000), 0);
	assert_true(w.m.deadline_ms == UINT64_MAX);
	assert_int_equal(send(w.fds[0], header, sizeof(header), 0), sizeof(header));
	assert_int_equal(message_receive(&w.m, w.fds[1], 2000000), 0);
	assert_int_equal(message_receive(&w.m, w.fds[1], 2000000 + MESSAGE_DEADLINE_MS - 1), 0);
	assert_int_equal(
		message_receive(&w.m, w.fds[1], 2000000 + MESSAGE_DEADLINE_MS), -ETIMEDOUT
	);
	wire_close(&w);
}

// Late is who looks, not who sent.
static void message_that_came_in_time_counts_however_late_it_is_read(void **state) {
	uint32_t rest[] = {8, 0, 0};
	uint32_t header[] = {MESSAGE_SET_FEATURES, 1};
	struct wire w;

	(void)state;
	wire_open(&w);
	assert_int_equal(send(w.fds[0], header, sizeof(header), 0), sizeof(header));
	assert_int_equal(message_receive(&w.m, w.fds[1], 1000), 0);
	assert_int_equal(send(w.fds[0], rest, sizeof(rest), 0), sizeof(rest));
	assert_int_equal(message_receive(&w.m, w.fds[1], 1000 + 10 * MESSAGE_DEADLINE_MS), 1);
	wire_close(&w);
}

static void message_with_wrong_size_version_or_reply_flag_is_refused(void **state) {
	static const uint32_t bad[][3] = {
		{MESSAGE_SET_FEATURES, 1, 0},
		{MESSAGE_SET_FEATURES, 1, 4},
		{MESSAGE_SET_FEATURES, 1, 9},
		{MESSAGE_GET_FEATURES, 1, 8},
		{MESSAGE_SET_FEATURES, 0, 8},
		{MESSAGE_SET_FEATURES, 2, 8},
		{MESSAGE_SET_FEATURES, 5, 8},
		{MESSAGE_SET_MEM_TABLE, 1, 4},
		{MESSAGE_SET_MEM_TABLE, 1, 265},
		{MESSAGE_SET_VRING_ADDR, 1, 32},
		{MESSAGE_SET_FEATURES, 1, 1u << 31},
		{MESSAGE_SET_LOG_BASE, 1, 8},
		{99, 1, 265},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct wire w;

		wire_open(&w);
		assert_int_equal(send(w.fds[0], bad[i], sizeof(bad[i]), 0), sizeof(bad[i]));
		assert_int_equal(get(&w), -EPROTO);
		wire_close(&w);
	}
}

static void message_unknown_is_read_to_its_end_and_refused(void **state) {
	static const uint32_t unknown[] = {0, 21, 22, 24, 28, 31, 32, 34, 35, 41, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		uint32_t bytes[] = {unknown[i], 1, 8, 0, 0};
		struct wire w;

		wire_open(&w);
		say(&w, bytes, sizeof(bytes), NULL, 0);
		assert_int_equal(get(&w), -EOPNOTSUPP);
		assert_string_equal(message_name(unknown[i]), "UNKNOWN");
		wire_close(&w);
	}
}

static void message_with_descriptors_it_may_not_carry_is_refused_and_they_are_closed(void **state) {
	static const struct {
		uint32_t request, size, first;
		unsigned int n_fds;
	} bad[] = {
		{MESSAGE_GET_FEATURES, 0, 0, 1},
		{MESSAGE_SET_FEATURES, 8, 0, 1},
		{MESSAGE_SET_VRING_NUM, 8, 0, 2},
		{MESSAGE_SET_VRING_KICK, 8, 0, 0},
		{MESSAGE_SET_VRING_KICK, 8, MESSAGE_VRING_NO_FD, 1},
		{MESSAGE_SET_VRING_CALL, 8, 0, 2},
		{MESSAGE_SET_VRING_ERR, 8, 0, 0},
		{MESSAGE_SET_LOG_BASE, 16, 0, 0},
		{MESSAGE_SET_LOG_BASE, 16, 0, 2},
		{MESSAGE_ADD_MEM_REG, 40, 0, 0},
		{MESSAGE_REM_MEM_REG, 40, 0, 2},
		{MESSAGE_SET_MEM_TABLE, 264, 2, 1},
		{MESSAGE_SET_MEM_TABLE, 264, 1, 2},
		{MESSAGE_SET_MEM_TABLE, 264, 9, 8},
		{MESSAGE_SET_MEM_TABLE, 264, 9, 9},
		{MESSAGE_SET_MEM_TABLE, 264, 8, 9},
		{MESSAGE_SET_MEM_TABLE, 40, 2, 2}, // the second region is not there
		{99, 8, 0, 8},
	};
	unsigned int n_before = front_count_fds();
	int fds[16];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t bytes[3 + 264 / 4] = {bad[i].request, 1, bad[i].size, bad[i].first};
		struct wire w;
		int r;

		wire_open(&w);
		for (unsigned int k = 0; k < 16; k++)
			fds[k] = w.fds[0];
		say(&w, bytes, 12 + bad[i].size, fds, bad[i].n_fds);
		r = get(&w);
		assert_int_equal(r, bad[i].request == 99 ? -EOPNOTSUPP : -EPROTO);
		wire_close(&w);
		assert_int_equal(front_count_fds(), n_before);
	}
}

static void message_collects_descriptors_over_its_parts_but_not_more_than_eight(void **state) {
	unsigned int n_before = front_count_fds();
	struct wire w;
	uint32_t header[] = {MESSAGE_SET_MEM_TABLE, 1, 264};
	uint8_t byte = 0;
	int r = 0;

	(void)state;
	wire_open(&w);
	say(&w, header, sizeof(header), NULL, 0);
	for (unsigned int i = 0; i < 9 && r == 0; i++) {
		say(&w, &byte, 1, &w.fds[0], 1);
		r = get(&w);
		assert_int_equal(w.m.n_fds, i < 8 ? i + 1 : 8);
	}
	assert_int_equal(r, -EPROTO);
	wire_close(&w);
	assert_int_equal(front_count_fds(), n_before);
}

static void message_peer_that_hangs_up_or_does_not_read_is_not_waited_for(void **state) {
	uint32_t bytes[] = {MESSAGE_GET_FEATURES, 1, 0};
	struct wire w;
	int r = 0;

	(void)state;
	wire_open(&w);
	say(&w, bytes, sizeof(bytes), NULL, 0);
	assert_int_equal(get(&w), 1);
	for (unsigned int i = 0; i < 1000000 && r == 0; i++)
		r = message_send_reply(&w.m, w.fds[1], 8);
	assert_int_equal(r, -EPIPE);
	wire_close(&w);

	wire_open(&w);
	shutdown(w.fds[0], SHUT_RDWR);
	assert_int_equal(get(&w), -EPIPE);
	wire_close(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_arrives_byte_by_byte),
		cmocka_unit_test(message_never_takes_a_byte_or_descriptor_of_the_next),
		cmocka_unit_test(message_half_of_it_times_out_and_silence_does_not),
		cmocka_unit_test(message_that_came_in_time_counts_however_late_it_is_read),
		cmocka_unit_test(message_with_wrong_size_version_or_reply_flag_is_refused),
		cmocka_unit_test(message_unknown_is_read_to_its_end_and_refused),
		cmocka_unit_test(
			message_with_descriptors_it_may_not_carry_is_refused_and_they_are_closed
		),
		cmocka_unit_test(message_collects_descriptors_over_its_parts_but_not_more_than_eight
	        ),
		cmocka_unit_test(message_peer_that_hangs_up_or_does_not_read_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
