// SPDX-License-Identifier: GPL-2.0-or-later
// The state file as a file: opening, checking, its schema and its version. Only store.c uses it.

#pragma once

#include <stdbool.h>

#include <sqlite3.h>

#include "vdpad/util/error.h"

struct store_file_meta {
	bool trusted;     // see store.h
	char boot_id[64]; // of the last start; "" for a new file
};

// Open @path, or create it with its schema. What is refused (damaged, unreadable, of a newer version
// or of another program) is left byte for byte as it was, log included.
int store_file_open(
	const char *dir, const char *path, sqlite3 **ret_db, struct store_file_meta *ret_meta,
	struct error *e
);
void store_file_close(sqlite3 *db);

// Space that is kept back in @dir so that a deletion can be written when the disk is full: give it
// up, and take it again (which may fail: then there is none until the next time).
void store_file_give_spare(const char *dir);
void store_file_take_spare(const char *dir);

// Positive errno for the last failure on @db.
int store_file_errno(sqlite3 *db);

// -EUCLEAN with a sentence that says what is wrong (@detail) and how to recover.
int store_file_damaged(const char *path, const char *detail, struct error *e);
