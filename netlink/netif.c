// SPDX-License-Identifier: GPL-2.0-or-later

#include "netlink/netif.h"

#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>

#include "vdpad/util/cleanup.h"

#define VLAN_FIRST 1
#define VLAN_LAST 4094
#define BITS_PER_MEGABIT 1000000

struct netif_socket {
	struct nl_sock *nl;
	int error; // what the kernel answered to the request that runs: 0 or a positive errno
	bool (*watch)(void *ctx, const struct nlmsghdr *message);
	void *watch_ctx;
	char text[256]; // and its extended acknowledgement; "" for none
};

static void link_putp(struct rtnl_link **link) {
	rtnl_link_put(*link);
}
#define _cleanup_link_ _cleanup_(link_putp)

// Keep the errno, which libnl would turn into one of its own few codes, and the sentence.
static int on_error(struct sockaddr_nl *from, struct nlmsgerr *answer, void *arg) {
	struct netif_socket *socket = arg;
	struct nlmsghdr *header = (struct nlmsghdr *)((char *)answer - NLMSG_HDRLEN);
	size_t skip = sizeof(*answer);
	struct nlattr *attr;

	(void)from;
	socket->error = -answer->error;
	if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0)
		return NL_STOP;
	if ((header->nlmsg_flags & NLM_F_CAPPED) == 0)
		skip += answer->msg.nlmsg_len - NLMSG_HDRLEN;
	attr = nlmsg_find_attr(header, (int)NLMSG_ALIGN(skip), NLMSGERR_ATTR_MSG);
	if (attr != NULL)
		snprintf(
			socket->text, sizeof(socket->text), "%.*s", nla_len(attr),
			(const char *)nla_data(attr)
		);
	return NL_STOP;
}

int netif_open(struct netif_socket **ret_socket, struct error *e) {
	struct netif_socket *socket = calloc(1, sizeof(*socket));
	int on = 1, r;

	if (socket == NULL)
		return error_set(e, ENOMEM, "out of memory");
	socket->nl = nl_socket_alloc();
	if (socket->nl == NULL) {
		netif_close(socket);
		return error_set(e, ENOMEM, "out of memory");
	}
	r = nl_connect(socket->nl, NETLINK_ROUTE);
	if (r < 0) {
		r = error_set(e, EIO, "no rtnetlink socket: %s", nl_geterror(r));
		netif_close(socket);
		return r;
	}
	nl_socket_modify_err_cb(socket->nl, NL_CB_CUSTOM, on_error, socket);
	setsockopt(nl_socket_get_fd(socket->nl), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(socket->nl), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	*ret_socket = socket;
	return 0;
}

void netif_close(struct netif_socket *socket) {
	if (socket == NULL)
		return;
	nl_socket_free(socket->nl);
	free(socket);
}

void netif_watch(
	struct netif_socket *socket, bool (*watch)(void *ctx, const struct nlmsghdr *message),
	void *ctx
) {
	socket->watch = watch;
	socket->watch_ctx = ctx;
}

static void begin(struct netif_socket *socket) {
	socket->error = 0;
	socket->text[0] = '\0';
}

// Turn a failure of a libnl call (@r) into the kernel's errno and a sentence that begins with @tried.
static int failed(struct netif_socket *socket, int r, struct error *e, const char *tried) {
	if (socket->error == 0)
		return error_set(e, EIO, "%s: %s", tried, nl_geterror(r));
	return error_set(
		e, socket->error, "%s: %s%s%s%s", tried, strerror(socket->error),
		socket->text[0] != '\0' ? " (\"" : "", socket->text,
		socket->text[0] != '\0' ? "\")" : ""
	);
}

static void copy_text(char *dst, size_t size, const char *src) {
	snprintf(dst, size, "%s", src != NULL ? src : "");
}

static void read_link(struct rtnl_link *link, struct netif *netif) {
	*netif = (struct netif){
		.index = rtnl_link_get_ifindex(link),
		.mtu_bytes = rtnl_link_get_mtu(link),
		.master_index = rtnl_link_get_master(link),
	};
	copy_text(netif->name, sizeof(netif->name), rtnl_link_get_name(link));
	copy_text(netif->kind, sizeof(netif->kind), rtnl_link_get_type(link));
	copy_text(netif->alias, sizeof(netif->alias), rtnl_link_get_ifalias(link));
}

int netif_find(
	struct netif_socket *socket, const char *name, struct netif *ret_netif, struct error *e
) {
	_cleanup_link_ struct rtnl_link *link = NULL;
	char tried[64];
	int r;

	begin(socket);
	snprintf(tried, sizeof(tried), "cannot look up interface '%.15s'", name);
	r = rtnl_link_get_kernel(socket->nl, 0, name, &link);
	if (r == 0) {
		read_link(link, ret_netif);
		return 0;
	}
	if (socket->error == ENODEV || r == -NLE_OBJ_NOTFOUND || r == -NLE_NODEV)
		return error_set(e, ENODEV, "there is no interface '%s'", name);
	return failed(socket, r, e, tried);
}

int netif_list(
	struct netif_socket *socket, struct netif **ret_list, size_t *ret_n, struct error *e
) {
	struct nl_cache *cache;
	struct netif *list;
	size_t n = 0;
	int r;

	begin(socket);
	r = rtnl_link_alloc_cache(socket->nl, AF_UNSPEC, &cache);
	if (r < 0)
		return failed(socket, r, e, "cannot list the interfaces");
	list = calloc((size_t)nl_cache_nitems(cache) + 1, sizeof(*list));
	for (struct nl_object *o = nl_cache_get_first(cache); list != NULL && o != NULL;
	     o = nl_cache_get_next(o))
		read_link((struct rtnl_link *)o, &list[n++]);
	nl_cache_free(cache);
	if (list == NULL)
		return error_set(e, ENOMEM, "out of memory");
	*ret_list = list;
	*ret_n = n;
	return 0;
}

// A request about @netif, to which attributes are added before run(). NULL when out of memory.
static struct nl_msg *new_request(
	uint16_t type, const struct netif *netif, uint8_t family, unsigned int flags_up
) {
	struct ifinfomsg info = {
		.ifi_family = family,
		.ifi_index = netif->index,
		.ifi_flags = flags_up,
		.ifi_change = flags_up,
	};
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_ACK);

	if (msg != NULL && nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

// Send @msg (consumed; NULL or @put < 0 mean that there was no room for it) and wait for the answer.
static int run(
	struct netif_socket *socket, struct nl_msg *msg, int put, struct error *e, const char *fmt,
	...
) _printf_(5, 6);
static int run(
	struct netif_socket *socket, struct nl_msg *msg, int put, struct error *e, const char *fmt,
	...
) {
	char tried[128];
	va_list ap;
	int r;

	if (msg == NULL || put < 0) {
		nlmsg_free(msg);
		return error_set(e, ENOMEM, "out of memory");
	}
	begin(socket);
	if (socket->watch != NULL && !socket->watch(socket->watch_ctx, nlmsg_hdr(msg))) {
		nlmsg_free(msg);
		return 0;
	}
	r = nl_send_sync(socket->nl, msg);
	if (r >= 0)
		return 0;
	va_start(ap, fmt);
	vsnprintf(tried, sizeof(tried), fmt, ap);
	va_end(ap);
	return failed(socket, r, e, tried);
}

int netif_set_alias(
	struct netif_socket *socket, const struct netif *netif, const char *alias, struct error *e
) {
	struct nl_msg *msg = new_request(RTM_SETLINK, netif, AF_UNSPEC, 0);
	int put = msg != NULL ? nla_put_string(msg, IFLA_IFALIAS, alias) : -1;

	return run(socket, msg, put, e, "cannot mark interface '%s' as '%s'", netif->name, alias);
}

int netif_set_mac(
	struct netif_socket *socket, const struct netif *netif, const struct mac_addr *mac,
	struct error *e
) {
	struct nl_msg *msg = new_request(RTM_SETLINK, netif, AF_UNSPEC, 0);
	int put = msg != NULL ? nla_put(msg, IFLA_ADDRESS, sizeof(mac->octets), mac->octets) : -1;
	char text[MAC_TEXT_SIZE];

	return run(
		socket, msg, put, e, "cannot set the MAC of interface '%s' to %s", netif->name,
		mac_addr_format(mac, text)
	);
}

int netif_set_mtu(
	struct netif_socket *socket, const struct netif *netif, uint32_t mtu_bytes, struct error *e
) {
	struct nl_msg *msg = new_request(RTM_SETLINK, netif, AF_UNSPEC, 0);
	int put = msg != NULL ? nla_put_u32(msg, IFLA_MTU, mtu_bytes) : -1;

	return run(
		socket, msg, put, e, "cannot set the MTU of interface '%s' to %u", netif->name,
		mtu_bytes
	);
}

int netif_set_tx_queue_len(
	struct netif_socket *socket, const struct netif *netif, uint32_t len, struct error *e
) {
	struct nl_msg *msg = new_request(RTM_SETLINK, netif, AF_UNSPEC, 0);
	int put = msg != NULL ? nla_put_u32(msg, IFLA_TXQLEN, len) : -1;

	return run(
		socket, msg, put, e, "cannot set the queue length of interface '%s' to %u",
		netif->name, len
	);
}

int netif_set_ipv6_auto(
	struct netif_socket *socket, const struct netif *netif, bool enabled, struct error *e
) {
	struct nl_msg *msg = new_request(RTM_SETLINK, netif, AF_UNSPEC, 0);
	struct nlattr *families, *inet6;
	int put = -1, r;

	if (msg != NULL && (families = nla_nest_start(msg, IFLA_AF_SPEC)) != NULL &&
	    (inet6 = nla_nest_start(msg, AF_INET6)) != NULL) {
		put = nla_put_u8(
			msg, IFLA_INET6_ADDR_GEN_MODE,
			enabled ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE
		);
		nla_nest_end(msg, inet6);
		nla_nest_end(msg, families);
	}
	r = run(socket, msg, put, e, "cannot set IPv6 address generation of interface '%s'",
	        netif->name);
	// No IPv6 in the kernel, on this interface (MTU below 1280) or at all.
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP || r == -EINVAL ? 0 : r;
}

int netif_set_master(
	struct netif_socket *socket, const struct netif *netif, const struct netif *bridge,
	struct error *e
) {
	struct nl_msg *msg = new_request(RTM_SETLINK, netif, AF_UNSPEC, 0);
	int put = -1;

	if (msg != NULL)
		put = nla_put_u32(msg, IFLA_MASTER, bridge != NULL ? (uint32_t)bridge->index : 0);
	if (bridge == NULL)
		return run(
			socket, msg, put, e, "cannot take interface '%s' out of its bridge",
			netif->name
		);
	return run(
		socket, msg, put, e, "cannot put interface '%s' into bridge '%s'", netif->name,
		bridge->name
	);
}

int netif_set_up(struct netif_socket *socket, const struct netif *netif, struct error *e) {
	return run(
		socket, new_request(RTM_SETLINK, netif, AF_UNSPEC, IFF_UP), 0, e,
		"cannot bring up interface '%s'", netif->name
	);
}

// A range is its begin and its end; a single VLAN is itself.
static size_t add_range(struct bridge_vlan_info *entries, uint16_t first, uint16_t last) {
	if (first > last)
		return 0;
	entries[0] = (struct bridge_vlan_info){.vid = first};
	if (first == last)
		return 1;
	entries[0].flags = BRIDGE_VLAN_INFO_RANGE_BEGIN;
	entries[1] = (struct bridge_vlan_info){.vid = last, .flags = BRIDGE_VLAN_INFO_RANGE_END};
	return 2;
}

size_t netif_vlan_ranges(
	uint16_t pvid, struct bridge_vlan_info ret_entries[static NETIF_VLAN_ENTRIES]
) {
	size_t n;

	if (pvid == 0)
		return add_range(ret_entries, VLAN_FIRST, VLAN_LAST);
	n = add_range(ret_entries, VLAN_FIRST, (uint16_t)(pvid - 1));
	return n + add_range(ret_entries + n, (uint16_t)(pvid + 1), VLAN_LAST);
}

int netif_allow_vlans(
	struct netif_socket *socket, const struct netif *netif, uint16_t pvid, struct error *e
) {
	struct nl_msg *msg = new_request(RTM_SETLINK, netif, AF_BRIDGE, 0);
	struct bridge_vlan_info entries[NETIF_VLAN_ENTRIES];
	size_t n = netif_vlan_ranges(pvid, entries);
	struct nlattr *spec;
	int put = -1;

	if (msg != NULL && (spec = nla_nest_start(msg, IFLA_AF_SPEC)) != NULL) {
		put = 0;
		for (size_t i = 0; i < n && put >= 0; i++)
			put = nla_put(msg, IFLA_BRIDGE_VLAN_INFO, sizeof(entries[i]), &entries[i]);
		nla_nest_end(msg, spec);
	}
	return run(
		socket, msg, put, e, "cannot allow all VLANs on the bridge port '%s'", netif->name
	);
}

static int put_vlan_range(
	struct nl_msg *msg, uint16_t first, uint16_t last, uint16_t flags_of_first
) {
	struct bridge_vlan_info entries[2];
	size_t n = add_range(entries, first, last);
	int put = 0;

	for (size_t i = 0; i < n && put >= 0; i++) {
		entries[i].flags |= flags_of_first;
		put = nla_put(msg, IFLA_BRIDGE_VLAN_INFO, sizeof(entries[i]), &entries[i]);
	}
	return put;
}

static int change_vlans(
	struct netif_socket *socket, const struct netif *netif, uint16_t type, uint16_t first,
	uint16_t last, uint16_t flags, struct error *e
) {
	struct nl_msg *msg = new_request(type, netif, AF_BRIDGE, 0);
	struct nlattr *spec;
	int put = -1;

	if (msg != NULL && (spec = nla_nest_start(msg, IFLA_AF_SPEC)) != NULL) {
		put = put_vlan_range(msg, first, last, flags);
		nla_nest_end(msg, spec);
	}
	return run(
		socket, msg, put, e, "cannot set the VLANs of the bridge port '%s'", netif->name
	);
}

int netif_set_access_vlan(
	struct netif_socket *socket, const struct netif *netif, uint16_t vlan, struct error *e
) {
	const uint16_t access = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED;
	int r = 0;

	if (vlan > VLAN_FIRST)
		r = change_vlans(
			socket, netif, RTM_DELLINK, VLAN_FIRST, (uint16_t)(vlan - 1), 0, e
		);
	if (r == 0 && vlan < VLAN_LAST)
		r = change_vlans(socket, netif, RTM_DELLINK, (uint16_t)(vlan + 1), VLAN_LAST, 0, e);
	return r < 0 ? r : change_vlans(socket, netif, RTM_SETLINK, vlan, vlan, access, e);
}

int netif_set_vf(
	struct netif_socket *socket, const struct netif *pf, uint32_t vf,
	const struct netif_vf *values, struct error *e
) {
	struct ifla_vf_mac mac = {.vf = vf};
	struct ifla_vf_vlan vlan = {.vf = vf, .vlan = values->vlan};
	struct ifla_vf_tx_rate rate = {
		.vf = vf,
		.rate = (uint32_t)((values->max_bps + BITS_PER_MEGABIT - 1) / BITS_PER_MEGABIT),
	};
	struct nl_msg *msg = new_request(RTM_SETLINK, pf, AF_UNSPEC, 0);
	struct nlattr *list, *info;
	int put = -1;

	memcpy(mac.mac, values->mac.octets, sizeof(values->mac.octets));
	if (msg != NULL && (list = nla_nest_start(msg, IFLA_VFINFO_LIST)) != NULL &&
	    (info = nla_nest_start(msg, IFLA_VF_INFO)) != NULL) {
		put = values->has_mac ? nla_put(msg, IFLA_VF_MAC, sizeof(mac), &mac) : 0;
		if (put >= 0 && values->has_vlan)
			put = nla_put(msg, IFLA_VF_VLAN, sizeof(vlan), &vlan);
		if (put >= 0 && values->has_rate)
			put = nla_put(msg, IFLA_VF_TX_RATE, sizeof(rate), &rate);
		nla_nest_end(msg, info);
		nla_nest_end(msg, list);
	}
	return run(
		socket, msg, put, e, "cannot set MAC, VLAN and rate of VF %u of '%s'", vf, pf->name
	);
}

int netif_delete(struct netif_socket *socket, const struct netif *netif, struct error *e) {
	return run(
		socket, new_request(RTM_DELLINK, netif, AF_UNSPEC, 0), 0, e,
		"cannot delete interface '%s'", netif->name
	);
}
