// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_jhash.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define MAX_TAGS 2       // in front of the IP header
#define MAX_EXTENSIONS 8 // IPv6 headers followed
#define IPV6_NEXT_HOP_BY_HOP 0
#define IPV6_NEXT_ROUTING 43
#define IPV6_NEXT_OPTIONS 60

// @len bytes at @offset if the head has them, else NULL.
static const void *head_at(const struct ring_frame *bytes, uint32_t offset, uint32_t len) {
	return offset + len > bytes->head_size ? NULL : bytes->head + offset;
}

static bool parse_l2(const struct ring_frame *bytes, uint16_t *ret_l2_len, uint16_t *ret_type) {
	uint16_t l2_len = FRAME_HEADER_BYTES;

	for (int tags = 0; tags <= MAX_TAGS; tags++, l2_len += FRAME_TAG_BYTES) {
		const rte_be16_t *type = head_at(bytes, l2_len - sizeof(*type), sizeof(*type));

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
	const struct ring_frame *bytes, struct frame_layout *layout, uint8_t *ret_protocol
) {
	const struct rte_ipv4_hdr *ip = head_at(bytes, layout->l2_len, sizeof(*ip));
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
	const struct ring_frame *bytes, struct frame_layout *layout, uint8_t *ret_protocol
) {
	const struct rte_ipv6_hdr *ip = head_at(bytes, layout->l2_len, sizeof(*ip));
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
			head_at(bytes, layout->l2_len + sizeof(*ip) + extensions_bytes, 2);

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

static bool parse_l4(
	const struct ring_frame *bytes, struct frame_layout *layout, uint8_t protocol
) {
	uint32_t offset = (uint32_t)layout->l2_len + layout->l3_len;
	const struct rte_tcp_hdr *tcp;

	switch (protocol) {
	case IPPROTO_TCP:
		tcp = head_at(bytes, offset, sizeof(*tcp));
		if (tcp == NULL)
			return false;
		layout->tcp = true;
		layout->l4_len = (uint16_t)((tcp->data_off >> 4) * 4);
		if (layout->l4_len < sizeof(*tcp) || head_at(bytes, offset, layout->l4_len) == NULL)
			return false;
		break;
	case IPPROTO_UDP:
		layout->l4_len = sizeof(struct rte_udp_hdr);
		if (head_at(bytes, offset, layout->l4_len) == NULL)
			return false;
		break;
	default:
		return false;
	}
	return layout->l4_bytes >= layout->l4_len && offset + layout->l4_bytes <= bytes->size;
}

bool frame_parse(const struct ring_frame *bytes, struct frame_layout *ret_layout) {
	struct frame_layout layout = {0};
	uint16_t type;
	uint8_t protocol;

	if (!parse_l2(bytes, &layout.l2_len, &type))
		return false;
	switch (type) {
	case RTE_ETHER_TYPE_IPV4:
		layout.ipv4 = true;
		if (!parse_ipv4(bytes, &layout, &protocol))
			return false;
		break;
	case RTE_ETHER_TYPE_IPV6:
		if (!parse_ipv6(bytes, &layout, &protocol))
			return false;
		break;
	default:
		return false;
	}
	if (!parse_l4(bytes, &layout, protocol))
		return false;
	layout.plain = (layout.ipv4 || layout.l3_len == sizeof(struct rte_ipv6_hdr)) &&
		(uint32_t)layout.l2_len + layout.l3_len + layout.l4_bytes == bytes->size;
	*ret_layout = layout;
	return true;
}

int frame_pop_tag(struct frame *f) {
	struct ring_frame *bytes = f->bytes;
	int vlan;

	if (bytes->head_size < FRAME_HEADER_BYTES + FRAME_TAG_BYTES)
		return -EBADMSG;
	vlan = (bytes->head[FRAME_HEADER_BYTES] << 8 | bytes->head[FRAME_HEADER_BYTES + 1]) & 0xfff;
	memmove(bytes->head + FRAME_TAG_BYTES, bytes->head, FRAME_ADDRESSES_BYTES);
	bytes->head += FRAME_TAG_BYTES;
	bytes->head_size -= FRAME_TAG_BYTES;
	bytes->size -= FRAME_TAG_BYTES;
	if (f->needs != 0)
		f->layout.l2_len -= FRAME_TAG_BYTES;
	return vlan;
}

uint32_t frame_flow_hash(const struct frame *f) {
	uint32_t words[9]; // what tells the flow: addresses and ports
	struct frame_layout layout = f->layout;
	uint32_t offset, bytes;
	const uint8_t *ip;

	if (f->needs == 0 && !frame_parse(f->bytes, &layout)) { // of one pair of stations, then
		memcpy(words, f->bytes->head, FRAME_ADDRESSES_BYTES);
		return rte_jhash_32b(words, FRAME_ADDRESSES_BYTES / sizeof(words[0]), 0);
	}
	ip = f->bytes->head + layout.l2_len;
	offset = layout.ipv4 ? offsetof(struct rte_ipv4_hdr, src_addr)
			     : offsetof(struct rte_ipv6_hdr, src_addr);
	bytes = layout.ipv4 ? 8 : 32;
	memcpy(words, ip + offset, bytes);
	memcpy(&words[bytes / sizeof(words[0])], ip + layout.l3_len, sizeof(words[0]));
	return rte_jhash_32b(words, bytes / sizeof(words[0]) + 1, 0);
}

// Add a piece that begins @offset bytes behind the start of what is summed: at an odd one, its
// bytes are the other halves of the words.
static uint32_t add_piece(uint32_t sum, uint32_t offset, const void *piece, uint32_t size) {
	uint16_t part = rte_raw_cksum(piece, size);

	return sum + (offset % 2 == 0 ? part : rte_bswap16(part));
}

uint16_t frame_sum(const struct ring_frame *bytes, uint16_t start) {
	uint32_t offset = bytes->head_size - start;
	uint32_t sum = add_piece(0, 0, bytes->head + start, offset);

	for (uint16_t i = 0; i < bytes->n_segments; i++) {
		sum = add_piece(sum, offset, bytes->segments[i].host, bytes->segments[i].size);
		offset += bytes->segments[i].size;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}
