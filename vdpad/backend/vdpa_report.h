// SPDX-License-Identifier: GPL-2.0-or-later
// What vdpad-netlink says of kernel vDPA: the answers of ListMgmtdevs() and ListVdpa(). Strict: an entry
// that is not understood makes a list void, because a list that lacks something must not cause an act.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "vdpad/model/facts.h"
#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

#define VDPA_DEVICE_NAME_SIZE 64
#define VDPA_DRIVER "vhost_vdpa" // that makes the node which QEMU opens

struct reported_vdpa {
	char name[VDPA_DEVICE_NAME_SIZE]; // the kernel's; anybody's
	char mgmtdev[PORT_RESOURCE_SIZE];
	char driver[FACTS_DRIVER_SIZE];
	char node[PORT_PATH_SIZE]; // "" for none
	bool has_mac;
	struct mac_addr mac;
	uint32_t mtu_bytes; // 0: not said
	uint32_t queue_pairs;
	uint32_t max_vqs;
	uint32_t uid;
	uint64_t features;
	uint64_t generation; // of our lease by its name; 0: not ours
	bool active;         // a guest's driver runs
	bool parked;
};

struct vdpa_report {
	struct reported_vdpa *devices; // sorted by name
	size_t n_devices;
	struct mgmtdev_facts *mgmtdevs; // sorted by name, n_devices counted
	size_t n_mgmtdevs;
};

// Our name for a device: "vdpad-" and the generation in hexadecimal, at most 15 characters.
void vdpa_device_name(uint64_t generation, char name[static VDPA_DEVICE_NAME_SIZE]);

// The generation that @name carries; 0 if it is not one of ours.
uint64_t vdpa_device_generation(const char *name);

// Management devices come first, as the devices are counted with them.
// Return 0 and what the caller owns (vdpa_report_done), or -errno with a sentence; @report is then to be
// released all the same.
int vdpa_report_read_mgmtdevs(sd_bus_message *m, struct vdpa_report *report, struct error *e);
int vdpa_report_read_devices(sd_bus_message *m, struct vdpa_report *report, struct error *e);
void vdpa_report_done(struct vdpa_report *report);

// One device of that name, as AddVdpa() answers.
int vdpa_report_read_device(
	sd_bus_message *m, const char *name, struct reported_vdpa *ret_device, struct error *e
);

// NULL when there is none of that name.
const struct reported_vdpa *vdpa_report_find(const struct vdpa_report *report, const char *name);
const struct mgmtdev_facts *vdpa_report_find_mgmtdev(
	const struct vdpa_report *report, const char *name
);
