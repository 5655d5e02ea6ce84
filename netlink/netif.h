// SPDX-License-Identifier: GPL-2.0-or-later
// Network interfaces through rtnetlink: find, list, change, delete. (libnl-route-3 owns the names
// that begin with rtnl_link.)
//
// Functions return 0 or -errno as the kernel gave it, and fill @e with what was tried and all that the
// kernel said about it, its extended acknowledgement included.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/if_bridge.h>
#include <linux/netlink.h>

#include "vdpad/util/error.h"
#include "vdpad/util/mac_addr.h"
#include "vdpad/util/parse.h"

#define NETIF_KIND_SIZE 16
#define NETIF_ALIAS_SIZE 256 // IFALIASZ

struct netif_socket; // one rtnetlink socket; one request at a time

struct netif {
	int index;
	char name[NETWORK_NAME_SIZE];
	char kind[NETIF_KIND_SIZE]; // "tun", "bridge"; "" for a physical interface
	char alias[NETIF_ALIAS_SIZE];
	uint32_t mtu_bytes;
	int master_index; // of the bridge that it is a port of; 0: none
};

int netif_open(struct netif_socket **ret_socket, struct error *e);
void netif_close(struct netif_socket *socket);

// As nl_socket_watch().
void netif_watch(
	struct netif_socket *socket, bool (*watch)(void *ctx, const struct nlmsghdr *message),
	void *ctx
);

// -ENODEV when there is none of that name.
int netif_find(
	struct netif_socket *socket, const char *name, struct netif *ret_netif, struct error *e
);

// All interfaces, into a list owned by the caller.
int netif_list(
	struct netif_socket *socket, struct netif **ret_list, size_t *ret_n, struct error *e
);

int netif_set_alias(
	struct netif_socket *socket, const struct netif *netif, const char *alias, struct error *e
);
int netif_set_mac(
	struct netif_socket *socket, const struct netif *netif, const struct mac_addr *mac,
	struct error *e
);
int netif_set_mtu(
	struct netif_socket *socket, const struct netif *netif, uint32_t mtu_bytes, struct error *e
);
int netif_set_tx_queue_len(
	struct netif_socket *socket, const struct netif *netif, uint32_t len, struct error *e
);

// Whether the kernel gives it a link-local IPv6 address when it comes up. Success as well where the
// kernel has no IPv6.
int netif_set_ipv6_auto(
	struct netif_socket *socket, const struct netif *netif, bool enabled, struct error *e
);

// Put it into @bridge; NULL takes it out of the one it is in.
int netif_set_master(
	struct netif_socket *socket, const struct netif *netif, const struct netif *bridge,
	struct error *e
);
int netif_set_up(struct netif_socket *socket, const struct netif *netif, struct error *e);

// The ranges that netif_allow_vlans() asks for, as the kernel wants them. Returns how many entries
// of @ret_entries are used.
#define NETIF_VLAN_ENTRIES 4
size_t netif_vlan_ranges(
	uint16_t pvid, struct bridge_vlan_info ret_entries[static NETIF_VLAN_ENTRIES]
);

// Let a bridge's port carry all VLANs tagged, except @pvid, which stays as the bridge has set it.
int netif_allow_vlans(
	struct netif_socket *socket, const struct netif *netif, uint16_t pvid, struct error *e
);

// Let a bridge's port be in the one VLAN @vlan, untagged to what is behind it.
int netif_set_access_vlan(
	struct netif_socket *socket, const struct netif *netif, uint16_t vlan, struct error *e
);

// What the PF @pf keeps for its VF number @vf where there is no e-switch.
struct netif_vf {
	bool has_mac, has_vlan, has_rate; // which of them to set
	struct mac_addr mac;
	uint16_t vlan;    // 0: none
	uint64_t max_bps; // 0: no limit; whole megabits, rounded up
};
int netif_set_vf(
	struct netif_socket *socket, const struct netif *pf, uint32_t vf,
	const struct netif_vf *values, struct error *e
);

int netif_delete(struct netif_socket *socket, const struct netif *netif, struct error *e);
