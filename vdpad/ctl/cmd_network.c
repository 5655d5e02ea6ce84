// SPDX-License-Identifier: GPL-2.0-or-later

#include <stdio.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/print.h"

int cmd_network_show(const struct request *request, struct error *e) {
	static const struct column columns[] = {
		{"name", "NAME"},
		{"bridge", "BRIDGE"},
		{"uplink", "UPLINK"},
		{"mtu", "MTU"},
		{"ports", "PORTS"},
		{"configured", "CONFIGURED"},
		{"available", "AVAILABLE"},
		{"reason", "REASON"},
		{NULL, NULL},
	};
	json_t *networks = NULL;
	int r;

	r = client_ask(
		"ShowNetworks", request->operand != NULL ? request->operand : "", &networks, e
	);
	if (r < 0)
		return r;
	networks = print_rows(networks);
	if (print_wants_json(request))
		print_json(request, networks);
	else
		print_table(columns, networks);
	json_decref(networks);
	return 0;
}

int cmd_reload(const struct request *request, struct error *e) {
	json_t *status = NULL, *warning;
	size_t i;
	int r;

	(void)request;
	r = client_ask("Reload", NULL, NULL, e);
	if (r < 0 || client_ask("Status", NULL, &status, NULL) < 0)
		return r;
	json_array_foreach (json_object_get(status, "config_warnings"), i, warning)
		fprintf(stderr, "vdpactl: warning: %s\n", json_string_value(warning));
	json_decref(status);
	return 0;
}
