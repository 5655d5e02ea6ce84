// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/ring.h"

#include <errno.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "fallback/vhost/packed_ring.h"
#include "fallback/vhost/split_ring.h"

#define BIT(n) (UINT64_C(1) << (n))

int ring_start(struct ring *r, struct memory *m, const struct ring_setup *setup) {
	const uint64_t features = setup->features;
	int error;

	ring_stop(r);
	r->ops = features & BIT(VIRTIO_F_RING_PACKED) ? &packed_ring_ops : &split_ring_ops;
	r->memory = m;
	r->size = setup->size;
	r->header_size = features & (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF))
		? sizeof(struct virtio_net_hdr_v1)
		: sizeof(struct virtio_net_hdr);
	r->event_index = features & BIT(VIRTIO_RING_F_EVENT_IDX);
	r->indirect = features & BIT(VIRTIO_RING_F_INDIRECT_DESC);
	r->mergeable = features & BIT(VIRTIO_NET_F_MRG_RXBUF);
	r->offloads = features & BIT(VIRTIO_NET_F_CSUM); // segmentation is never without it
	r->log = setup->log;
	r->log_addr = setup->log_addr;
	r->hint = 0;
	r->n_pending = 0;
	r->no_room = 0;
	r->fault = RING_FAULT_NONE;
	error = r->ops->start(r, setup);
	if (error < 0)
		return error;
	r->running = true;
	return 0;
}

void ring_stop(struct ring *r) {
	r->running = false;
}

uint32_t ring_position(const struct ring *r) {
	return r->ops->position(r);
}

int ring_place(struct ring *r, const struct ring_frame *f, const struct virtio_net_hdr_v1 *hdr) {
	int error;

	if (__builtin_expect(!r->running || !r->enabled, 0))
		return -ENETDOWN;
	// To find no room among hundreds of tiny buffers is the dearest thing a guest can ask for.
	error = r->no_room > 0 && f->size >= r->no_room ? -ENOBUFS : r->ops->place(r, f, hdr);
	if (error == 0) {
		r->stats.frames++;
		r->stats.bytes += f->size;
	} else if (error == -ENOBUFS) {
		r->stats.no_buffer++;
		r->no_room = f->size;
	}
	return error;
}

void ring_flush(struct ring *r, struct notifier *n) {
	r->no_room = 0;
	if (r->n_pending == 0 || !r->ops->publish(r) || r->call_fd < 0)
		return;
	// An eventfd that cannot be signalled is the front-end's own loss.
	if (notifier_signal(n, r->call_fd) == 0)
		r->stats.notified++;
}

void ring_fail(struct ring *r, enum ring_fault fault) {
	uint64_t one = 1;

	r->fault = fault;
	r->running = false;
	if (r->memory->report.event_fd >= 0 &&
	    write(r->memory->report.event_fd, &one, sizeof(one)) < 0)
		return; // it is full of such news
}

const char *ring_fault_name(enum ring_fault fault) {
	switch (fault) {
	case RING_FAULT_NONE:
		return "none";
	case RING_FAULT_INDEX:
		return "index";
	case RING_FAULT_HEAD:
		return "head";
	case RING_FAULT_BUFFER:
		return "buffer";
	}
	return "unknown";
}
