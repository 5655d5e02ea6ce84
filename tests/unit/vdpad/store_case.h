// SPDX-License-Identifier: GPL-2.0-or-later
// A state file in a directory of its own, and what the tests of the store do with it.

#pragma once

#include "vdpad/store/store.h"

struct store_seen {
	struct port ports[8];
	enum store_intent intents[8];
	size_t n;
};

extern char store_dir[64];
extern char store_path[96]; // of the state file

// For each test.
int store_case_setup(void **state);
int store_case_teardown(void **state);

struct store *store_case_open(const char *boot_id);

// Create the port on its network, which has TAP vdp-vmbr0.
void store_case_add(struct store *store, struct port *port);

// What the store has; store_case_note() is for store_each_port() itself, with a struct store_seen.
struct store_seen store_case_load(struct store *store);
int store_case_note(void *userdata, const struct port *port, enum store_intent intent);

// On the file, while no store is open. Returns the first number of the last row, -1 without one.
int store_case_sql(const char *text);
