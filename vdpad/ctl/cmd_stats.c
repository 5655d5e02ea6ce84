// SPDX-License-Identifier: GPL-2.0-or-later

#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/print.h"

#define DROPS_SIZE 512 // some named reasons in one cell

static bool is_drop(const char *key) {
	return strncmp(key, "rx_drop_", 8) == 0 || strncmp(key, "tx_drop_", 8) == 0;
}

// The drop counters that are not zero, as one cell: "tx_drop_ring_full=3".
static void add_drops_cell(json_t *row) {
	char cell[DROPS_SIZE] = "";
	size_t len = 0;
	const char *key;
	json_t *value;

	json_object_foreach (row, key, value) {
		if (!is_drop(key) || json_integer_value(value) == 0)
			continue;
		len += (size_t)snprintf(
			cell + len, sizeof(cell) - len, "%s%s=%" JSON_INTEGER_FORMAT,
			len > 0 ? " " : "", key, json_integer_value(value)
		);
		if (len >= sizeof(cell))
			break;
	}
	json_object_set_new(row, "drops", json_string(cell));
}

int cmd_stats(const struct request *request, struct error *e) {
	static const struct column columns[] = {
		{"name", "NAME"},
		{"network", "NETWORK"},
		{"rx_packets", "RX_PACKETS"},
		{"rx_bytes", "RX_BYTES"},
		{"tx_packets", "TX_PACKETS"},
		{"tx_bytes", "TX_BYTES"},
		{"connects", "CONNECTS"},
		{"drops", "DROPS"},
		{NULL, NULL},
	};
	static const char *const keys[] = {"name",       "network",  "rx_packets", "rx_bytes",
	                                   "tx_packets", "tx_bytes", "connects",   NULL};
	json_t *stats = NULL, *row;
	size_t i;
	int r;

	r = client_ask("Stats", request->operand != NULL ? request->operand : "", &stats, e);
	if (r < 0)
		return r;
	stats = print_rows(stats);
	if (print_wants_json(request)) {
		print_json(request, stats);
	} else if (request->operand != NULL) {
		print_object(keys, json_array_get(stats, 0));
	} else {
		json_array_foreach (stats, i, row)
			add_drops_cell(row);
		print_table(columns, stats);
	}
	json_decref(stats);
	return 0;
}
