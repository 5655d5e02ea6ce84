// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/bus/bus_api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "vdpad/bus/bus_dict.h"
#include "vdpad/bus/bus_hardware.h"
#include "vdpad/bus/bus_port.h"
#include "vdpad/bus/bus_stats.h"
#include "vdpad/daemon.h"
#include "vdpad/pool_plan.h"
#include "vdpad/provision.h"
#include "vdpad/request.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define FACTS_NOW 0             // no older than this, in ms
#define NETWORKS_MAX_AGE_MS 500 // of what ShowNetworks says about bridges

struct bus_api {
	sd_bus *bus;
};

// Requests that are answered from what the daemon has

static int append_named_port(sd_bus_message *reply, const struct port *port) {
	sd_bus_message_open_container(reply, 'e', "sa{sv}");
	sd_bus_message_append(reply, "s", port->spec.name);
	bus_append_port(reply, port);
	return sd_bus_message_close_container(reply);
}

static int append_named_network(
	const struct daemon *d, sd_bus_message *reply, const struct network *network
) {
	size_t n_ports = port_set_count_network(&d->ports, network->name);

	sd_bus_message_open_container(reply, 'e', "sa{sv}");
	sd_bus_message_append(reply, "s", network->name);
	bus_append_network(reply, network, n_ports);
	return sd_bus_message_close_container(reply);
}

static int show_ports(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	const struct daemon *d = userdata;
	const struct managed_port *port = NULL;
	struct error e;
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	if (name[0] != '\0') {
		port = port_set_find(&d->ports, name);
		if (port == NULL) {
			error_set(&e, ENOENT, "there is no port '%.40s'", name);
			return error_to_bus(&e, ret_error);
		}
	}
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	for (size_t i = 0; i < d->ports.n && r >= 0; i++) {
		if (port == NULL || port == d->ports.list[i])
			r = append_named_port(reply, &d->ports.list[i]->port);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static int show_networks(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	const struct network *network = NULL;
	struct daemon *d = userdata;
	struct error e;
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	daemon_facts(d, NETWORKS_MAX_AGE_MS);
	if (name[0] != '\0') {
		network = daemon_find_network(d, name);
		if (network == NULL) {
			networks_refuse(&d->networks, name, &e);
			return error_to_bus(&e, ret_error);
		}
	}
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	for (size_t i = 0; i < d->networks.n && r >= 0; i++) {
		if (network == NULL || network == &d->networks.list[i])
			r = append_named_network(d, reply, &d->networks.list[i]);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static int explain(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct port_spec request = {0}, spec;
	struct decision decision;
	struct network network;
	struct error e;
	int r;

	if (bus_read_spec(m, true, &request, &e) < 0 ||
	    provision_check(userdata, &request, &spec, &network, &decision, &e) < 0)
		return error_to_bus(&e, ret_error);
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = bus_append_explanation(reply, &spec, &decision);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static int preview_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct port_spec request = {0};
	struct error e;
	struct port port;
	int r;

	if (request_read_name(m, &request, &e) < 0 || bus_read_spec(m, false, &request, &e) < 0 ||
	    provision_plan(userdata, &request, &port, &e) < 0)
		return error_to_bus(&e, ret_error);
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = bus_append_port(reply, &port);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static int show_facts(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	json_t *json = facts_to_json(daemon_facts(userdata, FACTS_NOW));
	_cleanup_free_ char *text = json != NULL ? json_dumps(json, JSON_SORT_KEYS) : NULL;

	(void)ret_error;
	json_decref(json);
	return text == NULL ? -ENOMEM : sd_bus_reply_method_return(m, "s", text);
}

static const char *worker_state(const struct worker_info *info) {
	if (info->ready)
		return "ready";
	return info->connected ? "starting" : "not running";
}

static const char *vdpa_state(const struct daemon *d) {
	const char *wedged = vdpa_calls_wedged(d->vdpa_calls);

	if (!hub_is_ready(d->hub, WORKER_NETLINK))
		return "vdpad-netlink is not running";
	if (wedged[0] != '\0')
		return wedged;
	return vdpa_view_report(d->vdpa_view) != NULL ? "ready"
						      : "vdpad-netlink has not yet answered";
}

static void add_warnings(sd_bus_message *reply, const struct config_warnings *warnings) {
	sd_bus_message_open_container(reply, 'e', "sv");
	sd_bus_message_append(reply, "s", "config_warnings");
	sd_bus_message_open_container(reply, 'v', "as");
	sd_bus_message_open_container(reply, 'a', "s");
	for (size_t i = 0; i < warnings->n; i++)
		sd_bus_message_append(reply, "s", warnings->list[i]);
	for (int depth = 0; depth < 3; depth++)
		sd_bus_message_close_container(reply);
}

static int append_status(sd_bus_message *reply, const struct daemon *d) {
	const struct worker_info *fallback = hub_info(d->hub, WORKER_SWITCH);
	const struct worker_info *netlink = hub_info(d->hub, WORKER_NETLINK);
	const char *cluster = d->options.cluster_path != NULL ? d->options.cluster_path : "";

	sd_bus_message_open_container(reply, 'a', "{sv}");
	ipc_dict_add_s(reply, "version", VDPAD_VERSION);
	ipc_dict_add_s(reply, "config", d->options.config_path);
	ipc_dict_add_s(reply, "cluster_config", cluster);
	ipc_dict_add_s(reply, "run_dir", d->options.run_dir);
	ipc_dict_add_s(reply, "state_dir", d->options.state_dir);
	ipc_dict_add_s(reply, "vdpa", vdpa_state(d));
	ipc_dict_add_s(reply, "switch", worker_state(fallback));
	ipc_dict_add_s(reply, "switch_version", fallback->version);
	ipc_dict_add_s(reply, "netlink", worker_state(netlink));
	ipc_dict_add_s(reply, "netlink_version", netlink->version);
	ipc_dict_add_u(reply, "pid", (uint32_t)getpid());
	ipc_dict_add_u(reply, "ports", (uint32_t)d->ports.n);
	ipc_dict_add_u(reply, "networks", (uint32_t)d->networks.n);
	ipc_dict_add_u(reply, "switch_pid", fallback->pid);
	ipc_dict_add_u(reply, "netlink_pid", netlink->pid);
	ipc_dict_add_t(reply, "uptime_ms", clock_now_ms() - d->start_ms);
	add_warnings(reply, &d->warnings);
	return sd_bus_message_close_container(reply);
}

static int show_status(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(m, &reply);

	(void)ret_error;
	if (r >= 0)
		r = append_status(reply, userdata);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static int reload(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct error e;

	if (daemon_reload(userdata, &e) < 0)
		return error_to_bus(&e, ret_error);
	return sd_bus_reply_method_return(m, "");
}

// For all, as far as the bus lets them through: its policy file decides.
#define FOR_ALL SD_BUS_VTABLE_UNPRIVILEGED

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("AddPort", "sa{sv}b", "a{sv}", request_add_port, FOR_ALL),
	SD_BUS_METHOD("SetPort", "sa{sv}", "a{sv}", request_set_port, FOR_ALL),
	SD_BUS_METHOD("DelPort", "sb", "", request_del_port, FOR_ALL),
	SD_BUS_METHOD("ShowPorts", "s", "a{sa{sv}}", show_ports, FOR_ALL),
	SD_BUS_METHOD("ShowNetworks", "s", "a{sa{sv}}", show_networks, FOR_ALL),
	SD_BUS_METHOD("ShowPools", "s", "a{sa{sv}}", bus_show_pools, FOR_ALL),
	SD_BUS_METHOD("ShowMgmtdevs", "s", "a{sa{sv}}", bus_show_mgmtdevs, FOR_ALL),
	SD_BUS_METHOD("ShowDevices", "s", "a{sa{sv}}", bus_show_devices, FOR_ALL),
	SD_BUS_METHOD("PlanPool", "s", "a(ss)", plan_pool, FOR_ALL),
	SD_BUS_METHOD("PlanPort", "sa{sv}", "a(ss)", plan_port, FOR_ALL),
	SD_BUS_METHOD("Explain", "a{sv}", "a{sv}", explain, FOR_ALL),
	SD_BUS_METHOD("PreviewPort", "sa{sv}", "a{sv}", preview_port, FOR_ALL),
	SD_BUS_METHOD("Stats", "s", "a{sa{sv}}", bus_stats, FOR_ALL),
	SD_BUS_METHOD("Facts", "", "s", show_facts, FOR_ALL),
	SD_BUS_METHOD("Status", "", "a{sv}", show_status, FOR_ALL),
	SD_BUS_METHOD("Reload", "", "", reload, FOR_ALL),
	SD_BUS_SIGNAL("PortChanged", "sa{sv}", 0),
	SD_BUS_VTABLE_END,
};

static void freep(struct bus_api **api) {
	bus_api_free(*api);
}

int bus_api_new(struct daemon *d, struct bus_api **ret_api, struct error *e) {
	_cleanup_(freep) struct bus_api *api = calloc(1, sizeof(*api));
	int r;

	if (api == NULL)
		return error_set(e, ENOMEM, "out of memory");
	r = sd_bus_open_system(&api->bus);
	if (r < 0)
		return error_set(e, -r, "cannot connect to the system bus: %s", strerror(-r));
	r = sd_bus_set_exit_on_disconnect(api->bus, true);
	if (r >= 0)
		r = sd_bus_add_object_manager(api->bus, NULL, IPC_PATH);
	if (r >= 0)
		r = sd_bus_add_object_vtable(
			api->bus, NULL, IPC_PATH, IPC_MANAGER_IFACE, manager_vtable, d
		);
	if (r >= 0)
		r = bus_port_serve(api->bus, &d->ports);
	if (r >= 0)
		r = sd_bus_attach_event(api->bus, d->event, SD_EVENT_PRIORITY_NORMAL);
	if (r < 0)
		return error_set(e, -r, "cannot serve on the system bus: %s", strerror(-r));
	*ret_api = TAKE_PTR(api);
	return 0;
}

int bus_api_take_name(struct bus_api *api, struct error *e) {
	int r = sd_bus_request_name(api->bus, IPC_BUS_NAME, 0);

	if (r == -EEXIST)
		return error_set(e, EEXIST, "another process has the bus name " IPC_BUS_NAME);
	if (r < 0)
		return error_set(
			e, -r,
			"cannot get the bus name " IPC_BUS_NAME ": %s (is the bus's policy "
			"file installed?)",
			strerror(-r)
		);
	return 0;
}

void bus_api_free(struct bus_api *api) {
	if (api == NULL)
		return;
	sd_bus_flush_close_unref(api->bus);
	free(api);
}

static void emit_manager_signal(struct bus_api *api, const struct port *port) {
	_cleanup_message_ sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_signal(api->bus, &m, IPC_PATH, IPC_MANAGER_IFACE, "PortChanged");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", port->spec.name);
	if (r >= 0)
		r = bus_append_port(m, port);
	if (r >= 0)
		r = sd_bus_send(api->bus, m, NULL);
	if (r < 0)
		log_debug("a signal was not sent: %s", strerror(-r));
}

void bus_api_port_added(struct bus_api *api, const struct managed_port *port) {
	if (api == NULL)
		return;
	bus_port_emit_added(api->bus, &port->port);
	emit_manager_signal(api, &port->port);
}

void bus_api_port_changed(struct bus_api *api, const struct managed_port *port) {
	if (api == NULL)
		return;
	bus_port_emit_changed(api->bus, &port->port);
	emit_manager_signal(api, &port->port);
}

void bus_api_port_removed(struct bus_api *api, const struct managed_port *port) {
	if (api != NULL)
		bus_port_emit_removed(api->bus, &port->port);
}
