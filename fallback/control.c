// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

#define COUNTER_KEY_SIZE 64

// Reply to @m with nothing, or with what went wrong.
static int reply(sd_bus_message *m, int r, const struct error *e, sd_bus_error *ret_error) {
	if (r < 0)
		return e->code != 0 ? error_to_bus(e, ret_error) : r;
	return sd_bus_reply_method_return(m, NULL);
}

static int method_set_network(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct ipc_field fields[] = {
		{"mtu", 'u', offsetof(struct switch_network_spec, mtu_bytes), true},
		{"ageing_s", 'u', offsetof(struct switch_network_spec, ageing_s), true},
	};
	struct switch_network_spec spec;
	struct error e = {0};
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), &spec, &e);
	if (r >= 0)
		r = switch_set_network(userdata, name, &spec, &e);
	return reply(m, r, &e, ret_error);
}

static int method_set_uplink(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *network, *ifname;
	struct error e = {0};
	int fd, r;

	r = sd_bus_message_read(m, "ssh", &network, &ifname, &fd);
	if (r < 0)
		return r;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); // that of the message is the message's
	if (fd < 0)
		r = error_set(
			&e, errno, "cannot duplicate the TAP's descriptor: %s", strerror(errno)
		);
	else
		r = switch_set_uplink(userdata, network, ifname, fd, &e);
	return reply(m, r, &e, ret_error);
}

static int method_del_network(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct error e = {0};
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	return reply(m, switch_del_network(userdata, name, &e), &e, ret_error);
}

static int method_set_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct ipc_field fields[] = {
		{"network", 's', offsetof(struct switch_port_spec, network), true},
		{"path", 's', offsetof(struct switch_port_spec, path), true},
		{"mtu", 'u', offsetof(struct switch_port_spec, mtu_bytes), true},
		{"queue_pairs", 'u', offsetof(struct switch_port_spec, queue_pairs), true},
		{"vlan", 'u', offsetof(struct switch_port_spec, vlan), true},
		{"link_up", 'b', offsetof(struct switch_port_spec, link_up), true},
		{"features", 't', offsetof(struct switch_port_spec, features), true},
		{"generation", 't', offsetof(struct switch_port_spec, generation), true},
	};
	struct switch_port_spec spec;
	struct error e = {0};
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), &spec, &e);
	if (r >= 0)
		r = switch_set_port(userdata, name, &spec, &e);
	return reply(m, r, &e, ret_error);
}

static int method_del_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct error e = {0};
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	return reply(m, switch_del_port(userdata, name, &e), &e, ret_error);
}

// Open and close one entry "name": a{sv} of an a{sa{sv}}.
static int open_entry(sd_bus_message *m, const char *name) {
	int r;

	r = sd_bus_message_open_container(m, 'e', "sa{sv}");
	if (r < 0)
		return r;
	r = sd_bus_message_append_basic(m, 's', name);
	if (r < 0)
		return r;
	return sd_bus_message_open_container(m, 'a', "{sv}");
}

static int close_entry(sd_bus_message *m) {
	int r;

	r = sd_bus_message_close_container(m);
	if (r < 0)
		return r;
	return sd_bus_message_close_container(m);
}

// sd-bus refuses to go on with a message after a failure, and says so when it is sent: so the
// entries of a dictionary need no checks of their own.
static int append_network(sd_bus_message *m, const struct switch_network_view *view) {
	int r;

	r = open_entry(m, view->name);
	if (r < 0)
		return r;
	ipc_dict_add_u(m, "mtu", view->spec.mtu_bytes);
	ipc_dict_add_u(m, "ageing_s", view->spec.ageing_s);
	ipc_dict_add_s(m, "uplink", view->uplink);
	return close_entry(m);
}

static int append_port(sd_bus_message *m, const struct switch_port_view *view) {
	int r;

	r = open_entry(m, view->name);
	if (r < 0)
		return r;
	ipc_dict_add_s(m, "network", view->spec.network);
	ipc_dict_add_s(m, "path", view->spec.path);
	ipc_dict_add_u(m, "mtu", view->spec.mtu_bytes);
	ipc_dict_add_u(m, "queue_pairs", view->spec.queue_pairs);
	ipc_dict_add_u(m, "vlan", view->spec.vlan);
	ipc_dict_add_b(m, "link_up", view->spec.link_up);
	ipc_dict_add_t(m, "features", view->spec.features);
	ipc_dict_add_t(m, "generation", view->spec.generation);
	ipc_dict_add_b(m, "connected", view->status.connected);
	ipc_dict_add_s(m, "detail", view->status.detail);
	return close_entry(m);
}

static int append_counters(sd_bus_message *m, const struct switch_counters_view *view) {
	const struct port_counters *counters = &view->counters;
	char key[COUNTER_KEY_SIZE];
	int r;

	r = open_entry(m, view->name);
	if (r < 0)
		return r;
	ipc_dict_add_s(m, "network", view->network);
	ipc_dict_add_t(m, "rx_packets", counters->rx_packets);
	ipc_dict_add_t(m, "rx_bytes", counters->rx_bytes);
	ipc_dict_add_t(m, "tx_packets", counters->tx_packets);
	ipc_dict_add_t(m, "tx_bytes", counters->tx_bytes);
	for (int i = 0; i < DROP_REASONS; i++) {
		snprintf(key, sizeof(key), "rx_drop_%s", drop_reason_name(i));
		ipc_dict_add_t(m, key, counters->rx_drop[i]);
		snprintf(key, sizeof(key), "tx_drop_%s", drop_reason_name(i));
		ipc_dict_add_t(m, key, counters->tx_drop[i]);
	}
	ipc_dict_add_t(m, "connects", view->connects);
	return close_entry(m);
}

static int method_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *answer = NULL;
	const struct network_switch *sw = userdata;
	struct switch_network_view network;
	struct switch_port_view port;
	int r;

	(void)ret_error;
	r = sd_bus_message_new_method_return(m, &answer);
	if (r < 0)
		return r;
	r = sd_bus_message_open_container(answer, 'a', "{sa{sv}}");
	for (size_t i = 0; r >= 0 && switch_view_network(sw, i, &network); i++)
		r = append_network(answer, &network);
	if (r < 0)
		return r;
	r = sd_bus_message_close_container(answer);
	if (r < 0)
		return r;
	r = sd_bus_message_open_container(answer, 'a', "{sa{sv}}");
	for (size_t i = 0; r >= 0 && switch_view_port(sw, i, &port); i++)
		r = append_port(answer, &port);
	if (r < 0)
		return r;
	r = sd_bus_message_close_container(answer);
	if (r < 0)
		return r;
	return sd_bus_message_send(answer);
}

static int method_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *answer = NULL;
	const struct network_switch *sw = userdata;
	struct switch_counters_view counters;
	int r;

	(void)ret_error;
	r = sd_bus_message_new_method_return(m, &answer);
	if (r < 0)
		return r;
	r = sd_bus_message_open_container(answer, 'a', "{sa{sv}}");
	for (size_t i = 0; r >= 0 && switch_view_counters(sw, i, &counters); i++)
		r = append_counters(answer, &counters);
	if (r < 0)
		return r;
	r = sd_bus_message_close_container(answer);
	if (r < 0)
		return r;
	return sd_bus_message_send(answer);
}

// "Unprivileged" as it is the link that is private: who could connect to it may ask for anything.
static const sd_bus_vtable switch_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("SetNetwork", "sa{sv}", "", method_set_network, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("SetUplink", "ssh", "", method_set_uplink, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DelNetwork", "s", "", method_del_network, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("SetPort", "sa{sv}", "", method_set_port, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DelPort", "s", "", method_del_port, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("List", "", "a{sa{sv}}a{sa{sv}}", method_list, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Stats", "", "a{sa{sv}}", method_stats, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL("PortChanged", "stbs", 0),
	SD_BUS_VTABLE_END,
};

int control_attach(sd_bus *link, struct network_switch *sw) {
	return sd_bus_add_object_vtable(
		link, NULL, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, switch_vtable, sw
	);
}

void control_announce_changes(sd_bus *link, struct network_switch *sw) {
	struct switch_port_view port;

	while (switch_next_changed_port(sw, &port)) {
		if (link == NULL)
			continue;
		// A link that fails here is closed soon, and List() tells the next one.
		sd_bus_emit_signal(
			link, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, "PortChanged", "stbs", port.name,
			port.spec.generation, (int)port.status.connected, port.status.detail
		);
	}
}
