// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/bus/bus_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/bus/bus_dict.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

static int port_path(const struct port *port, char **ret_path) {
	return sd_bus_path_encode(IPC_PORT_PATH_PREFIX, port->spec.name, ret_path);
}

static int find_object(
	sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
	sd_bus_error *ret_error
) {
	struct port_set *ports = userdata;
	struct managed_port *port;
	_cleanup_free_ char *name = NULL;
	int r;

	(void)bus;
	(void)interface;
	(void)ret_error;
	r = sd_bus_path_decode(path, IPC_PORT_PATH_PREFIX, &name);
	if (r <= 0)
		return r;
	port = port_set_find(ports, name);
	if (port == NULL)
		return 0;
	*ret_found = port;
	return 1;
}

static void free_strings(char ***list) {
	for (char **s = *list; s != NULL && *s != NULL; s++)
		free(*s);
	free(*list);
}

static int list_objects(
	sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *ret_error
) {
	const struct port_set *ports = userdata;
	_cleanup_(free_strings) char **nodes = calloc(ports->n + 1, sizeof(char *));
	int r;

	(void)bus;
	(void)prefix;
	(void)ret_error;
	if (nodes == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < ports->n; i++) {
		r = port_path(&ports->list[i]->port, &nodes[i]);
		if (r < 0)
			return r;
	}
	*ret_nodes = TAKE_PTR(nodes);
	return 0;
}

static int get_property(
	sd_bus *bus, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *ret_error
) {
	const struct managed_port *port = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)ret_error;
	for (size_t i = 0; i < n_port_fields; i++) {
		if (strcmp(port_fields[i].property, property) == 0)
			return bus_append_port_field(reply, &port->port, &port_fields[i]);
	}
	return -ENOENT;
}

#define CONSTANT(name, type) \
	SD_BUS_PROPERTY(name, type, get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGING(name, type) \
	SD_BUS_PROPERTY(name, type, get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

// As port_fields[] says.
static const sd_bus_vtable port_vtable[] = {
	SD_BUS_VTABLE_START(0),      CONSTANT("Name", "s"),     CHANGING("Network", "s"),
	CONSTANT("Backend", "s"),    CHANGING("State", "s"),    CHANGING("Reason", "s"),
	CONSTANT("Choice", "s"),     CONSTANT("Mac", "s"),      CONSTANT("Mtu", "u"),
	CONSTANT("QueuePairs", "u"), CHANGING("Vlan", "u"),     CHANGING("Trunks", "s"),
	CHANGING("Rate", "t"),       CONSTANT("Policy", "s"),   CONSTANT("Socket", "s"),
	CONSTANT("Profile", "s"),    CONSTANT("Features", "t"), CHANGING("Link", "s"),
	CHANGING("Lifetime", "s"),   CONSTANT("Path", "s"),     CONSTANT("QemuListens", "b"),
	CONSTANT("Generation", "t"), SD_BUS_VTABLE_END,
};

int bus_port_serve(sd_bus *bus, struct port_set *ports) {
	int r;

	r = sd_bus_add_fallback_vtable(
		bus, NULL, IPC_PORT_PATH_PREFIX, IPC_PORT_IFACE, port_vtable, find_object, ports
	);
	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(bus, NULL, IPC_PORT_PATH_PREFIX, list_objects, ports);
}

int bus_port_emit_added(sd_bus *bus, const struct port *port) {
	_cleanup_free_ char *path = NULL;
	int r = port_path(port, &path);

	return r < 0 ? r : sd_bus_emit_object_added(bus, path);
}

int bus_port_emit_changed(sd_bus *bus, const struct port *port) {
	_cleanup_free_ char *path = NULL;
	int r = port_path(port, &path);

	if (r < 0)
		return r;
	return sd_bus_emit_properties_changed(
		bus, path, IPC_PORT_IFACE, "State", "Reason", "Network", "Vlan", "Trunks", "Rate",
		"Link", "Lifetime", NULL
	);
}

int bus_port_emit_removed(sd_bus *bus, const struct port *port) {
	_cleanup_free_ char *path = NULL;
	int r = port_path(port, &path);

	return r < 0 ? r : sd_bus_emit_object_removed(bus, path);
}
