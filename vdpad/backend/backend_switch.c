// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/backend_switch.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vdpad/backend/switch_networks.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

struct backend_switch {
	struct backend base;
	struct hub *hub;
	struct switch_networks *networks;
};

// One request of the daemon on a port.
struct request {
	struct backend_switch *backend;
	const struct port *port;
	backend_done_fn done;
	void *userdata;
	bool retried;
};

static void request_end(struct request *request, const struct error *e) {
	backend_done_fn done = request->done;
	void *userdata = request->userdata;

	free(request);
	done(userdata, e);
}

static struct request *request_new(
	struct backend_switch *b, const struct port *port, backend_done_fn done, void *userdata
) {
	struct request *request = calloc(1, sizeof(*request));
	struct error e;

	if (request == NULL) {
		error_set(&e, ENOMEM, "out of memory");
		done(userdata, &e);
		return NULL;
	}
	*request = (struct request){.backend = b, .port = port, .done = done, .userdata = userdata};
	return request;
}

static int fill_port(sd_bus_message *m, const struct port *port) {
	const struct port_spec *spec = &port->spec;

	sd_bus_message_append_basic(m, 's', spec->name);
	sd_bus_message_open_container(m, 'a', "{sv}");
	sd_bus_message_append(
		m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "network", "s", spec->network, "path", "s",
		port->path, "mtu", "u", spec->mtu_bytes, "queue_pairs", "u", spec->queue_pairs,
		"vlan", "u", spec->vlan, "link_up", "b", (int)spec->link_up, "features", "t",
		port_features(port), "generation", "t", port->generation
	);
	if (port->backend == BACKEND_DPDK_VDPA)
		ipc_dict_add_s(m, "device", port->resource);
	return sd_bus_message_close_container(m);
}

static void set_port(struct request *request, hub_reply_fn done) {
	struct hub *hub = request->backend->hub;
	sd_bus_message *m = hub_message(hub, WORKER_SWITCH, "SetPort");

	hub_call(hub, WORKER_SWITCH, m, m != NULL ? fill_port(m, request->port) : 0, done, request);
}

static void on_done(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)reply;
	request_end(userdata, e);
}

// Creating

static void on_old_port_deleted(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;

	(void)reply;
	if (e != NULL)
		request_end(request, e);
	else
		set_port(request, on_done);
}

static void on_port_created(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;
	struct backend_switch *b = request->backend;

	(void)reply;
	// The name has a lease of its own since the intent was written. What the switch has under it
	// is what an earlier failure left.
	if (e != NULL && e->code == EEXIST && !request->retried) {
		request->retried = true;
		hub_call_name(
			b->hub, WORKER_SWITCH, "DelPort", request->port->spec.name,
			on_old_port_deleted, request
		);
		return;
	}
	// The answer may have been lost and the port be there. The link keeps the order, so nothing
	// that is made later can be hit.
	if (e != NULL)
		backend_switch_drop_port(b, request->port->spec.name);
	request_end(request, e);
}

static void on_network_ready(void *userdata, const struct error *e) {
	struct request *request = userdata;

	if (e != NULL)
		request_end(request, e);
	else
		set_port(request, on_port_created);
}

void backend_switch_make_port(
	struct backend_switch *b, const struct port *port, backend_done_fn done, void *userdata
) {
	struct request *request = request_new(b, port, done, userdata);

	if (request != NULL)
		set_port(request, on_port_created);
}

static void create(
	struct backend *backend, struct port *port, const struct network *network,
	backend_done_fn done, void *userdata
) {
	struct backend_switch *b = (struct backend_switch *)backend;
	struct request *request = request_new(b, port, done, userdata);

	if (request != NULL)
		switch_networks_need(b->networks, network, on_network_ready, request);
}

// Changing and deleting

void backend_switch_push_port(
	struct backend_switch *b, const struct port *port, backend_done_fn done, void *userdata
) {
	struct request *request = request_new(b, port, done, userdata);

	if (request != NULL)
		set_port(request, on_done);
}

static void change(
	struct backend *backend, const struct port *port, backend_done_fn done, void *userdata
) {
	backend_switch_push_port((struct backend_switch *)backend, port, done, userdata);
}

// Without the switch there is no socket but perhaps its file, in a directory where only the switch may
// write in a packaged system. What stays there is harmless: nobody can connect to it, and the switch
// replaces it. When the switch comes and still has the port, reconcile deletes it as one that
// nobody wants.
static void on_port_deleted(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;

	(void)reply;
	if (e != NULL && !hub_is_ready(request->backend->hub, WORKER_SWITCH)) {
		(void)unlink(request->port->path);
		e = NULL;
	}
	request_end(request, e);
}

static void on_new_network_ready(void *userdata, const struct error *e) {
	struct request *request = userdata;

	if (e != NULL)
		request_end(request, e);
	else
		set_port(request, on_done);
}

static void move(
	struct backend *backend, const struct port *port, const struct network *network,
	backend_done_fn done, void *userdata
) {
	struct backend_switch *b = (struct backend_switch *)backend;
	struct request *request = request_new(b, port, done, userdata);

	if (request != NULL)
		switch_networks_need(b->networks, network, on_new_network_ready, request);
}

static void delete (
	struct backend *backend, const struct port *port, backend_done_fn done, void *userdata
) {
	struct backend_switch *b = (struct backend_switch *)backend;
	struct request *request = request_new(b, port, done, userdata);

	if (request != NULL)
		hub_call_name(
			b->hub, WORKER_SWITCH, "DelPort", port->spec.name, on_port_deleted, request
		);
}

static void release_network(struct backend *backend, const char *network) {
	switch_networks_release(((struct backend_switch *)backend)->networks, network);
}

// Steps of reconcile

void backend_switch_drop_port(struct backend_switch *b, const char *name) {
	hub_call_name(b->hub, WORKER_SWITCH, "DelPort", name, hub_note_cleanup, NULL);
}

void backend_switch_drop_tap(struct backend_switch *b, const char *tap) {
	hub_call_name(b->hub, WORKER_NETLINK, "DelTap", tap, hub_note_cleanup, NULL);
}

struct switch_networks *backend_switch_networks(struct backend_switch *b) {
	return b->networks;
}

void backend_switch_lost(struct backend_switch *b) {
	switch_networks_lost(b->networks);
}

// The backend itself

static const struct backend_ops ops = {
	.path_suffix = ".sock",
	.create = create,
	.change = change,
	.move = move,
	.delete = delete,
	.release_network = release_network,
};

int backend_switch_new(struct hub *hub, struct backend_switch **ret_backend) {
	struct backend_switch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	b->base.ops = &ops;
	b->hub = hub;
	if (switch_networks_new(hub, &b->networks) < 0) {
		free(b);
		return -ENOMEM;
	}
	*ret_backend = b;
	return 0;
}

void backend_switch_free(struct backend_switch *b) {
	if (b == NULL)
		return;
	switch_networks_free(b->networks);
	free(b);
}

struct backend *backend_switch_base(struct backend_switch *b) {
	return &b->base;
}
