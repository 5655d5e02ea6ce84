// SPDX-License-Identifier: GPL-2.0-or-later

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
	(void)request;
	return client_ask("Reload", NULL, NULL, e);
}
