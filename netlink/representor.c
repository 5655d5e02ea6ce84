// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/representor.h"

#include <errno.h>
#include <string.h>

#include "netlink/bridge.h"

// netif's errors are the kernel's; ours are few.
static int refused(int r, struct error *e) {
	if (r == 0 || r == -EBUSY || r == -EOPNOTSUPP)
		return r;
	return error_set(e, EIO, "%s", e->text);
}

static uint16_t setting_of(const struct nic *nic, const struct netif *bridge, const char *name) {
	return bridge_setting(nic->kernel->vdpa->roots->sys, bridge->name, name);
}

int representor_check(struct nic *nic, const struct representor_spec *spec, struct error *e) {
	struct netif bridge;
	int r;

	if (spec->bridge[0] == 0)
		return 0;
	r = bridge_find(nic->netif, spec->bridge, &bridge, e);
	if (r < 0)
		return refused(r, e);
	if (bridge.mtu_bytes < spec->mtu_bytes)
		return error_set(
			e, EOPNOTSUPP, "bridge '%s' has MTU %u, less than the port's %u",
			bridge.name, bridge.mtu_bytes, spec->mtu_bytes
		);
	if (spec->vlan != 0 && setting_of(nic, &bridge, "vlan_filtering") == 0)
		return error_set(
			e, EOPNOTSUPP,
			"bridge '%s' does not filter VLANs (bridge-vlan-aware), so "
			"the port cannot be in VLAN %u",
			bridge.name, spec->vlan
		);
	return 0;
}

// A representor that is to be made in a dry run has neither index nor values.
static int find(struct nic *nic, const char *name, struct netif *ret_netif, struct error *e) {
	if (name[0] != 0)
		return netif_find(nic->netif, name, ret_netif, e);
	*ret_netif = (struct netif){.index = NL_PRINT_NEW_IFINDEX, .name = "(new)"};
	return 0;
}

// Where the bridge filters, the function is in exactly one VLAN. A bridge without a default VLAN has none for
// it unless it is asked for.
static int set_vlan(
	struct nic *nic, const struct netif *netif, const struct netif *bridge, uint16_t wanted,
	struct error *e
) {
	uint16_t vlan = wanted != 0 ? wanted : setting_of(nic, bridge, "default_pvid");

	if (vlan == 0 || setting_of(nic, bridge, "vlan_filtering") == 0)
		return 0;
	steps_say(nic->steps, "put representor %s into VLAN %u, untagged", netif->name, vlan);
	return netif_set_access_vlan(nic->netif, netif, vlan, e);
}

static int join_bridge(
	struct nic *nic, const struct netif *netif, const struct representor_spec *spec,
	bool *ret_joined, struct error *e
) {
	struct netif bridge;
	int r = bridge_find(nic->netif, spec->bridge, &bridge, e);

	if (r < 0)
		return r;
	if (netif->master_index != 0 && netif->master_index != bridge.index)
		return error_set(
			e, EBUSY,
			"representor '%s' is a port of something else already; take it out "
			"of that first",
			netif->name
		);
	if (netif->master_index == 0) {
		steps_say(
			nic->steps, "put representor %s into bridge %s", netif->name, bridge.name
		);
		r = netif_set_master(nic->netif, netif, &bridge, e);
		if (r < 0)
			return r;
		*ret_joined = true;
	}
	return set_vlan(nic, netif, &bridge, spec->vlan, e);
}

int representor_join(
	struct nic *nic, const char *name, const struct representor_spec *spec, bool *ret_joined,
	struct error *e
) {
	struct netif netif;
	int r = find(nic, name, &netif, e);

	*ret_joined = false;
	if (r == 0 && spec->mtu_bytes != 0 && netif.mtu_bytes != spec->mtu_bytes) {
		steps_say(
			nic->steps, "set the MTU of representor %s to %u", netif.name,
			spec->mtu_bytes
		);
		r = netif_set_mtu(nic->netif, &netif, spec->mtu_bytes, e);
	}
	if (r == 0 && spec->bridge[0] != 0)
		r = join_bridge(nic, &netif, spec, ret_joined, e);
	if (r == 0) {
		steps_say(nic->steps, "bring up representor %s", netif.name);
		r = netif_set_up(nic->netif, &netif, e);
	}
	return refused(r, e);
}

int representor_leave(struct nic *nic, const char *name, struct error *e) {
	struct netif netif;
	int r = netif_find(nic->netif, name, &netif, e);

	if (r == -ENODEV || (r == 0 && netif.master_index == 0))
		return 0;
	if (r == 0) {
		steps_say(nic->steps, "take representor %s out of its bridge", netif.name);
		r = netif_set_master(nic->netif, &netif, NULL, e);
	}
	return refused(r, e);
}
