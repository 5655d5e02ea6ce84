// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/service_tap.h"

#include <errno.h>
#include <string.h>

#include "netlink/tap.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/parse.h"

static int check_name(const char *key, const char *name, struct error *e) {
	if (network_name_is_valid(name))
		return 0;
	return error_set(
		e, EINVAL, "%s '%s' is not valid: 1 to 15 of A-Z a-z 0-9 . _ -", key, name
	);
}

static int read_open_tap(sd_bus_message *m, struct tap_spec *ret_spec, struct error *e) {
	static const struct ipc_field fields[] = {
		{"network", 's', offsetof(struct tap_spec, network), true},
		{"bridge", 's', offsetof(struct tap_spec, bridge), true},
		{"mtu", 'u', offsetof(struct tap_spec, mtu_bytes), true},
	};
	int r;

	r = sd_bus_message_read(m, "s", &ret_spec->ifname);
	if (r < 0)
		return error_set(e, EINVAL, "OpenTap wants an interface name and a dictionary");
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), ret_spec, e);
	if (r < 0)
		return r;
	r = check_name("interface", ret_spec->ifname, e);
	if (r == 0)
		r = check_name("network", ret_spec->network, e);
	if (r == 0 && ret_spec->bridge[0] != '\0')
		r = check_name("bridge", ret_spec->bridge, e);
	return r;
}

int service_tap_open(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct service_tap *taps = userdata;
	_cleanup_close_ int fd = -EBADF;
	struct tap_spec spec = {0};
	struct error e = {0};

	if (read_open_tap(m, &spec, &e) < 0 || tap_open(taps->socket, &spec, &fd, &e) < 0)
		return error_to_bus(&e, ret_error);
	return sd_bus_reply_method_return(m, "h", fd);
}

int service_tap_del(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct service_tap *taps = userdata;
	struct error e = {0};
	const char *ifname;
	int r;

	r = sd_bus_message_read(m, "s", &ifname);
	if (r < 0)
		return r;
	if (check_name("interface", ifname, &e) < 0 || tap_delete(taps->socket, ifname, &e) < 0)
		return error_to_bus(&e, ret_error);
	return sd_bus_reply_method_return(m, "");
}

static const char *name_of(const struct netif *list, size_t n, int index) {
	for (size_t i = 0; i < n; i++) {
		if (list[i].index == index)
			return list[i].name;
	}
	return "";
}

static int append_tap(
	sd_bus_message *reply, const struct netif *tap, const char *network, const char *bridge
) {
	ipc_entry_open(reply, tap->name);
	ipc_dict_add_s(reply, "network", network);
	ipc_dict_add_s(reply, "bridge", bridge);
	ipc_dict_add_u(reply, "mtu", tap->mtu_bytes);
	return ipc_entry_close(reply);
}

int service_tap_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct service_tap *taps = userdata;
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_free_ struct netif *list = NULL;
	struct error e = {0};
	size_t n = 0;
	int r;

	if (netif_list(taps->socket, &list, &n, &e) < 0)
		return error_to_bus(&e, ret_error);
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	for (size_t i = 0; i < n && r >= 0; i++) {
		const char *network = tap_network(&list[i]);

		if (network != NULL)
			r = append_tap(
				reply, &list[i], network, name_of(list, n, list[i].master_index)
			);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}
