// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fallback/control_hw.h"
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
	const struct control *control = userdata;
	struct switch_network_spec spec;
	struct error e = {0};
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), &spec, &e);
	if (r >= 0)
		r = switch_set_network(control->sw, name, &spec, &e);
	return reply(m, r, &e, ret_error);
}

static int method_set_uplink(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const struct control *control = userdata;
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
		r = switch_set_uplink(control->sw, network, ifname, fd, &e);
	return reply(m, r, &e, ret_error);
}

static int method_del_network(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const struct control *control = userdata;
	struct error e = {0};
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	return reply(m, switch_del_network(control->sw, name, &e), &e, ret_error);
}

static bool switch_has_port(const struct network_switch *sw, const char *name) {
	struct switch_port_view view;

	for (size_t i = 0; switch_view_port(sw, i, &view); i++) {
		if (strcmp(view.name, name) == 0)
			return true;
	}
	return false;
}

static int set_port(
	const struct control *control, const char *name, const struct guest_port_spec *spec,
	struct error *e
) {
	bool in_hardware = spec->device != NULL;

	if (in_hardware ? switch_has_port(control->sw, name) : hw_vdpa_has_port(control->hw, name))
		return error_set(
			e, EEXIST, "port '%s' exists with another device; delete it first", name
		);
	return in_hardware ? hw_vdpa_set_port(control->hw, name, spec, e)
			   : switch_set_port(control->sw, name, spec, e);
}

static int method_set_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct guest_port_spec spec;
	struct error e = {0};
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	r = guest_port_spec_read(m, &spec, &e);
	if (r >= 0)
		r = set_port(userdata, name, &spec, &e);
	return reply(m, r, &e, ret_error);
}

static int method_del_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const struct control *control = userdata;
	struct error e = {0};
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	hw_vdpa_del_port(control->hw, name);
	return reply(m, switch_del_port(control->sw, name, &e), &e, ret_error);
}

static int append_network(sd_bus_message *m, const struct switch_network_view *view) {
	ipc_entry_open(m, view->name);
	ipc_dict_add_u(m, "mtu", view->spec.mtu_bytes);
	ipc_dict_add_u(m, "ageing_s", view->spec.ageing_s);
	ipc_dict_add_s(m, "uplink", view->uplink);
	return ipc_entry_close(m);
}

static int append_port(sd_bus_message *m, const struct switch_port_view *view) {
	ipc_entry_open(m, view->name);
	guest_port_spec_append(m, &view->spec);
	ipc_dict_add_b(m, "connected", view->status.connected);
	ipc_dict_add_s(m, "detail", view->status.detail);
	return ipc_entry_close(m);
}

static int append_counters(sd_bus_message *m, const struct switch_counters_view *view) {
	const struct port_counters *counters = &view->counters;
	char key[COUNTER_KEY_SIZE];

	ipc_entry_open(m, view->name);
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
	return ipc_entry_close(m);
}

static int method_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *answer = NULL;
	const struct control *control = userdata;
	struct switch_network_view network;
	struct switch_port_view port;
	int r;

	(void)ret_error;
	r = sd_bus_message_new_method_return(m, &answer);
	if (r >= 0)
		r = sd_bus_message_open_container(answer, 'a', "{sa{sv}}");
	for (size_t i = 0; r >= 0 && switch_view_network(control->sw, i, &network); i++)
		r = append_network(answer, &network);
	if (r >= 0)
		r = sd_bus_message_close_container(answer);
	if (r >= 0)
		r = sd_bus_message_open_container(answer, 'a', "{sa{sv}}");
	for (size_t i = 0; r >= 0 && switch_view_port(control->sw, i, &port); i++)
		r = append_port(answer, &port);
	if (r >= 0)
		r = control_hw_append_ports(answer, control->hw);
	if (r >= 0)
		r = sd_bus_message_close_container(answer);
	return r < 0 ? r : sd_bus_message_send(answer);
}

static int method_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *answer = NULL;
	const struct control *control = userdata;
	struct switch_counters_view counters;
	int r;

	(void)ret_error;
	r = sd_bus_message_new_method_return(m, &answer);
	if (r >= 0)
		r = sd_bus_message_open_container(answer, 'a', "{sa{sv}}");
	for (size_t i = 0; r >= 0 && switch_view_counters(control->sw, i, &counters); i++)
		r = append_counters(answer, &counters);
	if (r >= 0)
		r = control_hw_append_stats(answer, control->hw);
	if (r >= 0)
		r = sd_bus_message_close_container(answer);
	return r < 0 ? r : sd_bus_message_send(answer);
}

static int method_list_hw_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const struct control *control = userdata;

	(void)ret_error;
	return control_hw_list(m, control->hw);
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
	SD_BUS_METHOD(
		"ListHwVdpa", "", "a{sa{sv}}", method_list_hw_vdpa, SD_BUS_VTABLE_UNPRIVILEGED
	),
	SD_BUS_SIGNAL("PortChanged", "stbs", 0),
	SD_BUS_VTABLE_END,
};

int control_attach(sd_bus *link, struct control *control) {
	return sd_bus_add_object_vtable(
		link, NULL, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, switch_vtable, control
	);
}

// A link that fails here is closed soon, and List() tells the next one.
static void announce(
	sd_bus *link, const char *name, uint64_t generation, bool connected, const char *detail
) {
	if (link != NULL)
		sd_bus_emit_signal(
			link, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, "PortChanged", "stbs", name,
			generation, (int)connected, detail
		);
}

void control_announce_changes(sd_bus *link, struct control *control) {
	struct switch_port_view port;
	struct hw_port_view hw_port;

	while (switch_next_changed_port(control->sw, &port))
		announce(
			link, port.name, port.spec.generation, port.status.connected,
			port.status.detail
		);
	while (hw_vdpa_next_changed_port(control->hw, &hw_port))
		announce(
			link, hw_port.name, hw_port.spec.generation, hw_port.connected,
			hw_port.detail
		);
}
