// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/transfer.h"

// A place in a list of pieces.
struct cursor {
	const struct segment *segments;
	unsigned int n_segments;
	unsigned int i;
	uint32_t offset; // in segments[i]
};

// How much of @size is in the current piece.
static uint32_t in_piece(const struct cursor *c, uint32_t size) {
	uint32_t room = c->segments[c->i].size - c->offset;

	return size < room ? size : room;
}

// Go @size bytes on, which are in the current piece.
static void advance(struct cursor *c, uint32_t size) {
	c->offset += size;
	if (c->offset == c->segments[c->i].size) {
		c->i++;
		c->offset = 0;
	}
}

// Move up to @size bytes from @c to @to.
static void cursor_read(struct cursor *c, uint8_t *to, uint32_t size) {
	while (size > 0 && c->i < c->n_segments) {
		uint32_t n = in_piece(c, size);

		memory_read(to, c->segments[c->i].host + c->offset, n);
		advance(c, n);
		to += n;
		size -= n;
	}
}

static void cursor_skip(struct cursor *c, uint32_t size) {
	while (size > 0 && c->i < c->n_segments) {
		uint32_t n = in_piece(c, size);

		advance(c, n);
		size -= n;
	}
}

static void cursor_write(struct ring *r, struct cursor *c, const uint8_t *from, uint32_t size) {
	while (size > 0 && c->i < c->n_segments) {
		const struct segment *s = &c->segments[c->i];
		uint32_t n = in_piece(c, size);

		memory_write(
			r->memory, s->host + c->offset, true, s->guest_addr + c->offset, from, n
		);
		advance(c, n);
		from += n;
		size -= n;
	}
}

void transfer_read_any(
	struct ring *r, struct ring_frame *f, struct segment *segments, unsigned int n
) {
	struct cursor c = {.segments = segments, .n_segments = n};

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

void transfer_write_any(
	struct ring *r, const struct room *room, const struct ring_frame *f,
	const struct virtio_net_hdr_v1 *hdr
) {
	struct cursor c = {.segments = room->segments, .n_segments = room->n_segments};

	cursor_write(r, &c, (const uint8_t *)hdr, r->header_size);
	cursor_write(r, &c, f->head, f->head_size);
	for (uint16_t i = 0; i < f->n_segments; i++)
		cursor_write(r, &c, f->segments[i].host, f->segments[i].size);
}
