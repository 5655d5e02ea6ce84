// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/port_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Where @name is or would be.
static size_t position(const struct port_set *set, const char *name, bool *ret_found) {
	size_t low = 0, high = set->n;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(set->list[middle]->port.spec.name, name);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void port_set_done(struct port_set *set) {
	for (size_t i = 0; i < set->n; i++)
		free(set->list[i]);
	free(set->list);
	*set = (struct port_set){0};
}

struct managed_port *port_set_find(const struct port_set *set, const char *name) {
	bool found;
	size_t i = position(set, name, &found);

	return found ? set->list[i] : NULL;
}

static int make_room(struct port_set *set) {
	size_t capacity = set->capacity != 0 ? set->capacity * 2 : 64;
	struct managed_port **list;

	if (set->n < set->capacity)
		return 0;
	list = reallocarray(set->list, capacity, sizeof(struct managed_port *));
	if (list == NULL)
		return -ENOMEM;
	set->list = list;
	set->capacity = capacity;
	return 0;
}

int port_set_add(struct port_set *set, const struct port *port, struct managed_port **ret_port) {
	struct managed_port *added;
	bool found;
	size_t i = position(set, port->spec.name, &found);

	if (found)
		return -EEXIST;
	if (make_room(set) < 0)
		return -ENOMEM;
	added = calloc(1, sizeof(*added));
	if (added == NULL)
		return -ENOMEM;
	added->port = *port;
	memmove(&set->list[i + 1], &set->list[i], (set->n - i) * sizeof(struct managed_port *));
	set->list[i] = added;
	set->n++;
	*ret_port = added;
	return 0;
}

void port_set_remove(struct port_set *set, struct managed_port *port) {
	bool found;
	size_t i = position(set, port->port.spec.name, &found);

	if (!found)
		return;
	set->n--;
	memmove(&set->list[i], &set->list[i + 1], (set->n - i) * sizeof(struct managed_port *));
	free(port);
}

const struct managed_port *port_set_find_mac(
	const struct port_set *set, const char *network, const struct mac_addr *mac
) {
	for (size_t i = 0; i < set->n; i++) {
		const struct port_spec *spec = &set->list[i]->port.spec;

		if (mac_addr_equal(&spec->mac, mac) && strcmp(spec->network, network) == 0)
			return set->list[i];
	}
	return NULL;
}

size_t port_set_count_network(const struct port_set *set, const char *network) {
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += strcmp(set->list[i]->port.spec.network, network) == 0;
	return n;
}

size_t port_set_count(const struct port_set *set, const char *network, enum backend_kind backend) {
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct port *port = &set->list[i]->port;

		n += port->backend == backend && strcmp(port->spec.network, network) == 0;
	}
	return n;
}

const struct managed_port *port_set_find_socket(const struct port_set *set, const char *socket) {
	for (size_t i = 0; i < set->n; i++) {
		if (strcmp(set->list[i]->port.spec.socket, socket) == 0)
			return set->list[i];
	}
	return NULL;
}

int port_set_begin(struct managed_port *port, enum port_act act, struct error *e) {
	static const char *const running[] = {
		[PORT_IDLE] = "",
		[PORT_ACT_CREATE] = "being created",
		[PORT_ACT_CHANGE] = "being changed",
		[PORT_ACT_DELETE] = "being deleted",
		[PORT_ACT_RESTORE] = "being restored",
	};

	if (port->act != PORT_IDLE)
		return error_set(
			e, EEXIST, "port '%s' is %s just now; try again", port->port.spec.name,
			running[port->act]
		);
	port->act = act;
	return 0;
}

void port_enter(struct managed_port *port, enum port_state state, const char *reason) {
	port->port.state = state;
	snprintf(port->port.reason, sizeof(port->port.reason), "%s", reason);
}

bool port_has_reason(const struct managed_port *port, const char *reason) {
	return strncmp(port->port.reason, reason, sizeof(port->port.reason) - 1) == 0;
}

void port_enter_served(struct managed_port *port) {
	const char *detail = port->detail[0] != '\0' ? port->detail : "no VM is attached";

	port_enter(port, port->connected ? PORT_CONNECTED : PORT_READY, detail);
}

bool port_report(struct managed_port *port, bool connected, const char *detail) {
	bool served = port->port.state == PORT_READY || port->port.state == PORT_CONNECTED;

	if (port->connected == connected && strcmp(port->detail, detail) == 0)
		return false;
	port->connected = connected;
	snprintf(port->detail, sizeof(port->detail), "%s", detail);
	if (served)
		port_enter_served(port);
	return served;
}
