// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/bench/flow.h"

#include <string.h>

#include <linux/virtio_net.h>

#define SAMPLE 64         // one frame of so many is stamped and checked
#define WHOLE_SAMPLE 1024 // one of so many in all bytes
// Time-stamps until a frame that has not come is given up: about a second.
#define LOST_TSC UINT64_C(3000000000)
#define BURST 32 // frames that a switch takes at once

static uint32_t sample_of(const struct flow *f) {
	return f->from->shape->touch == PORT_TOUCH_NONE && !f->settling ? SAMPLE : 1;
}

void flow_init(struct flow *f, struct port *from, struct port *to, uint64_t limit) {
	uint32_t room = to->n_buffers / to->buffers_per_frame;

	*f = (struct flow){.from = from, .to = to, .limit = limit, .settling = true};
	f->window = room < from->n_frames ? room : from->n_frames;
}

uint64_t flow_underway(const struct flow *f) {
	return f->from->tx.posted - f->received - f->lost;
}

// A received frame in one piece, header first.
static void gather(const struct port *p, uint64_t buffer, uint8_t *ret, uint32_t size) {
	for (uint32_t at = 0; at < size; at += p->buffer_size, buffer++)
		memcpy(ret + at, port_buffer(p, buffer),
		       size - at < p->buffer_size ? size - at : p->buffer_size);
}

// The checksum, bytes 50 and 51, and the stamp, 56 to 59, are the only ones that may differ.
static bool same_bytes(const uint8_t *a, const uint8_t *b, uint32_t size) {
	return memcmp(a, b, 50) == 0 && memcmp(a + 52, b + 52, 4) == 0 &&
		memcmp(a + 60, b + 60, size - 60) == 0;
}

static bool is_whole(const struct flow *f, uint64_t buffer, uint16_t slot) {
	static uint8_t frame[PORT_HEADER_SIZE + PORT_TSO_SIZE];
	uint32_t size = f->from->shape->size;

	gather(f->to, buffer, frame, PORT_HEADER_SIZE + size);
	return same_bytes(frame + PORT_HEADER_SIZE, port_frame(f->from, slot), size);
}

// Compare number @received of the receiver with what the sender's number received + lost was.
// Returns false if it was not that one, as frames before it did not come.
static bool check(struct flow *f, uint64_t received) {
	uint64_t buffer = received * f->to->buffers_per_frame, sent = received + f->lost;
	const uint8_t *data = port_buffer(f->to, buffer);
	uint32_t size = f->from->shape->size + PORT_HEADER_SIZE, seen_size, stamp;
	struct virtio_net_hdr_v1 hdr;
	uint16_t slot, missing;
	bool ok;

	memcpy(&hdr, data, sizeof(hdr));
	memcpy(&slot, data + PORT_HEADER_SIZE + PORT_SLOT_AT, sizeof(slot));
	memcpy(&stamp, data + PORT_HEADER_SIZE + PORT_STAMP_AT, sizeof(stamp));
	if (f->settling) {
		f->lost = stamp - received;
		return true;
	}
	missing = (uint16_t)(slot - sent % f->from->n_frames) % f->from->n_frames;
	if (missing > 0) {
		f->lost += missing;
		return false;
	}
	if (size > f->to->buffer_size)
		size = f->to->buffer_size;
	ok = queue_completed_is(&f->to->rx, buffer, &seen_size) && seen_size == size &&
		stamp == (uint32_t)sent && port_offload_is_right(f->to, &hdr);
	if (ok && sent % WHOLE_SAMPLE == 0)
		ok = is_whole(f, buffer, slot);
	f->checked++;
	f->wrong += !ok;
	return true;
}

static uint64_t next_multiple(uint64_t n, uint32_t of) {
	return (n + of - 1) / of * of;
}

// The first of the frames received, from number @i on, that belongs to the sample.
static uint64_t next_checked(const struct flow *f, uint64_t i) {
	return next_multiple(i + f->lost, sample_of(f)) - f->lost;
}

static void read_lines(const struct flow *f, uint32_t n) {
	uint64_t first = f->to->rx.done;

	for (uint64_t i = first; i < first + (uint64_t)n * f->to->buffers_per_frame; i++) {
		const uint8_t *data = port_buffer(f->to, i);

		for (uint32_t at = 0;
		     at < f->to->buffer_size && at < f->to->shape->size + PORT_HEADER_SIZE;
		     at += PORT_LINE)
			(void)*(const volatile uint8_t *)(data + at);
	}
}

static uint32_t receive(struct flow *f) {
	uint32_t per_frame = f->to->buffers_per_frame;
	uint32_t n = queue_completed(&f->to->rx, QUEUE_SIZE) / per_frame;
	uint64_t end = f->received + n;

	if (n == 0)
		return 0;
	if (f->to->shape->touch == PORT_TOUCH_ALL)
		read_lines(f, n);
	for (uint64_t i = next_checked(f, f->received); i < end; i = next_checked(f, i + 1)) {
		if (!check(f, i))
			break;
	}
	f->received = end;
	queue_done(&f->to->rx, n * per_frame);
	queue_post(&f->to->rx, n * per_frame);
	return n;
}

// Frame number @n is about to be sent: new bytes in its memory.
static void renew(struct flow *f, uint64_t n) {
	uint16_t slot = (uint16_t)(n % f->from->n_frames);
	uint8_t *frame = port_frame(f->from, slot);
	uint32_t stamp = (uint32_t)n;

	memcpy(frame + PORT_STAMP_AT, &stamp, sizeof(stamp));
	if (f->from->shape->touch != PORT_TOUCH_ALL)
		return;
	for (uint32_t at = PORT_PATTERN_AT; at + 8 <= f->from->shape->size; at += PORT_LINE)
		*(volatile uint64_t *)(frame + at) = port_pattern(slot, at);
}

static uint32_t send_frames(struct flow *f) {
	struct queue *tx = &f->from->tx;
	uint32_t sample = sample_of(f), n;
	uint64_t room;

	queue_done(tx, queue_completed(tx, QUEUE_SIZE));
	f->looks++;
	// A smaller window is taken as a whole; how long the switch waits for the next one is not seen.
	f->starved += f->window > 2 * BURST && tx->posted - tx->done < BURST;
	room = flow_underway(f) < f->window ? f->window - flow_underway(f) : 0;
	if (room > f->limit - tx->posted)
		room = f->limit - tx->posted;
	if (room > tx->n_slots - (tx->posted - tx->done))
		room = tx->n_slots - (tx->posted - tx->done);
	n = (uint32_t)room;
	for (uint64_t i = next_multiple(tx->posted, sample); i < tx->posted + n; i += sample)
		renew(f, i);
	queue_post(tx, n);
	return n;
}

uint32_t flow_turn(struct flow *f, uint64_t now_tsc) {
	uint32_t n_received = receive(f), n_sent = send_frames(f);

	if (n_received > 0 || flow_underway(f) == 0) {
		f->progress_tsc = now_tsc;
	} else if (now_tsc - f->progress_tsc > LOST_TSC && f->from->tx.posted == f->from->tx.done) {
		f->lost += flow_underway(f);
	}
	return n_received + n_sent;
}
