// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/switch.h"

#include <string.h>
#include <sys/eventfd.h>

#include "fallback/switch_state.h"

static void view_port(const struct port *port, struct switch_port_view *ret_view) {
	ret_view->name = port->name;
	ret_view->spec = port->spec;
	vhost_port_read_status(port->guest.io, &ret_view->status);
}

bool switch_view_network(
	const struct network_switch *sw, size_t index, struct switch_network_view *ret_view
) {
	if (index >= sw->n_networks)
		return false;
	*ret_view = (struct switch_network_view){
		.name = sw->networks[index]->name,
		.spec = sw->networks[index]->spec,
		.uplink = sw->networks[index]->uplink_name,
	};
	return true;
}

bool switch_view_port(
	const struct network_switch *sw, size_t index, struct switch_port_view *ret_view
) {
	if (index >= sw->n_ports)
		return false;
	view_port(sw->ports[index], ret_view);
	return true;
}

static const struct network *nth_with_uplink(const struct network_switch *sw, size_t n) {
	for (size_t i = 0; i < sw->n_networks; i++) {
		if (sw->networks[i]->uplink.io != NULL && n-- == 0)
			return sw->networks[i];
	}
	return NULL;
}

bool switch_view_counters(
	const struct network_switch *sw, size_t index, struct switch_counters_view *ret_view
) {
	const struct attachment *place;
	struct vhost_port_status status = {0};

	if (index < sw->n_ports) {
		const struct port *port = sw->ports[index];

		ret_view->name = port->name;
		ret_view->network = port->network->name;
		place = &port->guest;
		vhost_port_read_status(place->io, &status);
	} else {
		const struct network *network = nth_with_uplink(sw, index - sw->n_ports);

		if (network == NULL)
			return false;
		ret_view->name = network->uplink_name;
		ret_view->network = network->name;
		place = &network->uplink;
	}
	ret_view->connects = status.connects;
	workers_read_counters(sw->workers, place->id, &ret_view->counters);
	return true;
}

int switch_changed_fd(const struct network_switch *sw) {
	return sw->changed_fd;
}

bool switch_next_changed_port(struct network_switch *sw, struct switch_port_view *ret_view) {
	eventfd_t ignored;

	eventfd_read(sw->changed_fd, &ignored); // before looking, so that no change is missed
	for (size_t i = 0; i < sw->n_ports; i++) {
		struct port *port = sw->ports[i];

		view_port(port, ret_view);
		if (ret_view->status.connected == port->announced.connected &&
		    strcmp(ret_view->status.detail, port->announced.detail) == 0)
			continue;
		port->announced = ret_view->status;
		return true;
	}
	return false;
}
