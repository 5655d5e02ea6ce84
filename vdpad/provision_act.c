// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/provision_act.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/bus/bus_api.h"
#include "vdpad/daemon.h"
#include "vdpad/request.h"

struct error act_failure(const struct error *e) {
	struct error failure = *e;

	if (e->code == EINVAL || e->code == ENOENT || e->code == ENODEV || e->code == EEXIST)
		failure.code = EIO;
	return failure;
}

void act_answer_error(provision_done_fn done, void *userdata, int code, const char *text) {
	struct error e;

	error_set(&e, code, "%s", text);
	done(userdata, NULL, &e);
}

struct act *act_new(
	struct daemon *d, struct managed_port *port, provision_done_fn done, void *userdata
) {
	struct act *act = calloc(1, sizeof(*act));

	if (act == NULL)
		return NULL;
	act->d = d;
	act->port = port;
	act->done = done;
	act->userdata = userdata;
	d->n_acts++;
	return act;
}

void act_end(struct act *act, struct managed_port *port, const struct error *e) {
	if (!act->is_quiet)
		vdpa_restore_look(act->d); // what it did, and what it may have left
	if (port != NULL) {
		port->act = PORT_IDLE;
		if (act->is_quiet)
			requests_wake(act->d->requests);
		else
			daemon_port_changed(act->d, port);
	}
	act->d->n_acts++;
	act->done(act->userdata, e == NULL ? port : NULL, e);
	free(act->decision);
	free(act);
}

void act_release_network(struct daemon *d, enum backend_kind kind, const char *network) {
	struct backend *backend = daemon_backend(d, kind);

	if (backend != NULL && backend->ops->release_network != NULL &&
	    port_set_count(&d->ports, network, kind) == 0)
		backend->ops->release_network(backend, network);
}

void act_forget(struct daemon *d, struct managed_port *port) {
	enum backend_kind kind = port->port.backend;
	char network[NETWORK_NAME_SIZE];

	memcpy(network, port->port.spec.network, sizeof(network));
	if (kind == BACKEND_DPDK_VDPA)
		dpdk_view_forget_user(d->dpdk_view, port->port.resource);
	bus_api_port_removed(d->api, port);
	port_set_remove(&d->ports, port);
	act_release_network(d, kind, network);
}
