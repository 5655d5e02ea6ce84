// SPDX-License-Identifier: GPL-2.0-or-later
// Subfunctions: parts of a PF that are made one by one. Making one takes its way through three places, and
// each has its own moment:
//
//   1. the PF's devlink: a port, which is a number and a representor; a MAC; the state "active"
//   2. the device's firmware and driver: the state becomes "attached", and an auxiliary device of
//      the subfunction appears in sysfs, known by the file sfnum
//   3. the auxiliary device's own devlink: parameters say what it is to be (vDPA and nothing
//      else), and a reload makes it that, after which a management device appears
//
// Each part looks first at what there is, so that it can be called again after any interruption.
//
// Errors as in nic.h. Source: Documentation/networking/devlink/devlink-port.rst, mlx5's kernel
// documentation "switchdev", section "mlx5 subfunction".

#pragma once

#include "netlink/nic.h"

// Numbers from here on are ours. Others are somebody else's.
#define SUBFUNCTION_OURS_FIRST 1000000

// The port of subfunction @number of this PF. -ENODEV: there is none.
int subfunction_find(
	struct nic *nic, uint32_t number, struct devlink_port *ret_port, struct error *e
);

// Its port, made if it is not there (*@ret_made). In a dry run a made port has the index NL_PRINT_NEW_PORT.
int subfunction_make(
	struct nic *nic, uint32_t number, struct devlink_port *ret_port, bool *ret_made,
	struct error *e
);

// Active, attached, and with a management device, whose handle is the caller's. In a dry run, and without
// -errno, the handle may be that of a device that is not there yet (NIC_NEW).
int subfunction_start(
	struct nic *nic, uint32_t number, const struct devlink_port *port,
	struct nl_handle *ret_mgmtdev, struct error *e
);

// Inactive and gone. Nobody may use a vDPA device of it: the kernel would wait for him.
int subfunction_delete(
	struct nic *nic, uint32_t number, const struct devlink_port *port, struct error *e
);
