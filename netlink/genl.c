// SPDX-License-Identifier: GPL-2.0-or-later
// The conversation, and what is taken for granted in it:
//
// - The kernel answers a request inside sendmsg(), so replies wait in the socket when send() returns.
// - Every request asks for an acknowledgement; a dump ends with NLMSG_DONE instead. Either carries the
//   verdict, and with EXT_ACK the reason in words. CAP_ACK keeps the request itself out of a refusal,
//   so that the reason's attributes directly follow the error code.
// - Sequence numbers count up. A reply with another number belongs to a request that was given up
//   and is dropped.
// - A conversation is read to its end even when a reply was refused, so that the next request
//   finds an empty socket.

#include "netlink/genl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#define MAX_OPS 256 // commands are one octet

// What the kernel tells about a family.
struct family_facts {
	uint16_t id;
	uint32_t max_attr;
	bool has_op[MAX_OPS];
};

struct nl_socket {
	struct nl_transport *transport;
	const struct nl_family *family;
	struct family_facts facts; // of family
	uint32_t last_seq;
	nl_watch_fn watch;
	void *watch_ctx;
	char error_text[NL_ERROR_TEXT_SIZE];
	_Alignas(NLMSG_ALIGNTO) uint8_t buffer[NL_BUFFER_SIZE];
};

// nlctrl, the family that knows the families. Its operations come as nests, one for each, whose types
// only number them.
static const enum nl_kind control_kinds[] = {
	[CTRL_ATTR_FAMILY_ID] = NL_U16, [CTRL_ATTR_FAMILY_NAME] = NL_STR,
	[CTRL_ATTR_VERSION] = NL_U32,   [CTRL_ATTR_HDRSIZE] = NL_U32,
	[CTRL_ATTR_MAXATTR] = NL_U32,   [CTRL_ATTR_OPS] = NL_NEST,
};
static const enum nl_kind control_op_kinds[] = {
	[CTRL_ATTR_OP_ID] = NL_U32,
	[CTRL_ATTR_OP_FLAGS] = NL_U32,
};
static const struct nl_table control_op_table = {control_op_kinds, ARRAY_LEN(control_op_kinds)};
static const struct nl_family control_family = {
	.name = "nlctrl",
	.version = 1,
	.table = {control_kinds, ARRAY_LEN(control_kinds)},
};

// Attributes of an acknowledgement.
static const enum nl_kind ack_kinds[] = {
	[NLMSGERR_ATTR_MSG] = NL_STR,
	[NLMSGERR_ATTR_OFFS] = NL_U32,
};
static const struct nl_table ack_table = {ack_kinds, ARRAY_LEN(ack_kinds)};

// Requests.

void nl_request_init(struct nl_request *req, struct nl_socket *nl, uint8_t command) {
	struct genlmsghdr *genl;

	req->nl = nl;
	req->table = &nl->family->table;
	req->error = 0;
	memset(req->buffer, 0, sizeof(req->buffer)); // libmnl leaves padding as it finds it
	req->message = mnl_nlmsg_put_header(req->buffer);
	req->message->nlmsg_type = nl->facts.id;
	genl = mnl_nlmsg_put_extra_header(req->message, sizeof(*genl));
	genl->cmd = command;
	genl->version = nl->family->version;
}

static void put(
	struct nl_request *req, enum nl_kind kind, uint16_t type, const void *value, size_t size
) {
	if (req->error != 0)
		return;
	if (nl_kind_of(req->table, type) != kind)
		req->error = -EINVAL;
	// An attribute's length is 16 bits and libmnl does not look.
	else if (size > sizeof(req->buffer) || !mnl_attr_put_check(req->message, sizeof(req->buffer), type, size, value))
		req->error = -EMSGSIZE;
}

void nl_put_u8(struct nl_request *req, uint16_t type, uint8_t value) {
	put(req, NL_U8, type, &value, sizeof(value));
}

void nl_put_u16(struct nl_request *req, uint16_t type, uint16_t value) {
	put(req, NL_U16, type, &value, sizeof(value));
}

void nl_put_u32(struct nl_request *req, uint16_t type, uint32_t value) {
	put(req, NL_U32, type, &value, sizeof(value));
}

void nl_put_u64(struct nl_request *req, uint16_t type, uint64_t value) {
	put(req, NL_U64, type, &value, sizeof(value));
}

void nl_put_str(struct nl_request *req, uint16_t type, const char *value) {
	put(req, NL_STR, type, value, strlen(value) + 1);
}

void nl_put_mac(struct nl_request *req, uint16_t type, const struct mac_addr *value) {
	put(req, NL_MAC, type, value->octets, sizeof(value->octets));
}

void nl_put_flag(struct nl_request *req, uint16_t type) {
	put(req, NL_FLAG, type, "", 0);
}

struct nl_nest nl_nest_begin(struct nl_request *req, uint16_t type, const struct nl_table *table) {
	struct nl_nest nest = {.outer = req->table};

	if (req->error == 0 && nl_kind_of(req->table, type) != NL_NEST)
		req->error = -EINVAL;
	if (req->error == 0) {
		nest.attr = mnl_attr_nest_start_check(req->message, sizeof(req->buffer), type);
		if (nest.attr == NULL)
			req->error = -EMSGSIZE;
	}
	req->table = table;
	return nest;
}

void nl_nest_end(struct nl_request *req, struct nl_nest nest) {
	if (nest.attr != NULL)
		mnl_attr_nest_end(req->message, nest.attr);
	req->table = nest.outer;
}

// The kernel's text goes into logs and terminals and over D-Bus.
static void keep_error_text(struct nl_socket *nl, const char *text) {
	size_t len = 0;

	for (; text[len] != 0 && len < sizeof(nl->error_text) - 1; len++)
		nl->error_text[len] = text[len] >= ' ' && text[len] <= '~' ? text[len] : '?';
	nl->error_text[len] = 0;
}

// The verdict in an NLMSG_ERROR or NLMSG_DONE, with its reason where there is one.
static int read_verdict(struct nl_socket *nl, const struct nlmsghdr *message) {
	const uint8_t *payload = mnl_nlmsg_get_payload(message);
	size_t size = mnl_nlmsg_get_payload_len(message);
	struct nl_attrs attrs;
	size_t skip;
	int32_t verdict;

	if (message->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *refusal = (const struct nlmsgerr *)payload;

		if (size < sizeof(*refusal))
			return -EBADMSG;
		verdict = refusal->error;
		skip = sizeof(*refusal);
		if (!(message->nlmsg_flags & NLM_F_CAPPED) && verdict != 0) {
			// The whole request is in between: a kernel without CAP_ACK.
			if (refusal->msg.nlmsg_len < sizeof(refusal->msg))
				return -EBADMSG;
			skip += NLMSG_ALIGN((size_t)refusal->msg.nlmsg_len) - sizeof(refusal->msg);
		}
	} else {
		if (size < sizeof(verdict))
			return size == 0 ? 0 : -EBADMSG;
		memcpy(&verdict, payload, sizeof(verdict));
		skip = sizeof(verdict);
	}
	if (verdict > 0 || verdict < -4095)
		return -EBADMSG;

	if ((message->nlmsg_flags & NLM_F_ACK_TLVS) && size > skip &&
	    nl_attrs_parse(payload + skip, size - skip, &ack_table, &attrs) == 0 &&
	    attrs.by_type[NLMSGERR_ATTR_MSG] != NULL)
		keep_error_text(nl, nl_str(attrs.by_type[NLMSGERR_ATTR_MSG]));
	return verdict;
}

struct conversation {
	struct nl_socket *nl;
	nl_reply_fn reply; // NULL: no reply is expected, they are passed over
	void *ctx;
	size_t n_replies, max_replies;
	int error; // of the first reply that was refused
	bool ended;
	int verdict; // when it has ended
};

static void read_message(struct conversation *c, const struct nlmsghdr *message) {
	struct nl_socket *nl = c->nl;
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(message);
	size_t size = mnl_nlmsg_get_payload_len(message);
	struct nl_attrs attrs;
	int r;

	if (message->nlmsg_seq != nl->last_seq)
		return;
	if ((message->nlmsg_flags & NLM_F_DUMP_INTR) && c->error == 0)
		c->error = -EINTR;

	if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
		c->verdict = read_verdict(nl, message);
		c->ended = true;
		return;
	}
	if (message->nlmsg_type != nl->facts.id || c->reply == NULL || c->error != 0)
		return;

	if (size < GENL_HDRLEN) {
		c->error = -EBADMSG;
		return;
	}
	r = nl_attrs_parse(
		(const uint8_t *)genl + GENL_HDRLEN, size - GENL_HDRLEN, &nl->family->table, &attrs
	);
	if (r == 0 && c->n_replies == c->max_replies)
		r = -EBADMSG;
	if (r == 0) {
		c->n_replies++;
		r = c->reply(genl->cmd, &attrs, c->ctx);
	}
	if (r < 0)
		c->error = r;
}

static int read_datagram(struct conversation *c) {
	struct nl_socket *nl = c->nl;
	ssize_t received = nl->transport->receive(nl->transport, nl->buffer, sizeof(nl->buffer));
	size_t size = (size_t)received, offset = 0;

	if (received < 0)
		return (int)received;
	// What is left of a conversation that we give up has an old number for the next one.
	if (size > sizeof(nl->buffer))
		return -EMSGSIZE;

	while (offset < size && !c->ended) {
		const struct nlmsghdr *message = (const struct nlmsghdr *)(nl->buffer + offset);

		// Not mnl_nlmsg_ok(): before libmnl 1.0.5 it takes a length past INT_MAX for a good one.
		if (size - offset < sizeof(*message) || message->nlmsg_len < sizeof(*message) ||
		    message->nlmsg_len > size - offset)
			return -EBADMSG;
		read_message(c, message);
		offset += NLMSG_ALIGN((size_t)message->nlmsg_len);
	}
	return 0;
}

static int converse(struct nl_request *req, uint16_t flags, struct conversation *c) {
	struct nl_socket *nl = req->nl;
	int r;

	c->nl = nl;
	nl->error_text[0] = 0;
	if (req->error != 0)
		return req->error;

	req->message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	req->message->nlmsg_seq = ++nl->last_seq;
	r = nl->transport->send(nl->transport, req->buffer, req->message->nlmsg_len);
	if (r < 0)
		return r;

	while (!c->ended) {
		r = read_datagram(c);
		if (r < 0)
			return r;
	}
	return c->verdict < 0 ? c->verdict : c->error;
}

// May this change be sent?
static bool is_watched_through(struct nl_request *req) {
	const struct nl_socket *nl = req->nl;

	return req->error != 0 || nl->watch == NULL || nl->watch(nl->watch_ctx, req->message);
}

int nl_request_run(struct nl_request *req) {
	struct conversation c = {0};

	return is_watched_through(req) ? converse(req, NLM_F_ACK, &c) : 0;
}

int nl_request_make(struct nl_request *req, nl_reply_fn reply, void *ctx) {
	return is_watched_through(req) ? nl_request_get(req, reply, ctx) : -ECANCELED;
}

int nl_request_get(struct nl_request *req, nl_reply_fn reply, void *ctx) {
	struct conversation c = {.reply = reply, .ctx = ctx, .max_replies = 1};
	int r = converse(req, NLM_F_ACK, &c);

	return r == 0 && c.n_replies == 0 ? -ENODATA : r;
}

int nl_request_dump(struct nl_request *req, nl_reply_fn reply, void *ctx) {
	struct conversation c = {.reply = reply, .ctx = ctx, .max_replies = SIZE_MAX};

	return converse(req, NLM_F_DUMP, &c);
}

// Sockets.

static int learn_ops(struct family_facts *facts, const struct nlattr *ops) {
	static const struct nl_table list_table = {0};
	const struct nlattr *item = NULL;
	struct nl_attrs list, op;
	int r;

	r = nl_attrs_parse_nest(ops, &list_table, &list);
	while (r == 0 && (item = nl_next(&list, item)) != NULL) {
		const struct nlattr *id;

		r = nl_attrs_parse_nest(item, &control_op_table, &op);
		if (r < 0)
			return r;
		id = op.by_type[CTRL_ATTR_OP_ID];
		if (id != NULL && nl_uint(id) < MAX_OPS)
			facts->has_op[nl_uint(id)] = true;
	}
	return r;
}

static int learn_family(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	struct family_facts *facts = ctx;
	const struct nlattr *id = attrs->by_type[CTRL_ATTR_FAMILY_ID];
	const struct nlattr *max_attr = attrs->by_type[CTRL_ATTR_MAXATTR];
	const struct nlattr *ops = attrs->by_type[CTRL_ATTR_OPS];

	(void)command;
	if (id == NULL || nl_uint(id) < NLMSG_MIN_TYPE)
		return -EBADMSG;
	facts->id = (uint16_t)nl_uint(id);
	facts->max_attr = max_attr == NULL ? 0 : (uint32_t)nl_uint(max_attr);
	return ops == NULL ? 0 : learn_ops(facts, ops);
}

// Ask as the family "nlctrl", then be the family asked for.
static int resolve(struct nl_socket *nl, const struct nl_family *family) {
	struct family_facts found = {0};
	struct nl_request req;
	int r;

	nl->family = &control_family;
	nl->facts.id = GENL_ID_CTRL;
	nl_request_init(&req, nl, CTRL_CMD_GETFAMILY);
	nl_put_str(&req, CTRL_ATTR_FAMILY_NAME, family->name);
	r = nl_request_get(&req, learn_family, &found);
	if (r < 0)
		return r;

	nl->family = family;
	nl->facts = found;
	return 0;
}

int nl_socket_new(
	struct nl_transport *transport, const struct nl_family *family, struct nl_socket **ret_nl
) {
	_cleanup_nl_socket_ struct nl_socket *nl = calloc(1, sizeof(*nl));
	int r;

	if (nl == NULL) {
		transport->close(transport);
		return -ENOMEM;
	}
	nl->transport = transport;
	r = resolve(nl, family);
	if (r < 0)
		return r;

	*ret_nl = TAKE_PTR(nl);
	return 0;
}

int nl_socket_open(const struct nl_family *family, struct nl_socket **ret_nl) {
	struct nl_transport *transport;
	int r;

	r = nl_transport_open(NETLINK_GENERIC, &transport);
	if (r < 0)
		return r;
	return nl_socket_new(transport, family, ret_nl);
}

void nl_socket_close(struct nl_socket *nl) {
	if (nl == NULL)
		return;
	nl->transport->close(nl->transport);
	free(nl);
}

void nl_socket_closep(struct nl_socket **nl) {
	nl_socket_close(*nl);
}

bool nl_socket_has_op(const struct nl_socket *nl, uint8_t command) {
	return nl->facts.has_op[command];
}

uint32_t nl_socket_max_attr(const struct nl_socket *nl) {
	return nl->facts.max_attr;
}

void nl_socket_watch(struct nl_socket *nl, nl_watch_fn watch, void *ctx) {
	nl->watch = watch;
	nl->watch_ctx = ctx;
}

const char *nl_socket_error_text(const struct nl_socket *nl) {
	return nl->error_text;
}

int nl_socket_refuse(struct nl_socket *nl, int error, const char *why) {
	keep_error_text(nl, why);
	return -error;
}
