// SPDX-License-Identifier: GPL-2.0-or-later
// Facts: a snapshot of the node as decide() and doctor need it, and its JSON form, which
// `vdpactl facts` prints and `vdpactl explain --facts FILE` reads.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "vdpad/config/config.h"
#include "vdpad/util/error.h"
#include "vdpad/util/parse.h"

#define FACTS_MAX_BRIDGES 256
#define FACTS_MAX_MGMTDEVS 512
#define FACTS_MAX_DPDK_VDPA 64
#define FACTS_MAX_SOCKETS 256 // SOCKETS_MAX of the configuration
#define FACTS_DRIVER_SIZE 32

// What can make vDPA devices, as vdpad-netlink lists it.
struct mgmtdev_facts {
	char name[PORT_RESOURCE_SIZE]; // "pci/0000:3b:00.2", "vdpasim_net"
	char driver[FACTS_DRIVER_SIZE];
	char pf[16];        // "" unless it is a VF or SF of one
	char function[16];  // "vf3", "sf7"
	uint32_t takes;     // IPC_VDPA_TAKES_*
	bool one_device;    // at a time
	uint64_t features;  // 0: unknown
	uint32_t max_vqs;   // control ring included; 0: unknown
	uint32_t n_devices; // that it has now, of anybody
};

// A device for DPDK's vDPA drivers, as vdpad-switch lists it.
struct dpdk_vdpa_facts {
	char pci[16];
	char driver[FACTS_DRIVER_SIZE]; // "" when none takes it
	uint64_t features;
	uint32_t max_queue_pairs;
	bool in_use;
	char reason[PORT_REASON_SIZE]; // why vdpad-switch cannot use it; ""
};

// A pool as configured, and how much of it is used.
struct pool_facts {
	struct pool_config config;
	bool pf_is_there; // POOL_VF, POOL_SF: the node has such a PCI device
	uint32_t n_ports; // of ours
};

struct bridge_facts {
	char name[NETWORK_NAME_SIZE];
	uint32_t mtu_bytes;
	bool vlan_filtering;
	uint32_t index; // of the interface; not part of a snapshot
};

// A [socket] of the configuration and what it does.
struct socket_facts {
	char name[PORT_NAME_SIZE];
	char network[NETWORK_NAME_SIZE];
	char path[108]; // sun_path
	bool qemu_listens;
	bool listening;            // somebody: the other switch, or QEMU where that listens
	bool connected;            // a VM, or the other switch
	char port[PORT_NAME_SIZE]; // that has it; "" for none
};

struct facts {
	char kernel[65]; // uname -r
	struct {
		bool bus;           // /sys/bus/vdpa exists: module vdpa is loaded or built in
		bool module;        // modules.dep or modules.builtin of this kernel names vdpa
		bool vhost_vdpa;    // driver vhost_vdpa is registered on the bus
		uint32_t n_devices; // of anybody, on the bus
		bool asked;         // vdpad-netlink has told what there is; else the lists are void
		char wedged[256];   // why the kernel's vDPA family does not answer; "" if it does
	} vdpa;
	struct {
		uint64_t size_bytes; // of the default huge page
		uint64_t total;
		uint64_t free;
	} hugepages;
	bool iommu; // /sys/kernel/iommu_groups has groups
	struct {
		bool connected; // vdpad has a link to vdpad-switch and it is ready
		uint32_t max_queue_pairs;
		uint32_t max_mtu_bytes;
		uint32_t max_ports;
		uint32_t n_ports;
		bool hugepages;
		uint32_t n_workers;
		char capabilities[64]; // words of capability.h: what it says it can do
	} fallback;                    // key "switch"
	bool netlink_connected;        // vdpad has a link to vdpad-netlink
	struct bridge_facts bridges[FACTS_MAX_BRIDGES]; // Linux bridges, sorted by name
	size_t n_bridges;
	struct mgmtdev_facts mgmtdevs[FACTS_MAX_MGMTDEVS]; // sorted by name
	size_t n_mgmtdevs;
	struct dpdk_vdpa_facts dpdk_vdpa[FACTS_MAX_DPDK_VDPA];
	size_t n_dpdk_vdpa;
	struct pool_facts pools[POOLS_MAX]; // in the order of preference
	size_t n_pools;
	struct socket_facts sockets[FACTS_MAX_SOCKETS]; // sorted by name
	size_t n_sockets;
};

// Read from sysfs, procfs and /lib/modules below @root ("" for the real ones) what can be read there.
// What only the daemon knows (fallback, netlink_connected, management devices, pools, sockets) is left
// alone. Never fails: what cannot be read is absent.
void facts_collect(const char *root, struct facts *facts);

// New reference, owned by the caller.
json_t *facts_to_json(const struct facts *facts);

// -EINVAL with a sentence when @json is no snapshot. Keys of newer versions are ignored.
int facts_from_json(const json_t *json, struct facts *ret_facts, struct error *e);
