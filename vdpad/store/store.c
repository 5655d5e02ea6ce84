// SPDX-License-Identifier: GPL-2.0-or-later
// Every change is one transaction, and in WAL mode with synchronous=FULL a transaction is one fsync
// of the write-ahead log. Statements are prepared when they are first used and kept.

#include "vdpad/store/store.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/store/store_file.h"
#include "vdpad/store/store_values.h"
#include "vdpad/util/cleanup.h"

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_SET_META,
	SQL_DROP_RUNTIME,
	SQL_DROP_INTENTS,
	SQL_DROP_NETWORKS,
	SQL_PORTS,
	SQL_NETWORK,
	SQL_TAKE_GENERATION,
	SQL_SKIP_GENERATIONS,
	SQL_PUT_PORT,
	SQL_PUT_NETWORK,
	SQL_PUT_INTENT,
	SQL_DEL_INTENT,
	SQL_DEL_PORT,
	N_STATEMENTS,
};

static const char *const sql[N_STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_SET_META] = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
	[SQL_DROP_RUNTIME] = "DELETE FROM ports WHERE persistent = 0",
	[SQL_DROP_INTENTS] = "DELETE FROM intents WHERE port NOT IN (SELECT name FROM ports)",
	[SQL_DROP_NETWORKS] = "DELETE FROM networks WHERE name NOT IN (SELECT network FROM ports)",
	[SQL_PORTS] =
		"SELECT name, network, mac, mtu, queue_pairs, vlan, policy, profile, link_up, "
		"persistent, keys, backend, generation, path, choice, pool, resource, function, "
		"features, "
		"coalesce((SELECT kind FROM intents WHERE port = name), 0) "
		"FROM ports ORDER BY name",
	[SQL_NETWORK] = "SELECT name, bridge, tap, mtu, ageing_s, configured FROM networks "
			"WHERE name = ?1",
	[SQL_TAKE_GENERATION] = "UPDATE meta SET value = value + 1 WHERE key = 'generation' "
				"RETURNING value",
	[SQL_SKIP_GENERATIONS] = "UPDATE meta SET value = max(value, ?1) WHERE key = 'generation'",
	[SQL_PUT_PORT] =
		"INSERT OR REPLACE INTO ports (name, network, mac, mtu, queue_pairs, vlan, "
		"policy, profile, link_up, persistent, keys, backend, generation, path, "
		"choice, pool, resource, function, features) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
		"?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
	[SQL_PUT_NETWORK] = "INSERT OR REPLACE INTO networks VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_PUT_INTENT] = "INSERT OR REPLACE INTO intents VALUES (?1, ?2)",
	[SQL_DEL_INTENT] = "DELETE FROM intents WHERE port = ?1",
	[SQL_DEL_PORT] = "DELETE FROM ports WHERE name = ?1",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[N_STATEMENTS];
	char dir[PATH_MAX - sizeof(STORE_FILE)];
	char path[PATH_MAX];
	bool trusted;
	unsigned int n_dropped;
};

static int failed(struct store *store, const char *what, struct error *e) {
	int code = store_file_errno(store->db);

	return error_set(
		e, code, "cannot %s in %s: %s", what, store->path, sqlite3_errmsg(store->db)
	);
}

// The statement, reset and without bindings; NULL when it cannot be prepared.
static sqlite3_stmt *statement(struct store *store, enum statement which) {
	sqlite3_stmt **stmt = &store->statements[which];

	if (*stmt == NULL &&
	    sqlite3_prepare_v3(store->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) !=
	            SQLITE_OK)
		return NULL;
	sqlite3_reset(*stmt);
	sqlite3_clear_bindings(*stmt);
	return *stmt;
}

// Run a statement that has no rows of interest. @stmt may be NULL: then preparing it failed.
static int run(sqlite3_stmt *stmt) {
	int rc;

	if (stmt == NULL)
		return -EIO;
	rc = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -EIO;
}

static int run_named(struct store *store, enum statement which, const char *name) {
	sqlite3_stmt *stmt = statement(store, which);

	if (stmt != NULL)
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	return run(stmt);
}

static int set_meta(struct store *store, const char *key, const char *value) {
	sqlite3_stmt *stmt = statement(store, SQL_SET_META);

	if (stmt != NULL) {
		sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
	}
	return run(stmt);
}

// What a transaction is to do.
struct change {
	enum store_intent intent;
	struct port *port;
	const struct network *network;
	const char *name;
	uint64_t generation;
	const char *key, *value;
	bool use_spare;
};

typedef int (*change_fn)(struct store *store, const struct change *change);

// Returns 0, or -EIO with the reason still in the database handle's error.
static int try_transaction(struct store *store, change_fn fn, const struct change *change) {
	int r;

	r = run(statement(store, SQL_BEGIN));
	if (r < 0)
		return r;
	r = fn(store, change);
	if (r < 0)
		return r;
	return run(statement(store, SQL_COMMIT));
}

// On a full disk, move what the log holds into the file, which frees the log's space, and try once
// more. The file may have to grow for that: what makes the state smaller gets the spare space, so
// that ports can be deleted and creations undone.
static int make_room(struct store *store, bool use_spare) {
	if (use_spare)
		store_file_give_spare(store->dir);
	return sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

static int transaction(
	struct store *store, change_fn fn, const struct change *change, const char *what,
	struct error *e
) {
	for (int attempt = 0;; attempt++) {
		int r = try_transaction(store, fn, change);

		if (r == 0)
			break;
		r = failed(store, what, e);
		if (!sqlite3_get_autocommit(store->db))
			run(statement(store, SQL_ROLLBACK));
		if (r != -ENOSPC || attempt > 0 || make_room(store, change->use_spare) != SQLITE_OK)
			return r;
	}
	if (change->use_spare)
		store_file_take_spare(store->dir);
	return 0;
}

static int put_port(struct store *store, const struct port *port) {
	const struct port_spec *spec = &port->spec;
	sqlite3_stmt *stmt = statement(store, SQL_PUT_PORT);
	char mac[MAC_TEXT_SIZE];

	if (stmt == NULL)
		return -EIO;
	sqlite3_bind_text(stmt, 1, spec->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, spec->network, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, mac_addr_format(&spec->mac, mac), -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(stmt, 4, spec->mtu_bytes);
	sqlite3_bind_int64(stmt, 5, spec->queue_pairs);
	sqlite3_bind_int64(stmt, 6, spec->vlan);
	sqlite3_bind_text(stmt, 7, policy_name(spec->policy), -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 8, spec->profile, -1, SQLITE_STATIC);
	sqlite3_bind_int(stmt, 9, spec->link_up);
	sqlite3_bind_int(stmt, 10, spec->persistent);
	sqlite3_bind_int64(stmt, 11, spec->keys);
	sqlite3_bind_text(stmt, 12, backend_name(port->backend), -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 13, (int64_t)port->generation);
	sqlite3_bind_text(stmt, 14, port->path, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 15, port->choice, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 16, port->pool, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 17, port->resource, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 18, port->function, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 19, (int64_t)port->features);
	return run(stmt) < 0 ? -EIO : store_values_put(store->db, port);
}

static int put_network(struct store *store, const struct network *network) {
	sqlite3_stmt *stmt = statement(store, SQL_PUT_NETWORK);

	if (stmt == NULL)
		return -EIO;
	sqlite3_bind_text(stmt, 1, network->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, network->bridge, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, network->tap, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 4, network->mtu_bytes);
	sqlite3_bind_int64(stmt, 5, network->ageing_s);
	sqlite3_bind_int(stmt, 6, network->configured);
	return run(stmt);
}

static int take_generation(struct store *store, uint64_t *ret_generation) {
	sqlite3_stmt *stmt = statement(store, SQL_TAKE_GENERATION);
	int rc;

	if (stmt == NULL)
		return -EIO;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		*ret_generation = (uint64_t)sqlite3_column_int64(stmt, 0);
		rc = sqlite3_step(stmt);
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 0 : -EIO;
}

static int do_intend(struct store *store, const struct change *change) {
	sqlite3_stmt *stmt;
	int r;

	if (change->intent == STORE_CREATE) {
		r = take_generation(store, &change->port->generation);
		if (r < 0)
			return r;
		port_complete(change->port);
	}
	if (change->network != NULL) {
		r = put_network(store, change->network);
		if (r < 0)
			return r;
	}
	if (change->intent != STORE_DELETE) {
		r = put_port(store, change->port);
		if (r < 0)
			return r;
	}
	stmt = statement(store, SQL_PUT_INTENT);
	if (stmt == NULL)
		return -EIO;
	sqlite3_bind_text(stmt, 1, change->port->spec.name, -1, SQLITE_STATIC);
	sqlite3_bind_int(stmt, 2, (int)change->intent);
	return run(stmt);
}

int store_intend(
	struct store *store, enum store_intent intent, struct port *port,
	const struct network *network, struct error *e
) {
	const struct change change = {
		.intent = intent,
		.port = port,
		.network = network,
		.use_spare = intent == STORE_DELETE,
	};

	assert(intent != STORE_NO_INTENT && (intent != STORE_CREATE || network != NULL));
	return transaction(store, do_intend, &change, "write what is to be done", e);
}

static int do_record(struct store *store, const struct change *change) {
	int r = put_port(store, change->port);

	if (r == 0)
		r = run_named(store, SQL_DEL_INTENT, change->port->spec.name);
	return r < 0 ? r : run(statement(store, SQL_DROP_NETWORKS)); // it may have left one
}

int store_record(struct store *store, const struct port *port, struct error *e) {
	struct port copy = *port;
	const struct change change = {.port = &copy};

	return transaction(store, do_record, &change, "write the port", e);
}

static int do_forget(struct store *store, const struct change *change) {
	int r = run_named(store, SQL_DEL_PORT, change->name);

	if (r == 0)
		r = run(statement(store, SQL_DROP_INTENTS));
	if (r == 0)
		r = store_values_sweep(store->db);
	return r < 0 ? r : run(statement(store, SQL_DROP_NETWORKS));
}

int store_forget(struct store *store, const char *name, struct error *e) {
	const struct change change = {.name = name, .use_spare = true};

	return transaction(store, do_forget, &change, "delete the port", e);
}

static int do_skip_generations(struct store *store, const struct change *change) {
	sqlite3_stmt *stmt = statement(store, SQL_SKIP_GENERATIONS);

	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 1, (int64_t)change->generation);
	return run(stmt);
}

int store_skip_generations(struct store *store, uint64_t generation, struct error *e) {
	const struct change change = {.generation = generation};

	return transaction(store, do_skip_generations, &change, "write the generation", e);
}

bool store_is_trusted(const struct store *store) {
	return store->trusted;
}

static int do_set_meta(struct store *store, const struct change *change) {
	return set_meta(store, change->key, change->value);
}

int store_set_trusted(struct store *store, struct error *e) {
	const struct change change = {.key = "trusted", .value = "1"};
	int r = transaction(store, do_set_meta, &change, "write", e);

	if (r == 0)
		store->trusted = true;
	return r;
}

// A text column into an array of its size. Returns false when it does not fit.
static bool column_text(sqlite3_stmt *stmt, int i, char *dst, size_t size) {
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	return text != NULL && str_copy(dst, size, text) == 0;
}

// Strict: a row that vdpad would not have written is damage.
static bool row_to_port(sqlite3_stmt *stmt, struct port *port, enum store_intent *intent) {
	struct port_spec *spec = &port->spec;
	char mac[MAC_TEXT_SIZE], name[16];
	int kind = sqlite3_column_int(stmt, 19);

	memset(port, 0, sizeof(*port));
	if (!column_text(stmt, 0, spec->name, sizeof(spec->name)) ||
	    !column_text(stmt, 1, spec->network, sizeof(spec->network)) ||
	    !column_text(stmt, 2, mac, sizeof(mac)) ||
	    !column_text(stmt, 7, spec->profile, sizeof(spec->profile)) ||
	    !column_text(stmt, 13, port->path, sizeof(port->path)) ||
	    !column_text(stmt, 14, port->choice, sizeof(port->choice)) ||
	    !column_text(stmt, 15, port->pool, sizeof(port->pool)) ||
	    !column_text(stmt, 16, port->resource, sizeof(port->resource)) ||
	    !column_text(stmt, 17, port->function, sizeof(port->function)))
		return false;
	if (!port_name_is_valid(spec->name) || !network_name_is_valid(spec->network) ||
	    mac_addr_parse(mac, &spec->mac) < 0)
		return false;
	if (!column_text(stmt, 6, name, sizeof(name)) || policy_parse(name, &spec->policy) < 0)
		return false;
	if (!column_text(stmt, 11, name, sizeof(name)) || backend_parse(name, &port->backend) < 0)
		return false;
	if (kind < STORE_NO_INTENT || kind > STORE_DELETE)
		return false;
	spec->mtu_bytes = (uint32_t)sqlite3_column_int64(stmt, 3);
	spec->queue_pairs = (uint32_t)sqlite3_column_int64(stmt, 4);
	spec->vlan = (uint32_t)sqlite3_column_int64(stmt, 5);
	spec->link_up = sqlite3_column_int(stmt, 8) != 0;
	spec->persistent = sqlite3_column_int(stmt, 9) != 0;
	spec->keys = (uint32_t)sqlite3_column_int64(stmt, 10);
	port->generation = (uint64_t)sqlite3_column_int64(stmt, 12);
	port->features = (uint64_t)sqlite3_column_int64(stmt, 18);
	*intent = (enum store_intent)kind;
	return true;
}

int store_each_port(struct store *store, store_port_fn fn, void *userdata, struct error *e) {
	sqlite3_stmt *stmt = statement(store, SQL_PORTS);
	enum store_intent intent;
	struct port port;
	int rc = SQLITE_ERROR, r = 0;

	while (stmt != NULL && r >= 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (!row_to_port(stmt, &port, &intent) || !store_values_get(store->db, &port))
			r = store_file_damaged(
				store->path, "a row of the table of ports makes no sense", e
			);
		else
			r = fn(userdata, &port, intent);
	}
	if (r >= 0 && rc != SQLITE_DONE)
		r = failed(store, "read the ports", e);
	if (stmt != NULL)
		sqlite3_reset(stmt);
	return r < 0 ? r : 0;
}

int store_find_network(
	struct store *store, const char *name, struct network *ret_network, struct error *e
) {
	sqlite3_stmt *stmt = statement(store, SQL_NETWORK);
	struct network network = {.configured = false};
	int rc = SQLITE_ERROR, r;

	if (stmt != NULL) {
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
		rc = sqlite3_step(stmt);
	}
	if (rc == SQLITE_DONE) {
		r = error_set(e, ENOENT, "no port uses network '%s'", name);
	} else if (rc != SQLITE_ROW) {
		r = failed(store, "read the networks", e);
	} else if (!column_text(stmt, 0, network.name, sizeof(network.name)) || !column_text(stmt, 1, network.bridge, sizeof(network.bridge)) || !column_text(stmt, 2, network.tap, sizeof(network.tap))) {
		r = store_file_damaged(
			store->path, "a row of the table of networks makes no sense", e
		);
	} else {
		network.mtu_bytes = (uint32_t)sqlite3_column_int64(stmt, 3);
		network.ageing_s = (uint32_t)sqlite3_column_int64(stmt, 4);
		network.configured = sqlite3_column_int(stmt, 5) != 0;
		*ret_network = network;
		r = 0;
	}
	if (stmt != NULL)
		sqlite3_reset(stmt);
	return r;
}

static int do_boot(struct store *store, const struct change *change) {
	int r = run(statement(store, SQL_DROP_RUNTIME));

	if (r < 0)
		return r;
	store->n_dropped = (unsigned int)sqlite3_changes(store->db);
	r = run(statement(store, SQL_DROP_INTENTS));
	if (r == 0)
		r = store_values_sweep(store->db);
	if (r == 0)
		r = run(statement(store, SQL_DROP_NETWORKS));
	return r < 0 ? r : set_meta(store, "boot_id", change->value);
}

static void closep(struct store **store) {
	store_close(*store);
}

int store_open(const char *dir, const char *boot_id, struct store **ret_store, struct error *e) {
	_cleanup_(closep) struct store *store = NULL;
	struct store_file_meta meta;
	int r;

	store = calloc(1, sizeof(*store));
	if (store == NULL)
		return error_set(e, ENOMEM, "out of memory");
	r = str_copy(store->dir, sizeof(store->dir), dir);
	if (r < 0)
		return error_set(e, -r, "the state directory's path is too long");
	snprintf(store->path, sizeof(store->path), "%s/%s", dir, STORE_FILE);
	r = store_file_open(dir, store->path, &store->db, &meta, e);
	if (r < 0)
		return r;
	store->trusted = meta.trusted;
	store_file_take_spare(dir);
	if (strcmp(meta.boot_id, boot_id) != 0) {
		const struct change change = {.value = boot_id};

		r = transaction(store, do_boot, &change, "drop the ports of the last boot", e);
		if (r < 0)
			return r;
	}
	*ret_store = TAKE_PTR(store);
	return 0;
}

unsigned int store_n_dropped(const struct store *store) {
	return store->n_dropped;
}

void store_close(struct store *store) {
	if (store == NULL)
		return;
	for (size_t i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	store_file_close(store->db);
	free(store);
}
