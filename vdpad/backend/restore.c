// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/restore.h"

#include <stdlib.h>
#include <string.h>

#include "vdpad/backend/reconcile.h"
#include "vdpad/daemon.h"
#include "vdpad/provision.h"
#include "vdpad/request.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/log.h"

// What a run did, for one line in the log.
struct tally {
	size_t adopted, pushed, deleted;
};

struct pushed {
	struct daemon *d;
	struct managed_port *port;
};

static void wanted_done(struct wanted *wanted) {
	free((void *)wanted->ports);
	free((void *)wanted->networks);
}

static bool has_network(const struct wanted *wanted, const char *name) {
	for (size_t i = 0; i < wanted->n_networks; i++) {
		if (strcmp(wanted->networks[i].name, name) == 0)
			return true;
	}
	return false;
}

// Its own ports and those of the devices that it drives.
static bool is_on_switch(const struct port *port) {
	return port->backend == BACKEND_SWITCH || port->backend == BACKEND_DPDK_VDPA;
}

static void want_network(
	struct daemon *d, struct wanted *wanted, struct network *networks, const char *name
) {
	if (!has_network(wanted, name) &&
	    daemon_network_of_port(d, name, &networks[wanted->n_networks]) == 0)
		wanted->n_networks++;
}

static int wanted_init(struct daemon *d, struct wanted *wanted) {
	struct wanted_port *ports = calloc(d->ports.n + 1, sizeof(*ports));
	struct network *networks = calloc(2 * d->ports.n + 1, sizeof(*networks));

	*wanted = (struct wanted){
		.ports = ports,
		.networks = networks,
		.may_delete = store_is_trusted(d->store),
	};
	if (ports == NULL || networks == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->ports.n; i++) {
		const struct managed_port *p = d->ports.list[i];

		if (!is_on_switch(&p->port))
			continue;
		ports[wanted->n_ports++] = (struct wanted_port){
			.port = &p->port,
			.deleting = p->port.state == PORT_DELETING,
			.busy = p->act != PORT_IDLE,
		};
		if (p->port.backend != BACKEND_SWITCH)
			continue;
		want_network(d, wanted, networks, p->port.spec.network);
		if (p->old_network[0] != '\0')
			want_network(d, wanted, networks, p->old_network);
	}
	return 0;
}

static void record_change(struct daemon *d, struct managed_port *port) {
	struct log_subject subject = {.port = port->port.spec.name};
	struct error e;

	if (!port->unrecorded)
		return;
	if (store_record(d->store, &port->port, &e) < 0)
		log_about(LOG_ERR, &subject, "port '%s': %s", subject.port, e.text);
	else
		port->unrecorded = false;
}

static void on_port_pushed(void *userdata, const struct error *e) {
	struct pushed *pushed = userdata;
	struct managed_port *port = pushed->port;
	struct daemon *d = pushed->d;
	struct log_subject subject = {.port = port->port.spec.name};

	free(pushed);
	port->act = PORT_IDLE;
	if (e == NULL) {
		port_enter_served(port);
		record_change(d, port);
	} else if (!hub_is_ready(d->hub, WORKER_SWITCH)) {
		port_enter(port, PORT_DEGRADED, e->text);
	} else {
		subject.reason = e->text;
		log_about(
			LOG_ERR, &subject, "port '%s' cannot be restored: %s", subject.port, e->text
		);
		port_enter(port, PORT_FAILED, e->text);
	}
	daemon_port_changed(d, port);
}

static void push_port(struct daemon *d, const struct step *step) {
	struct managed_port *port = port_set_find(&d->ports, step->name);
	struct pushed *pushed = malloc(sizeof(*pushed));

	if (pushed == NULL)
		return; // the next run does it
	*pushed = (struct pushed){.d = d, .port = port};
	port->act = PORT_ACT_RESTORE;
	port->connected =
		step->kind == STEP_SET_PORT && step->reported != NULL && step->reported->connected;
	backend_switch_push_port(d->fallback, &port->port, on_port_pushed, pushed);
}

static void adopt_port(struct daemon *d, const struct step *step, struct tally *tally) {
	struct managed_port *port = port_set_find(&d->ports, step->name);
	bool served = port->port.state == PORT_READY || port->port.state == PORT_CONNECTED;
	bool changed = port_report(port, step->reported->connected, step->reported->detail);

	record_change(d, port);
	if (!served) {
		port_enter_served(port);
		tally->adopted++;
	}
	if (!served || changed)
		daemon_port_changed(d, port);
}

static void delete_port(struct daemon *d, const struct step *step) {
	struct log_subject subject = {.port = step->name};

	if (step->port != NULL) {
		provision_delete_again(d, port_set_find(&d->ports, step->name));
		return;
	}
	log_about(
		LOG_INFO, &subject, "port '%s' is on vdpad-switch and nobody wants it: deleted",
		step->name
	);
	backend_switch_drop_port(d->fallback, step->name);
	dpdk_view_ask(d->dpdk_view, d->config); // it may have had a device
}

static void run_step(struct daemon *d, const struct step *step, struct tally *tally) {
	struct switch_networks *networks = backend_switch_networks(d->fallback);

	switch (step->kind) {
	case STEP_ADOPT_NETWORK:
		switch_networks_adopt(networks, step->network, step->uplink_is_right);
		break;
	case STEP_SET_NETWORK:
		switch_networks_push(networks, step->network, step->uplink_is_right);
		break;
	case STEP_SET_UPLINK:
		switch_networks_push_uplink(networks, step->network, step->renew);
		break;
	case STEP_DEL_PORT:
	case STEP_PORT_GONE:
		delete_port(d, step);
		tally->deleted++;
		break;
	case STEP_REPLACE_PORT:
		backend_switch_drop_port(d->fallback, step->name);
		push_port(d, step);
		tally->pushed++;
		break;
	case STEP_SET_PORT:
		push_port(d, step);
		tally->pushed++;
		break;
	case STEP_ADOPT_PORT:
		adopt_port(d, step, tally);
		break;
	case STEP_DEL_NETWORK:
		switch_networks_drop(networks, step->name, step->uplink);
		break;
	case STEP_DEL_TAP:
		backend_switch_drop_tap(d->fallback, step->name);
		break;
	}
}

static uint64_t newest_generation(const struct switch_report *report) {
	uint64_t newest = 0;

	for (size_t i = 0; i < report->n_ports; i++) {
		if (report->ports[i].generation > newest)
			newest = report->ports[i].generation;
	}
	return newest;
}

// A state file that was missing: see store.h. Said once, as the next run finds the same.
static void consider_trust(struct daemon *d, const struct plan *plan) {
	struct restore *restore = &d->restore;
	uint64_t newest = newest_generation(&restore->on_switch);
	struct error e;
	int r = 0;

	if (store_is_trusted(d->store))
		return;
	if (newest > restore->newest_seen) {
		r = store_skip_generations(d->store, newest, &e);
		if (r == 0)
			restore->newest_seen = newest;
	}
	if (r == 0 && plan->complete && plan->n_unknown == 0 && vdpa_restore_knows_all(d))
		r = store_set_trusted(d->store, &e);
	if (r < 0 && !restore->trouble_logged)
		log_err("%s", e.text);
	else if (plan->n_unknown > 0 && !restore->trouble_logged)
		log_warn(
			"the state file was new at the start, and the workers have %zu ports, "
			"networks or TAPs that it does not know; they are left alone: add their "
			"ports again, or restart vdpad-switch and delete its TAPs to be rid of "
			"them",
			plan->n_unknown
		);
	restore->trouble_logged = r < 0 || plan->n_unknown > 0;
}

// What a state file that is not trusted does not know stays, and new ports may join it: opening its
// TAP a second time would fail.
static void adopt_unknown_networks(struct daemon *d) {
	const struct switch_report *report = &d->restore.on_switch;

	if (store_is_trusted(d->store))
		return;
	for (size_t i = 0; i < report->n_networks; i++) {
		const struct reported_network *r = &report->networks[i];
		const struct network *network = networks_find(&d->networks, r->name);

		if (network != NULL && strcmp(network->tap, r->uplink) == 0 &&
		    port_set_count(&d->ports, r->name, BACKEND_SWITCH) == 0)
			switch_networks_adopt(backend_switch_networks(d->fallback), network, true);
	}
}

static void run_plan(struct daemon *d) {
	struct restore *restore = &d->restore;
	_cleanup_(wanted_done) struct wanted wanted = {0};
	_cleanup_(plan_done) struct plan plan = {0};
	struct tally tally = {0};

	if (wanted_init(d, &wanted) < 0 ||
	    reconcile(
		    &wanted, restore->have_switch ? &restore->on_switch : NULL,
		    restore->have_taps ? &restore->taps : NULL, &plan
	    ) < 0) {
		log_err("cannot reconcile with the workers: out of memory");
		return;
	}
	consider_trust(d, &plan);
	adopt_unknown_networks(d);
	for (size_t i = 0; i < plan.n; i++)
		run_step(d, &plan.steps[i], &tally);
	if (tally.adopted + tally.pushed + tally.deleted > 0)
		log_info(
			"vdpad-switch: %zu ports adopted, %zu pushed, %zu deleted", tally.adopted,
			tally.pushed, tally.deleted
		);
}

static void run_end(struct daemon *d) {
	struct restore *restore = &d->restore;

	switch_report_done(&restore->on_switch);
	tap_report_done(&restore->taps);
	restore->have_switch = restore->have_taps = false;
	restore->running = false;
	if (restore->again)
		restore_start(d);
	requests_wake(d->requests);
}

static void on_switch_list(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct daemon *d = userdata;
	struct restore *restore = &d->restore;
	struct error unread;

	if (e == NULL && switch_report_read(reply, &restore->on_switch, &unread) < 0)
		e = &unread;
	restore->have_switch = e == NULL;
	if (e != NULL)
		log_warn("vdpad-switch does not say what it has: %s", e->text);
	if (restore->n_acts != d->n_acts) {
		restore->have_taps = false; // older than what has been done since
		restore->again = true;
	}
	run_plan(d);
	switch_networks_synced(backend_switch_networks(d->fallback));
	run_end(d);
}

static void ask_switch(struct daemon *d) {
	hub_call(
		d->hub, WORKER_SWITCH, hub_message(d->hub, WORKER_SWITCH, "List"), 0,
		on_switch_list, d
	);
}

static void on_tap_list(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct daemon *d = userdata;
	struct error unread;

	if (e == NULL && tap_report_read(reply, &d->restore.taps, &unread) < 0)
		e = &unread;
	d->restore.have_taps = e == NULL;
	if (e != NULL)
		log_warn("vdpad-netlink does not say what it has: %s", e->text);
	ask_switch(d);
}

// The switch is asked last. Its link keeps the order of calls, so its list is never older than an
// act that has ended when the list arrives; one that has not ended marks its port as busy.
void restore_start(struct daemon *d) {
	struct restore *restore = &d->restore;

	if (!hub_is_ready(d->hub, WORKER_SWITCH))
		return;
	if (restore->running) {
		restore->again = true;
		return;
	}
	restore->running = true;
	restore->again = false;
	restore->n_acts = d->n_acts;
	if (hub_is_ready(d->hub, WORKER_NETLINK))
		hub_call(
			d->hub, WORKER_NETLINK, hub_message(d->hub, WORKER_NETLINK, "ListTaps"), 0,
			on_tap_list, d
		);
	else
		ask_switch(d);
}

bool restore_is_pending(const struct daemon *d) {
	return hub_is_ready(d->hub, WORKER_SWITCH) &&
		!switch_networks_are_synced(backend_switch_networks(d->fallback));
}

bool restore_is_needed(const struct daemon *d) {
	if (!hub_is_ready(d->hub, WORKER_SWITCH) || d->restore.running)
		return false;
	if (!store_is_trusted(d->store))
		return true;
	for (size_t i = 0; i < d->ports.n; i++) {
		const struct managed_port *p = d->ports.list[i];

		if (is_on_switch(&p->port) && p->act == PORT_IDLE && p->port.state != PORT_READY &&
		    p->port.state != PORT_CONNECTED)
			return true;
	}
	return switch_networks_n_without_uplink(backend_switch_networks(d->fallback)) > 0;
}
