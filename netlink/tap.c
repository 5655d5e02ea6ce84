// SPDX-License-Identifier: GPL-2.0-or-later

#include "netlink/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/if_tun.h>

#include "netlink/bridge.h"
#include "vdpad/util/cleanup.h"

#define TUN_DEVICE "/dev/net/tun"
#define MARK "vdpad "
#define VNET_HEADER_SIZE 12 // struct virtio_net_hdr_mrg_rxbuf, as guests have it
#define TX_QUEUE_LEN 1000   // frames on their way to the switch: a Linux NIC's usual length
#define VLAN_MAX 4094

const char *tap_network(const struct netif *netif) {
	if (strcmp(netif->kind, "tun") != 0 || strncmp(netif->alias, MARK, strlen(MARK)) != 0)
		return NULL;
	return netif->alias + strlen(MARK);
}

static int refuse_foreign(const struct netif *netif, struct error *e) {
	return error_set(
		e, EPERM,
		"interface '%s' exists and is not vdpad's (its alias is '%s'); remove or rename it",
		netif->name, netif->alias
	);
}

static int set_up_descriptor(int fd, const char *ifname, struct error *e) {
	int header_size = VNET_HEADER_SIZE;

	// Anybody may open an interface without an owner: the device node is everybody's.
	if (ioctl(fd, TUNSETOWNER, 0) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		return error_set(e, errno, "cannot set up TAP '%s': %s", ifname, strerror(errno));
	return 0;
}

// @must_be_new: fail rather than take an interface that came up in this moment.
static int attach(const char *ifname, bool must_be_new, int *ret_fd, struct error *e) {
	_cleanup_close_ int fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int r;

	if (fd < 0)
		return error_set(
			e, errno,
			"cannot open " TUN_DEVICE ": %s (is the kernel module tun loaded?)",
			strerror(errno)
		);
	if (must_be_new)
		request.ifr_flags |= (short)IFF_TUN_EXCL;
	str_copy(request.ifr_name, sizeof(request.ifr_name), ifname);
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		if (errno == EBUSY && !must_be_new)
			return error_set(
				e, EBUSY, "TAP '%s' is still open in another process", ifname
			);
		return error_set(
			e, errno, "cannot %s TAP '%s': %s", must_be_new ? "create" : "attach to",
			ifname, strerror(errno)
		);
	}
	r = set_up_descriptor(fd, ifname, e);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int join_bridge(
	struct netif_socket *socket, const struct netif *tap, const struct netif *bridge,
	struct error *e
) {
	uint16_t pvid;
	int r;

	if (tap->master_index != bridge->index) {
		r = netif_set_master(socket, tap, bridge, e);
		if (r < 0)
			return r;
	}
	if (bridge_setting("/sys", bridge->name, "vlan_filtering") == 0)
		return 0;
	pvid = bridge_setting("/sys", bridge->name, "default_pvid");
	return netif_allow_vlans(socket, tap, pvid <= VLAN_MAX ? pvid : 0, e);
}

// A bridge takes the lowest of its ports' MACs for its own unless it was given one. With 0xfe in front
// ours is never the lowest, and the node keeps its address.
static struct mac_addr high_mac(const char *ifname) {
	struct mac_addr mac = mac_addr_from_seed(ifname, strlen(ifname));

	mac.octets[0] = 0xfe;
	return mac;
}

// @bridge may be NULL.
static int configure(
	struct netif_socket *socket, const struct tap_spec *spec, const struct netif *tap,
	const struct netif *bridge, struct error *e
) {
	struct mac_addr mac = high_mac(spec->ifname);
	uint32_t mtu_bytes = spec->mtu_bytes;
	char mark[sizeof(MARK) + NETWORK_NAME_SIZE];
	int r;

	if (bridge != NULL && bridge->mtu_bytes > mtu_bytes)
		mtu_bytes = bridge->mtu_bytes;
	snprintf(mark, sizeof(mark), MARK "%s", spec->network);

	r = netif_set_alias(socket, tap, mark, e);
	if (r == 0)
		r = netif_set_mac(socket, tap, &mac, e);
	if (r == 0 && tap->mtu_bytes != mtu_bytes)
		r = netif_set_mtu(socket, tap, mtu_bytes, e);
	if (r == 0)
		r = netif_set_tx_queue_len(socket, tap, TX_QUEUE_LEN, e);
	if (r == 0)
		r = netif_set_ipv6_auto(socket, tap, bridge == NULL, e);
	if (r == 0 && bridge != NULL)
		r = join_bridge(socket, tap, bridge, e);
	if (r == 0 && bridge == NULL && tap->master_index != 0)
		r = netif_set_master(socket, tap, NULL, e);
	if (r == 0)
		r = netif_set_up(socket, tap, e);
	return r;
}

int tap_open(
	struct netif_socket *socket, const struct tap_spec *spec, int *ret_fd, struct error *e
) {
	_cleanup_close_ int fd = -EBADF;
	struct netif tap, bridge;
	bool is_new, has_bridge = spec->bridge[0] != '\0';
	int r;

	if (has_bridge) {
		r = bridge_find(socket, spec->bridge, &bridge, e);
		if (r < 0)
			return r;
	}
	r = netif_find(socket, spec->ifname, &tap, e);
	if (r < 0 && r != -ENODEV)
		return r;
	is_new = r == -ENODEV;
	if (!is_new && tap_network(&tap) == NULL)
		return refuse_foreign(&tap, e);

	// Until it is made persistent, a new interface goes with its descriptor.
	r = attach(spec->ifname, is_new, &fd, e);
	if (r < 0)
		return r;
	r = netif_find(socket, spec->ifname, &tap, e);
	if (r < 0)
		return r;
	r = configure(socket, spec, &tap, has_bridge ? &bridge : NULL, e);
	if (r < 0)
		return r;
	if (ioctl(fd, TUNSETPERSIST, 1) < 0)
		return error_set(
			e, errno, "cannot make TAP '%s' persistent: %s", spec->ifname,
			strerror(errno)
		);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int tap_delete(struct netif_socket *socket, const char *ifname, struct error *e) {
	struct netif tap;
	int r;

	r = netif_find(socket, ifname, &tap, e);
	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	if (tap_network(&tap) == NULL)
		return refuse_foreign(&tap, e);
	r = netif_delete(socket, &tap, e);
	return r == -ENODEV ? 0 : r;
}
