// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/provision.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/daemon.h"
#include "vdpad/provision_act.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/log.h"

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
		failure = act_failure(e);
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
		act_answer_error(done, userdata, ENOMEM, "out of memory");
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
