// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "vdpad/bus/bus_dict.h"
#include "vdpad/daemon.h"
#include "vdpad/provision.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/log.h"

#define WAKE_ACCURACY_US 1000

enum request_kind {
	REQUEST_ADD,
	REQUEST_SET,
	REQUEST_DEL,
};

struct request {
	TAILQ_ENTRY(request) entries; // while it waits
	struct daemon *d;
	sd_bus_message *m; // owned
	enum request_kind kind;
	struct port_spec spec;
	bool flag; // may_exist, may_not_exist
	bool retried;
	uint64_t deadline_ms;
};

struct requests {
	struct daemon *d;
	TAILQ_HEAD(, request) waiting; // in the order in which they came
	size_t n_waiting;
	sd_event_source *wake;
	sd_event_source *timer; // of the first one's deadline
};

static void start(struct request *request);

static void request_free(struct request *request) {
	sd_bus_message_unref(request->m);
	free(request);
}

// The door

// It is about to be there, or is and has not yet said what it has from before.
static bool is_due(const struct daemon *d, enum worker worker) {
	if (!hub_is_ready(d->hub, worker))
		return hub_absent_ms(d->hub, worker) < REQUEST_GRACE_MS;
	return worker == WORKER_SWITCH && restore_is_pending(d);
}

static bool may_be_hardware(enum policy policy) {
	return policy != POLICY_SOFTWARE && policy != POLICY_SWITCH;
}

static bool may_be_software(enum policy policy) {
	return policy == POLICY_AUTO || policy == POLICY_SOFTWARE || policy == POLICY_SWITCH;
}

// What a new port may need: hardware is decided upon after the first look at it.
static bool lacks_worker_to_add(const struct daemon *d, const struct port_spec *spec) {
	enum policy policy =
		(spec->keys & PORT_KEY_POLICY) != 0 ? spec->policy : d->config->defaults.policy;

	return is_due(d, WORKER_NETLINK) || (may_be_software(policy) && is_due(d, WORKER_SWITCH)) ||
		(may_be_hardware(policy) && vdpa_restore_is_pending(d));
}

static bool lacks_worker(const struct request *request) {
	const struct daemon *d = request->d;
	const struct managed_port *port;

	if (request->kind == REQUEST_ADD)
		return lacks_worker_to_add(d, &request->spec);
	port = port_set_find(&d->ports, request->spec.name);
	if (port == NULL || port->port.backend == BACKEND_EXTERNAL)
		return false;
	// A network that a port moves to may need its uplink made.
	return is_due(d, daemon_worker(port->port.backend)) ||
		((request->spec.keys & PORT_KEY_NETWORK) != 0 && is_due(d, WORKER_NETLINK));
}

static bool port_is_busy(const struct request *request) {
	const struct daemon *d = request->d;
	const struct managed_port *port = port_set_find(&d->ports, request->spec.name);

	if (port == NULL)
		return false;
	return port->act != PORT_IDLE ||
		(port->port.state == PORT_DEGRADED && daemon_is_restoring(d, port->port.backend));
}

// Whether one that stands before @end, or any if that is NULL, is for the same port.
static bool is_behind_another(
	const struct requests *requests, const struct request *request, const struct request *end
) {
	const struct request *other;

	TAILQ_FOREACH(other, &requests->waiting, entries) {
		if (other == end)
			return false;
		if (strcmp(other->spec.name, request->spec.name) == 0)
			return true;
	}
	return false;
}

static bool must_wait(const struct request *request) {
	return clock_now_ms() < request->deadline_ms &&
		(lacks_worker(request) || port_is_busy(request));
}

static void set_timer(struct requests *requests) {
	const struct request *first = TAILQ_FIRST(&requests->waiting);

	if (first != NULL)
		sd_event_source_set_time(requests->timer, first->deadline_ms * 1000);
	sd_event_source_set_enabled(
		requests->timer, first != NULL ? SD_EVENT_ONESHOT : SD_EVENT_OFF
	);
}

static void join(struct requests *requests, struct request *request) {
	struct request *next;

	// One that comes back has its old place.
	TAILQ_FOREACH(next, &requests->waiting, entries) {
		if (next->deadline_ms > request->deadline_ms)
			break;
	}
	if (next != NULL)
		TAILQ_INSERT_BEFORE(next, request, entries);
	else
		TAILQ_INSERT_TAIL(&requests->waiting, request, entries);
	requests->n_waiting++;
	set_timer(requests);
}

static void leave(struct requests *requests, struct request *request) {
	TAILQ_REMOVE(&requests->waiting, request, entries);
	requests->n_waiting--;
}

// Those that come while one starts stand behind it.
static void look_again(struct requests *requests) {
	struct request *request, *next;

	for (request = TAILQ_FIRST(&requests->waiting); request != NULL; request = next) {
		next = TAILQ_NEXT(request, entries);
		if (must_wait(request) || is_behind_another(requests, request, request))
			continue;
		leave(requests, request);
		start(request);
	}
	set_timer(requests);
}

static int on_wake(sd_event_source *source, void *userdata) {
	(void)source;
	look_again(userdata);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
	(void)source;
	(void)usec;
	look_again(userdata);
	return 0;
}

void requests_wake(struct requests *requests) {
	if (requests != NULL && requests->n_waiting > 0)
		sd_event_source_set_enabled(requests->wake, SD_EVENT_ONESHOT);
}

// From the door to the answer

static int send_answer(
	const struct request *request, const struct managed_port *port, const struct error *e
) {
	_cleanup_bus_error_ sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	int r;

	if (e != NULL) {
		error_to_bus(e, &bus_error);
		return sd_bus_reply_method_error(request->m, &bus_error);
	}
	r = sd_bus_message_new_method_return(request->m, &reply);
	if (r >= 0 && port != NULL)
		r = bus_append_port(reply, &port->port);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static void on_done(void *userdata, const struct managed_port *port, const struct error *e) {
	struct request *request = userdata;
	struct requests *requests = request->d->requests;
	int r;

	if (e != NULL && e->code == EHOSTDOWN && !request->retried && lacks_worker(request) &&
	    must_wait(request)) {
		request->retried = true;
		join(requests, request);
		return;
	}
	r = send_answer(request, port, e);
	if (r < 0)
		log_debug("a client went away before its answer: %s", strerror(-r));
	request_free(request);
}

static void start(struct request *request) {
	switch (request->kind) {
	case REQUEST_ADD:
		provision_add(request->d, &request->spec, request->flag, on_done, request);
		break;
	case REQUEST_SET:
		provision_set(request->d, &request->spec, on_done, request);
		break;
	case REQUEST_DEL:
		provision_delete(request->d, request->spec.name, request->flag, on_done, request);
		break;
	}
}

static int arrive(
	struct daemon *d, sd_bus_message *m, enum request_kind kind, const struct port_spec *spec,
	bool flag
) {
	struct requests *requests = d->requests;
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return -ENOMEM;
	*request = (struct request){
		.d = d,
		.m = sd_bus_message_ref(m),
		.kind = kind,
		.spec = *spec,
		.flag = flag,
		.deadline_ms = clock_now_ms() + REQUEST_GRACE_MS,
	};
	if (requests->n_waiting < REQUESTS_MAX &&
	    (must_wait(request) || is_behind_another(requests, request, NULL)))
		join(requests, request);
	else
		start(request);
	return 1;
}

// Reading

int request_read_name(sd_bus_message *m, struct port_spec *spec, struct error *e) {
	const char *name;

	if (sd_bus_message_read_basic(m, 's', &name) < 0)
		return error_set(e, EINVAL, "a port's name was expected");
	if (!port_name_is_valid(name))
		return error_set(
			e, EINVAL,
			"port name '%.40s' is not valid: 1 to 32 of a-z 0-9 . _ -, the first a "
			"letter or digit",
			name
		);
	return str_copy(spec->name, sizeof(spec->name), name);
}

int request_add_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct port_spec spec = {0};
	int may_exist, r;
	struct error e;

	if (request_read_name(m, &spec, &e) < 0 || bus_read_spec(m, false, &spec, &e) < 0)
		return error_to_bus(&e, ret_error);
	r = sd_bus_message_read_basic(m, 'b', &may_exist);
	return r < 0 ? r : arrive(userdata, m, REQUEST_ADD, &spec, may_exist != 0);
}

int request_set_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct port_spec changes = {0};
	struct error e;

	if (request_read_name(m, &changes, &e) < 0 || bus_read_spec(m, false, &changes, &e) < 0)
		return error_to_bus(&e, ret_error);
	return arrive(userdata, m, REQUEST_SET, &changes, false);
}

int request_del_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct port_spec spec = {0};
	int may_not_exist, r;
	struct error e;

	if (request_read_name(m, &spec, &e) < 0)
		return error_to_bus(&e, ret_error);
	r = sd_bus_message_read_basic(m, 'b', &may_not_exist);
	return r < 0 ? r : arrive(userdata, m, REQUEST_DEL, &spec, may_not_exist != 0);
}

// The whole

static void freep(struct requests **requests) {
	requests_free(*requests);
}

int requests_new(struct daemon *d, struct requests **ret_requests) {
	_cleanup_(freep) struct requests *requests = calloc(1, sizeof(*requests));
	int r;

	if (requests == NULL)
		return -ENOMEM;
	requests->d = d;
	TAILQ_INIT(&requests->waiting);
	r = sd_event_add_defer(d->event, &requests->wake, on_wake, requests);
	if (r >= 0)
		r = sd_event_source_set_enabled(requests->wake, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(
			d->event, &requests->timer, CLOCK_MONOTONIC, 0, WAKE_ACCURACY_US, on_timer,
			requests
		);
	if (r >= 0)
		r = sd_event_source_set_enabled(requests->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	*ret_requests = TAKE_PTR(requests);
	return 0;
}

void requests_free(struct requests *requests) {
	struct request *request;
	struct error e;

	if (requests == NULL)
		return;
	error_set(&e, EHOSTDOWN, "vdpad is being stopped");
	while ((request = TAILQ_FIRST(&requests->waiting)) != NULL) {
		leave(requests, request);
		send_answer(request, NULL, &e);
		request_free(request);
	}
	sd_event_source_unref(requests->wake);
	sd_event_source_unref(requests->timer);
	free(requests);
}
