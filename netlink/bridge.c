// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/bridge.h"

#include <errno.h>
#include <string.h>

#include "netlink/sysfs.h"

int bridge_find(
	struct netif_socket *socket, const char *name, struct netif *ret_bridge, struct error *e
) {
	int r = netif_find(socket, name, ret_bridge, e);

	if (r == -ENODEV)
		return error_set(e, ENXIO, "there is no Linux bridge '%s'", name);
	if (r == 0 && strcmp(ret_bridge->kind, "bridge") != 0)
		return error_set(e, ENXIO, "interface '%s' is not a Linux bridge", name);
	return r;
}

uint16_t bridge_setting(const char *sys, const char *bridge, const char *name) {
	char path[PATH_MAX], text[16];
	uint64_t value;

	if (sysfs_path(path, "%s/class/net/%s/bridge/%s", sys, bridge, name) < 0 ||
	    sysfs_read(path, text, sizeof(text)) < 0 || parse_u64(text, 0, UINT16_MAX, &value) < 0)
		return 0;
	return (uint16_t)value;
}
