// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/plan.h"
#include "vdpad/ctl/print.h"
#include "vdpad/model/port.h"

// What is wrong in the words of the command line needs no daemon to say it.
static int check_pairs(const struct request *request, struct error *e) {
	struct port_spec spec = {0};
	int r;

	for (size_t i = 0; i < request->n_pairs; i++) {
		r = port_spec_set(&spec, request->pairs[i].key, request->pairs[i].value, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static void print_port(const struct request *request, const json_t *port) {
	_cleanup_free_ char *state = NULL, *backend = NULL, *path = NULL;

	if (print_wants_json(request)) {
		print_json(request, port);
		return;
	}
	state = print_text(json_object_get(port, "state"));
	backend = print_text(json_object_get(port, "backend"));
	path = print_text(json_object_get(port, "path"));
	printf("%s: %s, served by %s at %s\n", request->operand, state, backend, path);
}

// AddPort and SetPort: name, a dictionary, and for AddPort a flag; the port is the answer.
static int change_port(
	const struct request *request, const char *method, bool has_flag, bool flag, struct error *e
) {
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *call = NULL;
	json_t *port = NULL;
	int r;

	r = check_pairs(request, e);
	if (r < 0)
		return r;
	r = client_begin(method, &bus, &call, e);
	if (r < 0)
		return r;
	r = sd_bus_message_append(call, "s", request->operand);
	if (r >= 0)
		r = client_append_pairs(call, request);
	if (r >= 0 && has_flag)
		r = sd_bus_message_append(call, "b", (int)flag);
	if (r < 0)
		return error_set(e, -r, "the request cannot be written: %s", strerror(-r));
	r = client_send_change(bus, call, &port, e);
	if (r < 0)
		return r;
	print_port(request, port);
	json_decref(port);
	return 0;
}

int cmd_port_add(const struct request *request, struct error *e) {
	bool may_exist = (request->options & OPTION_MAY_EXIST) != 0;

	if (request_value(request, "network") == NULL)
		return error_set(
			e, EINVAL,
			"key 'network' is missing: 'vdpactl network show' lists what there is"
		);
	if ((request->options & OPTION_DRY_RUN) != 0) {
		int r = check_pairs(request, e);

		return r < 0 ? r : plan_port_print(request, e);
	}
	return change_port(request, "AddPort", true, may_exist, e);
}

int cmd_port_set(const struct request *request, struct error *e) {
	if (request->n_pairs == 0)
		return error_set(
			e, EINVAL,
			"say what to change: network, vlan, trunks, rate, link or lifetime"
		);
	return change_port(request, "SetPort", false, false, e);
}

int cmd_port_del(const struct request *request, struct error *e) {
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *call = NULL;
	bool may_not_exist = (request->options & OPTION_MAY_NOT_EXIST) != 0;
	int r;

	r = client_begin("DelPort", &bus, &call, e);
	if (r < 0)
		return r;
	r = sd_bus_message_append(call, "sb", request->operand, (int)may_not_exist);
	if (r < 0)
		return error_set(e, -r, "the request cannot be written: %s", strerror(-r));
	return client_send_change(bus, call, NULL, e);
}

// For people: a port without a VLAN or a limit has none to show.
static void hide_what_is_none(json_t *ports) {
	static const char *const keys[] = {"vlan", "rate"};
	json_t *port;
	size_t i;

	json_array_foreach (ports, i, port) {
		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			if (json_integer_value(json_object_get(port, keys[k])) == 0)
				json_object_set_new(port, keys[k], json_null());
		}
	}
}

int cmd_port_show(const struct request *request, struct error *e) {
	static const struct column columns[] = {
		{"name", "NAME"},   {"network", "NETWORK"},
		{"state", "STATE"}, {"backend", "BACKEND"},
		{"mac", "MAC"},     {"mtu", "MTU"},
		{"vlan", "VLAN"},   {"queue_pairs", "QUEUE_PAIRS"},
		{"link", "LINK"},   {"reason", "REASON"},
		{NULL, NULL},
	};
	static const char *const keys[] = {"name",   "state", "reason",  "backend",
	                                   "choice", "path",  "network", NULL};
	json_t *ports = NULL;
	int r;

	r = client_ask("ShowPorts", request->operand != NULL ? request->operand : "", &ports, e);
	if (r < 0)
		return r;
	ports = print_rows(ports);
	if (print_wants_json(request)) {
		print_json(request, ports);
	} else {
		hide_what_is_none(ports);
		if (request->operand != NULL)
			print_object(keys, json_array_get(ports, 0));
		else
			print_table(columns, ports);
	}
	json_decref(ports);
	return 0;
}
