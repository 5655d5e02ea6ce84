// SPDX-License-Identifier: GPL-2.0-or-later
// With a vhost-user backend QEMU offers the guest what the backend offers and, whatever the backend
// offers, what QEMU does by itself (the control queue's commands, announcements). With a vDPA device
// the device decides. A profile therefore switches off by name all that some backend may lack, and
// all that QEMU may one day switch on by default.

#include "vdpad/model/profile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "vdpad/util/cleanup.h"

#define RING_SIZE_LARGEST 1024 // that QEMU allows; short bursts then find room

#define BIT(name) (UINT64_C(1) << (name))

// Checksums and segmentation both ways, large receive buffers, several queues, MTU and link state.
#define FEATURES_BASE                                                                              \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MTU) |           \
	 BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |     \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) |     \
	 BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_F_VERSION_1))

// Off in every profile: UFO and the old GSO bit are gone from current guests and no backend has them
// both ways. Packed rings, reset of one queue, in-order use and RSS are not everywhere. Changing
// the offloads at run time (ctrl_guest_offloads) is done by QEMU alone, which cannot tell a
// vhost-user backend, so the guest would be lied to.
#define OFF_EVERYWHERE                                                                             \
	{"gso=off", 0}, {"guest_ufo=off", 0}, {"host_ufo=off", 0}, {"packed=off", 0},              \
		{"queue_reset=off", 0}, {"rss=off", 0}, {"hash=off", 0}, {"guest_rsc_ext=off", 0}, \
		{"ctrl_guest_offloads=off", 0}, {"guest_uso4=off", PROFILE_QEMU(8, 2)},            \
		{"guest_uso6=off", PROFILE_QEMU(8, 2)}, {"host_uso=off", PROFILE_QEMU(8, 2)}, {    \
		"in_order=off", PROFILE_QEMU(10, 0)                                                \
	}

static const struct profile_property fast_1[] = {OFF_EVERYWHERE, {NULL, 0}};

// ConnectX vDPA has neither indirect descriptors nor event indexes, and no control commands but
// those for queue pairs.
static const struct profile_property portable_1[] = {
	OFF_EVERYWHERE,           {"indirect_desc=off", 0},  {"event_idx=off", 0},
	{"ctrl_rx=off", 0},       {"ctrl_rx_extra=off", 0},  {"ctrl_vlan=off", 0},
	{"ctrl_mac_addr=off", 0}, {"guest_announce=off", 0}, {NULL, 0},
};

const struct profile profiles[] = {
	{
		.name = "fast-1",
		.summary = "all that a software switch can offer except packed rings",
		.features = FEATURES_BASE | BIT(VIRTIO_NET_F_CTRL_RX) |
			BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
			BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |
			BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX),
		.qemu_properties = fast_1,
		.ring_size = RING_SIZE_LARGEST,
	},
	{
		.name = "portable-1",
		.summary =
			"what a vDPA NIC and a software switch both offer, so that a VM can move "
			"between them",
		.features = FEATURES_BASE | BIT(VIRTIO_F_ACCESS_PLATFORM),
		.qemu_properties = portable_1,
		.exact = true,
		.ring_size = PROFILE_RING_SIZE_DEVICE,
	},
	{.name = NULL},
};

const struct profile *profile_find(const char *name) {
	for (const struct profile *profile = profiles; profile->name != NULL; profile++) {
		if (strcmp(profile->name, name) == 0)
			return profile;
	}
	return NULL;
}

int profile_qemu_properties(
	const struct profile *profile, unsigned int qemu, char *text, size_t size
) {
	size_t len = 0;

	text[0] = '\0';
	for (const struct profile_property *p = profile->qemu_properties; p->text != NULL; p++) {
		int n;

		if (qemu < p->since)
			continue;
		n = snprintf(text + len, size - len, "%s%s", len > 0 ? "," : "", p->text);
		if ((size_t)n >= size - len) {
			text[0] = '\0';
			return -ENOBUFS;
		}
		len += (size_t)n;
	}
	return 0;
}

// Numbers instead of names where Debian 12's kernel headers have none.
static const char *const feature_names[] = {
	[VIRTIO_NET_F_CSUM] = "CSUM",
	[VIRTIO_NET_F_GUEST_CSUM] = "GUEST_CSUM",
	[VIRTIO_NET_F_CTRL_GUEST_OFFLOADS] = "CTRL_GUEST_OFFLOADS",
	[VIRTIO_NET_F_MTU] = "MTU",
	[VIRTIO_NET_F_MAC] = "MAC",
	[VIRTIO_NET_F_GSO] = "GSO",
	[VIRTIO_NET_F_GUEST_TSO4] = "GUEST_TSO4",
	[VIRTIO_NET_F_GUEST_TSO6] = "GUEST_TSO6",
	[VIRTIO_NET_F_GUEST_ECN] = "GUEST_ECN",
	[VIRTIO_NET_F_GUEST_UFO] = "GUEST_UFO",
	[VIRTIO_NET_F_HOST_TSO4] = "HOST_TSO4",
	[VIRTIO_NET_F_HOST_TSO6] = "HOST_TSO6",
	[VIRTIO_NET_F_HOST_ECN] = "HOST_ECN",
	[VIRTIO_NET_F_HOST_UFO] = "HOST_UFO",
	[VIRTIO_NET_F_MRG_RXBUF] = "MRG_RXBUF",
	[VIRTIO_NET_F_STATUS] = "STATUS",
	[VIRTIO_NET_F_CTRL_VQ] = "CTRL_VQ",
	[VIRTIO_NET_F_CTRL_RX] = "CTRL_RX",
	[VIRTIO_NET_F_CTRL_VLAN] = "CTRL_VLAN",
	[VIRTIO_NET_F_CTRL_RX_EXTRA] = "CTRL_RX_EXTRA",
	[VIRTIO_NET_F_GUEST_ANNOUNCE] = "GUEST_ANNOUNCE",
	[VIRTIO_NET_F_MQ] = "MQ",
	[VIRTIO_NET_F_CTRL_MAC_ADDR] = "CTRL_MAC_ADDR",
	[VIRTIO_F_NOTIFY_ON_EMPTY] = "NOTIFY_ON_EMPTY",
	[VIRTIO_F_ANY_LAYOUT] = "ANY_LAYOUT",
	[VIRTIO_RING_F_INDIRECT_DESC] = "INDIRECT_DESC",
	[VIRTIO_RING_F_EVENT_IDX] = "EVENT_IDX",
	[VIRTIO_F_VERSION_1] = "VERSION_1",
	[VIRTIO_F_ACCESS_PLATFORM] = "ACCESS_PLATFORM",
	[VIRTIO_F_RING_PACKED] = "RING_PACKED",
	[VIRTIO_F_IN_ORDER] = "IN_ORDER",
	[VIRTIO_F_ORDER_PLATFORM] = "ORDER_PLATFORM",
	[VIRTIO_F_SR_IOV] = "SR_IOV",
	[38] = "NOTIFICATION_DATA",
	[VIRTIO_F_RING_RESET] = "RING_RESET",
	[41] = "ADMIN_VQ",
	[53] = "VQ_NOTF_COAL",
	[54] = "GUEST_USO4",
	[55] = "GUEST_USO6",
	[56] = "HOST_USO",
	[VIRTIO_NET_F_HASH_REPORT] = "HASH_REPORT",
	[59] = "GUEST_HDRLEN",
	[VIRTIO_NET_F_RSS] = "RSS",
	[VIRTIO_NET_F_RSC_EXT] = "RSC_EXT",
	[VIRTIO_NET_F_STANDBY] = "STANDBY",
	[VIRTIO_NET_F_SPEED_DUPLEX] = "SPEED_DUPLEX",
};

const char *feature_name(unsigned int bit) {
	return bit < ARRAY_LEN(feature_names) ? feature_names[bit] : NULL;
}
