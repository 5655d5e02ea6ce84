// SPDX-License-Identifier: GPL-2.0-or-later
// The representor of a function: the interface of this node that is the other end of the function's cable.
// It joins the Linux bridge of the port's network. Errors as in nic.h.

#pragma once

#include "netlink/nic.h"

struct representor_spec {
	const char *bridge; // "" for none
	uint32_t mtu_bytes; // 0: as it is
	uint16_t vlan;      // that the function is in, untagged to it; 0: as the bridge has it
};

// Can the bridge serve this? -EOPNOTSUPP: its MTU is smaller, or it filters no VLANs. To be asked before
// anything is made.
int representor_check(struct nic *nic, const struct representor_spec *spec, struct error *e);

// MTU, bridge, VLAN, up; in this order. @name is the interface; in a dry run "" for one that is not there yet.
// One that is in something else already is -EBUSY. *@ret_joined: it was put into the bridge here.
int representor_join(
	struct nic *nic, const char *name, const struct representor_spec *spec, bool *ret_joined,
	struct error *e
);

// Out of whatever bridge it is in; success when it is in none or gone.
int representor_leave(struct nic *nic, const char *name, struct error *e);
