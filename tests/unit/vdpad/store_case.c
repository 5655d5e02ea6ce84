// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/vdpad/store_case.h"

#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "vdpad/util/cleanup.h"

char store_dir[64];
char store_path[96];

int store_case_setup(void **state) {
	(void)state;
	strcpy(store_dir, "/tmp/test-store-XXXXXX");
	if (mkdtemp(store_dir) == NULL)
		return -1;
	snprintf(store_path, sizeof(store_path), "%s/%s", store_dir, STORE_FILE);
	return 0;
}

static int remove_entry(const char *name, const struct stat *st, int flag, struct FTW *ftw) {
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(name);
}

int store_case_teardown(void **state) {
	(void)state;
	return nftw(store_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

struct store *store_case_open(const char *boot_id) {
	struct store *store = NULL;
	struct error e = {0};

	if (store_open(store_dir, boot_id, &store, &e) < 0)
		fail_msg("%s", e.text);
	return store;
}

void store_case_add(struct store *store, struct port *port) {
	struct network network = {
		.bridge = "vmbr0",
		.tap = "vdp-vmbr0",
		.mtu_bytes = 1500,
		.ageing_s = 300,
	};
	struct error e = {0};

	strcpy(network.name, port->spec.network);
	if (store_intend(store, STORE_CREATE, port, &network, &e) < 0 ||
	    store_record(store, port, &e) < 0)
		fail_msg("%s", e.text);
}

int store_case_note(void *userdata, const struct port *port, enum store_intent intent) {
	struct store_seen *seen = userdata;

	assert_true(seen->n < ARRAY_LEN(seen->ports));
	seen->ports[seen->n] = *port;
	seen->intents[seen->n++] = intent;
	return 0;
}

struct store_seen store_case_load(struct store *store) {
	struct store_seen seen = {.n = 0};
	struct error e = {0};

	if (store_each_port(store, store_case_note, &seen, &e) < 0)
		fail_msg("%s", e.text);
	return seen;
}

int store_case_sql(const char *text) {
	const char *rest = text;
	sqlite3_stmt *stmt;
	int number = -1;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
	while (*rest != '\0') {
		if (sqlite3_prepare_v2(db, rest, -1, &stmt, &rest) != SQLITE_OK)
			fail_msg("%s: %s", rest, sqlite3_errmsg(db));
		while (sqlite3_step(stmt) == SQLITE_ROW)
			number = sqlite3_column_int(stmt, 0);
		assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	}
	sqlite3_close(db);
	return number;
}
