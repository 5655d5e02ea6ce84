// SPDX-License-Identifier: GPL-2.0-or-later
// The vdpa family's numbers, all of them: Debian 12's <linux/vdpa.h> stops at Linux 6.1.
//
// Source: include/uapi/linux/vdpa.h of Linux 6.12 (unchanged in 7.1).

#pragma once

#define VDPA_GENL_NAME "vdpa"
#define VDPA_GENL_VERSION 1

enum vdpa_command {
	VDPA_CMD_MGMTDEV_NEW = 1, // only as a reply to GET
	VDPA_CMD_MGMTDEV_GET = 2,
	VDPA_CMD_DEV_NEW = 3, // also as a reply to GET
	VDPA_CMD_DEV_DEL = 4,
	VDPA_CMD_DEV_GET = 5,
	VDPA_CMD_DEV_CONFIG_GET = 6, // Linux 5.16
	VDPA_CMD_DEV_VSTATS_GET = 7, // Linux 5.19
	VDPA_CMD_DEV_ATTR_SET = 8,   // Linux 6.12
};

enum vdpa_attr {
	VDPA_ATTR_MGMTDEV_BUS_NAME = 1,
	VDPA_ATTR_MGMTDEV_DEV_NAME = 2,
	VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES = 3, // bit N: virtio device id N
	VDPA_ATTR_DEV_NAME = 4,
	VDPA_ATTR_DEV_ID = 5, // virtio device id
	VDPA_ATTR_DEV_VENDOR_ID = 6,
	VDPA_ATTR_DEV_MAX_VQS = 7, // rings, the control ring included
	VDPA_ATTR_DEV_MAX_VQ_SIZE = 8,
	VDPA_ATTR_DEV_MIN_VQ_SIZE = 9,
	VDPA_ATTR_DEV_NET_CFG_MACADDR = 10,
	VDPA_ATTR_DEV_NET_STATUS = 11,      // the header says u8, the kernel sends u16
	VDPA_ATTR_DEV_NET_CFG_MAX_VQP = 12, // queue pairs
	VDPA_ATTR_DEV_NET_CFG_MTU = 13,
	VDPA_ATTR_DEV_NEGOTIATED_FEATURES = 14, // only while a driver is at FEATURES_OK
	VDPA_ATTR_DEV_MGMTDEV_MAX_VQS = 15,     // rings
	VDPA_ATTR_DEV_SUPPORTED_FEATURES = 16,  // of the management device
	VDPA_ATTR_DEV_QUEUE_INDEX = 17,         // a ring
	VDPA_ATTR_DEV_VENDOR_ATTR_NAME = 18,    // each followed by its value
	VDPA_ATTR_DEV_VENDOR_ATTR_VALUE = 19,
	VDPA_ATTR_DEV_FEATURES = 20,
	// Linux 6.0 and 6.1: the features of a network device, in replies about its configuration. From 6.9
	// on the number means the capacity of a block device. Only the device's id tells them apart.
	VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES = 21,
	VDPA_ATTR_LAST = 36, // 22 to 36 are block devices' configuration
};

// Device ids. Source: include/uapi/linux/virtio_ids.h.
#define VDPA_VIRTIO_ID_NET 1
