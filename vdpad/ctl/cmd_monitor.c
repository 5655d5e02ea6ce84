// SPDX-License-Identifier: GPL-2.0-or-later
// monitor: changes of ports, one line each, until SIGINT or SIGTERM. Survives restarts of vdpad.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/print.h"
#include "vdpad/util/ipc.h"

// @port is NULL when it is gone.
static void print_change(const struct request *request, const char *name, json_t *port) {
	_cleanup_free_ char *state = NULL, *backend = NULL, *reason = NULL;
	time_t now = time(NULL);
	char when[32];

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z", localtime(&now));
	if (print_wants_json(request)) {
		struct request one_line = {.options = OPTION_JSON};
		json_t *change =
			json_pack("{s:s, s:s, s:O?}", "time", when, "name", name, "port", port);

		print_json(&one_line, change);
		json_decref(change);
		return;
	}
	if (port == NULL) {
		printf("%s %s gone\n", when, name);
		return;
	}
	state = print_text(json_object_get(port, "state"));
	backend = print_text(json_object_get(port, "backend"));
	reason = print_text(json_object_get(port, "reason"));
	printf("%s %s %s %s %s\n", when, name, state, backend, reason);
}

// The end of a handler. Nobody may read any more.
static int flush(sd_bus_message *m) {
	return fflush(stdout) == 0
		? 0
		: sd_event_exit(sd_bus_get_event(sd_bus_message_get_bus(m)), -errno);
}

static int on_port_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const struct request *request = userdata;
	const char *name;
	json_t *port = NULL;
	int r;

	(void)ret_error;
	r = sd_bus_message_read_basic(m, 's', &name);
	if (r >= 0)
		r = client_read_json(m, &port);
	if (r < 0)
		return 0; // not of our version; the next one may be
	print_change(request, name, port);
	json_decref(port);
	return flush(m);
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_free_ char *name = NULL;
	const char *path;

	(void)ret_error;
	if (sd_bus_message_read_basic(m, 'o', &path) < 0 ||
	    sd_bus_path_decode(path, IPC_PORT_PATH_PREFIX, &name) <= 0)
		return 0;
	print_change(userdata, name, NULL);
	return flush(m);
}

// Signals end the loop with success.
static int add_signals(sd_event *event) {
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	if (r < 0)
		return r;
	return sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
}

// Only a vdpad that answers can be watched.
static int check_daemon(sd_bus *bus, struct error *e) {
	_cleanup_message_ sd_bus_message *call = NULL;
	int r;

	r = client_new_call(bus, "Status", &call, e);
	if (r < 0)
		return r;
	return client_send(bus, call, CLIENT_TIMEOUT_US, NULL, e);
}

int cmd_monitor(const struct request *request, struct error *e) {
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r;

	r = client_open(&bus, e);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(
		bus, NULL, IPC_BUS_NAME, IPC_PATH, IPC_MANAGER_IFACE, "PortChanged",
		on_port_changed, (void *)request
	);
	if (r >= 0)
		r = sd_bus_match_signal(
			bus, NULL, IPC_BUS_NAME, IPC_PATH, "org.freedesktop.DBus.ObjectManager",
			"InterfacesRemoved", on_removed, (void *)request
		);
	if (r < 0)
		return error_set(e, -r, "signals cannot be watched: %s", strerror(-r));
	r = check_daemon(bus, e);
	if (r < 0)
		return r;

	r = sd_event_new(&event);
	if (r >= 0)
		r = add_signals(event);
	if (r >= 0)
		r = sd_bus_set_exit_on_disconnect(bus, true);
	if (r >= 0)
		r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_event_loop(event);
	if (r == 0)
		return 0;
	if (r > 0) // how sd-bus ends the loop when the bus is gone
		return error_set(e, CLIENT_UNREACHABLE, "the system bus went away");
	return error_set(e, -r, "watching failed: %s", strerror(-r));
}
