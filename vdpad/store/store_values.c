// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/store/store_values.h"

#include <errno.h>
#include <string.h>

const char store_values_schema[] =
	"CREATE TABLE port_values (port TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
	" PRIMARY KEY (port, key)) WITHOUT ROWID;";

// Keys of a specification that are kept here, and what a port without a row has.
static const struct {
	const char *key, *absent;
} spec_values[] = {
	{"trunks", "none"},
	{"rate", "none"},
	{"socket", ""},
};
#define QEMU_LISTENS "qemu_listens" // "yes", or no row

static int run(sqlite3 *db, const char *sql, const char *port, const char *key, const char *value) {
	sqlite3_stmt *stmt;
	int rc;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return -EIO;
	if (port != NULL)
		sqlite3_bind_text(stmt, 1, port, -1, SQLITE_STATIC);
	if (key != NULL)
		sqlite3_bind_text(stmt, 2, key, -1, SQLITE_STATIC);
	if (value != NULL)
		sqlite3_bind_text(stmt, 3, value, -1, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : -EIO;
}

static int put(sqlite3 *db, const struct port *port, const char *key, const char *value) {
	return run(db, "INSERT INTO port_values VALUES (?1, ?2, ?3)", port->spec.name, key, value);
}

int store_values_put(sqlite3 *db, const struct port *port) {
	char value[PORT_VALUE_SIZE];
	int r;

	r = run(db, "DELETE FROM port_values WHERE port = ?1", port->spec.name, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(spec_values) && r == 0; i++) {
		port_spec_get(&port->spec, spec_values[i].key, value, sizeof(value));
		if (strcmp(value, spec_values[i].absent) != 0)
			r = put(db, port, spec_values[i].key, value);
	}
	if (r == 0 && port->qemu_listens)
		r = put(db, port, QEMU_LISTENS, "yes");
	return r;
}

static bool take(struct port *port, const char *key, const char *value) {
	uint32_t keys = port->spec.keys; // what the request set stays as it was written
	bool known = false;

	if (strcmp(key, QEMU_LISTENS) == 0)
		return parse_bool(value, &port->qemu_listens) == 0;
	for (size_t i = 0; i < ARRAY_LEN(spec_values); i++)
		known |= strcmp(spec_values[i].key, key) == 0;
	if (!known || port_spec_set(&port->spec, key, value, NULL) < 0)
		return false;
	port->spec.keys = keys;
	return true;
}

bool store_values_get(sqlite3 *db, struct port *port) {
	sqlite3_stmt *stmt;
	bool good = true;
	int rc;

	if (sqlite3_prepare_v2(
		    db, "SELECT key, value FROM port_values WHERE port = ?1", -1, &stmt, NULL
	    ) != SQLITE_OK)
		return false;
	sqlite3_bind_text(stmt, 1, port->spec.name, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && good)
		good =
			take(port, (const char *)sqlite3_column_text(stmt, 0),
		             (const char *)sqlite3_column_text(stmt, 1));
	sqlite3_finalize(stmt);
	return good && rc == SQLITE_DONE;
}

int store_values_sweep(sqlite3 *db) {
	return run(
		db, "DELETE FROM port_values WHERE port NOT IN (SELECT name FROM ports)", NULL,
		NULL, NULL
	);
}
