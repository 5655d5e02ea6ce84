// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/provision.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/daemon.h"
#include "vdpad/provision_act.h"
#include "vdpad/provision_check.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/log.h"

// Changing

// Whether the failure may have left some of the change on the port's function. Then the intent remains, to put
// it back to what it was: see VDPA_SETTLE.
static bool is_half_done(const struct managed_port *port, const struct error *e) {
	return e != NULL && port->port.function[0] != '\0' &&
		(e->code == EIO || e->code == EHOSTDOWN || e->code == ETIMEDOUT);
}

static void finish_change(struct act *act, const struct error *e) {
	struct managed_port *port = act->port;
	struct log_subject subject = {.port = port->port.spec.name};
	struct error cannot_record;
	int r;

	if (e != NULL)
		port->port.spec = act->old_spec;
	port->old_network[0] = '\0';
	if (is_half_done(port, e)) {
		port->unrecorded = true;
		r = store_intend(act->d->store, STORE_CHANGE, &port->port, NULL, &cannot_record);
	} else {
		r = store_record(act->d->store, &port->port, &cannot_record);
	}
	if (r < 0) {
		port->unrecorded = true; // the intent is there; reconcile completes it
		log_about(LOG_ERR, &subject, "port '%s': %s", subject.port, cannot_record.text);
	}
	if (e != NULL)
		log_about(
			LOG_WARNING, &subject, "port '%s' was not changed: %s", subject.port,
			e->text
		);
	else
		log_about(LOG_INFO, &subject, "port '%s' was changed", subject.port);
	if (act->left_network[0] != '\0')
		act_release_network(
			act->d, port->port.backend,
			e != NULL ? act->joined_network : act->left_network
		);
	act_end(act, port, e);
}

static void on_changed(void *userdata, const struct error *e) {
	struct act *act = userdata;
	struct daemon *d = act->d;
	bool unsure = e != NULL && e->code == EHOSTDOWN;
	struct error failure;

	if (e != NULL)
		failure = act_failure(e);
	finish_change(act, e != NULL ? &failure : NULL);
	if (unsure)
		restore_start(d); // it may have been done after all
}

// @network is the one that the port joins, NULL if it stays where it is.
static void start_change(struct act *act, struct port *changed, const struct network *network) {
	struct managed_port *port = act->port;
	struct backend *backend = daemon_backend(act->d, port->port.backend);
	struct error e;
	int r;

	act->old_spec = port->port.spec;
	if (!provision_must_act(&act->old_spec, &changed->spec)) {
		r = store_record(act->d->store, changed, &e);
		if (r == 0)
			port->port.spec = changed->spec;
		act_end(act, port, r < 0 ? &e : NULL);
		return;
	}
	if (backend == NULL) {
		error_set(&e, EPERM, "this vdpad lacks the backend that the port is on");
		act_end(act, port, &e);
		return;
	}
	if (store_intend(act->d->store, STORE_CHANGE, changed, network, &e) < 0) {
		act_end(act, port, &e);
		return;
	}
	port->port.spec = changed->spec;
	if (network == NULL) {
		backend->ops->change(backend, &port->port, on_changed, act);
		return;
	}
	memcpy(act->left_network, act->old_spec.network, sizeof(act->left_network));
	memcpy(act->joined_network, network->name, sizeof(act->joined_network));
	memcpy(port->old_network, act->old_spec.network, sizeof(port->old_network));
	backend->ops->move(backend, &port->port, network, on_changed, act);
}

void provision_set(
	struct daemon *d, const struct port_spec *changes, provision_done_fn done, void *userdata
) {
	struct managed_port *port = port_set_find(&d->ports, changes->name);
	struct port_spec spec = *changes;
	struct network network;
	struct port changed;
	bool moves = false;
	struct act *act;
	struct error e;

	if (port == NULL) {
		error_set(&e, ENOENT, "there is no port '%s'", changes->name);
		done(userdata, NULL, &e);
		return;
	}
	if (provision_check_changes(d, changes, port, &network, &moves, &e) < 0) {
		done(userdata, NULL, &e);
		return;
	}
	if (port->port.state == PORT_DELETING) {
		error_set(&e, EEXIST, "port '%s' is being deleted", changes->name);
		done(userdata, NULL, &e);
		return;
	}
	if (port_set_begin(port, PORT_ACT_CHANGE, &e) < 0) {
		done(userdata, NULL, &e);
		return;
	}
	act = act_new(d, port, done, userdata);
	if (act == NULL) {
		port->act = PORT_IDLE;
		act_answer_error(done, userdata, ENOMEM, "out of memory");
		return;
	}
	port_spec_fill(&spec, &port->port.spec);
	spec.keys |= port->port.spec.keys;
	changed = port->port;
	changed.spec = spec;
	start_change(act, &changed, moves ? &network : NULL);
}

// Deleting

static void on_deleted(void *userdata, const struct error *e) {
	struct act *act = userdata;
	struct daemon *d = act->d;
	struct managed_port *port = act->port;
	struct log_subject subject = {.port = port->port.spec.name};
	struct error failure;

	if (e != NULL) {
		failure = act_failure(e);
		goto fail;
	}
	if (store_forget(d->store, subject.port, &failure) < 0)
		goto fail;
	log_about(LOG_INFO, &subject, "port '%s' was deleted", subject.port);
	act_forget(d, port);
	act_end(act, NULL, NULL);
	return;

fail:
	act->is_quiet = port_has_reason(port, failure.text);
	if (!act->is_quiet)
		log_about(
			LOG_WARNING, &subject, "port '%s' could not be deleted yet: %s",
			subject.port, failure.text
		);
	port_enter(port, PORT_DELETING, failure.text);
	act_end(act, port, &failure);
}

static void start_delete(
	struct daemon *d, struct managed_port *port, provision_done_fn done, void *userdata
) {
	struct backend *backend = daemon_backend(d, port->port.backend);
	struct act *act = act_new(d, port, done, userdata);

	if (act == NULL) {
		act_answer_error(done, userdata, ENOMEM, "out of memory");
		return;
	}
	port->act = PORT_ACT_DELETE;
	if (port->port.state != PORT_DELETING) {
		port_enter(port, PORT_DELETING, "");
		daemon_port_changed(d, port);
	}
	if (backend != NULL)
		backend->ops->delete (backend, &port->port, on_deleted, act);
	else
		on_deleted(act, NULL);
}

void provision_delete(
	struct daemon *d, const char *name, bool may_not_exist, provision_done_fn done,
	void *userdata
) {
	struct managed_port *port = port_set_find(&d->ports, name);
	struct error e;

	if (port == NULL && may_not_exist) {
		done(userdata, NULL, NULL);
		return;
	}
	if (port == NULL) {
		error_set(&e, ENOENT, "there is no port '%s'", name);
		done(userdata, NULL, &e);
		return;
	}
	if (port_set_begin(port, PORT_ACT_DELETE, &e) < 0) {
		done(userdata, NULL, &e);
		return;
	}
	if (store_intend(d->store, STORE_DELETE, &port->port, NULL, &e) < 0) {
		port->act = PORT_IDLE;
		done(userdata, NULL, &e);
		return;
	}
	start_delete(d, port, done, userdata);
}

static void on_deleted_again(
	void *userdata, const struct managed_port *port, const struct error *e
) {
	(void)userdata; // on_deleted() has logged what came of it
	(void)port;
	(void)e;
}

void provision_delete_again(struct daemon *d, struct managed_port *port) {
	start_delete(d, port, on_deleted_again, NULL);
}
