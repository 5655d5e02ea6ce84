// SPDX-License-Identifier: GPL-2.0-or-later
// Facts: a snapshot of the node as decide() and doctor need it, and its JSON form, which
// `vdpactl facts` prints and `vdpactl explain --facts FILE` reads.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "vdpad/util/error.h"
#include "vdpad/util/parse.h"

#define FACTS_MAX_BRIDGES 256

struct bridge_facts {
	char name[NETWORK_NAME_SIZE];
	uint32_t mtu_bytes;
	bool vlan_filtering;
	uint32_t index; // of the interface; not part of a snapshot
};

struct facts {
	char kernel[65]; // uname -r
	struct {
		bool bus;           // /sys/bus/vdpa exists: module vdpa is loaded or built in
		bool module;        // modules.dep or modules.builtin of this kernel names vdpa
		bool vhost_vdpa;    // driver vhost_vdpa is registered on the bus
		uint32_t n_devices; // of anybody, on the bus
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
	} fallback;                                     // key "switch"
	bool netlink_connected;                         // vdpad has a link to vdpad-netlink
	struct bridge_facts bridges[FACTS_MAX_BRIDGES]; // Linux bridges, sorted by name
	size_t n_bridges;
};

// Read from sysfs, procfs and /lib/modules below @root ("" for the real ones) what can be read there.
// What only the daemon knows (fallback, netlink_connected) is left alone. Never fails: what cannot be
// read is absent.
void facts_collect(const char *root, struct facts *facts);

// New reference, owned by the caller.
json_t *facts_to_json(const struct facts *facts);

// -EINVAL with a sentence when @json is no snapshot. Keys of newer versions are ignored.
int facts_from_json(const json_t *json, struct facts *ret_facts, struct error *e);
