// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/bus/bus_stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/daemon.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

struct query {
	struct daemon *d;
	sd_bus_message *request;     // owned
	sd_bus_message *reply;       // owned, while it is being filled
	char name[PORT_NAME_SIZE];   // "": all
	char device[PORT_NAME_SIZE]; // the port whose device is asked for
};

static bool is_uplink(struct daemon *d, const char *name) {
	for (size_t i = 0; i < d->networks.n; i++) {
		if (strcmp(d->networks.list[i].tap, name) == 0)
			return true;
	}
	return false;
}

static bool is_asked_for(const struct query *query, const char *name) {
	if (query->name[0] != '\0')
		return strcmp(query->name, name) == 0;
	return port_set_find(&query->d->ports, name) != NULL || is_uplink(query->d, name);
}

// One entry {sa{sv}} of the switch's answer.
static int copy_entry(const struct query *query, sd_bus_message *from, sd_bus_message *to) {
	const char *name;
	int r = sd_bus_message_read_basic(from, 's', &name);

	if (r < 0)
		return r;
	if (!is_asked_for(query, name))
		return sd_bus_message_skip(from, "a{sv}");
	r = sd_bus_message_open_container(to, 'e', "sa{sv}");
	if (r >= 0)
		r = sd_bus_message_append_basic(to, 's', name);
	if (r >= 0)
		r = sd_bus_message_copy(to, from, false);
	return r < 0 ? r : sd_bus_message_close_container(to);
}

static int copy_entries(const struct query *query, sd_bus_message *from, sd_bus_message *to) {
	int r = sd_bus_message_enter_container(from, 'a', "{sa{sv}}");

	while (r >= 0 && (r = sd_bus_message_enter_container(from, 'e', "sa{sv}")) > 0) {
		r = copy_entry(query, from, to);
		if (r >= 0)
			r = sd_bus_message_exit_container(from);
	}
	return r;
}

// Ports that the switch does not serve have no counters, nor have others while it (@has_switch) does not
// answer.
static int add_without_counters(const struct query *query, bool has_switch, sd_bus_message *to) {
	const struct port_set *ports = &query->d->ports;
	int r = 0;

	for (size_t i = 0; i < ports->n && r >= 0; i++) {
		const struct port *port = &ports->list[i]->port;
		bool served = port->state == PORT_READY || port->state == PORT_CONNECTED;

		bool lacks = port->backend == BACKEND_EXTERNAL || (!has_switch && !served);

		if (lacks && port->backend != BACKEND_VDPA && is_asked_for(query, port->spec.name))
			r = sd_bus_message_append(to, "{sa{sv}}", port->spec.name, 0);
	}
	return r;
}

// The vendor's counters of a device, each as "NAME t".
static int copy_counters(sd_bus_message *from, sd_bus_message *to) {
	const char *name;
	uint64_t value;
	int r = sd_bus_message_enter_container(from, 'a', "{st}");

	while (r >= 0 && (r = sd_bus_message_read(from, "{st}", &name, &value)) > 0)
		r = ipc_dict_add_t(to, name, value);
	return r;
}

static int add_device(struct query *query, const struct port *port, sd_bus_message *counters) {
	sd_bus_message *to = query->reply;
	int r = ipc_entry_open(to, port->spec.name);

	if (r >= 0)
		r = ipc_dict_add_s(to, "network", port->spec.network);
	if (r >= 0 && counters != NULL)
		r = copy_counters(counters, to);
	return r < 0 ? r : ipc_entry_close(to);
}

static void query_end(struct query *query, int r) {
	if (r >= 0)
		r = sd_bus_message_close_container(query->reply);
	if (r >= 0)
		r = sd_bus_message_send(query->reply);
	if (r < 0)
		r = sd_bus_reply_method_errno(query->request, r, NULL);
	if (r < 0)
		log_debug("a client went away before its answer");
	sd_bus_message_unref(query->reply);
	sd_bus_message_unref(query->request);
	free(query);
}

static void ask_next_device(struct query *query);

static void on_counters(void *userdata, sd_bus_message *counters) {
	struct query *query = userdata;
	const struct managed_port *port = port_set_find(&query->d->ports, query->device);
	int r = port != NULL ? add_device(query, &port->port, counters) : 0;

	if (r < 0)
		query_end(query, r);
	else
		ask_next_device(query);
}

// The first port on a device after the one that was asked for last, as ports may come and go meanwhile.
static const struct managed_port *next_device(const struct query *query) {
	const struct port_set *ports = &query->d->ports;

	for (size_t i = 0; i < ports->n; i++) {
		const struct port *port = &ports->list[i]->port;

		if (port->backend == BACKEND_VDPA && strcmp(port->spec.name, query->device) > 0 &&
		    is_asked_for(query, port->spec.name))
			return ports->list[i];
	}
	return NULL;
}

// Without a driver in the guest there are no counters.
static void ask_next_device(struct query *query) {
	const struct managed_port *port;
	int r = 0;

	while (r >= 0 && (port = next_device(query)) != NULL) {
		str_copy(query->device, sizeof(query->device), port->port.spec.name);
		if (port->connected) {
			vdpa_stats_get(
				query->d->vdpa_stats, port->port.generation, on_counters, query
			);
			return;
		}
		r = add_device(query, &port->port, NULL);
	}
	query_end(query, r);
}

static int begin_answer(struct query *query, sd_bus_message *from) {
	int r = sd_bus_message_new_method_return(query->request, &query->reply);

	if (r >= 0)
		r = sd_bus_message_open_container(query->reply, 'a', "{sa{sv}}");
	if (r >= 0 && from != NULL)
		r = copy_entries(query, from, query->reply);
	if (r >= 0)
		r = add_without_counters(query, from != NULL, query->reply);
	return r;
}

static void on_stats(void *userdata, sd_bus_message *from, const struct error *e) {
	_cleanup_bus_error_ sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	struct query *query = userdata;
	int r;

	if (e != NULL && e->code != EHOSTDOWN) {
		error_to_bus(e, &bus_error);
		if (sd_bus_reply_method_error(query->request, &bus_error) < 0)
			log_debug("a client went away before its answer");
		sd_bus_message_unref(query->request);
		free(query);
		return;
	}
	r = begin_answer(query, from);
	if (r < 0)
		query_end(query, r);
	else
		ask_next_device(query);
}

int bus_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct daemon *d = userdata;
	struct query *query;
	struct error e;
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	if (name[0] != '\0' && port_set_find(&d->ports, name) == NULL && !is_uplink(d, name)) {
		error_set(&e, ENOENT, "there is no port or uplink '%s'", name);
		return error_to_bus(&e, ret_error);
	}
	query = calloc(1, sizeof(*query));
	if (query == NULL)
		return -ENOMEM;
	query->d = d;
	query->request = sd_bus_message_ref(m);
	str_copy(query->name, sizeof(query->name), name);
	hub_call(
		d->hub, WORKER_SWITCH, hub_message(d->hub, WORKER_SWITCH, "Stats"), 0, on_stats,
		query
	);
	return 1;
}
