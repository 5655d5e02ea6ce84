// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/genl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/netlink/fake_netlink.h"
#include "tests/unit/unit.h"

enum {
	A_U8 = 1,
	A_U16,
	A_U32,
	A_U64,
	A_UINT,
	A_STR,
	A_MAC,
	A_FLAG,
	A_NEST,
};
static const enum nl_kind kinds[] = {
	[A_U8] = NL_U8,   [A_U16] = NL_U16,   [A_U32] = NL_U32,
	[A_U64] = NL_U64, [A_UINT] = NL_UINT, [A_STR] = NL_STR,
	[A_MAC] = NL_MAC, [A_FLAG] = NL_FLAG, [A_NEST] = NL_NEST,
};
static const struct nl_family family = {
	.name = "test",
	.version = 2,
	.table = {kinds, ARRAY_LEN(kinds)},
};

static int setup(void **state) {
	*state = fixture_open(&family, 9, "\1\2\7");
	return 0;
}

static int count_reply(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	(void)command;
	(void)attrs;
	++*(int *)ctx;
	return 0;
}

static int refuse_reply(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	(void)command;
	(void)attrs;
	(void)ctx;
	return -EDOM;
}

static int run(struct fixture *x) {
	struct nl_request req;

	nl_request_init(&req, x->nl, 1);
	return nl_request_run(&req);
}

static int get(struct fixture *x) {
	struct nl_request req;
	int n = 0;

	nl_request_init(&req, x->nl, 1);
	return nl_request_get(&req, count_reply, &n);
}

static int dump(struct fixture *x, int *ret_n) {
	struct nl_request req;

	*ret_n = 0;
	nl_request_init(&req, x->nl, 1);
	return nl_request_dump(&req, count_reply, ret_n);
}

// Lay a reply with one attribute of @size octets ready.
static void reply_with(struct fixture *x, uint16_t type, size_t size, const void *data) {
	struct nlmsghdr *message = fake_begin_genl(x->fake, 1, 0);

	mnl_attr_put(message, type, size, data);
	fake_end(x->fake, message);
}

static void family_is_resolved_with_its_operations(void **state) {
	struct fixture *x = *state;

	fake_assert_request(
		x->fake,
		"20000000 1000 0500 01000000 00000000 03 01 0000 0900 0200 74657374 00000000"
	);
	assert_true(nl_socket_has_op(x->nl, 1));
	assert_true(nl_socket_has_op(x->nl, 7));
	assert_false(nl_socket_has_op(x->nl, 3));
	assert_int_equal(nl_socket_max_attr(x->nl), 9);
}

static void family_that_is_not_loaded_is_enoent(void **state) {
	struct fake_netlink *fake = fake_netlink_new();
	struct nl_socket *nl = NULL;

	(void)state;
	fake_refuse(fake, ENOENT, NULL);
	assert_int_equal(nl_socket_new(&fake->base, &family, &nl), -ENOENT);
	assert_null(nl);
}

static void family_with_an_impossible_id_is_refused(void **state) {
	struct fake_netlink *fake = fake_netlink_new();
	struct nlmsghdr *message = fake_begin(fake, GENL_ID_CTRL, 0);
	struct nl_socket *nl = NULL;

	(void)state;
	mnl_nlmsg_put_extra_header(message, sizeof(struct genlmsghdr));
	mnl_attr_put_u16(message, CTRL_ATTR_FAMILY_ID, NLMSG_ERROR);
	fake_end(fake, message);
	fake_ack(fake);
	assert_int_equal(nl_socket_new(&fake->base, &family, &nl), -EBADMSG);
}

static void every_kind_has_its_bytes(void **state) {
	static const enum nl_kind inner_kinds[] = {[3] = NL_U8};
	static const struct nl_table inner = {inner_kinds, ARRAY_LEN(inner_kinds)};
	struct fixture *x = *state;
	struct nl_request req;
	struct nl_nest nest;

	nl_request_init(&req, x->nl, 7);
	nl_put_u8(&req, A_U8, 0x11);
	nl_put_u16(&req, A_U16, 0x1122);
	nl_put_u32(&req, A_U32, 0x11223344);
	nl_put_u64(&req, A_U64, 0x1122334455667788);
	nl_put_str(&req, A_STR, "ab");
	nl_put_mac(&req, A_MAC, &(struct mac_addr){{2, 0, 0, 0, 0, 9}});
	nl_put_flag(&req, A_FLAG);
	nest = nl_nest_begin(&req, A_NEST, &inner);
	nl_put_u8(&req, 3, 5);
	nl_nest_end(&req, nest);
	fake_ack(x->fake);
	assert_int_equal(nl_request_run(&req), 0);
	fake_assert_request(
		x->fake,
		"5c000000 2300 0500 02000000 00000000 07 02 0000"
		"0500 0100 11000000  0600 0200 22110000  0800 0300 44332211"
		"0c00 0400 8877665544332211  0700 0600 61620000  0a00 0700 020000000009 0000"
		"0400 0800  0c00 0980 0500 0300 05000000"
	);
}

static void first_failed_put_sticks_and_nothing_is_sent(void **state) {
	struct fixture *x = *state;
	char *huge = calloc(1, 70000);
	struct nl_request req;
	size_t n_requests = x->fake->n_requests;

	nl_request_init(&req, x->nl, 1);
	nl_put_u8(&req, A_U16, 1); // another kind
	nl_put_u32(&req, A_U32, 1);
	assert_int_equal(nl_request_run(&req), -EINVAL);

	nl_request_init(&req, x->nl, 1);
	nl_put_u32(&req, 1000, 1); // no such attribute
	assert_int_equal(nl_request_run(&req), -EINVAL);

	memset(huge, 'x', 69999);
	nl_request_init(&req, x->nl, 1);
	nl_put_str(&req, A_STR, huge); // its length would wrap in 16 bits
	nl_put_u8(&req, A_U16, 1);
	assert_int_equal(nl_request_run(&req), -EMSGSIZE);

	nl_request_init(&req, x->nl, 1);
	for (int i = 0; i < NL_REQUEST_SIZE / 8; i++)
		nl_nest_end(&req, nl_nest_begin(&req, A_NEST, &family.table));
	for (int i = 0; i < NL_REQUEST_SIZE / 8; i++)
		nl_put_u32(&req, A_U32, 1);
	assert_int_equal(nl_request_run(&req), -EMSGSIZE);

	assert_int_equal(x->fake->n_requests, n_requests);
	free(huge);
}

static void refusal_keeps_the_kernels_words_until_the_next_request(void **state) {
	struct fixture *x = *state;

	fake_refuse(x->fake, EOPNOTSUPP, "vdpa: not\nsupported \x80");
	assert_int_equal(run(x), -EOPNOTSUPP);
	assert_string_equal(nl_socket_error_text(x->nl), "vdpa: not?supported ?");

	fake_refuse(x->fake, EEXIST, NULL);
	assert_int_equal(run(x), -EEXIST);
	assert_string_equal(nl_socket_error_text(x->nl), "");
}

static void words_longer_than_ours_are_cut(void **state) {
	struct fixture *x = *state;
	char text[1000];

	memset(text, 'k', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	fake_refuse(x->fake, EINVAL, text);
	assert_int_equal(run(x), -EINVAL);
	assert_int_equal(strlen(nl_socket_error_text(x->nl)), NL_ERROR_TEXT_SIZE - 1);
}

// A kernel without CAP_ACK sends the request back between the code and the words.
static void refusal_with_the_request_in_it_is_understood(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = fake_begin(x->fake, NLMSG_ERROR, NLM_F_ACK_TLVS);
	struct nlmsgerr *refusal = mnl_nlmsg_put_extra_header(message, sizeof(*refusal));

	refusal->error = -EPERM;
	refusal->msg.nlmsg_len = sizeof(refusal->msg) + 8;
	mnl_nlmsg_put_extra_header(message, 8);
	mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, "why");
	fake_end(x->fake, message);
	assert_int_equal(run(x), -EPERM);
	assert_string_equal(nl_socket_error_text(x->nl), "why");
}

static void refusal_that_lies_about_the_request_is_survived(void **state) {
	static const uint32_t lies[] = {0, 1, 15, 17, 0x7ffffff0, 0xfffffff0, UINT32_MAX};
	struct fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		struct nlmsghdr *message = fake_begin(x->fake, NLMSG_ERROR, NLM_F_ACK_TLVS);
		struct nlmsgerr *refusal = mnl_nlmsg_put_extra_header(message, sizeof(*refusal));

		refusal->error = -EPERM;
		refusal->msg.nlmsg_len = lies[i];
		mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, "why");
		fake_end(x->fake, message);
		assert_true(run(x) < 0);
	}
}

static void verdict_that_is_no_errno_is_refused(void **state) {
	struct fixture *x = *state;

	fake_refuse(x->fake, -5, NULL);
	assert_int_equal(run(x), -EBADMSG);
	fake_refuse(x->fake, 100000, NULL);
	assert_int_equal(run(x), -EBADMSG);
}

static void dump_collects_over_many_datagrams(void **state) {
	struct fixture *x = *state;
	int n;

	for (int i = 0; i < 6; i++) {
		x->fake->join = i % 3 != 0;
		reply_with(x, A_STR, 3, "ab");
	}
	fake_done(x->fake);
	assert_int_equal(dump(x, &n), 0);
	assert_int_equal(n, 6);
	fake_assert_request(x->fake, "14000000 2300 0103 02000000 00000000 01 02 0000");
}

static void dump_refused_at_its_end_keeps_the_words(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message;
	int n;

	reply_with(x, A_STR, 3, "ab");
	message = fake_begin(x->fake, NLMSG_DONE, NLM_F_MULTI | NLM_F_ACK_TLVS);
	*(int32_t *)mnl_nlmsg_put_extra_header(message, sizeof(int32_t)) = -EIO;
	mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, "broken");
	fake_end(x->fake, message);
	assert_int_equal(dump(x, &n), -EIO);
	assert_string_equal(nl_socket_error_text(x->nl), "broken");
}

static void dump_with_changes_during_it_is_eintr(void **state) {
	struct fixture *x = *state;
	int n;

	fake_end(x->fake, fake_begin_genl(x->fake, 1, NLM_F_MULTI));
	fake_end(x->fake, fake_begin_genl(x->fake, 1, NLM_F_MULTI | NLM_F_DUMP_INTR));
	fake_done(x->fake);
	assert_int_equal(dump(x, &n), -EINTR);
}

static void dump_without_an_end_times_out(void **state) {
	struct fixture *x = *state;
	int n;

	reply_with(x, A_STR, 3, "ab");
	assert_int_equal(dump(x, &n), -ETIMEDOUT);
}

static void late_reply_to_an_older_request_is_passed_over(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = fake_begin(x->fake, NLMSG_ERROR, NLM_F_CAPPED);
	struct nlmsgerr *refusal = mnl_nlmsg_put_extra_header(message, sizeof(*refusal));

	refusal->error = -EIO;
	message->nlmsg_seq = 1;
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(run(x), 0);
}

static void reply_larger_than_the_buffer_is_an_error(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = fake_begin_genl(x->fake, 1, 0);

	message->nlmsg_len = NL_BUFFER_SIZE + 4;
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(get(x), -EMSGSIZE);
}

static void message_cut_short_is_an_error(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = fake_begin_genl(x->fake, 1, 0);

	message->nlmsg_len += 100;
	fake_raw(x->fake, message, message->nlmsg_len - 100);
	assert_int_equal(get(x), -EBADMSG);

	fake_raw(x->fake, "\x14\0\0", 3);
	assert_int_equal(get(x), -EBADMSG);

	message = fake_begin(x->fake, FAKE_FAMILY_ID, 0); // no room for a command
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(get(x), -EBADMSG);
}

static void attribute_of_a_wrong_size_is_an_error(void **state) {
	static const struct {
		uint16_t type;
		size_t size;
	} wrong[] = {
		{A_U8, 2},  {A_U8, 0},   {A_U16, 1},  {A_U16, 4},  {A_U32, 2},
		{A_U32, 8}, {A_U64, 4},  {A_UINT, 3}, {A_UINT, 0}, {A_STR, 0},
		{A_MAC, 5}, {A_MAC, 32}, {A_FLAG, 1},
	};
	struct fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		reply_with(x, wrong[i].type, wrong[i].size, (uint8_t[32]){0});
		fake_ack(x->fake);
		assert_int_equal(get(x), -EBADMSG);
	}
}

static void string_without_its_end_or_with_two_is_an_error(void **state) {
	struct fixture *x = *state;

	reply_with(x, A_STR, 3, "abc");
	fake_ack(x->fake);
	assert_int_equal(get(x), -EBADMSG);
	reply_with(x, A_STR, 4, "a\0b");
	fake_ack(x->fake);
	assert_int_equal(get(x), -EBADMSG);
}

static void attribute_longer_than_its_message_is_an_error(void **state) {
	struct fixture *x = *state;
	static const uint16_t lengths[] = {0, 1, 3, 9, 100, UINT16_MAX};

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct nlmsghdr *message = fake_begin_genl(x->fake, 1, 0);
		struct nlattr *attr = mnl_nlmsg_get_payload_tail(message);

		mnl_attr_put_u32(message, A_U32, 1);
		attr->nla_len = lengths[i];
		fake_end(x->fake, message);
		fake_ack(x->fake);
		assert_int_equal(get(x), -EBADMSG);
	}
}

static void unknown_and_padding_attributes_are_passed_over(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = fake_begin_genl(x->fake, 1, 0);

	mnl_attr_put(message, 0, 0, "");
	mnl_attr_put(message, 300, 5, "12345");
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(get(x), 0);
}

static void get_wants_one_reply(void **state) {
	struct fixture *x = *state;

	fake_ack(x->fake);
	assert_int_equal(get(x), -ENODATA);
	reply_with(x, A_STR, 2, "a");
	reply_with(x, A_STR, 2, "b");
	fake_ack(x->fake);
	assert_int_equal(get(x), -EBADMSG);
}

static void refused_reply_leaves_nothing_for_the_next_request(void **state) {
	struct fixture *x = *state;
	struct nl_request req;

	reply_with(x, A_STR, 2, "a");
	reply_with(x, A_STR, 2, "b");
	fake_done(x->fake);
	nl_request_init(&req, x->nl, 1);
	assert_int_equal(nl_request_dump(&req, refuse_reply, NULL), -EDOM);
	fake_ack(x->fake);
	assert_int_equal(run(x), 0);
}

static void failed_send_is_returned(void **state) {
	struct fixture *x = *state;

	x->fake->send_error = -ENOBUFS;
	assert_int_equal(run(x), -ENOBUFS);
}

// Each octet of a good conversation is set to each of some values: nothing crashes, and the socket
// answers the next request.
static void damaged_conversation_is_survived(void **state) {
	static const uint8_t values[] = {0x00, 0x01, 0x03, 0x04, 0x7f, 0x80, 0xff};
	struct fixture *x = *state;
	uint8_t whole[256], damaged[256];
	struct nlmsghdr *message = fake_begin_genl(x->fake, 1, NLM_F_MULTI);
	size_t size;
	int n;

	mnl_attr_put_strz(message, A_STR, "abc");
	mnl_attr_put_u64(message, A_U64, 5);
	mnl_attr_put(message, A_MAC, 6, "123456");
	size = message->nlmsg_len;
	memcpy(whole, message, size);

	for (size_t at = 0; at < size; at++)
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			memcpy(damaged, whole, size);
			damaged[at] = values[v];
			x->fake->join = false;
			x->fake->n_datagrams = 0;
			x->fake->next_datagram = 0;
			for (size_t i = 0; i < FAKE_DATAGRAMS_MAX; i++) {
				free(x->fake->datagrams[i].data);
				x->fake->datagrams[i].data = NULL;
			}
			fake_raw(x->fake, damaged, size);
			fake_raw(x->fake, whole, at);
			fake_done(x->fake);
			(void)dump(x, &n);
			fake_ack(x->fake);
		}
}

int main(void) {
#define with_socket(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		with_socket(family_is_resolved_with_its_operations),
		cmocka_unit_test(family_that_is_not_loaded_is_enoent),
		cmocka_unit_test(family_with_an_impossible_id_is_refused),
		with_socket(every_kind_has_its_bytes),
		with_socket(first_failed_put_sticks_and_nothing_is_sent),
		with_socket(refusal_keeps_the_kernels_words_until_the_next_request),
		with_socket(words_longer_than_ours_are_cut),
		with_socket(refusal_with_the_request_in_it_is_understood),
		with_socket(refusal_that_lies_about_the_request_is_survived),
		with_socket(verdict_that_is_no_errno_is_refused),
		with_socket(dump_collects_over_many_datagrams),
		with_socket(dump_refused_at_its_end_keeps_the_words),
		with_socket(dump_with_changes_during_it_is_eintr),
		with_socket(dump_without_an_end_times_out),
		with_socket(late_reply_to_an_older_request_is_passed_over),
		with_socket(reply_larger_than_the_buffer_is_an_error),
		with_socket(message_cut_short_is_an_error),
		with_socket(attribute_of_a_wrong_size_is_an_error),
		with_socket(string_without_its_end_or_with_two_is_an_error),
		with_socket(attribute_longer_than_its_message_is_an_error),
		with_socket(unknown_and_padding_attributes_are_passed_over),
		with_socket(get_wants_one_reply),
		with_socket(refused_reply_leaves_nothing_for_the_next_request),
		with_socket(failed_send_is_returned),
		with_socket(damaged_conversation_is_survived),
	};

	return cmocka_run_group_tests_name("genl", tests, NULL, NULL);
}
