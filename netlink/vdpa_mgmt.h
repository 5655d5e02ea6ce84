// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's vDPA control plane: management devices (what can make vDPA devices) and the devices that
// were made of them. One function for each operation of the family, none of which knows a policy.
//
// All return 0 or the kernel's -errno; the kernel's words are then in nl_socket_error_text(). An
// operation or value that this kernel is too old for is -EOPNOTSUPP with our words in their place.
//
// Names come from whoever made the device: any length, any octet but NUL. They are kept as they are;
// vdpa_name_print() makes one fit to be shown.
//
// The kernel holds one lock for the family. While a deletion waits for a device that is open, every
// other request of the node waits as well, and cannot be interrupted: see vdpa_delete.h, the only
// caller of vdpa_dev_del().
//
// Source: include/uapi/linux/vdpa.h, drivers/vdpa/vdpa.c.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink/genl.h"
#include "netlink/nl_handle.h"

#define VDPA_PRINTED_NAME_SIZE 64     // longer ones are cut with "..."
#define VDPA_LIST_MAX 16384           // more devices than this are -EOVERFLOW
#define VDPA_VENDOR_STATS_MAX 64      // counters of one ring; more are -EOVERFLOW
#define VDPA_VENDOR_STAT_NAME_SIZE 64 // longer names are cut
#define VDPA_MTU_MIN 68               // the kernel's own limit

// A management device: "pci/0000:3b:00.2" has a bus, "vdpasim_net" has none.
struct vdpa_mgmtdev {
	struct nl_handle handle;
	uint64_t classes;  // bit N: can make devices of virtio id N
	uint64_t features; // virtio feature bits it can provide; 0 before Linux 5.17
	uint32_t max_vqs;  // rings of one device, the control ring included; 0 before Linux 5.17
};

struct vdpa_dev {
	char *name;
	struct nl_handle mgmtdev; // dev is NULL for a device that no management device made
	uint32_t virtio_id;
	uint32_t vendor_id;
	uint32_t max_vqs; // rings, the control ring included
	uint16_t max_vq_size;
	uint16_t min_vq_size; // 0 before Linux 5.16
};

// What a network device's configuration space says. A kernel or driver that leaves a value out
// leaves its has_ false.
struct vdpa_net_config {
	bool has_mac, has_mtu, has_queue_pairs, has_status, has_features, has_negotiated;
	struct mac_addr mac;
	uint16_t mtu_bytes;
	uint16_t queue_pairs;
	uint16_t status;     // bit 0: link up, bit 1: announce
	uint64_t features;   // offered by the device
	uint64_t negotiated; // has_negotiated: a guest's driver is at FEATURES_OK
};

struct vdpa_vendor_stats {
	uint32_t queue_index;
	size_t n_stats;
	struct vdpa_vendor_stat {
		char name[VDPA_VENDOR_STAT_NAME_SIZE];
		uint64_t value;
	} stats[VDPA_VENDOR_STATS_MAX];
};

struct vdpa_mgmtdev_list {
	struct vdpa_mgmtdev *items;
	size_t n_items;
};
struct vdpa_dev_list {
	struct vdpa_dev *items;
	size_t n_items;
};

// What to make. A member that is not wanted keeps the driver's default, which differs between drivers
// and need not be what one thinks (mlx5 without a MAC has crashed kernels, without queue_pairs it makes
// one, without features it leaves MRG_RXBUF out).
struct vdpa_dev_spec {
	const char *name;
	struct nl_handle mgmtdev; // borrowed
	bool has_mac, has_features;
	struct mac_addr mac;
	uint16_t mtu_bytes;   // 0: not wanted
	uint16_t queue_pairs; // 0: not wanted
	uint64_t features;    // the virtio feature bits to offer, and no others
};

// Returns 0; -ENOENT: the module vdpa is not loaded; -EXDEV: we are not in the first network
// namespace, where the family lives (-ENOENT to one who may not compare); or another -errno.
int vdpa_open(struct nl_socket **ret_nl);

// The family as the builders and parsers here see it, for a socket over another transport.
extern const struct nl_family vdpa_family;

// What this kernel's family can do.
bool vdpa_can_get_config(const struct nl_socket *nl);
bool vdpa_can_get_stats(const struct nl_socket *nl);
bool vdpa_can_add_with_mac_and_mtu(const struct nl_socket *nl);
bool vdpa_can_add_with_queue_pairs(const struct nl_socket *nl);
bool vdpa_can_add_with_features(const struct nl_socket *nl);

// Lists are the caller's, to be freed with vdpa_*_list_done(). One dump of the kernel is not proof that
// a device is absent: confirm with vdpa_dev_get().
int vdpa_mgmtdev_list(struct nl_socket *nl, struct vdpa_mgmtdev_list *ret_list);
int vdpa_dev_list(struct nl_socket *nl, struct vdpa_dev_list *ret_list);
void vdpa_mgmtdev_list_done(struct vdpa_mgmtdev_list *list);
void vdpa_dev_list_done(struct vdpa_dev_list *list);
#define _cleanup_mgmtdev_list_ _cleanup_(vdpa_mgmtdev_list_done)
#define _cleanup_dev_list_ _cleanup_(vdpa_dev_list_done)

// One of them. -ENODEV: there is none of this name. @ret is the caller's, to be freed with _done().
int vdpa_mgmtdev_get(
	struct nl_socket *nl, const struct nl_handle *handle, struct vdpa_mgmtdev *ret_mgmtdev
);
int vdpa_dev_get(struct nl_socket *nl, const char *name, struct vdpa_dev *ret_dev);
void vdpa_mgmtdev_done(struct vdpa_mgmtdev *mgmtdev);
void vdpa_dev_done(struct vdpa_dev *dev);

// Make a device. Returns when the driver has set it up and, with vhost_vdpa loaded, its character
// device exists.
// Lists the devices first: a name that is taken (-EEXIST) and a second device of a hardware function
// (-ENOSPC) are not asked for, since with some drivers the vain request damages the first device.
// -ENODEV: no such management device. -ENOSPC: it has no room for another.
// -EOPNOTSUPP: the driver, or this kernel, does not take one of the values. -EPERM: CAP_NET_ADMIN lacks.
int vdpa_dev_add(struct nl_socket *nl, const struct vdpa_dev_spec *spec);

// Delete a device. Blocks the whole family, uninterruptibly, while somebody has it open.
int vdpa_dev_del(struct nl_socket *nl, const char *name);

// -EOPNOTSUPP: neither a network nor a block device. -EPROTO: not a network device.
int vdpa_dev_config_get(struct nl_socket *nl, const char *name, struct vdpa_net_config *ret_config);

// Counters of one ring, as the vendor names them. -EAGAIN: no guest has negotiated. -EOPNOTSUPP: the
// driver has none. -ERANGE or -EINVAL: no such ring.
int vdpa_dev_stats_get(
	struct nl_socket *nl, const char *name, uint32_t queue_index,
	struct vdpa_vendor_stats *ret_stats
);

// @name for people: printable ASCII, anything else as \xNN, cut to fit. Returns @text.
char *vdpa_name_print(const char *name, char text[static VDPA_PRINTED_NAME_SIZE]);
