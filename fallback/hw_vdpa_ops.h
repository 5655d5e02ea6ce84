// SPDX-License-Identifier: GPL-2.0-or-later
// What hw_vdpa.c and hw_device.c need from DPDK, as a table, so that they can be tested without a NIC.
// Each member is the call of DPDK's that is named above it; results below 0 are -errno where DPDK says
// which, else -1.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_vdpa.h>

struct hw_limits {
	uint32_t queue_pairs;
	uint64_t features;          // virtio feature bits of the device
	uint64_t protocol_features; // vhost-user protocol feature bits of its driver
};

// What the tables' callers are told, from threads of DPDK. @path is the socket's, @address the device's.
struct hw_events {
	int (*peer_came)(const char *path); // below 0: the peer is turned away
	void (*driver_ready)(const char *path);
	void (*driver_gone)(const char *path);
	void (*peer_left)(const char *path);
	void (*unplug_requested)(const char *address);
};

struct hw_vdpa_ops {
	// rte_dev_probe()
	int (*probe)(const char *devargs);
	// rte_vdpa_find_device_by_name()
	struct rte_vdpa_device *(*find)(const char *address);
	// rte_vdpa_get_queue_num(), _features(), _protocol_features()
	int (*read_limits)(struct rte_vdpa_device *device, struct hw_limits *ret_limits);
	// rte_dev_event_callback_register(), _unregister()
	int (*watch)(const char *address, const struct hw_events *events);
	void (*unwatch)(const char *address, const struct hw_events *events);
	// rte_eal_hotplug_remove()
	int (*remove)(const char *address);
	// rte_vdpa_get_stats_names(), rte_vdpa_get_stats()
	int (*stat_names
	)(struct rte_vdpa_device *device, struct rte_vdpa_stat_name *names, unsigned int n);
	int (*stats
	)(struct rte_vdpa_device *device, uint16_t ring, struct rte_vdpa_stat *values,
	  unsigned int n);

	// rte_vhost_driver_register()
	int (*add_socket)(const char *path);
	// rte_vhost_driver_attach_vdpa_device()
	int (*attach)(const char *path, struct rte_vdpa_device *device);
	// rte_vhost_driver_disable_features() of the others
	int (*allow_features)(const char *path, uint64_t features);
	// rte_vhost_driver_callback_register()
	int (*listen_to)(const char *path, const struct hw_events *events);
	// rte_vhost_driver_start()
	int (*start)(const char *path);
	// rte_vhost_driver_unregister(): stops the device, closes and removes the socket
	int (*remove_socket)(const char *path);
};

// DPDK itself.
extern const struct hw_vdpa_ops hw_vdpa_dpdk;
