// SPDX-License-Identifier: GPL-2.0-or-later
// A frame on its way through the switch: an rte_mbuf with these conventions.
//
// - vlan_tci is the VLAN that the frame belongs to, 0 for none. Its tag is not in the bytes.
// - Offload state is that of a frame to be sent. RTE_MBUF_F_TX_TCP_CKSUM or _UDP_CKSUM says that
//   the checksum field holds the pseudo-header's sum at best; RTE_MBUF_F_TX_TCP_SEG in addition
//   says that tso_segsz applies. RTE_MBUF_F_TX_IPV4 or _IPV6, l2_len, l3_len and l4_len are then
//   valid, and all headers are in the first segment. No other offload flag is ever set.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define FRAME_HEADER_BYTES 14 // Ethernet, without tag
#define FRAME_TAG_BYTES 4
#define FRAME_MAX_BYTES (65535 + FRAME_HEADER_BYTES + FRAME_TAG_BYTES)

#define FRAME_OFFLOAD_FLAGS (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG)

// Where the headers of a frame are. Everything up to the end of the L4 header was checked to be in
// the first segment.
struct frame_layout {
	uint16_t l2_len;   // with tags
	uint16_t l3_len;   // with IPv6 extension headers
	uint16_t l4_len;   // TCP with options, UDP
	uint16_t l4_bytes; // L4 header and payload by the IP header's word
	bool ipv4;         // else IPv6
	bool tcp;          // else UDP
	bool plain;        // no IPv6 extension header, and the frame ends where the IP packet ends
};

// Find the headers of an unfragmented TCP or UDP packet. Returns false for anything else.
bool frame_parse(const struct rte_mbuf *m, struct frame_layout *ret_layout);

// The EtherType behind the addresses; 0 if the frame is too short to have one.
uint16_t frame_ether_type(const struct rte_mbuf *m);

// Take the 802.1Q tag that the frame begins with out of its bytes. Returns the tag's VLAN, or
// -EBADMSG if the frame is too short. Keeps the offload state right.
int frame_pop_tag(struct rte_mbuf *m);

// The same number for all frames of one flow.
uint32_t frame_flow_hash(const struct rte_mbuf *m);

// The longest piece that a receiver will see: the frame, or one segment of it if it is to be
// segmented.
static inline uint32_t frame_wire_bytes(const struct rte_mbuf *m) {
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		return (uint32_t)(m->l2_len + m->l3_len + m->l4_len) + m->tso_segsz;
	return m->pkt_len;
}
