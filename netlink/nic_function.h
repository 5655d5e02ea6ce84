// SPDX-License-Identifier: GPL-2.0-or-later
// The function of a NIC behind a management device, as sysfs shows it: who drives it, and which VF or SF
// of which PF it is. And what the driver takes for a new vDPA device, which the kernel tells nobody.
//
// Source: Documentation/ABI/testing/sysfs-bus-pci (physfn, virtfnN), mlx5/core/sf/dev/dev.c (sfnum), the
// dev_add() of each driver in drivers/vdpa/.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "netlink/nl_handle.h"

#define PCI_ADDRESS_SIZE 16       // "0000:3b:00.2"; domains of VMD have five digits
#define NIC_FUNCTION_NAME_SIZE 16 // "vf127", "sf4294967295"
#define NIC_FUNCTION_DRIVER_SIZE 32

// Values that a driver takes when a device is made.
#define NIC_TAKES_MAC (1U << 0)
#define NIC_TAKES_MTU (1U << 1)
#define NIC_TAKES_QUEUE_PAIRS (1U << 2)
#define NIC_TAKES_FEATURES (1U << 3)
#define NIC_TAKES_ALL 15U

struct nic_function {
	char driver[NIC_FUNCTION_DRIVER_SIZE]; // as sysfs calls it; "" for none or unknown
	char pf[PCI_ADDRESS_SIZE];             // "" for what is neither VF nor SF
	char name[NIC_FUNCTION_NAME_SIZE];     // "vf3", "sf7", or ""
	uint32_t takes;                        // NIC_TAKES_*
	bool one_device;                       // makes one vDPA device at a time
};

// What there is to know about the function called @handle; never fails. @sys is sysfs's root.
void nic_function_read(
	const char *sys, const struct nl_handle *handle, struct nic_function *ret_function
);
