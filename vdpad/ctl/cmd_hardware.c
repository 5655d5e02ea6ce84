// SPDX-License-Identifier: GPL-2.0-or-later
// pool, mgmtdev and dev: what hardware the node has and who uses it.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/plan.h"
#include "vdpad/ctl/print.h"

// What is shown is what vdpad-netlink last told. A kernel that does not answer is no reason to show
// nothing, but to say so.
static void print_staleness(void) {
	json_t *status = NULL;
	const char *vdpa;

	if (client_ask("Status", NULL, &status, NULL) < 0)
		return;
	vdpa = json_string_value(json_object_get(status, "vdpa"));
	if (vdpa != NULL && strcmp(vdpa, "ready") != 0)
		fprintf(stderr, "vdpactl: note: this may be old: %s\n", vdpa);
	json_decref(status);
}

// 0 is no limit and no number.
static void hide_zeros(json_t *rows, const char *key) {
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		if (json_integer_value(json_object_get(row, key)) == 0)
			json_object_del(row, key);
	}
}

static int ask_rows(
	const struct request *request, const char *method, json_t **ret_rows, struct error *e
) {
	json_t *found = NULL;
	int r = client_ask(method, request->operand != NULL ? request->operand : "", &found, e);

	if (r >= 0)
		*ret_rows = print_rows(found);
	return r;
}

// All that is known about one, or the table.
static void print_rows_or_one(
	const struct request *request, const struct column *columns, const char *const *keys,
	const json_t *rows
) {
	if (print_wants_json(request))
		print_json(request, rows);
	else if (request->operand != NULL)
		print_object(keys, json_array_get(rows, 0));
	else
		print_table(columns, rows);
}

// One pool as an object, then its members as a table.
static void print_pool(json_t *pool) {
	static const char *const keys[] = {"name",   "kind",  "networks", "hardware",
	                                   "reason", "ports", "free",     NULL};
	static const struct column columns[] = {
		{"name", "MEMBER"},   {"driver", "DRIVER"}, {"port", "PORT"},
		{"reason", "REASON"}, {NULL, NULL},
	};
	json_t *members = json_incref(json_object_get(pool, "members"));

	json_object_del(pool, "members");
	json_object_del(pool, "n_members");
	print_object(keys, pool);
	if (json_array_size(members) > 0) {
		putchar('\n');
		print_table(columns, members);
	}
	json_decref(members);
}

int cmd_pool_show(const struct request *request, struct error *e) {
	static const struct column columns[] = {
		{"name", "NAME"},   {"kind", "KIND"},         {"networks", "NETWORKS"},
		{"ports", "PORTS"}, {"limit", "LIMIT"},       {"n_members", "MEMBERS"},
		{"free", "FREE"},   {"hardware", "HARDWARE"}, {"reason", "REASON"},
		{NULL, NULL},
	};
	json_t *rows;
	int r = ask_rows(request, "ShowPools", &rows, e);

	if (r < 0)
		return r;
	if (!print_wants_json(request)) {
		hide_zeros(rows, "limit");
		hide_zeros(rows, "count");
	}
	if (request->operand != NULL && !print_wants_json(request))
		print_pool(json_array_get(rows, 0));
	else
		print_rows_or_one(request, columns, NULL, rows);
	print_staleness();
	json_decref(rows);
	return 0;
}

int cmd_mgmtdev_show(const struct request *request, struct error *e) {
	static const struct column columns[] = {
		{"name", "NAME"},       {"driver", "DRIVER"},
		{"devices", "DEVICES"}, {"max_queue_pairs", "QUEUE_PAIRS"},
		{"takes", "TAKES"},     {"function", "FUNCTION"},
		{"pools", "POOLS"},     {NULL, NULL},
	};
	static const char *const keys[] = {"name", "driver", "devices", NULL};
	json_t *rows;
	int r = ask_rows(request, "ShowMgmtdevs", &rows, e);

	if (r < 0)
		return r;
	if (!print_wants_json(request))
		hide_zeros(rows, "max_queue_pairs");
	print_rows_or_one(request, columns, keys, rows);
	print_staleness();
	json_decref(rows);
	return 0;
}

int cmd_dev_show(const struct request *request, struct error *e) {
	static const struct column columns[] = {
		{"name", "NAME"},     {"mgmtdev", "MGMTDEV"}, {"owner", "OWNER"}, {"port", "PORT"},
		{"node", "NODE"},     {"driver", "DRIVER"},   {"mac", "MAC"},     {"mtu", "MTU"},
		{"active", "ACTIVE"}, {NULL, NULL},
	};
	static const char *const keys[] = {"name", "mgmtdev", "owner", "port", "node", NULL};
	json_t *rows;
	int r = ask_rows(request, "ShowDevices", &rows, e);

	if (r < 0)
		return r;
	if (!print_wants_json(request)) {
		hide_zeros(rows, "mtu");
		hide_zeros(rows, "queue_pairs");
	}
	print_rows_or_one(request, columns, keys, rows);
	print_staleness();
	json_decref(rows);
	return 0;
}

int cmd_pool_plan(const struct request *request, struct error *e) {
	json_t *steps = NULL;
	int r = client_ask("PlanPool", request->operand, &steps, e);

	if (r < 0)
		return r;
	steps = plan_to_objects(steps);
	if (print_wants_json(request))
		print_json(request, steps);
	else
		plan_print(
			steps,
			"Nothing: this pool's hardware is there already, or is not vdpad's to "
			"make."
		);
	json_decref(steps);
	return 0;
}
