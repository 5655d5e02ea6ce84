// SPDX-License-Identifier: GPL-2.0-or-later
// What ports have beyond the columns of their table, as rows of (port, key, value): so that a new key
// needs no new schema. A key that a port does not use has no row. Only store.c uses it, inside its
// transactions.

#pragma once

#include <stdbool.h>

#include <sqlite3.h>

#include "vdpad/model/port.h"

// The table, part of the schema.
extern const char store_values_schema[];

// Replace the rows of @port; 0 or -EIO with the reason in @db's error.
int store_values_put(sqlite3 *db, const struct port *port);

// Read the rows of @port, whose name is set, into it. False when they make no sense or cannot be read.
bool store_values_get(sqlite3 *db, struct port *port);

// Delete the rows of ports that are gone; 0 or -EIO.
int store_values_sweep(sqlite3 *db);
