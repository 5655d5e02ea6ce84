// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_jhash.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define MAX_TAGS 2         // in front of the IP header
#define MAX_EXTENSIONS 8   // IPv6 headers followed
#define ADDRESSES_BYTES 12 // of an Ethernet header
#define IPV6_NEXT_HOP_BY_HOP 0
#define IPV6_NEXT_ROUTING 43
#define IPV6_NEXT_OPTIONS 60

// @len bytes at @offset if the first segment has them, else NULL.
static const void *head_at(const struct rte_mbuf *m, uint32_t offset, uint32_t len) {
	if (offset + len > m->data_len)
		return NULL;
	return rte_pktmbuf_mtod_offset(m, const void *, offset);
}

uint16_t frame_ether_type(const struct rte_mbuf *m) {
	const rte_be16_t *type = head_at(m, ADDRESSES_BYTES, sizeof(*type));

	return type == NULL ? 0 : rte_be_to_cpu_16(*type);
}

static bool parse_l2(const struct rte_mbuf *m, uint16_t *ret_l2_len, uint16_t *ret_type) {
	uint16_t l2_len = FRAME_HEADER_BYTES;

	for (int tags = 0; tags <= MAX_TAGS; tags++, l2_len += FRAME_TAG_BYTES) {
		const rte_be16_t *type = head_at(m, l2_len - sizeof(*type), sizeof(*type));

		if (type == NULL)
			return false;
		if (*type != RTE_BE16(RTE_ETHER_TYPE_VLAN) &&
		    *type != RTE_BE16(RTE_ETHER_TYPE_QINQ)) {
			*ret_l2_len = l2_len;
			*ret_type = rte_be_to_cpu_16(*type);
			return true;
		}
	}
	return false;
}

// Fill in l3_len and l4_bytes; *ret_protocol is what follows.
static bool parse_ipv4(
	const struct rte_mbuf *m, struct frame_layout *layout, uint8_t *ret_protocol
) {
	const struct rte_ipv4_hdr *ip = head_at(m, layout->l2_len, sizeof(*ip));
	uint16_t total;

	if (ip == NULL || (ip->version_ihl >> 4) != 4)
		return false;
	layout->l3_len = (uint16_t)((ip->version_ihl & 0xf) * 4);
	total = rte_be_to_cpu_16(ip->total_length);
	if (layout->l3_len < sizeof(*ip) || total < layout->l3_len)
		return false;
	if (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK))
		return false;
	layout->l4_bytes = total - layout->l3_len;
	*ret_protocol = ip->next_proto_id;
	return true;
}

static bool parse_ipv6(
	const struct rte_mbuf *m, struct frame_layout *layout, uint8_t *ret_protocol
) {
	const struct rte_ipv6_hdr *ip = head_at(m, layout->l2_len, sizeof(*ip));
	uint32_t extensions_bytes = 0;
	uint16_t payload;
	uint8_t next;

	if (ip == NULL || (rte_be_to_cpu_32(ip->vtc_flow) >> 28) != 6)
		return false;
	payload = rte_be_to_cpu_16(ip->payload_len);
	next = ip->proto;
	for (int i = 0;
	     next == IPV6_NEXT_HOP_BY_HOP || next == IPV6_NEXT_ROUTING || next == IPV6_NEXT_OPTIONS;
	     i++) {
		const uint8_t *extension =
			head_at(m, layout->l2_len + sizeof(*ip) + extensions_bytes, 2);

		if (extension == NULL || i == MAX_EXTENSIONS)
			return false;
		next = extension[0];
		extensions_bytes += (extension[1] + 1U) * 8;
	}
	if (extensions_bytes > payload)
		return false;
	layout->l3_len = (uint16_t)(sizeof(*ip) + extensions_bytes);
	layout->l4_bytes = (uint16_t)(payload - extensions_bytes);
	*ret_protocol = next;
	return true;
}

static bool parse_l4(const struct rte_mbuf *m, struct frame_layout *layout, uint8_t protocol) {
	uint32_t offset = (uint32_t)layout->l2_len + layout->l3_len;
	const struct rte_tcp_hdr *tcp;

	switch (protocol) {
	case IPPROTO_TCP:
		tcp = head_at(m, offset, sizeof(*tcp));
		if (tcp == NULL)
			return false;
		layout->tcp = true;
		layout->l4_len = (uint16_t)((tcp->data_off >> 4) * 4);
		if (layout->l4_len < sizeof(*tcp) || head_at(m, offset, layout->l4_len) == NULL)
			return false;
		break;
	case IPPROTO_UDP:
		layout->l4_len = sizeof(struct rte_udp_hdr);
		if (head_at(m, offset, layout->l4_len) == NULL)
			return false;
		break;
	default:
		return false;
	}
	return layout->l4_bytes >= layout->l4_len && offset + layout->l4_bytes <= m->pkt_len;
}

bool frame_parse(const struct rte_mbuf *m, struct frame_layout *ret_layout) {
	struct frame_layout layout = {0};
	uint16_t type;
	uint8_t protocol;

	if (!parse_l2(m, &layout.l2_len, &type))
		return false;
	switch (type) {
	case RTE_ETHER_TYPE_IPV4:
		layout.ipv4 = true;
		if (!parse_ipv4(m, &layout, &protocol))
			return false;
		break;
	case RTE_ETHER_TYPE_IPV6:
		if (!parse_ipv6(m, &layout, &protocol))
			return false;
		break;
	default:
		return false;
	}
	if (!parse_l4(m, &layout, protocol))
		return false;
	layout.plain = (layout.ipv4 || layout.l3_len == sizeof(struct rte_ipv6_hdr)) &&
		(uint32_t)layout.l2_len + layout.l3_len + layout.l4_bytes == m->pkt_len;
	*ret_layout = layout;
	return true;
}

int frame_pop_tag(struct rte_mbuf *m) {
	const rte_be16_t *tci = head_at(m, FRAME_HEADER_BYTES, sizeof(*tci));
	char *start = rte_pktmbuf_mtod(m, char *);
	int vlan;

	if (tci == NULL || head_at(m, 0, FRAME_HEADER_BYTES + FRAME_TAG_BYTES) == NULL)
		return -EBADMSG;
	vlan = rte_be_to_cpu_16(*tci) & 0xfff;
	memmove(start + FRAME_TAG_BYTES, start, ADDRESSES_BYTES);
	rte_pktmbuf_adj(m, FRAME_TAG_BYTES);
	if (m->ol_flags & FRAME_OFFLOAD_FLAGS)
		m->l2_len -= FRAME_TAG_BYTES;
	return vlan;
}

uint32_t frame_flow_hash(const struct rte_mbuf *m) {
	uint32_t words[9]; // what tells the flow: addresses and ports
	struct frame_layout layout;
	uint32_t offset, bytes;
	const char *ip;

	if (!frame_parse(m, &layout)) { // of one pair of stations, then
		memcpy(words, rte_pktmbuf_mtod(m, const void *), ADDRESSES_BYTES);
		return rte_jhash_32b(words, ADDRESSES_BYTES / sizeof(words[0]), 0);
	}
	ip = rte_pktmbuf_mtod_offset(m, const char *, layout.l2_len);
	offset = layout.ipv4 ? offsetof(struct rte_ipv4_hdr, src_addr)
			     : offsetof(struct rte_ipv6_hdr, src_addr);
	bytes = layout.ipv4 ? 8 : 32;
	memcpy(words, ip + offset, bytes);
	memcpy(&words[bytes / sizeof(words[0])], ip + layout.l3_len, sizeof(words[0]));
	return rte_jhash_32b(words, bytes / sizeof(words[0]) + 1, 0);
}
