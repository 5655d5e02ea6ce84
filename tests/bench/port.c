// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/bench/port.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#define BIT(n) (UINT64_C(1) << (n))
#define PAGES 32768       // Linux fills fragments of so many bytes
#define LINUX_BUFFER 1536 // as Linux posts them for small and for large frames
#define LINUX_TSO_BUFFER 4096
#define TSO_SLOTS 32 // of 64 KiB each

_Static_assert(sizeof(struct virtio_net_hdr_v1) == PORT_HEADER_SIZE, "the header of VERSION_1");

static bool is_tso(const struct port_shape *shape) {
	return shape->size > ETH_FRAME_LEN;
}

static bool has_offload(const struct port_shape *shape) {
	return is_tso(shape) || shape->layout != PORT_PLAIN;
}

uint64_t port_needed_features(const struct port_shape *shape) {
	uint64_t features = BIT(VIRTIO_F_VERSION_1);

	if (shape->packed)
		features |= BIT(VIRTIO_F_RING_PACKED);
	if (has_offload(shape))
		features |= BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM);
	if (is_tso(shape))
		features |= BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO4);
	if (shape->layout != PORT_PLAIN)
		features |= BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (shape->layout == PORT_INDIRECT)
		features |= BIT(VIRTIO_RING_F_INDIRECT_DESC);
	return features;
}

// What the shape takes where it is offered.
static uint64_t wanted_features(const struct port_shape *shape) {
	if (shape->layout == PORT_PLAIN)
		return 0;
	return BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_NET_F_HOST_TSO4) |
		BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
		BIT(VIRTIO_NET_F_GUEST_TSO6);
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
	memcpy(frame + PORT_SLOT_AT, &slot, sizeof(slot));
	for (uint32_t at = PORT_PATTERN_AT; at < p->shape->size; at += 8) {
		uint64_t word = port_pattern(slot, at);

		memcpy(frame + at, &word, sizeof(word));
	}
}

static void write_offload(const struct port_shape *shape, uint8_t *at) {
	struct virtio_net_hdr_v1 hdr = {0};

	if (has_offload(shape)) {
		hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr.csum_start = ETH_HLEN + sizeof(struct iphdr);
		hdr.csum_offset = offsetof(struct tcphdr, check);
	}
	if (is_tso(shape)) {
		hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = PORT_MSS;
		hdr.hdr_len = PORT_SLOT_AT;
	}
	memcpy(at, &hdr, sizeof(hdr));
}

// Header and frame as pieces. Returns how many.
static uint16_t describe(
	const struct port *p, uint8_t *frame, struct queue_piece pieces[QUEUE_MAX_PIECES]
) {
	uint64_t addr = front_address(&p->front, frame);
	uint32_t size = p->shape->size;

	pieces[0] = (struct queue_piece){addr - PORT_HEADER_SIZE, PORT_HEADER_SIZE};
	if (p->shape->layout == PORT_PLAIN) {
		pieces[0].size += size;
		return 1;
	}
	pieces[1] = (struct queue_piece){addr, size};
	if (!is_tso(p->shape))
		return 2;
	pieces[1].size = PORT_SLOT_AT;
	pieces[2] = (struct queue_piece){addr + PORT_SLOT_AT, PAGES};
	pieces[3] = (struct queue_piece){addr + PORT_SLOT_AT + PAGES, size - PORT_SLOT_AT - PAGES};
	return 4;
}

static void prepare_frames(struct port *p, uint8_t *tables) {
	for (uint16_t slot = 0; slot < p->tx.n_slots; slot++) {
		uint16_t i = slot % p->n_frames;
		uint8_t *frame = port_frame(p, i);
		struct queue_piece pieces[QUEUE_MAX_PIECES];
		uint8_t *table = tables + slot * sizeof(struct vring_desc) * QUEUE_MAX_PIECES;
		uint16_t n = describe(p, frame, pieces);

		write_headers(p, frame, i);
		write_offload(p->shape, frame - PORT_HEADER_SIZE);
		if (p->shape->layout == PORT_INDIRECT)
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
	const struct port_shape *shape = p->shape;

	p->n_frames = p->n_buffers = QUEUE_SIZE;
	p->buffer_size = 2048;
	if (shape->layout == PORT_LINUX)
		p->n_frames /= is_tso(shape) ? 4 : 2;
	if (shape->layout != PORT_PLAIN)
		p->buffer_size = is_tso(shape) ? LINUX_TSO_BUFFER : LINUX_BUFFER;
	if (is_tso(shape)) {
		p->n_frames = TSO_SLOTS;
		if (shape->layout == PORT_PLAIN) {
			p->n_buffers = TSO_SLOTS;
			p->buffer_size = PORT_TSO_SIZE + PORT_HEADER_SIZE;
		}
	}
	p->buffers_per_frame =
		(uint16_t)((shape->size + PORT_HEADER_SIZE + p->buffer_size - 1) / p->buffer_size);
	// An odd number of lines apart, so that they do not all fall into the same cache sets.
	p->frame_stride = (PORT_FRAME_AT + shape->size + 8 + PORT_LINE) / PORT_LINE * PORT_LINE;
	if (p->frame_stride < 2048)
		p->frame_stride = 2048;
	p->frame_stride += p->frame_stride / PORT_LINE % 2 == 0 ? PORT_LINE : 0;
	p->buffer_stride = (p->buffer_size + PORT_LINE - 1) / PORT_LINE * PORT_LINE;
	if (p->buffer_size != LINUX_TSO_BUFFER) // those are pages
		p->buffer_stride += p->buffer_stride / PORT_LINE % 2 == 0 ? PORT_LINE : 0;
}

void port_start(struct port *p, const struct port_shape *shape, uint8_t number) {
	const size_t tables_size = sizeof(struct vring_desc) * QUEUE_MAX_PIECES * QUEUE_SIZE;
	uint64_t features = port_needed_features(shape);
	uint16_t n_descs = 1;
	bool event_index;
	uint8_t *at;

	p->shape = shape;
	p->number = number;
	choose_sizes(p);
	features |= wanted_features(shape) & p->front.offered;
	event_index = features & BIT(VIRTIO_RING_F_EVENT_IDX);
	if (shape->layout == PORT_LINUX)
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

bool port_offload_is_right(const struct port *p, const struct virtio_net_hdr_v1 *hdr) {
	const struct port_shape *shape = p->shape;
	uint8_t flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;

	if (has_offload(shape) && !(hdr->flags & flags))
		return false;
	if (is_tso(shape) &&
	    (hdr->gso_type != VIRTIO_NET_HDR_GSO_TCPV4 || hdr->gso_size != PORT_MSS))
		return false;
	return shape->layout == PORT_PLAIN || hdr->num_buffers == p->buffers_per_frame;
}
