// SPDX-License-Identifier: GPL-2.0-or-later
// SQLite moves the log into the file when the last connection closes. That would change a file that
// is about to be refused, so closing does no checkpoint until the file has passed every check.

#include "vdpad/store/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vdpad/store/store_values.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define APPLICATION_ID 0x76647061 // "vdpa": for file(1), and against another program's file
#define BUSY_TIMEOUT_MS 100       // somebody looks at the file with sqlite3(1)
#define SPARE_FILE "spare"
#define SPARE_BYTES (256 * 1024) // a log of some deletions and the file's growth
#define LOG_PAGES 256            // of 4 KiB: then the log goes into the file, and begins again

// The first schema. ports.keys is the bit set PORT_KEY_*, intents.kind is enum store_intent.
static const char schema[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE networks (name TEXT PRIMARY KEY NOT NULL, bridge TEXT NOT NULL,"
	" tap TEXT NOT NULL, mtu INTEGER NOT NULL, ageing_s INTEGER NOT NULL,"
	" configured INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE ports (name TEXT PRIMARY KEY NOT NULL, network TEXT NOT NULL,"
	" mac TEXT NOT NULL, mtu INTEGER NOT NULL, queue_pairs INTEGER NOT NULL,"
	" vlan INTEGER NOT NULL, policy TEXT NOT NULL, profile TEXT NOT NULL,"
	" link_up INTEGER NOT NULL, persistent INTEGER NOT NULL, keys INTEGER NOT NULL,"
	" backend TEXT NOT NULL, generation INTEGER NOT NULL, path TEXT NOT NULL,"
	" choice TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE intents (port TEXT PRIMARY KEY NOT NULL, kind INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('generation', 0), ('trusted', 0), ('boot_id', '');";

// What changed since: upgrades[i] leads from version i + 1 to i + 2. A new file goes through all.
static const char *const upgrades[] = {
	// Ports on hardware.
	"ALTER TABLE ports ADD COLUMN pool TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE ports ADD COLUMN resource TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE ports ADD COLUMN function TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE ports ADD COLUMN features INTEGER NOT NULL DEFAULT 0;",
	// Values that only some ports have.
	store_values_schema,
};
#define SCHEMA_VERSION (1 + (int)ARRAY_LEN(upgrades))

int store_file_errno(sqlite3 *db) {
	switch (sqlite3_errcode(db)) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EUCLEAN;
	case SQLITE_CANTOPEN:
		return errno == ENOSPC || errno == EACCES || errno == EROFS ? errno : EIO;
	}
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ENOSPC : EIO;
}

static const char *base_name(const char *path) {
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int store_file_damaged(const char *path, const char *detail, struct error *e) {
	return error_set(
		e, EUCLEAN,
		"the state file %s is damaged: %s. Nothing was changed. To recover, restore it "
		"from a "
		"backup; or move it away together with %s-wal and %s-shm and start vdpad again: it "
		"then knows no ports, and each VM's port has to be added again",
		path, detail, base_name(path), base_name(path)
	);
}

static int cannot_read(sqlite3 *db, const char *path, struct error *e) {
	int code = store_file_errno(db);

	if (code == EUCLEAN)
		return store_file_damaged(path, sqlite3_errmsg(db), e);
	return error_set(
		e, code,
		"cannot read the state file %s: %s. Nothing was changed. Make it, and its "
		"directory, "
		"readable and writable for vdpad's user, then start vdpad again",
		path, sqlite3_errmsg(db)
	);
}

// The first column of the first row, as text.
static int query_text(
	sqlite3 *db, const char *path, const char *sql, char *text, size_t size, struct error *e
) {
	sqlite3_stmt *stmt = NULL;
	int r = 0;

	text[0] = '\0';
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return cannot_read(db, path, e);
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		snprintf(text, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
		break;
	case SQLITE_DONE:
		break;
	default:
		r = cannot_read(db, path, e);
	}
	sqlite3_finalize(stmt);
	return r;
}

static int query_number(
	sqlite3 *db, const char *path, const char *sql, int64_t *ret_number, struct error *e
) {
	char text[32];
	int r = query_text(db, path, sql, text, sizeof(text), e);

	if (r == 0)
		*ret_number = strtoll(text, NULL, 10);
	return r;
}

static int check(sqlite3 *db, const char *path, bool *ret_empty, struct error *e) {
	int64_t version = 0, application = 0, n_tables = 0;
	char verdict[256], detail[320], *first;
	int r;

	r = query_number(db, path, "PRAGMA user_version", &version, e);
	if (r == 0)
		r = query_number(db, path, "PRAGMA application_id", &application, e);
	if (r == 0)
		r = query_number(db, path, "SELECT count(*) FROM sqlite_schema", &n_tables, e);
	if (r < 0)
		return r;
	if (version == 0 && application == 0 && n_tables == 0) {
		*ret_empty = true; // new, or vdpad was killed while it made the file
		return 0;
	}
	if (application != APPLICATION_ID)
		return store_file_damaged(path, "it is another program's database", e);
	if (version > SCHEMA_VERSION)
		return error_set(
			e, EPROTO,
			"the state file %s was written by a newer vdpad (schema %lld, this one "
			"knows "
			"%d). Nothing was changed. Install that version again; or move the file "
			"away "
			"and start this one: it then knows no ports, and each VM's port has to be "
			"added again",
			path, (long long)version, SCHEMA_VERSION
		);
	if (version < 1)
		return store_file_damaged(path, "its schema version is unknown", e);
	r = query_text(db, path, "PRAGMA quick_check(1)", verdict, sizeof(verdict), e);
	if (r < 0)
		return r;
	if (strcmp(verdict, "ok") != 0) {
		first = verdict[0] == '*' && strchr(verdict, '\n') != NULL
			? strchr(verdict, '\n') + 1 // below a heading
			: verdict;
		first[strcspn(first, "\n")] = '\0';
		snprintf(detail, sizeof(detail), "the check found \"%s\"", first);
		return store_file_damaged(path, detail, e);
	}
	*ret_empty = false;
	return 0;
}

// Within a transaction, from @version to the present one.
static bool run_upgrades(sqlite3 *db, int64_t version) {
	char head[64];

	for (size_t i = (size_t)version - 1; i < ARRAY_LEN(upgrades); i++) {
		if (sqlite3_exec(db, upgrades[i], NULL, NULL, NULL) != SQLITE_OK)
			return false;
	}
	snprintf(head, sizeof(head), "PRAGMA user_version=%d; COMMIT", SCHEMA_VERSION);
	return sqlite3_exec(db, head, NULL, NULL, NULL) == SQLITE_OK;
}

static int make_schema(sqlite3 *db, const char *path, struct error *e) {
	char head[128];

	snprintf(head, sizeof(head), "BEGIN; PRAGMA application_id=%d;", APPLICATION_ID);
	if (sqlite3_exec(db, head, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK || !run_upgrades(db, 1) ||
	    sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
	            SQLITE_OK)
		return error_set(
			e, store_file_errno(db), "cannot make the state file %s: %s", path,
			sqlite3_errmsg(db)
		);
	return 0;
}

// One transaction: a vdpad that ends in it leaves the old file.
static int upgrade(sqlite3 *db, const char *path, struct error *e) {
	int64_t version = 0;
	int r;

	r = query_number(db, path, "PRAGMA user_version", &version, e);
	if (r < 0 || version == SCHEMA_VERSION)
		return r;
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
	    !run_upgrades(db, version))
		return error_set(
			e, store_file_errno(db),
			"cannot bring the state file %s to this version: %s", path,
			sqlite3_errmsg(db)
		);
	return 0;
}

static int set_modes(sqlite3 *db, const char *path, struct error *e) {
	char mode[16];
	int r;

	r = query_text(db, path, "PRAGMA journal_mode=WAL", mode, sizeof(mode), e);
	if (r < 0)
		return r;
	if (strcmp(mode, "wal") != 0)
		return error_set(
			e, EIO, "the state file %s cannot have a write-ahead log (mode %s)", path,
			mode
		);
	return query_text(db, path, "PRAGMA synchronous=FULL", mode, sizeof(mode), e);
}

static int read_meta(sqlite3 *db, const char *path, struct store_file_meta *meta, struct error *e) {
	int64_t trusted = 0;
	int r;

	r = query_number(db, path, "SELECT value FROM meta WHERE key = 'trusted'", &trusted, e);
	if (r < 0)
		return r;
	meta->trusted = trusted == 1;
	return query_text(
		db, path, "SELECT value FROM meta WHERE key = 'boot_id'", meta->boot_id,
		sizeof(meta->boot_id), e
	);
}

// A file that is gone while its log is still there was not removed by vdpad.
static int check_log_without_file(const char *path, struct error *e) {
	char log[PATH_MAX];
	struct stat st;

	snprintf(log, sizeof(log), "%s-wal", path);
	if (access(path, F_OK) < 0 && errno == ENOENT && stat(log, &st) == 0 && st.st_size > 0)
		return store_file_damaged(path, "it is missing, but its log is there", e);
	return 0;
}

void store_file_give_spare(const char *dir) {
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" SPARE_FILE, dir);
	unlink(path);
}

void store_file_take_spare(const char *dir) {
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/" SPARE_FILE, dir);
	if (stat(path, &st) == 0 && st.st_size >= SPARE_BYTES)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && posix_fallocate(fd, 0, SPARE_BYTES) != 0)
		unlink(path); // not half of it: the disk may be needed for a port
}

static void close_untouched(sqlite3 **db) {
	sqlite3_close(*db);
}

int store_file_open(
	const char *dir, const char *path, sqlite3 **ret_db, struct store_file_meta *ret_meta,
	struct error *e
) {
	_cleanup_(close_untouched) sqlite3 *db = NULL;
	bool empty;
	int r;

	if (mkdir(dir, 0750) < 0 && errno != EEXIST)
		return error_set(e, errno, "cannot make the state directory %s: %m", dir);
	r = check_log_without_file(path, e);
	if (r < 0)
		return r;
	errno = 0;
	if (sqlite3_open_v2(
		    path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
		    NULL
	    ) != SQLITE_OK)
		return cannot_read(db, path, e);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
	r = check(db, path, &empty, e);
	if (r < 0)
		return r;
	r = set_modes(db, path, e);
	if (r == 0)
		r = empty ? make_schema(db, path, e) : upgrade(db, path, e);
	if (r == 0)
		r = read_meta(db, path, ret_meta, e);
	if (r < 0)
		return r;
	sqlite3_wal_autocheckpoint(db, LOG_PAGES);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	*ret_db = TAKE_PTR(db);
	return 0;
}

void store_file_close(sqlite3 *db) {
	sqlite3_close(db);
}
