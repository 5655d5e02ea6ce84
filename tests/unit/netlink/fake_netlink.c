// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/netlink/fake_netlink.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static int fake_send(struct nl_transport *t, const void *data, size_t size) {
	struct fake_netlink *f = (struct fake_netlink *)t;
	const struct nlmsghdr *message = data;
	int r = f->send_error;

	f->send_error = 0;
	if (r < 0)
		return r;
	assert_in_range(size, sizeof(*message), sizeof(f->request));
	assert_int_equal(message->nlmsg_len, size);
	assert_true(message->nlmsg_seq > f->last_seq);
	memcpy(f->request, data, size);
	f->request_size = size;
	f->last_seq = message->nlmsg_seq;
	f->n_requests++;
	if (f->on_request == NULL)
		return 0;
	for (size_t i = 0; i < f->n_datagrams; i++)
		free(f->datagrams[i].data);
	memset(f->datagrams, 0, sizeof(f->datagrams));
	f->n_datagrams = f->next_datagram = 0;
	f->on_request(f, f->ctx);
	return 0;
}

static ssize_t fake_receive(struct nl_transport *t, void *data, size_t size) {
	struct fake_netlink *f = (struct fake_netlink *)t;
	size_t have, offset = 0;
	uint8_t *from;

	if (f->next_datagram == f->n_datagrams)
		return -ETIMEDOUT;
	have = f->datagrams[f->next_datagram].size;
	from = f->datagrams[f->next_datagram].data;
	f->next_datagram++;
	while (offset + sizeof(struct nlmsghdr) <= have) {
		struct nlmsghdr *message = (struct nlmsghdr *)(from + offset);

		if (message->nlmsg_seq == 0)
			message->nlmsg_seq = f->last_seq;
		if (message->nlmsg_len < sizeof(*message))
			break;
		offset += NLMSG_ALIGN((size_t)message->nlmsg_len);
	}
	memcpy(data, from, have < size ? have : size);
	return (ssize_t)have;
}

static void fake_close(struct nl_transport *t) {
	struct fake_netlink *f = (struct fake_netlink *)t;

	for (size_t i = 0; i < f->n_datagrams; i++)
		free(f->datagrams[i].data);
	free(f);
}

struct fake_netlink *fake_netlink_new(void) {
	struct fake_netlink *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->base.send = fake_send;
	f->base.receive = fake_receive;
	f->base.close = fake_close;
	return f;
}

void fake_raw(struct fake_netlink *f, const void *data, size_t size) {
	size_t at = f->n_datagrams, before = 0;

	if (f->join && at > 0)
		before = NLMSG_ALIGN(f->datagrams[--at].size);
	else
		assert_in_range(++f->n_datagrams, 1, FAKE_DATAGRAMS_MAX);
	// One octet more, so that a copy of nothing is none from NULL.
	f->datagrams[at].data = realloc(f->datagrams[at].data, before + size + 1);
	assert_non_null(f->datagrams[at].data);
	memcpy(f->datagrams[at].data + before, data, size);
	f->datagrams[at].size = before + size;
}

struct nlmsghdr *fake_begin(struct fake_netlink *f, uint16_t type, uint16_t flags) {
	struct nlmsghdr *message;

	memset(f->building, 0, sizeof(f->building));
	message = mnl_nlmsg_put_header(f->building);
	message->nlmsg_type = type;
	message->nlmsg_flags = flags;
	return message;
}

struct nlmsghdr *fake_begin_genl(struct fake_netlink *f, uint8_t command, uint16_t flags) {
	struct nlmsghdr *message = fake_begin(f, FAKE_FAMILY_ID, flags);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(message, sizeof(*genl));

	genl->cmd = command;
	genl->version = 1;
	return message;
}

void fake_end(struct fake_netlink *f, const struct nlmsghdr *message) {
	fake_raw(f, message, message->nlmsg_len);
}

void fake_ack(struct fake_netlink *f) {
	fake_refuse(f, 0, NULL);
}

void fake_refuse(struct fake_netlink *f, int error, const char *text) {
	uint16_t flags = NLM_F_CAPPED | (text == NULL ? 0 : NLM_F_ACK_TLVS);
	struct nlmsghdr *message = fake_begin(f, NLMSG_ERROR, flags);
	struct nlmsgerr *refusal = mnl_nlmsg_put_extra_header(message, sizeof(*refusal));

	refusal->error = -error;
	refusal->msg.nlmsg_len = sizeof(refusal->msg);
	if (text != NULL)
		mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, text);
	fake_end(f, message);
}

void fake_done(struct fake_netlink *f) {
	struct nlmsghdr *message = fake_begin(f, NLMSG_DONE, NLM_F_MULTI);

	mnl_nlmsg_put_extra_header(message, sizeof(int32_t));
	fake_end(f, message);
}

void fake_family(struct fake_netlink *f, uint32_t max_attr, const char *ops) {
	struct nlmsghdr *message = fake_begin(f, GENL_ID_CTRL, 0);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(message, sizeof(*genl));
	struct nlattr *list, *op;

	genl->cmd = CTRL_CMD_NEWFAMILY;
	mnl_attr_put_u16(message, CTRL_ATTR_FAMILY_ID, FAKE_FAMILY_ID);
	mnl_attr_put_u32(message, CTRL_ATTR_MAXATTR, max_attr);
	list = mnl_attr_nest_start(message, CTRL_ATTR_OPS);
	for (uint16_t i = 0; ops[i] != 0; i++) {
		op = mnl_attr_nest_start(message, (uint16_t)(i + 1));
		mnl_attr_put_u32(message, CTRL_ATTR_OP_ID, (uint8_t)ops[i]);
		mnl_attr_put_u32(message, CTRL_ATTR_OP_FLAGS, GENL_CMD_CAP_DO);
		mnl_attr_nest_end(message, op);
	}
	mnl_attr_nest_end(message, list);
	fake_end(f, message);
	fake_ack(f);
}

void fake_assert_request(const struct fake_netlink *f, const char *hex) {
	uint8_t expected[sizeof(f->request)];
	size_t size = 0;

	while (*hex != 0) {
		if (isspace((unsigned char)*hex)) {
			hex++;
			continue;
		}
		expected[size++] = (uint8_t)strtoul((const char[]){hex[0], hex[1], 0}, NULL, 16);
		hex += 2;
	}
	assert_int_equal(f->request_size, size);
	assert_memory_equal(f->request, expected, size);
}

struct fixture *fixture_open(const struct nl_family *family, uint32_t max_attr, const char *ops) {
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->fake = fake_netlink_new();
	fake_family(x->fake, max_attr, ops);
	assert_int_equal(nl_socket_new(&x->fake->base, family, &x->nl), 0);
	return x;
}

void fixture_close(struct fixture *x) {
	nl_socket_close(x->nl);
	free(x);
}

int fixture_teardown(void **state) {
	fixture_close(*state);
	return 0;
}
