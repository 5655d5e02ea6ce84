// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/offload.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "fallback/frame.h"
#include "fallback/port.h"

#define TCP_FLAGS_OF_LAST (RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG)

static uint16_t checksum_offset(bool tcp) {
	return tcp ? offsetof(struct rte_tcp_hdr, cksum)
		   : offsetof(struct rte_udp_hdr, dgram_cksum);
}

static bool is_tcp(const struct rte_mbuf *m) {
	return (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM;
}

static void set_checksum_request(struct rte_mbuf *m, const struct frame_layout *layout) {
	m->ol_flags |= layout->ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	m->ol_flags |= layout->tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	m->l2_len = layout->l2_len;
	m->l3_len = layout->l3_len;
	m->l4_len = layout->l4_len;
}

static void clear_request(struct rte_mbuf *m) {
	m->ol_flags &= ~(FRAME_OFFLOAD_FLAGS | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
	m->l2_len = m->l3_len = m->l4_len = 0;
	m->tso_segsz = 0;
}

// The Internet checksum of everything from @start on, put at @start + @offset, where the sender
// left the sum of whatever pseudo-header it wants. 0 means "none" in UDP and equals 0xffff
// elsewhere.
static int finish_generic(struct rte_mbuf *m, uint16_t start, uint16_t offset) {
	uint32_t field = (uint32_t)start + offset;
	uint16_t sum;

	if (start >= m->pkt_len || field + sizeof(sum) > m->data_len)
		return -EBADMSG;
	if (rte_raw_cksum_mbuf(m, start, m->pkt_len - start, &sum) < 0)
		return -EBADMSG;
	sum = (uint16_t)~sum;
	if (sum == 0)
		sum = 0xffff;
	memcpy(rte_pktmbuf_mtod_offset(m, void *, field), &sum, sizeof(sum));
	return 0;
}

// Turn @m into a TSO frame, or leave it alone where one segment holds it all.
static int set_segmentation_request(
	struct rte_mbuf *m, const struct frame_layout *layout, uint16_t segment_bytes
) {
	if (!layout->tcp || !layout->plain || segment_bytes == 0)
		return -EBADMSG;
	set_checksum_request(m, layout);
	if (layout->l4_bytes - layout->l4_len <= segment_bytes)
		return 0;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz = segment_bytes;
	return 0;
}

int offload_from_header(struct rte_mbuf *m, const struct virtio_net_hdr *hdr) {
	struct frame_layout layout;
	bool parsed;

	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE ? 0 : -EBADMSG;

	parsed = frame_parse(m, &layout) && hdr->csum_start == layout.l2_len + layout.l3_len &&
		hdr->csum_offset == checksum_offset(layout.tcp);
	// Explicit congestion notification needs no word of its own: offload_segment() looks at the
	// flags.
	switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		if (!parsed || !layout.plain)
			return finish_generic(m, hdr->csum_start, hdr->csum_offset);
		set_checksum_request(m, &layout);
		return 0;
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
		if (!parsed ||
		    layout.ipv4 !=
		            ((hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV4))
			return -EBADMSG;
		return set_segmentation_request(m, &layout, hdr->gso_size);
	default: // UDP fragmentation is offered to nobody
		return -EBADMSG;
	}
}

int offload_from_rx_flags(struct rte_mbuf *m) {
	uint64_t flags = m->ol_flags;
	uint16_t segment_bytes = m->tso_segsz;
	struct frame_layout layout;

	m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO);
	clear_request(m);
	if ((flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE)
		return 0;
	if (!frame_parse(m, &layout))
		return -EBADMSG;
	if (flags & RTE_MBUF_F_RX_LRO)
		return set_segmentation_request(m, &layout, segment_bytes);
	if (!layout.plain)
		return finish_generic(
			m, layout.l2_len + layout.l3_len, checksum_offset(layout.tcp)
		);
	set_checksum_request(m, &layout);
	return 0;
}

// The pseudo-header's sum, folded and not inverted, of an L4 header and payload of @l4_bytes.
// RFC 9293 3.1, RFC 8200 8.1.
static uint16_t pseudo_header_sum(const struct rte_mbuf *m, uint32_t l4_bytes) {
	const char *ip = rte_pktmbuf_mtod_offset(m, const char *, m->l2_len);
	uint32_t sum;

	if (m->ol_flags & RTE_MBUF_F_TX_IPV4)
		sum = rte_raw_cksum(ip + offsetof(struct rte_ipv4_hdr, src_addr), 8);
	else
		sum = rte_raw_cksum(ip + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	sum += htons(is_tcp(m) ? IPPROTO_TCP : IPPROTO_UDP);
	sum += htons((uint16_t)l4_bytes);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

// Put the pseudo-header's sum where the receiver expects it.
static void write_pseudo_header(struct rte_mbuf *m) {
	uint32_t l4_start = (uint32_t)m->l2_len + m->l3_len;
	uint16_t sum = pseudo_header_sum(m, m->pkt_len - l4_start);

	memcpy(rte_pktmbuf_mtod_offset(m, void *, l4_start + checksum_offset(is_tcp(m))), &sum,
	       sizeof(sum));
}

void offload_to_header(struct rte_mbuf *m, uint16_t tag_bytes, struct virtio_net_hdr *ret_hdr) {
	*ret_hdr = (struct virtio_net_hdr){.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	if (!(m->ol_flags & FRAME_OFFLOAD_FLAGS))
		return;

	write_pseudo_header(m);
	ret_hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	ret_hdr->csum_start = (uint16_t)(m->l2_len + m->l3_len + tag_bytes);
	ret_hdr->csum_offset = checksum_offset(is_tcp(m));
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
		ret_hdr->gso_type = m->ol_flags & RTE_MBUF_F_TX_IPV4 ? VIRTIO_NET_HDR_GSO_TCPV4
								     : VIRTIO_NET_HDR_GSO_TCPV6;
		ret_hdr->gso_size = m->tso_segsz;
		ret_hdr->hdr_len = (uint16_t)(ret_hdr->csum_start + m->l4_len);
	}
}

bool offload_must_resolve(const struct rte_mbuf *m, uint32_t offloads) {
	uint32_t needed = 0;

	if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		needed |= PORT_TAKES_CSUM;
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		needed |= m->ol_flags & RTE_MBUF_F_TX_IPV4 ? PORT_TAKES_TSO4 : PORT_TAKES_TSO6;
	return (needed & ~offloads) != 0;
}

void offload_finish_checksum(struct rte_mbuf *m) {
	uint16_t l4_start = (uint16_t)(m->l2_len + m->l3_len);

	write_pseudo_header(m);
	// Cannot fail: frame_parse() found the whole L4 header in the first segment.
	finish_generic(m, l4_start, checksum_offset(is_tcp(m)));
	clear_request(m);
}

// Append @len bytes of @src from @offset on to @dst, which grows by mbufs of @pool as needed.
static int append_bytes(
	struct rte_mbuf *dst, struct rte_mempool *pool, const struct rte_mbuf *src, uint32_t offset,
	uint32_t len
) {
	struct rte_mbuf *last = rte_pktmbuf_lastseg(dst);

	while (offset >= src->data_len) {
		offset -= src->data_len;
		src = src->next;
	}
	while (len > 0) {
		uint32_t piece = RTE_MIN(len, src->data_len - offset);

		if (rte_pktmbuf_tailroom(last) == 0) {
			last->next = rte_pktmbuf_alloc(pool);
			if (last->next == NULL)
				return -ENOMEM;
			last = last->next;
			dst->nb_segs++;
		}
		piece = RTE_MIN(piece, rte_pktmbuf_tailroom(last));
		memcpy(rte_pktmbuf_mtod_offset(last, char *, last->data_len),
		       rte_pktmbuf_mtod_offset(src, const char *, offset), piece);
		last->data_len = (uint16_t)(last->data_len + piece);
		dst->pkt_len += piece;
		len -= piece;
		offset += piece;
		if (offset == src->data_len) {
			offset = 0;
			src = src->next;
		}
	}
	return 0;
}

// Make the copied headers those of segment @index, whose payload begins @payload_offset bytes into
// that of the TSO frame, and finish its checksums.
static void write_segment_headers(
	struct rte_mbuf *segment, uint16_t index, uint32_t payload_offset, bool last
) {
	char *l3 = rte_pktmbuf_mtod_offset(segment, char *, segment->l2_len);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(l3 + segment->l3_len);
	uint32_t l3_bytes = segment->pkt_len - segment->l2_len;

	if (segment->ol_flags & RTE_MBUF_F_TX_IPV4) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)l3;

		ip->total_length = htons((uint16_t)l3_bytes);
		ip->packet_id = htons((uint16_t)(ntohs(ip->packet_id) + index));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, segment->l3_len);
	} else {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)l3;

		ip->payload_len = htons((uint16_t)(l3_bytes - segment->l3_len));
	}
	tcp->sent_seq = htonl(ntohl(tcp->sent_seq) + payload_offset);
	if (!last)
		tcp->tcp_flags &= (uint8_t)~TCP_FLAGS_OF_LAST;
	if (index > 0) // "congestion window reduced" is said once
		tcp->tcp_flags &= (uint8_t)~RTE_TCP_CWR_FLAG;
	offload_finish_checksum(segment);
}

int offload_segment(
	const struct rte_mbuf *m, struct rte_mempool *pool,
	struct rte_mbuf *segments[static OFFLOAD_MAX_SEGMENTS]
) {
	uint32_t headers_bytes = (uint32_t)m->l2_len + m->l3_len + m->l4_len;
	uint32_t payload_bytes = m->pkt_len - headers_bytes;
	uint32_t segment_bytes = m->tso_segsz;
	uint32_t n_segments = (payload_bytes + segment_bytes - 1) / segment_bytes;
	uint32_t offset = 0;

	if (n_segments > OFFLOAD_MAX_SEGMENTS)
		return -E2BIG;
	if (rte_pktmbuf_alloc_bulk(pool, segments, n_segments) < 0)
		return -ENOMEM;

	for (uint32_t i = 0; i < n_segments; i++) {
		struct rte_mbuf *segment = segments[i];
		uint32_t piece = RTE_MIN(payload_bytes - offset, segment_bytes);

		if (append_bytes(segment, pool, m, 0, headers_bytes) < 0 ||
		    append_bytes(segment, pool, m, headers_bytes + offset, piece) < 0) {
			rte_pktmbuf_free_bulk(segments, n_segments);
			return -ENOMEM;
		}
		segment->vlan_tci = m->vlan_tci;
		segment->ol_flags |= m->ol_flags &
			(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
		segment->l2_len = m->l2_len;
		segment->l3_len = m->l3_len;
		segment->l4_len = m->l4_len;
		write_segment_headers(segment, (uint16_t)i, offset, i == n_segments - 1);
		offset += piece;
	}
	return (int)n_segments;
}
