// SPDX-License-Identifier: GPL-2.0-or-later
// What the workers say they have: the answers of the switch's List() and of vdpad-netlink's
// ListTaps(). Strict: an entry that is not understood makes the whole list void, because a list that
// lacks something must not cause a deletion.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

#define REPORT_MAX_ENTRIES 65536 // of one list; more is nonsense

// Grow the list @list of *@n entries of @size bytes by one. Returns the new one, zeroed; NULL without memory
// and at REPORT_MAX_ENTRIES.
void *report_append(void **list, size_t *n, size_t size);

struct reported_network {
	char name[NETWORK_NAME_SIZE];
	char uplink[NETWORK_NAME_SIZE]; // "" for none
	uint32_t mtu_bytes;
	uint32_t ageing_s;
};

struct reported_port {
	char name[PORT_NAME_SIZE];
	char network[NETWORK_NAME_SIZE];
	char path[PORT_PATH_SIZE];
	char detail[PORT_REASON_SIZE];
	char device[PORT_RESOURCE_SIZE]; // that DPDK drives; "" for a port of the switch
	uint32_t mtu_bytes;
	uint32_t queue_pairs;
	uint32_t vlan;
	uint64_t features;
	uint64_t generation;
	bool link_up;
	bool connected;
};

struct switch_report {
	struct reported_network *networks;
	size_t n_networks;
	struct reported_port *ports; // sorted by name
	size_t n_ports;
};

struct reported_tap {
	char name[NETWORK_NAME_SIZE];
	char network[NETWORK_NAME_SIZE];
	char bridge[NETWORK_NAME_SIZE];
	uint32_t mtu_bytes;
};

struct tap_report {
	struct reported_tap *list;
	size_t n;
};

// Return 0 and a report owned by the caller, or -errno with a sentence.
int switch_report_read(sd_bus_message *m, struct switch_report *ret_report, struct error *e);
void switch_report_done(struct switch_report *report);
int tap_report_read(sd_bus_message *m, struct tap_report *ret_report, struct error *e);
void tap_report_done(struct tap_report *report);

// NULL when there is none of that name.
const struct reported_port *switch_report_find_port(
	const struct switch_report *report, const char *name
);
const struct reported_network *switch_report_find_network(
	const struct switch_report *report, const char *name
);
const struct reported_tap *tap_report_find(const struct tap_report *report, const char *name);
