// SPDX-License-Identifier: GPL-2.0-or-later
// Shared by session.c, session_queue.c and session_memory.c only.

#pragma once

#include "fallback/vhost/memory.h"
#include "fallback/vhost/message.h"
#include "fallback/vhost/session.h"

#define BIT(n) (UINT64_C(1) << (n))

struct queue {
	struct ring ring; // owns call_fd through the session
	struct ring_setup setup;
	bool has_addr;
	bool has_kick; // a descriptor, or the word that there is none
	bool started;  // ring_start() succeeded last; a worker may have failed the ring since
	int kick_fd;
	uint32_t base; // as the front-end said, until the ring has run
};

struct session {
	struct session_config config;
	int fd;
	int alert_fd;
	struct message message;
	uint32_t last_request;
	uint64_t offered;        // features
	uint64_t features;       // negotiated
	uint64_t protocol;       // negotiated
	uint64_t status;         // virtio device status
	uint16_t mtu_bytes;      // 0: not set
	bool quiet;              // between quiesce and resume
	unsigned int n_quiesced; // in this session_run()
	uint64_t budget;         // messages that may still be handled now, in thousandths
	uint64_t budget_ms;      // when that was true
	struct memory memory;
	unsigned int n_queues;
	struct queue queues[];
};

// From here to the end of the message no worker is in this session.
void session_quiesce(struct session *s);

// Stop all rings; start all that can be.
void session_queues_stop(struct session *s);
void session_queues_start(struct session *s);

// One function for each message. Returns 0, or -errno for a request that failed. The payload of @m
// is in and out.
int session_set_vring_num(struct session *s, struct message *m);
int session_set_vring_addr(struct session *s, struct message *m);
int session_set_vring_base(struct session *s, struct message *m);
int session_get_vring_base(struct session *s, struct message *m);
int session_set_vring_kick(struct session *s, struct message *m);
int session_set_vring_call(struct session *s, struct message *m);
int session_set_vring_err(struct session *s, struct message *m);
int session_set_vring_enable(struct session *s, struct message *m);

int session_set_mem_table(struct session *s, struct message *m);
int session_get_max_mem_slots(struct session *s, struct message *m);
int session_add_mem_reg(struct session *s, struct message *m);
int session_rem_mem_reg(struct session *s, struct message *m);
int session_set_log_base(struct session *s, struct message *m);
