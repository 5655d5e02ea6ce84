// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a management device can make what a port asks for, and what to ask of it. Pure.
//
// Drivers differ in which values they take (IPC_VDPA_TAKES_*). What one does not take:
//	features      the device has those it has; the profile's QEMU properties hide the rest from the guest
//	MAC           the device has its own, which is all right unless the port's was asked for
//	MTU           1500, which is asked of no device: VIRTIO_NET_F_MTU is then left out everywhere
//	queue pairs   one, or just those that the device has

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "vdpad/model/facts.h"
#include "vdpad/model/port.h"

// What QEMU does by itself for a vhost-user port, whatever serves it.
#define VDPA_FEATURES_OF_QEMU                                                                    \
	((UINT64_C(1) << VIRTIO_NET_F_MAC) | (UINT64_C(1) << VIRTIO_NET_F_STATUS) |              \
	 (UINT64_C(1) << VIRTIO_NET_F_CTRL_VQ) | (UINT64_C(1) << VIRTIO_NET_F_CTRL_RX) |         \
	 (UINT64_C(1) << VIRTIO_NET_F_CTRL_VLAN) | (UINT64_C(1) << VIRTIO_NET_F_CTRL_RX_EXTRA) | \
	 (UINT64_C(1) << VIRTIO_NET_F_CTRL_MAC_ADDR) |                                           \
	 (UINT64_C(1) << VIRTIO_NET_F_GUEST_ANNOUNCE) | (UINT64_C(1) << VIRTIO_F_ACCESS_PLATFORM))

struct vdpa_fit {
	uint64_t features;    // to be asked for; 0: the driver takes none, or nobody knows its own
	uint64_t missing;     // of the profile, which the guest will not have
	bool sends_mac;       // else the device's own, which the port then gets
	uint32_t mtu_bytes;   // to be asked for; 0: none, which is 1500
	uint32_t queue_pairs; // to be asked for; 0: the driver takes none
};

// @mac_by_function: the function below @dev is given the port's MAC, so that its driver need not take
// it (POOL_VF, POOL_SF). The specification is complete.
// Returns true, or false with a reason that names the device.
bool vdpa_fits(
	const struct mgmtdev_facts *dev, const struct port_spec *spec, bool mac_by_function,
	struct vdpa_fit *ret_fit, char reason[static PORT_REASON_SIZE]
);

// "CSUM, MRG_RXBUF and 3 more": @features by name, into @text of @size.
void vdpa_features_print(uint64_t features, char *text, size_t size);

// The features of @profile that a port asks of hardware.
uint64_t vdpa_features_wanted(const struct profile *profile, const struct port_spec *spec);
