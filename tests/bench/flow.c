// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/bench/flow.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#define BIT(n) (UINT64_C(1) << (n))
#define HEADER_SIZE sizeof(struct virtio_net_hdr_v1)
#define FRAME_AT 128 // of a frame in its stride: aligned, with room for the header before it
#define SLOT_AT 54   // bytes of a frame: behind Ethernet, IP and TCP
#define STAMP_AT 56
#define PATTERN_AT 64 // and the rest
#define MSS 1460
#define LINE 64
#define SAMPLE 64         // one frame of so many is stamped and checked
#define WHOLE_SAMPLE 1024 // one of so many in all bytes
#define LOST_TSC \
	UINT64_C(3000000000) // a frame that has not come after this, about a second, will not
#define BURST 32             // frames that a switch takes at once
#define PAGES 32768          // Linux fills fragments of so many bytes
#define LINUX_BUFFER 1536    // as Linux posts them for small and for large frames
#define LINUX_TSO_BUFFER 4096
#define TSO_SLOTS 32 // of 64 KiB each

static bool is_tso(const struct flow_shape *shape) {
	return shape->size > ETH_FRAME_LEN;
}

static bool has_offload(const struct flow_shape *shape) {
	return is_tso(shape) || shape->layout != FLOW_PLAIN;
}

static uint32_t sample_of(const struct flow *f) {
	return f->from->shape->touch == FLOW_TOUCH_NONE && !f->settling ? SAMPLE : 1;
}

uint64_t flow_needed_features(const struct flow_shape *shape) {
	uint64_t features = BIT(VIRTIO_F_VERSION_1);

	if (shape->packed)
		features |= BIT(VIRTIO_F_RING_PACKED);
	if (has_offload(shape))
		features |= BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM);
	if (is_tso(shape))
		features |= BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO4);
	if (shape->layout != FLOW_PLAIN)
		features |= BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (shape->layout == FLOW_INDIRECT)
		features |= BIT(VIRTIO_RING_F_INDIRECT_DESC);
	return features;
}

uint64_t flow_wanted_features(const struct flow_shape *shape) {
	if (shape->layout == FLOW_PLAIN)
		return 0;
	return BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_NET_F_HOST_TSO4) |
		BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
		BIT(VIRTIO_NET_F_GUEST_TSO6);
}

static uint64_t pattern(uint16_t slot, uint32_t at) {
	return (uint64_t)(slot + 1) << 32 | at;
}

static uint16_t fold(uint32_t sum) {
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t sum_words(const void *data, size_t size) {
	const uint8_t *at = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	return sum;
}

// Ethernet, IPv4 and TCP; the checksum is that of the pseudo-header, to be finished by who gets it.
static void write_headers(const struct port *p, uint8_t *frame, uint16_t slot) {
	uint32_t tcp_size = p->shape->size - ETH_HLEN - sizeof(struct iphdr);
	struct ethhdr eth = {
		.h_dest = {0x02, 0, 0, 0, 0, (uint8_t)(3 - p->number)},
		.h_source = {0x02, 0, 0, 0, 0, p->number},
		.h_proto = htons(ETH_P_IP),
	};
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(p->shape->size - ETH_HLEN)),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
		.saddr = htonl(0x0a000000u + p->number),
		.daddr = htonl(0x0a000000u + 3u - p->number),
	};
	struct tcphdr tcp = {
		.source = htons((uint16_t)(1024 + slot % p->shape->n_flows)),
		.dest = htons(80),
		.doff = 5,
		.ack = 1,
		.window = htons(65535),
	};

	ip.check = htons((uint16_t)~fold(sum_words(&ip, sizeof(ip))));
	tcp.check = htons(fold(sum_words(&ip.saddr, 8) + IPPROTO_TCP + tcp_size));
	memcpy(frame, &eth, sizeof(eth));
	memcpy(frame + ETH_HLEN, &ip, sizeof(ip));
	memcpy(frame + ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp));
	memcpy(frame + SLOT_AT, &slot, sizeof(slot));
	for (uint32_t at = PATTERN_AT; at < p->shape->size; at += 8) {
		uint64_t word = pattern(slot, at);

		memcpy(frame + at, &word, sizeof(word));
	}
}

static void write_offload(const struct flow_shape *shape, uint8_t *at) {
	struct virtio_net_hdr_v1 hdr = {0};

	if (has_offload(shape)) {
		hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr.csum_start = ETH_HLEN + sizeof(struct iphdr);
		hdr.csum_offset = offsetof(struct tcphdr, check);
	}
	if (is_tso(shape)) {
		hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = MSS;
		hdr.hdr_len = SLOT_AT;
	}
	memcpy(at, &hdr, sizeof(hdr));
}

// Header and frame as pieces. Returns how many.
static uint16_t describe(
	const struct port *p, uint8_t *frame, struct queue_piece pieces[QUEUE_MAX_PIECES]
) {
	uint64_t addr = front_address(&p->front, frame);
	uint32_t size = p->shape->size;

	pieces[0] = (struct queue_piece){addr - HEADER_SIZE, HEADER_SIZE};
	if (p->shape->layout == FLOW_PLAIN) {
		pieces[0].size += size;
		return 1;
	}
	pieces[1] = (struct queue_piece){addr, size};
	if (!is_tso(p->shape))
		return 2;
	pieces[1].size = SLOT_AT;
	pieces[2] = (struct queue_piece){addr + SLOT_AT, PAGES};
	pieces[3] = (struct queue_piece){addr + SLOT_AT + PAGES, size - SLOT_AT - PAGES};
	return 4;
}

static void prepare_frames(struct port *p, uint8_t *tables) {
	for (uint16_t slot = 0; slot < p->tx.n_slots; slot++) {
		uint16_t i = slot % p->n_frames;
		uint8_t *frame = p->frames + i * p->frame_stride + FRAME_AT;
		struct queue_piece pieces[QUEUE_MAX_PIECES];
		uint8_t *table = tables + slot * sizeof(struct vring_desc) * QUEUE_MAX_PIECES;
		uint16_t n = describe(p, frame, pieces);

		write_headers(p, frame, i);
		write_offload(p->shape, frame - HEADER_SIZE);
		if (p->shape->layout == FLOW_INDIRECT)
			queue_set_indirect(
				&p->tx, slot, pieces, n, table, front_address(&p->front, table)
			);
		else
			queue_set(&p->tx, slot, pieces, false);
	}
}

static void prepare_buffers(struct port *p) {
	for (uint16_t slot = 0; slot < p->rx.n_slots; slot++) {
		struct queue_piece piece = {
			front_address(
				&p->front, p->buffers + slot % p->n_buffers * p->buffer_stride
			),
			p->buffer_size};

		queue_set(&p->rx, slot, &piece, true);
	}
}

static void choose_sizes(struct port *p) {
	const struct flow_shape *shape = p->shape;

	p->n_frames = p->n_buffers = QUEUE_SIZE;
	p->buffer_size = 2048;
	if (shape->layout == FLOW_LINUX)
		p->n_frames /= is_tso(shape) ? 4 : 2;
	if (shape->layout != FLOW_PLAIN)
		p->buffer_size = is_tso(shape) ? LINUX_TSO_BUFFER : LINUX_BUFFER;
	if (is_tso(shape)) {
		p->n_frames = TSO_SLOTS;
		if (shape->layout == FLOW_PLAIN) {
			p->n_buffers = TSO_SLOTS;
			p->buffer_size = FLOW_TSO_SIZE + HEADER_SIZE;
		}
	}
	p->buffers_per_frame =
		(uint16_t)((shape->size + HEADER_SIZE + p->buffer_size - 1) / p->buffer_size);
	// An odd number of lines apart, so that they do not all fall into the same cache sets.
	p->frame_stride = (FRAME_AT + shape->size + 8 + LINE) / LINE * LINE;
	if (p->frame_stride < 2048)
		p->frame_stride = 2048;
	p->frame_stride += p->frame_stride / LINE % 2 == 0 ? LINE : 0;
	p->buffer_stride = (p->buffer_size + LINE - 1) / LINE * LINE;
	if (p->buffer_size != LINUX_TSO_BUFFER) // those are pages
		p->buffer_stride += p->buffer_stride / LINE % 2 == 0 ? LINE : 0;
}

void port_start(struct port *p, const struct flow_shape *shape, uint8_t number) {
	const size_t tables_size = sizeof(struct vring_desc) * QUEUE_MAX_PIECES * QUEUE_SIZE;
	uint64_t features = flow_needed_features(shape);
	uint16_t n_descs = 1;
	bool event_index;
	uint8_t *at;

	p->shape = shape;
	p->number = number;
	choose_sizes(p);
	features |= flow_wanted_features(shape) & p->front.offered;
	event_index = features & BIT(VIRTIO_RING_F_EVENT_IDX);
	if (shape->layout == FLOW_LINUX)
		n_descs = is_tso(shape) ? 4 : 2;
	front_share(
		&p->front, features,
		2 * QUEUE_AREA_SIZE + tables_size + (size_t)p->n_frames * p->frame_stride +
			(size_t)p->n_buffers * p->buffer_stride + 4096
	);
	at = p->front.memory;
	queue_init(&p->rx, at, shape->packed, event_index, 1, p->front.kick_fds[FRONT_RX]);
	at += QUEUE_AREA_SIZE;
	queue_init(&p->tx, at, shape->packed, event_index, n_descs, p->front.kick_fds[FRONT_TX]);
	at += QUEUE_AREA_SIZE + tables_size;
	p->buffers = at;
	p->frames = at + (size_t)p->n_buffers * p->buffer_stride;
	prepare_frames(p, at - tables_size);
	prepare_buffers(p);
	front_start_ring(&p->front, FRONT_RX, QUEUE_SIZE, p->rx.desc, p->rx.driver, p->rx.device);
	front_start_ring(&p->front, FRONT_TX, QUEUE_SIZE, p->tx.desc, p->tx.driver, p->tx.device);
	front_enable(&p->front);
	queue_post(&p->rx, p->n_buffers);
}

void flow_init(struct flow *f, struct port *from, struct port *to, uint64_t limit) {
	uint32_t room = to->n_buffers / to->buffers_per_frame;

	*f = (struct flow){.from = from, .to = to, .limit = limit, .settling = true};
	f->window = room < from->n_frames ? room : from->n_frames;
}

uint64_t flow_underway(const struct flow *f) {
	return f->from->tx.posted - f->received - f->lost;
}

static uint8_t *buffer_at(const struct port *p, uint64_t n) {
	return p->buffers + n % p->rx.n_slots % p->n_buffers * p->buffer_stride;
}

// A received frame in one piece, header first.
static void gather(const struct port *p, uint64_t buffer, uint8_t *ret, uint32_t size) {
	for (uint32_t at = 0; at < size; at += p->buffer_size, buffer++)
		memcpy(ret + at, buffer_at(p, buffer),
		       size - at < p->buffer_size ? size - at : p->buffer_size);
}

// The checksum, bytes 50 and 51, and the stamp, 56 to 59, are the only ones that may differ.
static bool same_bytes(const uint8_t *a, const uint8_t *b, uint32_t size) {
	return memcmp(a, b, 50) == 0 && memcmp(a + 52, b + 52, 4) == 0 &&
		memcmp(a + 60, b + 60, size - 60) == 0;
}

static bool is_whole(const struct flow *f, uint64_t buffer, uint16_t slot) {
	static uint8_t frame[HEADER_SIZE + FLOW_TSO_SIZE];
	uint32_t size = f->from->shape->size;

	gather(f->to, buffer, frame, HEADER_SIZE + size);
	return same_bytes(
		frame + HEADER_SIZE, f->from->frames + slot * f->from->frame_stride + FRAME_AT, size
	);
}

static bool offload_is_right(const struct flow *f, const struct virtio_net_hdr_v1 *hdr) {
	const struct flow_shape *shape = f->from->shape;
	uint8_t flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;

	if (has_offload(shape) && !(hdr->flags & flags))
		return false;
	if (is_tso(shape) && (hdr->gso_type != VIRTIO_NET_HDR_GSO_TCPV4 || hdr->gso_size != MSS))
		return false;
	return shape->layout == FLOW_PLAIN || hdr->num_buffers == f->to->buffers_per_frame;
}

// Compare number @received of the receiver with what the sender's number received + lost was.
// Returns false if it was not that one, as frames before it did not come.
static bool check(struct flow *f, uint64_t received) {
	uint64_t buffer = received * f->to->buffers_per_frame, sent = received + f->lost;
	const uint8_t *data = buffer_at(f->to, buffer);
	uint32_t size = f->from->shape->size + HEADER_SIZE, seen_size, stamp;
	struct virtio_net_hdr_v1 hdr;
	uint16_t slot, missing;
	bool ok;

	memcpy(&hdr, data, sizeof(hdr));
	memcpy(&slot, data + HEADER_SIZE + SLOT_AT, sizeof(slot));
	memcpy(&stamp, data + HEADER_SIZE + STAMP_AT, sizeof(stamp));
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
		stamp == (uint32_t)sent && offload_is_right(f, &hdr);
	if (ok && sent % WHOLE_SAMPLE == 0)
		ok = is_whole(f, buffer, slot);
	f->checked++;
	f->wrong += !ok;
	return true;
}

static uint64_t next_multiple(uint64_t n, uint32_t of) {
	return (n + of - 1) / of * of;
}

static void read_lines(const struct flow *f, uint32_t n) {
	uint64_t first = f->to->rx.done;

	for (uint64_t i = first; i < first + (uint64_t)n * f->to->buffers_per_frame; i++) {
		const uint8_t *data = buffer_at(f->to, i);

		for (uint32_t at = 0;
		     at < f->to->buffer_size && at < f->to->shape->size + HEADER_SIZE; at += LINE)
			(void)*(const volatile uint8_t *)(data + at);
	}
}

static uint32_t receive(struct flow *f) {
	uint32_t per_frame = f->to->buffers_per_frame, sample = sample_of(f);
	uint32_t n = queue_completed(&f->to->rx, QUEUE_SIZE) / per_frame;
	uint64_t end = f->received + n;

	if (n == 0)
		return 0;
	if (f->to->shape->touch == FLOW_TOUCH_ALL)
		read_lines(f, n);
	for (uint64_t sent = next_multiple(f->received + f->lost, sample); sent < end + f->lost;
	     sent = next_multiple(sent + 1, sample)) {
		if (!check(f, sent - f->lost))
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
	uint8_t *frame = f->from->frames + slot * f->from->frame_stride + FRAME_AT;
	uint32_t stamp = (uint32_t)n;

	memcpy(frame + STAMP_AT, &stamp, sizeof(stamp));
	if (f->from->shape->touch != FLOW_TOUCH_ALL)
		return;
	for (uint32_t at = PATTERN_AT; at + 8 <= f->from->shape->size; at += LINE)
		*(volatile uint64_t *)(frame + at) = pattern(slot, at);
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
