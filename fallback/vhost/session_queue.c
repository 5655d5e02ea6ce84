// SPDX-License-Identifier: GPL-2.0-or-later
// What a front-end says about rings.

#include <errno.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>

#include "fallback/vhost/session_internal.h"
#include "vdpad/util/cleanup.h"

static void stop_queue(struct session *s, struct queue *q) {
	if (!q->started)
		return;
	session_quiesce(s);
	ring_stop(&q->ring);
	q->base = ring_position(&q->ring);
	q->started = false;
}

static void start_queue(struct session *s, struct queue *q) {
	bool driver_ok = (s->protocol & BIT(PROTOCOL_STATUS)) == 0 ||
		(s->status & VIRTIO_CONFIG_S_DRIVER_OK) != 0;

	if (q->started || !q->has_addr || !q->has_kick || q->setup.size == 0 || !driver_ok)
		return;
	session_quiesce(s);
	q->setup.features = s->features;
	q->setup.base = q->base;
	// Parts that are not in the memory may be so after the next message.
	q->started = ring_start(&q->ring, &s->memory, &q->setup) == 0;
	// Who ran this ring before may have told the guest something and gone before the interrupt.
	if (q->started && q->ring.call_fd >= 0)
		notifier_signal(s->config.notifier, q->ring.call_fd);
}

void session_queues_stop(struct session *s) {
	for (unsigned int i = 0; i < s->n_queues; i++)
		stop_queue(s, &s->queues[i]);
}

void session_queues_start(struct session *s) {
	for (unsigned int i = 0; i < s->n_queues; i++)
		start_queue(s, &s->queues[i]);
}

static struct queue *find_queue(struct session *s, uint32_t index) {
	return index < s->n_queues ? &s->queues[index] : NULL;
}

int session_set_vring_num(struct session *s, struct message *m) {
	struct queue *q = find_queue(s, m->payload.vring.index);
	uint32_t size = m->payload.vring.num;

	if (q == NULL || size == 0 || size > RING_MAX_SIZE || (size & (size - 1)) != 0)
		return -EINVAL;
	stop_queue(s, q);
	q->setup.size = (uint16_t)size;
	start_queue(s, q);
	return 0;
}

int session_set_vring_addr(struct session *s, struct message *m) {
	struct queue *q = find_queue(s, m->payload.vring_addr.index);

	if (q == NULL)
		return -EINVAL;
	stop_queue(s, q);
	q->setup.desc_user_addr = m->payload.vring_addr.desc_user_addr;
	q->setup.avail_user_addr = m->payload.vring_addr.avail_user_addr;
	q->setup.used_user_addr = m->payload.vring_addr.used_user_addr;
	q->setup.log_addr = m->payload.vring_addr.log_guest_addr;
	q->setup.log = m->payload.vring_addr.flags & BIT(VHOST_VRING_F_LOG);
	q->has_addr = true;
	start_queue(s, q);
	return 0;
}

int session_set_vring_base(struct session *s, struct message *m) {
	struct queue *q = find_queue(s, m->payload.vring.index);
	bool packed = s->features & BIT(VIRTIO_F_RING_PACKED);

	if (q == NULL || (!packed && m->payload.vring.num > UINT16_MAX))
		return -EINVAL;
	stop_queue(s, q);
	q->base = m->payload.vring.num;
	start_queue(s, q);
	return 0;
}

int session_get_vring_base(struct session *s, struct message *m) {
	struct queue *q = find_queue(s, m->payload.vring.index);

	if (q == NULL)
		return -EINVAL;
	stop_queue(s, q);
	session_quiesce(s);
	q->has_kick = false;
	q->kick_fd = close_keep_errno(q->kick_fd);
	m->payload.vring.num = q->base;
	return 0;
}

// The ring that the number of a kick or call message names, and its descriptor, which is -EBADF if
// there is none.
// Returns 0, or -EINVAL when there is no such ring or the descriptor is no eventfd.
static int take_eventfd(struct session *s, struct message *m, struct queue **ret_q, int *ret_fd) {
	struct queue *q = find_queue(s, m->payload.number & MESSAGE_VRING_INDEX);

	if (q == NULL || (m->n_fds > 0 && !notify_is_eventfd(m->fds[0])))
		return -EINVAL;
	*ret_q = q;
	*ret_fd = message_take_fd(m, 0);
	return 0;
}

int session_set_vring_kick(struct session *s, struct message *m) {
	struct queue *q;
	int r, fd;

	r = take_eventfd(s, m, &q, &fd);
	if (r < 0)
		return r;
	stop_queue(s, q);
	session_quiesce(s);
	close_keep_errno(q->kick_fd);
	q->kick_fd = fd;
	q->has_kick = true;
	start_queue(s, q);
	return 0;
}

int session_set_vring_call(struct session *s, struct message *m) {
	struct queue *q;
	int r, fd;

	r = take_eventfd(s, m, &q, &fd);
	if (r < 0)
		return r;
	// A worker may be about to signal the old one, so even this waits for it.
	session_quiesce(s);
	close_keep_errno(q->ring.call_fd);
	q->ring.call_fd = fd;
	if (q->started && fd >= 0)
		notifier_signal(s->config.notifier, fd);
	return 0;
}

// Errors of a ring are counted here and shown to the operator; the front-end has no use for them.
int session_set_vring_err(struct session *s, struct message *m) {
	return find_queue(s, m->payload.number & MESSAGE_VRING_INDEX) != NULL ? 0 : -EINVAL;
}

int session_set_vring_enable(struct session *s, struct message *m) {
	struct queue *q = find_queue(s, m->payload.vring.index);

	if (q == NULL || m->payload.vring.num > 1)
		return -EINVAL;
	if (q->ring.enabled == (m->payload.vring.num == 1))
		return 0;
	session_quiesce(s);
	q->ring.enabled = m->payload.vring.num == 1;
	return 0;
}
