// SPDX-License-Identifier: GPL-2.0-or-later
// A front-end and its guest in one, at the other end of a socketpair from a session under test. It
// does what it is told, right or wrong. It shares the thread with the session, so a request is
// sent, the session is run, and then the answer is read.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <linux/virtio_ring.h>

#include "fallback/vhost/message.h"
#include "fallback/vhost/session.h"

#define FRONT_GUEST_BASE UINT64_C(0x100000)      // where the guest sees its memory
#define FRONT_USER_BASE UINT64_C(0x7f0000000000) // where the front-end says that it sees it
#define FRONT_MEMORY_SIZE (UINT64_C(4) << 20)
#define FRONT_DATA UINT64_C(0x200000) // offset of the part of the memory that is not rings
#define FRONT_RING_AREA UINT64_C(0x10000)
#define FRONT_RING_SIZE 256

// The guest's side of one ring, at offset i * FRONT_RING_AREA of its memory.
struct front_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size;
	uint16_t next_desc;
	uint16_t seen_used;
	int kick_fd;
	int call_fd;
};

struct front {
	int fd; // the socket
	int memory_fd;
	uint8_t *memory; // FRONT_MEMORY_SIZE
	struct front_ring rings[4];
	struct session *session;
	struct notifier *notifier; // one for all: to end one takes the kernel its time
	uint64_t now_ms;
	void (*on_quiet
	)(struct front *f, bool quiet); // for tests with workers of their own; or NULL
	// What the session has asked for.
	bool quiet;
	unsigned int n_quiesced;
	unsigned int n_announced;
	uint8_t announced[6];
};

// Both ends, with guest memory that is not sealed, nothing said yet. @config gives all but the ops.
void front_open(struct front *f, const struct session_config *config);

// The same at the socket of another process, which runs the session: there is none here, requests are
// only sent, and answers are waited for.
void front_connect(struct front *f, const char *path);
void front_close(struct front *f);

// Offer all; 2 queue pairs; 64 MiB.
extern const struct session_config front_config;

// Whatever bytes to a socket, with at most 16 descriptors. Returns as sendmsg() does.
ssize_t front_sendmsg(
	int fd, struct iovec *iov, size_t n_iov, const int *fds, unsigned int n_fds, int flags
);

void front_send(
	struct front *f, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	const int *fds, unsigned int n_fds
);
void front_send_number(struct front *f, uint32_t request, uint32_t flags, uint64_t number);
void front_send_vring(
	struct front *f, uint32_t request, uint32_t flags, uint32_t index, uint32_t num
);
void front_send_fd(struct front *f, uint32_t request, uint32_t flags, uint64_t number, int fd);

// Let the session work, at f->now_ms. Its result.
int front_run(struct front *f);

// The answer to the last request. Returns its size, or -1 if there is none.
int front_receive(struct front *f, struct message_header *header, union message_payload *payload);

// Send, run, and expect that the session goes on.
void front_ok(struct front *f, uint32_t request, uint64_t number);

// Send with need_reply, run, and return the number that came back.
uint64_t front_ack(
	struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds,
	unsigned int n_fds
);

void front_set_memory(struct front *f);
void front_set_ring(struct front *f, unsigned int i, uint16_t size);
void front_negotiate(struct front *f, uint64_t features, uint64_t protocol);

// All of it: memory, both rings of the first pair, driver ready.
void front_start(struct front *f, uint64_t features);

// One descriptor of the guest's.
void front_desc(
	struct front *f, unsigned int ring, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags,
	uint16_t next
);
void front_avail(struct front *f, unsigned int ring, uint16_t head);
uint64_t front_addr(uint64_t offset); // guest address of a byte of the memory

// Offer a transmit frame or receive buffer of one descriptor at @offset.
void front_post(struct front *f, unsigned int ring, uint64_t offset, uint32_t len, bool writable);

// The next buffer that was used. Returns false if there is none.
bool front_used(struct front *f, unsigned int ring, struct vring_used_elem *ret);

// Move what @from's guest sends into @to's receive ring. Returns the number of frames placed.
unsigned int front_forward(struct front *from, struct front *to);

// Descriptors and mappings of this process.
unsigned int front_count_fds(void);
unsigned int front_count_maps(void);
