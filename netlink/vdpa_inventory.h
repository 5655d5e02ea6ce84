// SPDX-License-Identifier: GPL-2.0-or-later
// What the node has of kernel vDPA: management devices, devices, counters. Errors as in vdpa_device.h.

#pragma once

#include "netlink/nic_function.h"
#include "netlink/vdpa_device.h"

struct vdpa_place {
	struct vdpa_mgmtdev mgmtdev;
	struct nic_function function;
};

struct vdpa_place_list {
	struct vdpa_place *items;
	size_t n_items;
};
struct vdpa_state_list {
	struct vdpa_state *items;
	size_t n_items;
};

// Lists are the caller's, to be freed with their _done(); empty when the kernel has no vDPA loaded.

// Every management device that makes network devices.
int vdpa_place_list(
	const struct vdpa_kernel *kernel, struct vdpa_place_list *ret_list, struct error *e
);
void vdpa_place_list_done(struct vdpa_place_list *list);

// Every device of the node. One that the kernel's list left out, which happens while others come and go,
// is found by sysfs and asked for.
int vdpa_state_list(
	const struct vdpa_kernel *kernel, struct vdpa_state_list *ret_list, struct error *e
);
void vdpa_state_list_done(struct vdpa_state_list *list);

#define VDPA_COUNTER_NAME_SIZE (VDPA_VENDOR_STAT_NAME_SIZE + 16)
struct vdpa_counter {
	char name[VDPA_COUNTER_NAME_SIZE]; // "rx0_received_desc": of the guest's first receive ring
	uint64_t value;
};
struct vdpa_counter_list {
	struct vdpa_counter *items;
	size_t n_items;
};

// The vendor's counters of every ring of a network device; none while no guest's driver runs.
int vdpa_counter_list(
	const struct vdpa_kernel *kernel, const char *name, struct vdpa_counter_list *ret_list,
	struct error *e
);
void vdpa_counter_list_done(struct vdpa_counter_list *list);
