// SPDX-License-Identifier: GPL-2.0-or-later
// A PCI function that only a vDPA driver of DPDK can drive: what it is, whether it can be used and why
// not, the way into DPDK and out again.
//
// A device belongs to the kernel's side (sysfs, vfio) until it is attached, and to DPDK until it is
// detached. Everything here runs in the main thread, and may take as long as the device takes to come up.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fallback/hw_vdpa_ops.h"
#include "vdpad/util/error.h"

#define HW_ADDRESS_SIZE 17 // "00000000:3b:00.2"; four digits of domain are usual

// What a device is looked at through.
struct hw_env {
	const struct hw_vdpa_ops *ops;
	const struct hw_events *events;
	const char *sys_dir; // "/sys"
	const char *dev_dir; // "/dev"
	bool pci;            // EAL was started with its PCI bus
};

struct hw_device {
	char address[HW_ADDRESS_SIZE];
	const char *driver;           // DPDK's, in one word: "ifc"; "" as long as it is not known
	struct rte_vdpa_device *vdpa; // NULL unless attached
	struct hw_limits limits; // known when queue_pairs is not 0, also while it is not attached
};

// domain:bus:device.function, lower case, as the kernel writes it.
bool hw_address_is_valid(const char *text);

bool hw_device_is_present(const struct hw_env *env, const char *address);

// Whether the device could be attached, as far as the kernel's side tells: it is there, bound to the
// kernel driver that DPDK's driver wants, its IOMMU group may be opened by this process.
// Sets @device->driver. Returns 0; -ENXIO for what a person must put right.
int hw_device_check(const struct hw_env *env, struct hw_device *device, struct error *e);

// Give it to DPDK, and learn its limits. 0, or a result of hw_device_check(), or -EOPNOTSUPP when
// DPDK has no vDPA driver for it, or -EIO. It is as before after a failure.
int hw_device_attach(const struct hw_env *env, struct hw_device *device, struct error *e);

// Give it back, attached or not. No socket may use it any more.
void hw_device_detach(const struct hw_env *env, struct hw_device *device);

// Called with each counter of an attached device: @name in lower case, words joined by '_'.
typedef void (*hw_counter_fn)(void *userdata, const char *name, uint64_t value);

// The counters of the first @n_rings rings: for each name the sum (received_descriptors) and the
// value of each ring that has one (received_descriptors_ring0). Nothing from a driver without counters.
void hw_device_read_counters(
	const struct hw_env *env, const struct hw_device *device, uint16_t n_rings,
	hw_counter_fn each, void *userdata
);
