// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/provision.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/bus/bus_api.h"
#include "vdpad/daemon.h"
#include "vdpad/provision_act.h"
#include "vdpad/provision_check.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

// Creating

// Why this backend serves it, and why none of the better ones does.
static void describe_choice(const struct decision *decision, char *choice, size_t size) {
	size_t len = (size_t)snprintf(choice, size, "%s", decision->chosen->reason);

	for (const struct candidate *c = decision->candidates; c != decision->chosen && len < size;
	     c++)
		len += (size_t)snprintf(
			choice + len, size - len, "; not %s: %s", backend_name(c->backend),
			c->reason
		);
}

// Give @port what the chosen candidate makes of it.
static int prepare_port(
	struct daemon *d, const struct decision *decision, struct port *port, struct error *e
) {
	const struct candidate *chosen = decision->chosen;
	struct backend *backend = daemon_backend(d, chosen->backend);
	int n = snprintf(
		port->path, sizeof(port->path), "%s/%s/%s%s", d->options.run_dir, IPC_PORT_DIR,
		port->spec.name, backend->ops->path_suffix
	);

	if (n >= (int)sizeof(port->path))
		return error_set(e, ENAMETOOLONG, "the path of the port is too long");
	port->backend = chosen->backend;
	port->features = chosen->features;
	port->resource[0] = port->function[0] = '\0';
	memcpy(port->pool, chosen->pool, sizeof(port->pool));
	describe_choice(decision, port->choice, sizeof(port->choice));
	return backend->ops->prepare != NULL ? backend->ops->prepare(backend, chosen, port, e) : 0;
}

static void undo_create(struct act *act) {
	struct daemon *d = act->d;
	struct managed_port *port = act->port;
	enum backend_kind kind = port->port.backend;
	struct log_subject subject = {
		.port = port->port.spec.name,
		.network = port->port.spec.network,
		.reason = act->failure.text,
	};
	struct error e;

	log_about(
		LOG_WARNING, &subject, "port '%s' on network '%s' was not created: %s",
		subject.port, subject.network, subject.reason
	);
	if (store_forget(act->d->store, subject.port, &e) < 0)
		log_about(
			LOG_ERR, &subject, "port '%s' is undone when vdpad starts again: %s",
			subject.port, e.text
		);
	act_forget(d, port);
	act_end(act, NULL, &act->failure);
	// What is left on the switch, from before vdpad was started for one, may be what was in the way.
	if (kind == BACKEND_SWITCH)
		restore_start(d);
}

static void on_undone(void *userdata, const struct error *e) {
	(void)e; // what is left there is found by reconcile
	undo_create(userdata);
}

static void on_created(void *userdata, const struct error *e);

// Have the chosen backend make the port. The intent is durable.
static void create_port(struct act *act) {
	struct managed_port *port = act->port;
	struct backend *backend = daemon_backend(act->d, port->port.backend);

	backend->ops->create(backend, &port->port, &act->network, on_created, act);
}

// The next candidate that was accepted, or NULL.
static const struct candidate *next_accepted(const struct decision *decision) {
	const struct candidate *end = decision->candidates + decision->n_candidates;

	for (const struct candidate *c = decision->chosen + 1; c < end; c++) {
		if (c->accepted)
			return c;
	}
	return NULL;
}

// What was to serve the port did not: its reason joins those of the candidates that were refused, and
// the next one is tried. A worker that went away is no reason: it comes back, and the caller too.
static bool try_next(struct act *act) {
	struct decision *decision = act->decision;
	struct candidate *failed = &decision->candidates[decision->chosen - decision->candidates];
	const struct candidate *next = next_accepted(decision);
	struct port *port = &act->port->port;
	struct log_subject subject = {
		.port = port->spec.name,
		.network = port->spec.network,
		.reason = act->failure.text,
	};
	struct error e;

	if (next == NULL || act->failure.code == EHOSTDOWN)
		return false;
	failed->accepted = false;
	snprintf(
		failed->reason, sizeof(failed->reason), "%.*s", PORT_REASON_SIZE - 1,
		act->failure.text
	);
	log_about(
		LOG_WARNING, &subject, "port '%s': %s refused: \"%s\" (%s); using %s", subject.port,
		failed->resource, subject.reason, strerrorname_np(act->failure.code), next->resource
	);
	decision->chosen = next;
	if (prepare_port(act->d, decision, port, &e) < 0 ||
	    store_intend(act->d->store, STORE_CREATE, port, &act->network, &e) < 0) {
		act->failure = e;
		return false;
	}
	create_port(act);
	return true;
}

static void on_created(void *userdata, const struct error *e) {
	struct act *act = userdata;
	struct managed_port *port = act->port;
	struct backend *backend = daemon_backend(act->d, port->port.backend);
	struct log_subject subject = {
		.port = port->port.spec.name, .network = port->port.spec.network};

	if (e != NULL) {
		act->failure = act_failure(e);
		if (!try_next(act))
			undo_create(act);
		return;
	}
	if (store_record(act->d->store, &port->port, &act->failure) < 0) {
		backend->ops->delete (backend, &port->port, on_undone, act);
		return;
	}
	port_enter_served(port);
	port->was_seen = true; // from the answer on, a VM may have it
	log_about(
		LOG_INFO, &subject, "port '%s' on network '%s': ready on backend %s, %s",
		subject.port, subject.network, backend_name(port->port.backend), port->port.path
	);
	act_end(act, port, NULL);
}

// Two requests for one name: the same or not?
static void answer_existing(
	struct managed_port *port, const struct port_spec *request, bool may_exist,
	provision_done_fn done, void *userdata
) {
	const char *name = port->port.spec.name;
	const char *key = port_spec_difference(request, &port->port.spec);
	char wanted[PORT_VALUE_SIZE] = "", there[PORT_VALUE_SIZE] = "";
	struct error e;

	if (key != NULL) {
		port_spec_get(request, key, wanted, sizeof(wanted));
		port_spec_get(&port->port.spec, key, there, sizeof(there));
		error_set(
			&e, EEXIST, "port '%s' exists with another %s: %s, not %s", name, key,
			there, wanted
		);
	} else if (port->act != PORT_IDLE) {
		port_set_begin(port, PORT_ACT_CREATE, &e); // says what is running
	} else if (!may_exist) {
		error_set(
			&e, EEXIST,
			"port '%s' exists already, as asked for (--may-exist makes that a "
			"success)",
			name
		);
	} else if (port->port.state == PORT_READY || port->port.state == PORT_CONNECTED) {
		done(userdata, port, NULL);
		return;
	} else {
		error_set(
			&e, EHOSTDOWN, "port '%s' exists but is %s: %s", name,
			port_state_name(port->port.state), port->port.reason
		);
	}
	done(userdata, NULL, &e);
}

// A copy that outlives the request's stack; its choice points into itself.
static struct decision *copy_decision(const struct decision *decision) {
	struct decision *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *decision;
	copy->chosen = &copy->candidates[decision->chosen - decision->candidates];
	return copy;
}

void provision_add(
	struct daemon *d, const struct port_spec *request, bool may_exist, provision_done_fn done,
	void *userdata
) {
	struct managed_port *existing = port_set_find(&d->ports, request->name);
	struct port port = {.state = PORT_CREATING};
	struct decision decision;
	struct network network;
	struct act *act;
	struct error e;

	if (existing != NULL) {
		answer_existing(existing, request, may_exist, done, userdata);
		return;
	}
	if (provision_check(d, request, &port.spec, &network, &decision, &e) < 0 ||
	    provision_check_new(d, &port.spec, &e) < 0) {
		done(userdata, NULL, &e);
		return;
	}
	if (decision.chosen == NULL) {
		provision_refuse(d, &port.spec, &decision, &e);
		done(userdata, NULL, &e);
		return;
	}
	if (prepare_port(d, &decision, &port, &e) < 0) {
		done(userdata, NULL, &e);
		return;
	}
	act = act_new(d, NULL, done, userdata);
	if (act != NULL) {
		act->network = network;
		act->decision = copy_decision(&decision);
	}
	if (act == NULL || act->decision == NULL ||
	    port_set_add(&d->ports, &port, &act->port) < 0) {
		if (act != NULL)
			free(act->decision);
		free(act);
		act_answer_error(done, userdata, ENOMEM, "out of memory");
		return;
	}
	if (store_intend(d->store, STORE_CREATE, &act->port->port, &network, &e) < 0) {
		port_set_remove(&d->ports, act->port);
		act_end(act, NULL, &e);
		return;
	}
	act->port->act = PORT_ACT_CREATE;
	port_enter(act->port, PORT_CREATING, "");
	bus_api_port_added(d->api, act->port);
	create_port(act);
}

int provision_plan(
	struct daemon *d, const struct port_spec *request, struct port *ret_port, struct error *e
) {
	struct port port = {.state = PORT_CREATING};
	struct decision decision;
	struct network network;
	int r;

	r = provision_check(d, request, &port.spec, &network, &decision, e);
	if (r == 0 && port_set_find(&d->ports, request->name) == NULL)
		r = provision_check_new(d, &port.spec, e);
	if (r < 0)
		return r;
	if (decision.chosen == NULL)
		return provision_refuse(d, &port.spec, &decision, e);
	r = prepare_port(d, &decision, &port, e);
	if (r == 0)
		*ret_port = port;
	return r;
}
