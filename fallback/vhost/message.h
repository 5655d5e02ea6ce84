// SPDX-License-Identifier: GPL-2.0-or-later
// The wire of vhost-user: one whole message in, checked; one reply out. Never waits.
//
// A message counts only when its last byte has come, its size is one that its kind may have, and it
// carries as many descriptors as its kind may carry. All this is one table (message.c), so that
// what the sessions act upon has one shape. Source: QEMU docs/interop/vhost-user.rst.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAX_FDS 8          // the specification's limit for SET_MEM_TABLE
#define MESSAGE_TABLE_REGIONS 8    // regions in one SET_MEM_TABLE
#define MESSAGE_DEADLINE_MS 2000   // from the first byte of a message to its last
#define MESSAGE_VRING_INDEX 0xffu  // of the number in SET_VRING_KICK, _CALL and _ERR: the ring
#define MESSAGE_VRING_NO_FD 0x100u // of the same number: no descriptor, poll instead

enum message_request {
	MESSAGE_GET_FEATURES = 1,
	MESSAGE_SET_FEATURES = 2,
	MESSAGE_SET_OWNER = 3,
	MESSAGE_RESET_OWNER = 4,
	MESSAGE_SET_MEM_TABLE = 5,
	MESSAGE_SET_LOG_BASE = 6,
	MESSAGE_SET_LOG_FD = 7,
	MESSAGE_SET_VRING_NUM = 8,
	MESSAGE_SET_VRING_ADDR = 9,
	MESSAGE_SET_VRING_BASE = 10,
	MESSAGE_GET_VRING_BASE = 11,
	MESSAGE_SET_VRING_KICK = 12,
	MESSAGE_SET_VRING_CALL = 13,
	MESSAGE_SET_VRING_ERR = 14,
	MESSAGE_GET_PROTOCOL_FEATURES = 15,
	MESSAGE_SET_PROTOCOL_FEATURES = 16,
	MESSAGE_GET_QUEUE_NUM = 17,
	MESSAGE_SET_VRING_ENABLE = 18,
	MESSAGE_SEND_RARP = 19,
	MESSAGE_NET_SET_MTU = 20,
	MESSAGE_GET_MAX_MEM_SLOTS = 36,
	MESSAGE_ADD_MEM_REG = 37,
	MESSAGE_REM_MEM_REG = 38,
	MESSAGE_SET_STATUS = 39,
	MESSAGE_GET_STATUS = 40,
	MESSAGE_REQUESTS, // one past the last
};

// Bits of the protocol feature word.
enum message_protocol_feature {
	PROTOCOL_MQ = 0,
	PROTOCOL_LOG_SHMFD = 1,
	PROTOCOL_RARP = 2,
	PROTOCOL_REPLY_ACK = 3,
	PROTOCOL_NET_MTU = 4,
	PROTOCOL_CONFIGURE_MEM_SLOTS = 15,
	PROTOCOL_STATUS = 16,
};

struct message_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct message_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; // of the payload
};

#define MESSAGE_FLAG_VERSION 1u
#define MESSAGE_FLAG_VERSION_MASK 3u
#define MESSAGE_FLAG_REPLY 4u
#define MESSAGE_FLAG_NEED_REPLY 8u

// What comes after the header, at its natural alignment (the header is 12 bytes).
union message_payload {
	uint64_t number;
	struct {
		uint32_t index;
		uint32_t num;
	} vring;
	struct {
		uint32_t index;
		uint32_t flags;
		uint64_t desc_user_addr;
		uint64_t used_user_addr;
		uint64_t avail_user_addr;
		uint64_t log_guest_addr;
	} vring_addr;
	struct {
		uint32_t n_regions;
		uint32_t padding;
		struct message_region regions[MESSAGE_TABLE_REGIONS];
	} table;
	struct {
		uint64_t padding;
		struct message_region region;
	} slot;
	struct {
		uint64_t size;
		uint64_t offset;
	} log;
};

// One message as it grows. Descriptors belong to the message until message_take_fd() takes them.
struct message {
	struct message_header header;
	union message_payload payload;
	size_t received; // bytes of header and payload so far
	int fds[MESSAGE_MAX_FDS];
	unsigned int n_fds;
	uint64_t deadline_ms; // UINT64_MAX while no byte has come
	const void *owner;    // of the descriptors, for discard_fds()
};

// What a kind of message is answered with.
enum message_reply {
	MESSAGE_REPLY_ACK,    // nothing, or a number if the front-end asked for an acknowledgement
	MESSAGE_REPLY_NUMBER, // a number
	MESSAGE_REPLY_VRING,  // a ring's index and number
	MESSAGE_REPLY_EMPTY,  // a reply without payload
};

void message_init(struct message *m, const void *owner);

// Close the descriptors still in the message and forget its bytes; ready for the next one.
void message_reset(struct message *m);

// Read from the non-blocking socket @fd what is missing of @m, never a byte of the next message, so
// that descriptors stay with their message.
//
// Returns 1 when @m is whole and has passed every check of its kind; 0 when there is more to come;
// -EPIPE when the peer has hung up, -ETIMEDOUT when the deadline has passed at @now_ms, -EPROTO
// when the bytes or the descriptors are not such a message, -EOPNOTSUPP for a request that is not
// known (whole, and not more than a payload), or another -errno of recvmsg(). After an error the
// stream is lost.
int message_receive(struct message *m, int fd, uint64_t now_ms);

// Take descriptor @i out of the message; the caller owns it. -EBADF if there is none.
int message_take_fd(struct message *m, unsigned int i);

// How the request in @m is answered, and which protocol feature must have been negotiated for it
// (-1: none). Only for a message that message_receive() has passed.
enum message_reply message_reply_kind(const struct message *m);
int message_needs_protocol(const struct message *m);

// "SET_MEM_TABLE"; "request 99" has no name and gives "UNKNOWN".
const char *message_name(uint32_t request);

// Answer @m with @size bytes of its payload. A peer that does not read its replies is not waited
// for.
// Returns 0, -EPIPE (also when the socket is full), or another -errno of send().
int message_send_reply(struct message *m, int fd, uint32_t size);
