// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/transfer.h"

// A place in a list of pieces.
struct cursor {
	const struct segment *segments;
	unsigned int n_segments;
	unsigned int i;
	uint32_t offset; // in segments[i]
};

// Move up to @size bytes from @c to @to.
static void cursor_read(struct cursor *c, uint8_t *to, uint32_t size) {
	while (size > 0 && c->i < c->n_segments) {
		const struct segment *s = &c->segments[c->i];
		uint32_t room = s->size - c->offset;
		uint32_t n = size < room ? size : room;

		memory_read(to, s->host + c->offset, n);
		to += n;
		size -= n;
		c->offset += n;
		if (c->offset == s->size) {
			c->i++;
			c->offset = 0;
		}
	}
}

static void cursor_skip(struct cursor *c, uint32_t size) {
	while (size > 0 && c->i < c->n_segments) {
		uint32_t room = c->segments[c->i].size - c->offset;
		uint32_t n = size < room ? size : room;

		size -= n;
		c->offset += n;
		if (c->offset == c->segments[c->i].size) {
			c->i++;
			c->offset = 0;
		}
	}
}

static void cursor_write(struct ring *r, struct cursor *c, const uint8_t *from, uint32_t size) {
	while (size > 0 && c->i < c->n_segments) {
		const struct segment *s = &c->segments[c->i];
		uint32_t room = s->size - c->offset;
		uint32_t n = size < room ? size : room;

		memory_write(
			r->memory, s->host + c->offset, true, s->guest_addr + c->offset, from, n
		);
		from += n;
		size -= n;
		c->offset += n;
		if (c->offset == s->size) {
			c->i++;
			c->offset = 0;
		}
	}
}

bool transfer_size_is_good(struct ring *r, uint64_t size) {
	if (size < (uint64_t)r->header_size + RING_MIN_FRAME) {
		r->stats.runts++;
		return false;
	}
	if (size > (uint64_t)r->header_size + RING_MAX_FRAME) {
		r->stats.oversized++;
		return false;
	}
	return true;
}

void transfer_read(
	struct ring *r, struct ring_frame *f, struct segment *segments, unsigned int n,
	uint32_t size
) {
	struct cursor c = {.segments = segments, .n_segments = n};

	f->size = size - r->header_size;
	f->head_size = f->size < RING_HEAD_SIZE ? (uint16_t)f->size : RING_HEAD_SIZE;
	f->offload = (struct virtio_net_hdr_v1){0};
	if (r->offloads)
		cursor_read(&c, (uint8_t *)&f->offload, r->header_size);
	else
		cursor_skip(&c, r->header_size);
	cursor_read(&c, f->head, f->head_size);
	f->segments = segments + c.i;
	f->n_segments = (uint16_t)(n - c.i);
	if (c.i < n) {
		segments[c.i].host += c.offset;
		segments[c.i].guest_addr += c.offset;
		segments[c.i].size -= c.offset;
	}
}

void transfer_write(
	struct ring *r, const struct room *room, const struct ring_frame *f,
	const struct virtio_net_hdr_v1 *hdr
) {
	struct cursor c = {.segments = room->segments, .n_segments = room->n_segments};
	struct virtio_net_hdr_v1 header = *hdr;

	header.num_buffers = r->mergeable ? room->n_heads : 1;
	cursor_write(r, &c, (const uint8_t *)&header, r->header_size);
	cursor_write(r, &c, f->head, f->head_size);
	for (uint16_t i = 0; i < f->n_segments; i++)
		cursor_write(r, &c, f->segments[i].host, f->segments[i].size);
}
