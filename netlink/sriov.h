// SPDX-License-Identifier: GPL-2.0-or-later
// The VFs of a PF, which sysfs makes all at once and takes away all at once, and the mode of the e-switch
// between them. Errors as in nic.h.
//
// Source: Documentation/PCI/pci-iov-howto.rst, Documentation/ABI/testing/sysfs-bus-pci.

#pragma once

#include "netlink/nic.h"

// The e-switch in switchdev mode, in which functions have representors. Only a device without VFs is
// switched: those that are there would lose their drivers. *@ret_switched: it was done here.
int sriov_ensure_switchdev(struct nic *nic, bool *ret_switched, struct error *e);

// As many VFs, each bound to its driver; in switchdev mode where the device has an e-switch and the VFs were
// not there before. Another number of VFs is -EBUSY. What was done is undone when a later step fails.
int sriov_ensure(struct nic *nic, uint32_t count, struct error *e);

// The PCI address of VF number @vf; "" if there is none.
int sriov_vf_address(const struct nic *nic, uint32_t vf, char address[static NAME_MAX + 1]);
