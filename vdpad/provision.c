// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/provision.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/bus_api.h"
#include "vdpad/daemon.h"
#include "vdpad/provision_check.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

// One request, from its intent to its result.
struct act {
	struct daemon *d;
	struct managed_port *port;
	struct port_spec old_spec; // PORT_ACT_CHANGE
	struct error failure;      // PORT_ACT_CREATE: why it is undone
	provision_done_fn done;
	void *userdata;
};

// Why a worker failed. "No such file" or "exists" is then about something of its own, which must not
// reach a caller as "no such port" or as a conflict.
static struct error of_worker(const struct error *e) {
	struct error failure = *e;

	if (e->code == EINVAL || e->code == ENOENT || e->code == ENODEV || e->code == EEXIST)
		failure.code = EIO;
	return failure;
}

static void answer_error(provision_done_fn done, void *userdata, int code, const char *text) {
	struct error e;

	error_set(&e, code, "%s", text);
	done(userdata, NULL, &e);
}

static struct act *act_new(
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

// The request is over; @port is NULL if it is gone.
static void act_end(struct act *act, struct managed_port *port, const struct error *e) {
	if (port != NULL) {
		port->act = PORT_IDLE;
		daemon_port_changed(act->d, port);
	}
	act->d->n_acts++;
	act->done(act->userdata, e == NULL ? port : NULL, e);
	free(act);
}

// Out of the table, and its network too if it was the last one on it.
static void forget(struct daemon *d, struct managed_port *port) {
	struct backend *backend = daemon_backend(d, port->port.backend);
	char network[NETWORK_NAME_SIZE];

	memcpy(network, port->port.spec.network, sizeof(network));
	bus_api_port_removed(d->api, port);
	port_set_remove(&d->ports, port);
	if (backend != NULL && port_set_count_network(&d->ports, network) == 0)
		backend->ops->release_network(backend, network);
}

// Creating

static void undo_create(struct act *act) {
	struct managed_port *port = act->port;
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
	forget(act->d, port);
	act_end(act, NULL, &act->failure);
}

static void on_undone(void *userdata, const struct error *e) {
	(void)e; // what is left there is found by reconcile
	undo_create(userdata);
}

static void on_created(void *userdata, const struct error *e) {
	struct act *act = userdata;
	struct managed_port *port = act->port;
	struct backend *backend = daemon_backend(act->d, port->port.backend);
	struct log_subject subject = {
		.port = port->port.spec.name, .network = port->port.spec.network};

	if (e != NULL) {
		act->failure = of_worker(e);
		undo_create(act);
		return;
	}
	if (store_record(act->d->store, &port->port, &act->failure) < 0) {
		backend->ops->delete (backend, &port->port, on_undone, act);
		return;
	}
	port_enter_served(port);
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
	char wanted[64] = "", there[64] = "";
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

// The candidates that were refused, and why.
static void answer_refused(
	struct daemon *d, const struct port_spec *spec, const struct decision *decision,
	provision_done_fn done, void *userdata
) {
	bool wants_switch = spec->policy == POLICY_AUTO || spec->policy == POLICY_SOFTWARE ||
		spec->policy == POLICY_SWITCH;
	struct error e;
	size_t len;

	if (wants_switch && !hub_is_ready(d->hub, WORKER_SWITCH)) {
		answer_error(
			done, userdata, EHOSTDOWN,
			"vdpad-switch is not running, and no hardware can serve the port"
		);
		return;
	}
	error_set(&e, EPERM, "no backend can serve the port");
	for (size_t i = 0; i < decision->n_candidates; i++) {
		const struct candidate *c = &decision->candidates[i];

		len = strlen(e.text);
		snprintf(
			e.text + len, sizeof(e.text) - len, "; %s: %s", backend_name(c->backend),
			c->reason
		);
	}
	done(userdata, NULL, &e);
}

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

static int make_port(
	struct daemon *d, const struct port_spec *spec, const struct decision *decision,
	struct port *ret_port, struct error *e
) {
	struct port port = {
		.spec = *spec, .backend = decision->chosen->backend, .state = PORT_CREATING};
	int n = snprintf(
		port.path, sizeof(port.path), "%s/%s/%s.sock", d->options.run_dir, IPC_PORT_DIR,
		spec->name
	);

	if (n >= (int)sizeof(port.path))
		return error_set(e, ENAMETOOLONG, "the path of the port's socket is too long");
	describe_choice(decision, port.choice, sizeof(port.choice));
	*ret_port = port;
	return 0;
}

void provision_add(
	struct daemon *d, const struct port_spec *request, bool may_exist, provision_done_fn done,
	void *userdata
) {
	struct managed_port *existing = port_set_find(&d->ports, request->name);
	struct decision decision;
	struct backend *backend;
	struct network network;
	struct port_spec spec;
	struct port port;
	struct act *act;
	struct error e;

	if (existing != NULL) {
		answer_existing(existing, request, may_exist, done, userdata);
		return;
	}
	if (provision_check(d, request, &spec, &network, &decision, &e) < 0 ||
	    provision_check_new(d, &spec, &e) < 0) {
		done(userdata, NULL, &e);
		return;
	}
	backend = decision.chosen != NULL ? daemon_backend(d, decision.chosen->backend) : NULL;
	if (backend == NULL) {
		answer_refused(d, &spec, &decision, done, userdata);
		return;
	}
	if (make_port(d, &spec, &decision, &port, &e) < 0) {
		done(userdata, NULL, &e);
		return;
	}
	act = act_new(d, NULL, done, userdata);
	if (act == NULL || port_set_add(&d->ports, &port, &act->port) < 0) {
		free(act);
		answer_error(done, userdata, ENOMEM, "out of memory");
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
	backend->ops->create(backend, &act->port->port, &network, on_created, act);
}

// Changing

static void finish_change(struct act *act, const struct error *e) {
	struct managed_port *port = act->port;
	struct log_subject subject = {.port = port->port.spec.name};
	struct error cannot_record;

	if (e != NULL)
		port->port.spec = act->old_spec;
	if (store_record(act->d->store, &port->port, &cannot_record) < 0) {
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
	act_end(act, port, e);
}

static void on_changed(void *userdata, const struct error *e) {
	struct act *act = userdata;
	struct daemon *d = act->d;
	bool unsure = e != NULL && e->code == EHOSTDOWN;
	struct error failure;

	if (e != NULL)
		failure = of_worker(e);
	finish_change(act, e != NULL ? &failure : NULL);
	if (unsure)
		restore_start(d); // it may have been done after all
}

static int check_changes(
	const struct port_spec *changes, const struct managed_port *port, struct error *e
) {
	for (size_t i = 0; port_spec_keys[i] != NULL; i++) {
		uint32_t bit = port_spec_key_bit(port_spec_keys[i]);

		if ((changes->keys & bit) != 0 && (bit & PORT_KEYS_CHANGEABLE) == 0)
			return error_set(
				e, EINVAL,
				"%s of port '%s' cannot be changed: delete the port and add it "
				"again "
				"(vlan, link and lifetime can)",
				port_spec_keys[i], port->port.spec.name
			);
	}
	if (changes->keys == 0)
		return error_set(e, EINVAL, "nothing to change: vlan, link or lifetime can be set");
	return 0;
}

static bool backend_has_to_act(const struct port_spec *a, const struct port_spec *b) {
	return a->vlan != b->vlan || a->link_up != b->link_up;
}

static void start_change(struct act *act, struct port *changed) {
	struct managed_port *port = act->port;
	struct backend *backend = daemon_backend(act->d, port->port.backend);
	struct error e;
	int r;

	act->old_spec = port->port.spec;
	if (!backend_has_to_act(&act->old_spec, &changed->spec)) {
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
	if (store_intend(act->d->store, STORE_CHANGE, changed, NULL, &e) < 0) {
		act_end(act, port, &e);
		return;
	}
	port->port.spec = changed->spec;
	backend->ops->change(backend, &port->port, on_changed, act);
}

void provision_set(
	struct daemon *d, const struct port_spec *changes, provision_done_fn done, void *userdata
) {
	struct managed_port *port = port_set_find(&d->ports, changes->name);
	struct port_spec spec = *changes;
	struct port changed;
	struct act *act;
	struct error e;

	if (port == NULL) {
		error_set(&e, ENOENT, "there is no port '%s'", changes->name);
		done(userdata, NULL, &e);
		return;
	}
	if (check_changes(changes, port, &e) < 0) {
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
		answer_error(done, userdata, ENOMEM, "out of memory");
		return;
	}
	port_spec_fill(&spec, &port->port.spec);
	spec.keys |= port->port.spec.keys;
	changed = port->port;
	changed.spec = spec;
	start_change(act, &changed);
}

// Deleting

static void on_deleted(void *userdata, const struct error *e) {
	struct act *act = userdata;
	struct daemon *d = act->d;
	struct managed_port *port = act->port;
	struct log_subject subject = {.port = port->port.spec.name};
	struct error failure;

	if (e != NULL && hub_is_ready(d->hub, WORKER_SWITCH)) {
		failure = of_worker(e);
		goto fail;
	}
	// Without the switch there is no socket but perhaps its file, in a directory where only the
	// switch may write in a packaged system. What stays there is harmless: nobody can connect to
	// it, and the switch replaces it. When the switch comes and still has the port, reconcile
	// deletes it as one that nobody wants.
	if (e != NULL)
		(void)unlink(port->port.path);
	if (store_forget(d->store, subject.port, &failure) < 0)
		goto fail;
	log_about(LOG_INFO, &subject, "port '%s' was deleted", subject.port);
	forget(d, port);
	act_end(act, NULL, NULL);
	return;

fail:
	log_about(
		LOG_WARNING, &subject, "port '%s' could not be deleted yet: %s", subject.port,
		failure.text
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
		answer_error(done, userdata, ENOMEM, "out of memory");
		return;
	}
	port->act = PORT_ACT_DELETE;
	port_enter(port, PORT_DELETING, "");
	daemon_port_changed(d, port);
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
