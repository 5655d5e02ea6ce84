// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fallback/vhost/discard.h"
#include "vdpad/util/cleanup.h"

#define MAX_RECEIVED_FDS 253 // the kernel's limit for one message, SCM_MAX_FD

#define NUMBER_SIZE sizeof(uint64_t)
#define VRING_SIZE sizeof(((union message_payload *)NULL)->vring)
#define VRING_ADDR_SIZE sizeof(((union message_payload *)NULL)->vring_addr)
#define LOG_SIZE sizeof(((union message_payload *)NULL)->log)
#define SLOT_SIZE sizeof(((union message_payload *)NULL)->slot)
#define TABLE_HEAD_SIZE (2 * sizeof(uint32_t))
#define TABLE_SIZE sizeof(((union message_payload *)NULL)->table)

static_assert(sizeof(struct message_header) == 12, "the wire's header");
static_assert(VRING_ADDR_SIZE == 40 && SLOT_SIZE == 40 && TABLE_SIZE == 264, "the wire's payloads");
static_assert(sizeof(union message_payload) == TABLE_SIZE, "the largest payload");

struct message_kind {
	const char *name; // NULL: not known here
	uint16_t min_size;
	uint16_t max_size;
	uint8_t min_fds;
	uint8_t max_fds;
	int8_t protocol; // the protocol feature it belongs to, or -1
	enum message_reply reply;
};

// clang-format off
static const struct message_kind kinds[MESSAGE_REQUESTS] = {
	[MESSAGE_GET_FEATURES] = {"GET_FEATURES", 0, 0, 0, 0, -1, MESSAGE_REPLY_NUMBER},
	[MESSAGE_SET_FEATURES] = {"SET_FEATURES", NUMBER_SIZE, NUMBER_SIZE, 0, 0, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_OWNER] = {"SET_OWNER", 0, 0, 0, 0, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_RESET_OWNER] = {"RESET_OWNER", 0, 0, 0, 0, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_MEM_TABLE] = {"SET_MEM_TABLE", TABLE_HEAD_SIZE, TABLE_SIZE, 0, MESSAGE_MAX_FDS, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_LOG_BASE] = {"SET_LOG_BASE", LOG_SIZE, LOG_SIZE, 1, 1, PROTOCOL_LOG_SHMFD, MESSAGE_REPLY_EMPTY},
	[MESSAGE_SET_LOG_FD] = {"SET_LOG_FD", 0, NUMBER_SIZE, 0, 1, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_VRING_NUM] = {"SET_VRING_NUM", VRING_SIZE, VRING_SIZE, 0, 0, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_VRING_ADDR] = {"SET_VRING_ADDR", VRING_ADDR_SIZE, VRING_ADDR_SIZE, 0, 0, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_VRING_BASE] = {"SET_VRING_BASE", VRING_SIZE, VRING_SIZE, 0, 0, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_GET_VRING_BASE] = {"GET_VRING_BASE", VRING_SIZE, VRING_SIZE, 0, 0, -1, MESSAGE_REPLY_VRING},
	[MESSAGE_SET_VRING_KICK] = {"SET_VRING_KICK", NUMBER_SIZE, NUMBER_SIZE, 0, 1, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_VRING_CALL] = {"SET_VRING_CALL", NUMBER_SIZE, NUMBER_SIZE, 0, 1, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_VRING_ERR] = {"SET_VRING_ERR", NUMBER_SIZE, NUMBER_SIZE, 0, 1, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", 0, 0, 0, 0, -1, MESSAGE_REPLY_NUMBER},
	[MESSAGE_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", NUMBER_SIZE, NUMBER_SIZE, 0, 0, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", 0, 0, 0, 0, PROTOCOL_MQ, MESSAGE_REPLY_NUMBER},
	[MESSAGE_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", VRING_SIZE, VRING_SIZE, 0, 0, -1, MESSAGE_REPLY_ACK},
	[MESSAGE_SEND_RARP] = {"SEND_RARP", NUMBER_SIZE, NUMBER_SIZE, 0, 0, PROTOCOL_RARP, MESSAGE_REPLY_ACK},
	[MESSAGE_NET_SET_MTU] = {"NET_SET_MTU", NUMBER_SIZE, NUMBER_SIZE, 0, 0, PROTOCOL_NET_MTU, MESSAGE_REPLY_ACK},
	[MESSAGE_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", 0, 0, 0, 0, PROTOCOL_CONFIGURE_MEM_SLOTS, MESSAGE_REPLY_NUMBER},
	[MESSAGE_ADD_MEM_REG] = {"ADD_MEM_REG", SLOT_SIZE, SLOT_SIZE, 1, 1, PROTOCOL_CONFIGURE_MEM_SLOTS, MESSAGE_REPLY_ACK},
	// A descriptor here is against the specification, sent by old front-ends, and closed
	// unused.
	[MESSAGE_REM_MEM_REG] = {"REM_MEM_REG", SLOT_SIZE, SLOT_SIZE, 0, 1, PROTOCOL_CONFIGURE_MEM_SLOTS, MESSAGE_REPLY_ACK},
	[MESSAGE_SET_STATUS] = {"SET_STATUS", NUMBER_SIZE, NUMBER_SIZE, 0, 0, PROTOCOL_STATUS, MESSAGE_REPLY_ACK},
	[MESSAGE_GET_STATUS] = {"GET_STATUS", 0, 0, 0, 0, PROTOCOL_STATUS, MESSAGE_REPLY_NUMBER},
};
// clang-format on

static const struct message_kind *kind_find(uint32_t request) {
	if (request >= MESSAGE_REQUESTS || kinds[request].name == NULL)
		return NULL;
	return &kinds[request];
}

void message_init(struct message *m, const void *owner) {
	*m = (struct message){.deadline_ms = UINT64_MAX, .owner = owner};
}

void message_reset(struct message *m) {
	int left[MESSAGE_MAX_FDS];
	unsigned int n = 0;

	for (unsigned int i = 0; i < m->n_fds; i++) {
		if (m->fds[i] >= 0)
			left[n++] = m->fds[i];
	}
	if (n > 0)
		discard_fds(left, n, m->owner);
	message_init(m, m->owner);
}

int message_take_fd(struct message *m, unsigned int i) {
	return i < m->n_fds ? TAKE_FD(m->fds[i]) : -EBADF;
}

// Every descriptor that the kernel has installed is either kept or given back here.
static int keep_fds(struct message *m, struct msghdr *msg) {
	int surplus[MAX_RECEIVED_FDS];
	unsigned int n_surplus = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t n_fds;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n_fds; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (m->n_fds < MESSAGE_MAX_FDS)
				m->fds[m->n_fds++] = fd;
			else
				surplus[n_surplus++] = fd;
		}
	}
	if (n_surplus > 0)
		discard_fds(surplus, n_surplus, m->owner);
	// Cut off: no descriptor left in this process.
	return n_surplus > 0 || (msg->msg_flags & MSG_CTRUNC) ? -EPROTO : 0;
}

static int receive_some(struct message *m, int fd, size_t wanted) {
	// The payload lies behind the header, but not without a gap: two places, one after the
	// other.
	uint8_t *into = m->received < sizeof(m->header)
		? (uint8_t *)&m->header + m->received
		: (uint8_t *)&m->payload + (m->received - sizeof(m->header));
	// Room for all, or the kernel would close the rest in this thread (discard.h).
	char control[CMSG_SPACE(MAX_RECEIVED_FDS * sizeof(int))];
	struct iovec iov = {.iov_base = into, .iov_len = wanted};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int r;

	do {
		n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	r = keep_fds(m, &msg);
	if (r < 0)
		return r;
	if (n == 0)
		return -EPIPE;
	m->received += (size_t)n;
	return 1;
}

// The header is whole: may this be a message at all? Says so before a byte of its payload is read.
static int check_header(const struct message *m) {
	const struct message_kind *kind = kind_find(m->header.request);

	if ((m->header.flags & MESSAGE_FLAG_VERSION_MASK) != MESSAGE_FLAG_VERSION ||
	    (m->header.flags & MESSAGE_FLAG_REPLY) != 0)
		return -EPROTO;
	if (m->header.size > sizeof(m->payload))
		return -EPROTO;
	if (kind == NULL)
		return 0; // read to its end, then refused: the stream stays in step
	if (m->header.size < kind->min_size || m->header.size > kind->max_size)
		return -EPROTO;
	return 0;
}

static int check_whole(const struct message *m) {
	const struct message_kind *kind = kind_find(m->header.request);
	uint32_t n_regions = m->payload.table.n_regions;

	if (kind == NULL)
		return -EOPNOTSUPP;
	if (m->n_fds < kind->min_fds || m->n_fds > kind->max_fds)
		return -EPROTO;
	if (m->header.request == MESSAGE_SET_MEM_TABLE) {
		if (n_regions > MESSAGE_TABLE_REGIONS || n_regions != m->n_fds)
			return -EPROTO;
		// Some front-ends send the whole table, whatever part of it is in use.
		if (m->header.size < TABLE_HEAD_SIZE + n_regions * sizeof(struct message_region))
			return -EPROTO;
	}
	if (m->header.request >= MESSAGE_SET_VRING_KICK &&
	    m->header.request <= MESSAGE_SET_VRING_ERR) {
		bool expects_fd = (m->payload.number & MESSAGE_VRING_NO_FD) == 0;

		if (m->n_fds != (expects_fd ? 1 : 0))
			return -EPROTO;
	}
	return 1;
}

int message_receive(struct message *m, int fd, uint64_t now_ms) {
	for (;;) {
		size_t whole = sizeof(m->header);
		int r;

		if (m->received >= sizeof(m->header)) {
			whole += m->header.size;
			if (m->received == whole)
				return check_whole(m);
		}
		r = receive_some(m, fd, whole - m->received);
		if (m->received > 0 && m->deadline_ms == UINT64_MAX)
			m->deadline_ms = now_ms + MESSAGE_DEADLINE_MS;
		// What has come by now counts, however late we look.
		if (r == 0 && now_ms >= m->deadline_ms)
			return -ETIMEDOUT;
		if (r <= 0)
			return r;
		if (m->received == sizeof(m->header)) {
			r = check_header(m);
			if (r < 0)
				return r;
		}
	}
}

enum message_reply message_reply_kind(const struct message *m) {
	return kinds[m->header.request].reply;
}

int message_needs_protocol(const struct message *m) {
	return kinds[m->header.request].protocol;
}

const char *message_name(uint32_t request) {
	const struct message_kind *kind = kind_find(request);

	return kind != NULL ? kind->name : "UNKNOWN";
}

int message_send_reply(struct message *m, int fd, uint32_t size) {
	struct message_header header = {
		.request = m->header.request,
		.flags = MESSAGE_FLAG_VERSION | MESSAGE_FLAG_REPLY,
		.size = size,
	};
	struct iovec iov[] = {
		{.iov_base = &header, .iov_len = sizeof(header)},
		{.iov_base = &m->payload, .iov_len = size},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov)};
	ssize_t n;

	do {
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EPIPE : -errno;
	return (size_t)n == sizeof(header) + size ? 0 : -EPIPE;
}
