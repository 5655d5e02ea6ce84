// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "fallback/vhost/discard.h"
#include "fallback/vhost/session_internal.h"
#include "vdpad/util/cleanup.h"

#define F_PROTOCOL_FEATURES 30 // vhost-user's own bit in the feature word

// Newer than Debian 12's headers.
#define F_GUEST_USO4 54
#define F_GUEST_USO6 55
#define F_HOST_USO 56

// What the rings here can do, and what the front-end does itself but wants the back-end's consent
// for. Without ACCESS_PLATFORM: with it, ring addresses would need an IOMMU's translation.
#define CAN_SERVE                                                                                  \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MTU) |           \
	 BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |     \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) |     \
	 BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |     \
	 BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |                      \
	 BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_F_ANY_LAYOUT) |       \
	 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |                         \
	 BIT(VIRTIO_F_RING_PACKED) | BIT(F_GUEST_USO4) | BIT(F_GUEST_USO6) | BIT(F_HOST_USO))
#define ALWAYS_OFFERED (BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_F_LOG_ALL) | BIT(F_PROTOCOL_FEATURES))

#define PROTOCOL_OFFERED                                                                       \
	(BIT(PROTOCOL_MQ) | BIT(PROTOCOL_LOG_SHMFD) | BIT(PROTOCOL_RARP) |                     \
	 BIT(PROTOCOL_REPLY_ACK) | BIT(PROTOCOL_NET_MTU) | BIT(PROTOCOL_CONFIGURE_MEM_SLOTS) | \
	 BIT(PROTOCOL_STATUS))

#define MIN_MTU_BYTES 68 // of IPv4

int session_new(
	const struct session_config *config, int fd, uint64_t now_ms, struct session **ret
) {
	_cleanup_close_ int alert_fd = -EBADF;
	unsigned int n_queues = 2u * config->queue_pairs;
	struct session *s;

	if (config->queue_pairs == 0 || config->queue_pairs > SESSION_MAX_QUEUE_PAIRS)
		return -EINVAL;
	if (discard_is_hung(config->arg))
		return -EBUSY;
	alert_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (alert_fd < 0)
		return -errno;
	s = calloc(1, sizeof(*s) + n_queues * sizeof(s->queues[0]));
	if (s == NULL)
		return -ENOMEM;
	s->config = *config;
	s->fd = fd;
	s->alert_fd = TAKE_FD(alert_fd);
	s->offered = (config->features & CAN_SERVE) | ALWAYS_OFFERED;
	s->budget = SESSION_BURST_MESSAGES * UINT64_C(1000);
	s->budget_ms = now_ms;
	s->n_queues = n_queues;
	message_init(&s->message, config->arg);
	memory_init(&s->memory, s->alert_fd);
	for (unsigned int i = 0; i < n_queues; i++) {
		s->queues[i].kick_fd = -EBADF;
		s->queues[i].ring.call_fd = -EBADF;
	}
	*ret = s;
	return 0;
}

void session_free(struct session *s) {
	if (s == NULL)
		return;
	session_quiesce(s);
	for (unsigned int i = 0; i < s->n_queues; i++) {
		ring_stop(&s->queues[i].ring);
		close_keep_errno(s->queues[i].kick_fd);
		close_keep_errno(s->queues[i].ring.call_fd);
	}
	memory_done(&s->memory);
	message_reset(&s->message);
	close(s->alert_fd);
	discard_socket(s->fd, s->config.arg);
	free(s);
}

void session_quiesce(struct session *s) {
	if (s->quiet)
		return;
	s->config.ops->quiesce(s->config.arg);
	s->quiet = true;
	s->n_quiesced++;
}

static void session_resume(struct session *s) {
	if (s->quiet)
		s->config.ops->resume(s->config.arg);
	s->quiet = false;
}

static int get_features(struct session *s, struct message *m) {
	m->payload.number = s->offered;
	return 0;
}

static int set_features(struct session *s, struct message *m) {
	uint64_t wanted = m->payload.number;
	uint64_t changed = wanted ^ s->features;

	if ((wanted & ~s->offered) != 0)
		return -EINVAL;
	if (changed == 0)
		return 0;
	session_quiesce(s);
	// A migration begins or ends under running rings; anything else is another device for the
	// guest.
	if (changed != BIT(VHOST_F_LOG_ALL))
		session_queues_stop(s);
	s->features = wanted;
	s->memory.log_enabled = wanted & BIT(VHOST_F_LOG_ALL);
	if ((wanted & BIT(F_PROTOCOL_FEATURES)) == 0) {
		for (unsigned int i = 0; i < s->n_queues; i++)
			s->queues[i].ring.enabled = true;
	}
	session_queues_start(s);
	return 0;
}

static int get_protocol_features(struct session *s, struct message *m) {
	(void)s;
	m->payload.number = PROTOCOL_OFFERED;
	return 0;
}

static int set_protocol_features(struct session *s, struct message *m) {
	if ((m->payload.number & ~PROTOCOL_OFFERED) != 0)
		return -EINVAL;
	if (m->payload.number == s->protocol)
		return 0;
	session_queues_stop(s); // STATUS says when rings may run
	s->protocol = m->payload.number;
	session_queues_start(s);
	return 0;
}

static int get_queue_num(struct session *s, struct message *m) {
	m->payload.number = s->config.queue_pairs;
	return 0;
}

// The device is the session's from its first byte to its last.
static int set_owner(struct session *s, struct message *m) {
	(void)s;
	(void)m;
	return 0;
}

static int reset_owner(struct session *s, struct message *m) {
	(void)m;
	session_queues_stop(s);
	for (unsigned int i = 0; i < s->n_queues; i++)
		s->queues[i].has_kick = false;
	return 0;
}

static int set_status(struct session *s, struct message *m) {
	if (m->payload.number > UINT8_MAX)
		return -EINVAL;
	s->status = m->payload.number;
	if ((s->status & VIRTIO_CONFIG_S_DRIVER_OK) == 0)
		session_queues_stop(s);
	session_queues_start(s);
	return 0;
}

static int get_status(struct session *s, struct message *m) {
	m->payload.number = s->status;
	return 0;
}

static int send_rarp(struct session *s, struct message *m) {
	s->config.ops->announce(s->config.arg, (const uint8_t *)&m->payload.number);
	return 0;
}

static int net_set_mtu(struct session *s, struct message *m) {
	if (m->payload.number < MIN_MTU_BYTES || m->payload.number > s->config.mtu_bytes)
		return -EINVAL;
	s->mtu_bytes = (uint16_t)m->payload.number;
	return 0;
}

// The log is read when the front-end likes; nobody is told that it has changed.
static int set_log_fd(struct session *s, struct message *m) {
	(void)s;
	(void)m;
	return 0;
}

static int (*const handlers[MESSAGE_REQUESTS])(struct session *s, struct message *m) = {
	[MESSAGE_GET_FEATURES] = get_features,
	[MESSAGE_SET_FEATURES] = set_features,
	[MESSAGE_SET_OWNER] = set_owner,
	[MESSAGE_RESET_OWNER] = reset_owner,
	[MESSAGE_SET_MEM_TABLE] = session_set_mem_table,
	[MESSAGE_SET_LOG_BASE] = session_set_log_base,
	[MESSAGE_SET_LOG_FD] = set_log_fd,
	[MESSAGE_SET_VRING_NUM] = session_set_vring_num,
	[MESSAGE_SET_VRING_ADDR] = session_set_vring_addr,
	[MESSAGE_SET_VRING_BASE] = session_set_vring_base,
	[MESSAGE_GET_VRING_BASE] = session_get_vring_base,
	[MESSAGE_SET_VRING_KICK] = session_set_vring_kick,
	[MESSAGE_SET_VRING_CALL] = session_set_vring_call,
	[MESSAGE_SET_VRING_ERR] = session_set_vring_err,
	[MESSAGE_GET_PROTOCOL_FEATURES] = get_protocol_features,
	[MESSAGE_SET_PROTOCOL_FEATURES] = set_protocol_features,
	[MESSAGE_GET_QUEUE_NUM] = get_queue_num,
	[MESSAGE_SET_VRING_ENABLE] = session_set_vring_enable,
	[MESSAGE_SEND_RARP] = send_rarp,
	[MESSAGE_NET_SET_MTU] = net_set_mtu,
	[MESSAGE_GET_MAX_MEM_SLOTS] = session_get_max_mem_slots,
	[MESSAGE_ADD_MEM_REG] = session_add_mem_reg,
	[MESSAGE_REM_MEM_REG] = session_rem_mem_reg,
	[MESSAGE_SET_STATUS] = set_status,
	[MESSAGE_GET_STATUS] = get_status,
};

static int answer(struct session *s, struct message *m, int result) {
	bool asked = (m->header.flags & MESSAGE_FLAG_NEED_REPLY) &&
		(s->protocol & BIT(PROTOCOL_REPLY_ACK));

	switch (message_reply_kind(m)) {
	case MESSAGE_REPLY_ACK:
		if (!asked)
			return result;
		m->payload.number = result < 0;
		return message_send_reply(m, s->fd, sizeof(m->payload.number));
	case MESSAGE_REPLY_NUMBER:
		return result < 0 ? result
				  : message_send_reply(m, s->fd, sizeof(m->payload.number));
	case MESSAGE_REPLY_VRING:
		return result < 0 ? result : message_send_reply(m, s->fd, sizeof(m->payload.vring));
	case MESSAGE_REPLY_EMPTY:
		return result < 0 ? result : message_send_reply(m, s->fd, 0);
	}
	return -EPROTO;
}

static int handle(struct session *s, struct message *m) {
	int protocol = message_needs_protocol(m);
	int r = -EOPNOTSUPP;

	s->last_request = m->header.request;
	if (protocol < 0 || (s->protocol & BIT(protocol)))
		r = handlers[m->header.request](s, m);
	session_resume(s);
	return answer(s, m, r);
}

// True if one more message may be handled now.
static bool take_budget(struct session *s, uint64_t now_ms) {
	uint64_t elapsed_ms = now_ms > s->budget_ms ? now_ms - s->budget_ms : 0;

	if (elapsed_ms > 60000)
		elapsed_ms = 60000;
	s->budget += elapsed_ms * SESSION_MESSAGES_PER_S;
	if (s->budget > SESSION_BURST_MESSAGES * UINT64_C(1000))
		s->budget = SESSION_BURST_MESSAGES * UINT64_C(1000);
	s->budget_ms = now_ms;
	if (s->budget < 1000)
		return false;
	s->budget -= 1000;
	return true;
}

// Workers have made a round for this peer, and the thread has waited for them.
static void pay_for_quiesces(struct session *s, unsigned int n) {
	uint64_t price = n * SESSION_QUIESCE_MESSAGES * UINT64_C(1000);

	s->budget -= price < s->budget ? price : s->budget;
}

int session_run(struct session *s, uint64_t now_ms) {
	uint64_t news;

	if (read(s->alert_fd, &news, sizeof(news)) > 0 || atomic_load(&s->memory.report.faulted)) {
		if (atomic_load(&s->memory.report.faulted))
			return -EFAULT;
	}
	s->n_quiesced = 0;
	for (unsigned int i = 0; i < SESSION_RUN_MESSAGES && s->n_quiesced < SESSION_RUN_QUIESCES;
	     i++) {
		unsigned int n_quiesced = s->n_quiesced;
		int r;

		if (!take_budget(s, now_ms))
			return SESSION_RUN_MESSAGES * 1000 / SESSION_MESSAGES_PER_S + 1;
		r = message_receive(&s->message, s->fd, now_ms);
		if (r > 0)
			r = handle(s, &s->message);
		else if (r == 0)
			return 0;
		else if (s->message.received >= sizeof(s->message.header))
			s->last_request = s->message.header.request;
		if (r < 0)
			return r;
		pay_for_quiesces(s, s->n_quiesced - n_quiesced);
		message_reset(&s->message);
	}
	return 0;
}

int session_fd(const struct session *s) {
	return s->fd;
}

int session_alert_fd(const struct session *s) {
	return s->alert_fd;
}

uint64_t session_deadline_ms(const struct session *s) {
	return s->message.deadline_ms;
}

struct ring *session_ring(struct session *s, unsigned int i) {
	assert(i < s->n_queues);
	return &s->queues[i].ring;
}

int session_kick_fd(const struct session *s, unsigned int i) {
	assert(i < s->n_queues);
	return s->queues[i].kick_fd;
}

uint64_t session_features(const struct session *s) {
	return s->features;
}

uint16_t session_mtu_bytes(const struct session *s) {
	return s->mtu_bytes;
}

bool session_is_ready(const struct session *s) {
	return s->queues[0].started && s->queues[1].started;
}

const char *session_last_request(const struct session *s) {
	return message_name(s->last_request);
}
