// SPDX-License-Identifier: GPL-2.0-or-later
// A function of a PF, a VF ("vf3") or a subfunction ("sf1000007"), made ready for a vDPA device in one
// operation: MAC, management device, representor in the bridge, rate. Where there is no e-switch the PF
// itself keeps a VF's MAC, VLAN and rate, and there is no representor.
//
// Every operation looks first and changes what differs, so that it goes on where another attempt was
// interrupted. When a step fails, what was done before is undone in reverse. Subfunctions that are not
// ours (SUBFUNCTION_OURS_FIRST) are neither changed nor deleted. Errors as in nic.h.

#pragma once

#include "netlink/representor.h"

struct function_spec {
	bool has_mac;
	struct mac_addr mac;
	struct representor_spec representor;
	uint64_t max_bps; // towards the network; 0: no limit
};

struct function_state {
	char name[NIC_FUNCTION_NAME_SIZE];
	char mgmtdev[VDPA_PRINTED_HANDLE_SIZE]; // "" for none
	char representor[DEVLINK_NETDEV_NAME_SIZE];
	bool has_mac, is_active;
	struct mac_addr mac;
};

struct function_list {
	struct function_state *items;
	size_t n_items;
};

// @ret_state->mgmtdev and representor are what serves; in a dry run they may not be known yet.
int function_ensure(
	struct nic *nic, const char *name, const struct function_spec *spec,
	struct function_state *ret_state, struct error *e
);

// A subfunction goes; a VF stays, without bridge, VLAN and rate. Success when it is absent. -EBUSY while it
// has a vDPA device: the kernel would wait for who has that open.
int function_delete(struct nic *nic, const char *name, struct error *e);

// All of them, ours or not; the list is the caller's, to be freed with function_list_done().
int function_list(struct nic *nic, struct function_list *ret_list, struct error *e);
void function_list_done(struct function_list *list);
