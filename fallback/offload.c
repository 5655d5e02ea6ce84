// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/offload.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_common.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define TCP_FLAGS_OF_LAST (RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG)

static uint16_t checksum_offset(bool tcp) {
	return tcp ? offsetof(struct rte_tcp_hdr, cksum)
		   : offsetof(struct rte_udp_hdr, dgram_cksum);
}

static uint16_t l4_start(const struct frame *f) {
	return f->layout.l2_len + f->layout.l3_len;
}

// Put the Internet checksum of everything from @start on to @start + @offset, where the sender left
// the sum of whatever pseudo-header it wants. 0 means "none" in UDP and equals 0xffff elsewhere.
static int finish_generic(struct ring_frame *bytes, uint16_t start, uint16_t offset) {
	uint32_t field = (uint32_t)start + offset;
	uint16_t sum;

	if (start >= bytes->head_size || field + sizeof(sum) > bytes->head_size)
		return -EBADMSG;
	sum = (uint16_t)~frame_sum(bytes, start);
	if (sum == 0)
		sum = 0xffff;
	memcpy(bytes->head + field, &sum, sizeof(sum));
	return 0;
}

static int set_segmentation(struct frame *f, bool ipv4, bool ecn, uint16_t gso_size) {
	const struct frame_layout *layout = &f->layout;

	if (!layout->tcp || !layout->plain || gso_size == 0 || layout->ipv4 != ipv4)
		return -EBADMSG;
	f->needs = PORT_TAKES_CSUM;
	if (layout->l4_bytes - layout->l4_len <= gso_size)
		return 0; // one segment holds it all
	f->needs |= ipv4 ? PORT_TAKES_TSO4 : PORT_TAKES_TSO6;
	if (ecn)
		f->needs |= PORT_TAKES_ECN;
	f->gso_size = gso_size;
	return 0;
}

int offload_check_request(struct frame *f) {
	const struct virtio_net_hdr_v1 *hdr = &f->bytes->offload;
	bool ecn = hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	bool parsed;

	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return -EBADMSG; // to segment without a checksum
	parsed = frame_parse(f->bytes, &f->layout) && hdr->csum_start == l4_start(f) &&
		hdr->csum_offset == checksum_offset(f->layout.tcp);
	switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		if (!parsed || !f->layout.plain)
			return finish_generic(f->bytes, hdr->csum_start, hdr->csum_offset);
		f->needs = PORT_TAKES_CSUM;
		return 0;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return parsed ? set_segmentation(f, true, ecn, hdr->gso_size) : -EBADMSG;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return parsed ? set_segmentation(f, false, ecn, hdr->gso_size) : -EBADMSG;
	default: // UDP fragmentation is offered to nobody
		return -EBADMSG;
	}
}

void offload_describe(
	const struct frame *f, uint16_t tag_bytes, struct virtio_net_hdr_v1 *ret_hdr
) {
	*ret_hdr = (struct virtio_net_hdr_v1){.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	if (f->needs == 0)
		return;

	ret_hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	ret_hdr->csum_start = l4_start(f) + tag_bytes;
	ret_hdr->csum_offset = checksum_offset(f->layout.tcp);
	if (f->needs & FRAME_NEEDS_TSO) {
		ret_hdr->gso_type = f->needs & PORT_TAKES_TSO4 ? VIRTIO_NET_HDR_GSO_TCPV4
							       : VIRTIO_NET_HDR_GSO_TCPV6;
		if (f->needs & PORT_TAKES_ECN)
			ret_hdr->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		ret_hdr->gso_size = f->gso_size;
		ret_hdr->hdr_len = (uint16_t)(frame_headers_bytes(f) + tag_bytes);
	}
}

// The pseudo-header's sum, folded and not inverted. RFC 9293 3.1, RFC 8200 8.1.
static uint16_t pseudo_header_sum(const struct frame *f) {
	const uint8_t *ip = f->bytes->head + f->layout.l2_len;
	uint32_t sum;

	if (f->layout.ipv4)
		sum = rte_raw_cksum(ip + offsetof(struct rte_ipv4_hdr, src_addr), 8);
	else
		sum = rte_raw_cksum(ip + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	sum += htons(f->layout.tcp ? IPPROTO_TCP : IPPROTO_UDP);
	sum += htons((uint16_t)(f->bytes->size - l4_start(f)));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

void offload_finish_checksum(struct frame *f) {
	uint16_t offset = checksum_offset(f->layout.tcp);
	uint16_t sum = pseudo_header_sum(f);

	memcpy(f->bytes->head + l4_start(f) + offset, &sum, sizeof(sum));
	// Cannot fail: frame_parse() found the whole L4 header in the head.
	finish_generic(f->bytes, l4_start(f), offset);
	f->needs = 0;
}

int offload_cut_begin(struct offload_cutter *cutter, const struct frame *f) {
	uint32_t payload_bytes = f->bytes->size - frame_headers_bytes(f);

	if (payload_bytes > (uint32_t)f->gso_size * OFFLOAD_MAX_SEGMENTS)
		return -E2BIG;
	cutter->from = f;
	cutter->offset = 0;
	cutter->n_cut = 0;
	cutter->i = 0;
	cutter->at = 0;
	return 0;
}

// The rest of the sender's piece that is to be cut next.
static struct segment rest_of_piece(const struct offload_cutter *cutter) {
	const struct ring_frame *from = cutter->from->bytes;
	uint32_t headers_bytes = frame_headers_bytes(cutter->from);
	struct segment s;

	if (cutter->i == 0)
		s = (struct segment){
			.host = from->head + headers_bytes,
			.size = from->head_size - headers_bytes,
		};
	else
		s = from->segments[cutter->i - 1];
	s.host += cutter->at;
	s.size -= cutter->at;
	return s;
}

// Point @pieces at the next @size bytes of payload. Returns how many pieces that took.
static uint16_t cut_payload(struct offload_cutter *cutter, struct segment *pieces, uint32_t size) {
	uint16_t n = 0;

	while (size > 0) {
		struct segment s = rest_of_piece(cutter);

		if (s.size > size) {
			s.size = size;
			cutter->at += size;
		} else {
			cutter->i++;
			cutter->at = 0;
		}
		size -= s.size;
		if (s.size > 0)
			pieces[n++] = s;
	}
	return n;
}

// Make the copied headers those of the segment that cutter->n_cut counts, and finish its checksums.
static void write_headers(const struct offload_cutter *cutter, struct frame *f, bool last) {
	uint8_t *l3 = f->bytes->head + f->layout.l2_len;
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(l3 + f->layout.l3_len);
	uint32_t l3_bytes = f->bytes->size - f->layout.l2_len;

	if (f->layout.ipv4) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)l3;

		ip->total_length = htons((uint16_t)l3_bytes);
		ip->packet_id = htons((uint16_t)(ntohs(ip->packet_id) + cutter->n_cut));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, f->layout.l3_len);
	} else {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)l3;

		ip->payload_len = htons((uint16_t)(l3_bytes - f->layout.l3_len));
	}
	tcp->sent_seq = htonl(ntohl(tcp->sent_seq) + cutter->offset);
	if (!last)
		tcp->tcp_flags &= (uint8_t)~TCP_FLAGS_OF_LAST;
	if (cutter->n_cut > 0) // "congestion window reduced" is said once
		tcp->tcp_flags &= (uint8_t)~RTE_TCP_CWR_FLAG;
	offload_finish_checksum(f);
}

uint16_t offload_cut_next(struct offload_cutter *cutter) {
	const struct frame *from = cutter->from;
	uint16_t headers_bytes = (uint16_t)frame_headers_bytes(from);
	uint32_t payload_bytes = from->bytes->size - headers_bytes;
	struct segment *pieces = cutter->pieces;
	uint16_t n = 0;

	while (n < OFFLOAD_SEGMENTS_AT_ONCE && cutter->offset < payload_bytes) {
		uint32_t size = RTE_MIN(payload_bytes - cutter->offset, (uint32_t)from->gso_size);
		struct ring_frame *bytes = &cutter->bytes[n];
		struct frame *f = &cutter->frames[n++];

		*bytes = (struct ring_frame){
			.head = cutter->heads[n - 1] + RING_HEAD_ROOM,
			.head_size = headers_bytes,
			.size = headers_bytes + size,
			.segments = pieces,
		};
		memcpy(bytes->head, from->bytes->head, headers_bytes);
		bytes->n_segments = cut_payload(cutter, pieces, size);
		pieces += bytes->n_segments;
		*f = *from;
		f->bytes = bytes;
		write_headers(cutter, f, cutter->offset + size == payload_bytes);
		cutter->offset += size;
		cutter->n_cut++;
	}
	return n;
}
