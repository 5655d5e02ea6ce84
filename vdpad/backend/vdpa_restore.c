// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/vdpa_restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/backend/backend_vdpa.h"
#include "vdpad/backend/vdpa_node.h"
#include "vdpad/backend/vdpa_reconcile.h"
#include "vdpad/daemon.h"
#include "vdpad/provision.h"
#include "vdpad/request.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define LOOK_SOON_MS 10 // some acts end together
#define LOOK_AGAIN_MS 100
#define LOOK_PENDING_MS 500 // a deletion waits for somebody, or the kernel does not answer
#define LOOK_PORTS_MS 2000
#define LOOK_IDLE_MS 30000
#define ACCURACY_US 1000

// What a run did, for one line in the log and the time of the next.
struct tally {
	size_t adopted, made, missed;
};

struct act {
	struct daemon *d;
	struct managed_port *port;
};

// When to look

static void look_in(struct daemon *d, uint64_t ms) {
	sd_event_source *timer = d->vdpa_restore.timer;

	sd_event_source_set_time_relative(timer, ms * 1000);
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

void vdpa_restore_look(struct daemon *d) {
	d->vdpa_restore.is_due = true;
	look_in(d, LOOK_SOON_MS);
}

static uint64_t next_look_ms(const struct daemon *d, const struct tally *tally) {
	const struct vdpa_restore *restore = &d->vdpa_restore;
	uint64_t ms = LOOK_IDLE_MS;

	if (tally->missed > 0)
		return LOOK_AGAIN_MS;
	if (vdpa_calls_wedged(d->vdpa_calls)[0] != '\0')
		return LOOK_PENDING_MS;
	for (size_t i = 0; i < d->ports.n; i++) {
		const struct port *port = &d->ports.list[i]->port;

		if (port->backend != BACKEND_VDPA)
			continue;
		if (port->state == PORT_DELETING)
			return LOOK_PENDING_MS;
		ms = LOOK_PORTS_MS;
	}
	return restore->n_unknown > 0 || restore->drop_again || d->functions_due ? LOOK_PORTS_MS
										 : ms;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
	struct daemon *d = userdata;

	(void)source;
	(void)usec;
	d->vdpa_restore.is_due = false;
	if (hub_is_ready(d->hub, WORKER_NETLINK))
		vdpa_view_ask(d->vdpa_view);
	return 0;
}

// Steps

static void degrade(struct daemon *d, struct managed_port *port, const char *reason) {
	struct log_subject subject = {.port = port->port.spec.name, .reason = reason};

	if (port->port.state == PORT_DEGRADED && port_has_reason(port, reason))
		return;
	log_about(LOG_WARNING, &subject, "port '%s' is degraded: %s", subject.port, reason);
	port->connected = false;
	port->detail[0] = '\0';
	port_enter(port, PORT_DEGRADED, reason);
	daemon_port_changed(d, port);
}

static struct act *begin(struct daemon *d, struct managed_port *port) {
	struct act *act = malloc(sizeof(*act));

	if (act == NULL)
		return NULL; // the next run does it
	*act = (struct act){.d = d, .port = port};
	port->act = PORT_ACT_RESTORE;
	return act;
}

// Returns the port, idle again.
static struct managed_port *finish(struct act *act, struct daemon **ret_d) {
	struct managed_port *port = act->port;

	*ret_d = act->d;
	free(act);
	port->act = PORT_IDLE;
	requests_wake((*ret_d)->requests);
	return port;
}

static void record(struct daemon *d, struct managed_port *port) {
	struct log_subject subject = {.port = port->port.spec.name};
	struct error e;

	port->unrecorded = store_record(d->store, &port->port, &e) < 0;
	if (port->unrecorded)
		log_about(LOG_ERR, &subject, "port '%s': %s", subject.port, e.text);
}

static void on_mended(void *userdata, const struct error *e) {
	struct daemon *d;
	struct managed_port *port = finish(userdata, &d);

	if (e != NULL)
		degrade(d, port, e->text);
	else
		vdpa_restore_look(d);
}

static void on_made(void *userdata, const struct error *e) {
	struct daemon *d;
	struct managed_port *port = finish(userdata, &d);
	struct log_subject subject = {.port = port->port.spec.name};

	if (e != NULL) {
		degrade(d, port, e->text);
		return;
	}
	record(d, port);
	port->was_seen = true;
	port->n_missed = 0;
	port->connected = false;
	port->detail[0] = '\0';
	port_enter_served(port);
	log_about(
		LOG_INFO, &subject, "port '%s': its device was made again on %s", subject.port,
		port->port.resource
	);
	daemon_port_changed(d, port);
	vdpa_restore_look(d);
}

static void make(struct daemon *d, struct managed_port *port) {
	struct backend *backend = daemon_backend(d, BACKEND_VDPA);
	struct network network;
	struct act *act;

	if (daemon_network_of_port(d, port->port.spec.network, &network) < 0) {
		degrade(d, port, "its network is not known any more");
		return;
	}
	act = begin(d, port);
	if (act != NULL)
		backend->ops->create(backend, &port->port, &network, on_made, act);
}

// On another management device than before: written first, so that no crash leaves two for one port.
static void make_on(struct daemon *d, struct managed_port *port, const char *resource) {
	if (strcmp(port->port.resource, resource) != 0) {
		str_copy(port->port.resource, sizeof(port->port.resource), resource);
		record(d, port);
		if (port->unrecorded)
			return;
	}
	make(d, port);
}

static void on_wrong_one_deleted(void *userdata, const struct error *e) {
	struct act *act = userdata;
	struct managed_port *port = act->port;
	struct daemon *d;

	if (e == NULL) {
		finish(act, &d);
		make(d, port);
	} else if (e->code == EBUSY) { // a VM has it after all, and keeps it
		port->was_seen = true;
		backend_vdpa_keep(act->d->vdpa, &port->port, on_mended, act);
	} else {
		on_mended(act, e);
	}
}

static void replace(struct daemon *d, struct managed_port *port) {
	struct backend *backend = daemon_backend(d, BACKEND_VDPA);
	struct log_subject subject = {.port = port->port.spec.name};
	struct act *act = begin(d, port);

	if (act == NULL)
		return;
	log_about(
		LOG_WARNING, &subject,
		"port '%s': its device has other values than it should: "
		"replaced",
		subject.port
	);
	backend->ops->delete (backend, &port->port, on_wrong_one_deleted, act);
}

static void on_settled(void *userdata, const struct error *e) {
	struct act *act = userdata;

	if (e == NULL)
		record(act->d, act->port);
	on_mended(act, e);
}

// A change was interrupted, or failed half way: which VLAN the function is on is not known.
static void settle(struct daemon *d, struct managed_port *port) {
	struct backend *backend = daemon_backend(d, BACKEND_VDPA);
	struct act *act = begin(d, port);

	if (act != NULL)
		backend->ops->change(backend, &port->port, on_settled, act);
}

static void adopt(
	struct daemon *d, struct managed_port *port, const struct reported_vdpa *device,
	struct tally *tally
) {
	bool served = port->port.state == PORT_READY || port->port.state == PORT_CONNECTED;
	struct log_subject subject = {.port = port->port.spec.name};
	bool was_connected = port->connected;
	bool changed;

	port->was_seen = true;
	port->n_missed = 0;
	changed = port_report(port, device->active, device->active ? "a VM's driver runs" : "");
	if (port->unrecorded)
		record(d, port);
	if (was_connected != device->active && served)
		log_about(
			LOG_INFO, &subject, "port '%s': VM %s", subject.port,
			device->active ? "connected" : "disconnected"
		);
	if (!served) {
		port_enter_served(port);
		tally->adopted++;
	}
	if (!served || changed)
		daemon_port_changed(d, port);
}

static void renew_link(
	struct daemon *d, struct managed_port *port, const struct reported_vdpa *device,
	struct tally *tally
) {
	struct error e;

	if (vdpa_link_set(&port->port, device->node, &e) < 0)
		degrade(d, port, e.text);
	else
		adopt(d, port, device, tally);
}

static void miss(struct managed_port *port, struct tally *tally) {
	port->n_missed++;
	tally->missed++;
}

struct drop {
	struct daemon *d;
	char device[VDPA_DEVICE_NAME_SIZE];
};

static int fill_drop(void *userdata, sd_bus_message *m) {
	return sd_bus_message_append(m, "s", ((struct drop *)userdata)->device);
}

static void on_dropped(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct drop *drop = userdata;

	(void)reply;
	if (e == NULL) {
		log_info("vDPA device %s, which nobody wants, was deleted", drop->device);
		vdpa_view_forget(drop->d->vdpa_view, drop->device);
	} else {
		log_debug("vDPA device %s cannot be deleted yet: %s", drop->device, e->text);
		drop->d->vdpa_restore.drop_again = true;
	}
	free(drop);
}

// A device that nobody wants. That somebody has it open is no news: it is tried again.
static void drop_device(struct daemon *d, const char *device) {
	struct drop *drop = calloc(1, sizeof(*drop));

	if (drop == NULL)
		return; // the next run does it
	drop->d = d;
	str_copy(drop->device, sizeof(drop->device), device);
	vdpa_calls_add(d->vdpa_calls, "DelVdpa", fill_drop, LINK_CALL_TIMEOUT_MS, on_dropped, drop);
}

static void run_step(struct daemon *d, const struct vdpa_step *step, struct tally *tally) {
	struct managed_port *port =
		step->port != NULL ? port_set_find(&d->ports, step->port->spec.name) : NULL;
	struct act *act;

	switch (step->kind) {
	case VDPA_DROP:
		drop_device(d, step->device->name);
		break;
	case VDPA_DELETE:
		provision_delete_again(d, port);
		break;
	case VDPA_MISSED:
		miss(port, tally);
		break;
	case VDPA_REPLACE:
		replace(d, port);
		break;
	case VDPA_MAKE:
		make_on(d, port, step->resource);
		tally->made++;
		break;
	case VDPA_KEEP:
		act = begin(d, port);
		if (act != NULL)
			backend_vdpa_keep(d->vdpa, &port->port, on_mended, act);
		break;
	case VDPA_OWN:
		act = begin(d, port);
		if (act != NULL)
			backend_vdpa_own(d->vdpa, &port->port, on_mended, act);
		break;
	case VDPA_SETTLE:
		settle(d, port);
		break;
	case VDPA_LINK:
		renew_link(d, port, step->device, tally);
		break;
	case VDPA_ADOPT:
		adopt(d, port, step->device, tally);
		break;
	case VDPA_DEGRADE:
		degrade(d, port, step->reason);
		break;
	}
}

// A run

static void wanted_done(struct vdpa_wanted *wanted) {
	free((void *)wanted->ports);
}

static int wanted_init(const struct daemon *d, struct vdpa_wanted *wanted, struct error *e) {
	struct wanted_vdpa *ports = calloc(d->ports.n + 1, sizeof(*ports));
	uint32_t gid;

	*wanted = (struct vdpa_wanted){
		.ports = ports,
		.pools = d->config->pools,
		.n_pools = d->config->n_pools,
		.may_delete = store_is_trusted(d->store),
	};
	if (ports == NULL)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < d->ports.n; i++) {
		const struct managed_port *p = d->ports.list[i];
		struct wanted_vdpa *w = &ports[wanted->n_ports];

		if (p->port.backend != BACKEND_VDPA)
			continue;
		*w = (struct wanted_vdpa){
			.port = &p->port,
			.deleting = p->port.state == PORT_DELETING,
			.busy = p->act != PORT_IDLE,
			.was_seen = p->was_seen,
			.unsettled = p->unrecorded,
			.n_missed = p->n_missed,
		};
		vdpa_link_read(&p->port, w->link, sizeof(w->link));
		wanted->n_ports++;
	}
	return wanted->n_ports == 0 ? 0 : backend_vdpa_owner(d->vdpa, &wanted->uid, &gid, e);
}

// See store.h: what a state file that was missing does not know.
static void consider_trust(struct daemon *d, const struct vdpa_report *report) {
	struct vdpa_restore *restore = &d->vdpa_restore;
	uint64_t newest = 0;
	struct error e;

	if (store_is_trusted(d->store))
		return;
	for (size_t i = 0; i < report->n_devices; i++) {
		if (report->devices[i].generation > newest)
			newest = report->devices[i].generation;
	}
	if (newest > 0 && store_skip_generations(d->store, newest, &e) < 0)
		log_err("%s", e.text);
	if (restore->n_unknown > 0 && !restore->unknown_logged)
		log_warn(
			"the state file was new at the start, and the node has %zu vDPA devices by "
			"vdpad's names that it does not know; they are left alone: delete them "
			"with `vdpa dev del` when no VM uses them",
			restore->n_unknown
		);
	restore->unknown_logged = restore->n_unknown > 0;
}

// Say it once.
static void trouble(struct daemon *d, const char *text) {
	struct vdpa_restore *restore = &d->vdpa_restore;

	if (strcmp(text, restore->trouble) != 0)
		log_warn("cannot look after the kernel's vDPA: %s", text);
	snprintf(restore->trouble, sizeof(restore->trouble), "%s", text);
}

static void run(struct daemon *d, struct tally *tally) {
	_cleanup_(wanted_done) struct vdpa_wanted wanted = {0};
	_cleanup_(vdpa_plan_done) struct vdpa_plan plan = {0};
	const struct vdpa_report *report = vdpa_view_report(d->vdpa_view);
	struct error e;

	if (wanted_init(d, &wanted, &e) < 0) {
		trouble(d, e.text);
		return;
	}
	d->vdpa_restore.trouble[0] = '\0';
	if (vdpa_reconcile(&wanted, report, &plan) < 0) {
		log_err("cannot reconcile with the kernel's vDPA: out of memory");
		return;
	}
	d->vdpa_restore.n_unknown = plan.n_unknown;
	d->vdpa_restore.drop_again = false;
	consider_trust(d, report);
	for (size_t i = 0; i < plan.n; i++)
		run_step(d, &plan.steps[i], tally);
	vdpa_functions_run(d);
	if (tally->adopted > 0)
		log_info("vDPA: %zu ports adopted", tally->adopted);
}

void vdpa_restore_told(void *userdata, const struct error *e) {
	struct daemon *d = userdata;
	struct vdpa_restore *restore = &d->vdpa_restore;
	struct tally tally = {0};

	if (e == NULL || e->code != EHOSTDOWN)
		restore->told = true;
	if (e == NULL)
		run(d, &tally);
	else if (e->code != EHOSTDOWN && e->code != ETIMEDOUT)
		trouble(d, e->text);
	requests_wake(d->requests);
	if (!restore->is_due)
		look_in(d, next_look_ms(d, &tally));
}

void vdpa_restore_lost(struct daemon *d) {
	d->vdpa_restore.told = false;
}

bool vdpa_restore_is_pending(const struct daemon *d) {
	return hub_is_ready(d->hub, WORKER_NETLINK) && !d->vdpa_restore.told;
}

bool vdpa_restore_knows_all(const struct daemon *d) {
	if (!d->facts.vdpa.bus)
		return true;
	return vdpa_view_report(d->vdpa_view) != NULL && d->vdpa_restore.n_unknown == 0;
}

int vdpa_restore_init(struct daemon *d) {
	int r = sd_event_add_time_relative(
		d->event, &d->vdpa_restore.timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_timer, d
	);

	return r < 0 ? r : sd_event_source_set_enabled(d->vdpa_restore.timer, SD_EVENT_OFF);
}

void vdpa_restore_done(struct daemon *d) {
	d->vdpa_restore.timer = sd_event_source_disable_unref(d->vdpa_restore.timer);
}
