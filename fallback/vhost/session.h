// SPDX-License-Identifier: GPL-2.0-or-later
// One vhost-user peer: what it has said, what was agreed, and the rings and memory that follow from
// it.
//
// A session is driven by one thread, the control thread, which calls session_run() when the socket
// or the alert descriptor is readable or the deadline has come. No call waits for the peer: half a
// message stays where it is, a reply that does not fit into the socket ends the session, and what
// one call may do is limited, so that a peer that floods or stalls delays nobody else.
//
// Rings and memory are shared with workers. They are changed only between ops->quiesce(), after
// which no worker uses any ring or byte of this session, and ops->resume(). A worker thus needs no
// lock and no check: what it finds at the start of its round is there until its end. The caller
// implements the pair with what it has (take the port out of the published configuration, wait
// until each worker has passed a quiescent state, later publish it again); it costs one round of
// the workers, and the other ports nothing.
//
// The front-end may send anything at any time; each message leaves the session in a state from
// which any other may follow:
//
//   a ring runs if it has a size, addresses that lie in the memory, a kick, and (when STATUS was
//   negotiated) the driver has said DRIVER_OK; whatever changes one of these stops the ring first
//   and starts it again when all are there. Its position survives in the guest (split_ring.c), so a
//   restart is free.
//
// A request that is wrong in its content is answered as failed where the front-end asked for an
// answer, and ends the session otherwise. Bytes that are no message end it always. When a session
// ends, the caller frees it and accepts the peer's next connection.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fallback/vhost/ring.h"

#define SESSION_MAX_QUEUE_PAIRS 64
#define SESSION_RUN_MESSAGES 32     // at most in one session_run()
#define SESSION_RUN_QUIESCES 4      // at most in one session_run()
#define SESSION_QUIESCE_MESSAGES 4  // that a message counts for, besides itself, if it quiesces
#define SESSION_BURST_MESSAGES 8192 // 64 queue pairs, started three times in a row
#define SESSION_MESSAGES_PER_S 4096

struct session;

struct session_ops {
	// Return when no worker uses the session's rings or memory. Bounded by the workers' rounds.
	void (*quiesce)(void *arg);
	// Workers may use them again. Always follows quiesce(), except in session_free().
	void (*resume)(void *arg);
	// The guest has moved here and cannot tell the network itself: send a RARP for @mac on its
	// behalf.
	void (*announce)(void *arg, const uint8_t mac[6]);
};

struct session_config {
	uint64_t features;     // virtio-net features to offer; what cannot be served is left out
	uint16_t queue_pairs;  // 1 to SESSION_MAX_QUEUE_PAIRS
	uint16_t mtu_bytes;    // the largest that NET_SET_MTU may ask for
	uint64_t memory_bytes; // the most that the peer may have mapped at once
	bool sealed_only;      // see mapping_open()
	struct notifier *notifier;     // borrowed; the control thread's
	const struct session_ops *ops; // borrowed
	void *arg;                     // for the ops; the same for each peer of a port
};

// Begin with a peer. @fd, a connected stream socket, is consumed on success. Otherwise give it to
// discard_socket(), as any connection that is turned away: what was sent to it may hang in close().
// Returns 0, -EINVAL for a wrong configuration, -EBUSY while descriptors of the port's last peers hang,
// or -errno.
int session_new(const struct session_config *config, int fd, uint64_t now_ms, struct session **ret);

// Quiesces, gives everything back, and does not resume: forget the rings before, and stop watching
// the descriptors, for the socket is closed a little later (discard.h).
void session_free(struct session *s);

// Receive and act upon what has come.
//
// Returns 0 when it is enough for now (what is left shows in the descriptors), or a number of milliseconds for which the peer, which
// has used up its messages, is not to be read. -errno means that the session is over: -EPIPE the
// peer has hung up or does not read, -ETIMEDOUT it left half a message, -EPROTO it speaks something
// else, -EFAULT it took memory away, others from a request that failed without an answer being due.
int session_run(struct session *s, uint64_t now_ms);

// The two descriptors to watch for input, level-triggered, and the time at which to run in any case
// (UINT64_MAX: never).
int session_fd(const struct session *s);
int session_alert_fd(const struct session *s);
uint64_t session_deadline_ms(const struct session *s);

// Ring @i of 2 * queue_pairs, in virtio's order: 0 is what the first pair of the guest receives, 1
// what it sends. The pointer is good as long as the session. Never NULL for a valid @i.
struct ring *session_ring(struct session *s, unsigned int i);

// The descriptor with which the guest kicks ring @i, or -1. Owned by the session; watch it
// edge-triggered and never read it. Changes only between quiesce() and resume().
int session_kick_fd(const struct session *s, unsigned int i);

// What was negotiated: virtio features, and the MTU the front-end has set (0: none).
uint64_t session_features(const struct session *s);
uint16_t session_mtu_bytes(const struct session *s);

// The first pair runs both ways.
bool session_is_ready(const struct session *s);

// The name of the request that session_run() handled last, for the log.
const char *session_last_request(const struct session *s);
