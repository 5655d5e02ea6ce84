// SPDX-License-Identifier: GPL-2.0-or-later
// What vdpad must not forget: ports, the networks they use, and the acts that are under way, in
// STATE_DIR/state.db. The only module that knows SQL.
//
// An act on a port is bracketed: store_intend() commits what is going to be done before a worker is
// asked, store_record() or store_forget() commits what came of it before the caller gets an answer.
// After a crash an intent without a result says where to look:
//   create   nobody was told that the port exists: it is undone;
//   change   the port has the new specification: it is pushed again;
//   delete   it is deleted again.
//
// A state file that was missing at the start knows nothing of what the workers may still serve. It
// is not trusted, which is remembered in it: nothing is deleted for being unknown until the workers
// were once seen to have nothing that the file does not know.
//
// Functions return 0 or -errno with a sentence in the error; a full or failing disk is -ENOSPC or
// -EIO, and then nothing has changed.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vdpad/model/network.h"
#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

#define STORE_FILE "state.db"

enum store_intent {
	STORE_NO_INTENT,
	STORE_CREATE,
	STORE_CHANGE,
	STORE_DELETE,
};

struct store;

// Open or create the file below @dir, which is made if it is missing, and drop the ports with
// lifetime runtime if @boot_id is not the one of the last time. A file that is damaged, unreadable
// or of a newer version is refused, left as it is, and the error says how to recover.
int store_open(const char *dir, const char *boot_id, struct store **ret_store, struct error *e);
void store_close(struct store *store);

// Ports that store_open() dropped because the node was booted.
unsigned int store_n_dropped(const struct store *store);

bool store_is_trusted(const struct store *store);
int store_set_trusted(struct store *store, struct error *e);

// Call @fn for each port in the order of names. State and reason of the port are not stored. Ends at
// the first negative result of @fn and returns it.
typedef int (*store_port_fn)(void *userdata, const struct port *port, enum store_intent intent);
int store_each_port(struct store *store, store_port_fn fn, void *userdata, struct error *e);

// The network as it was when a port last joined it; -ENOENT when no port uses it.
int store_find_network(
	struct store *store, const char *name, struct network *ret_network, struct error *e
);

// Make sure that no port gets a generation up to @generation.
int store_skip_generations(struct store *store, uint64_t generation, struct error *e);

// Before the act. For STORE_CREATE: @port gets its generation (and port_complete()), and is written with
// @network. For STORE_CHANGE: the new specification of @port is written, with @network if it joins
// another one. @network is NULL otherwise.
int store_intend(
	struct store *store, enum store_intent intent, struct port *port,
	const struct network *network, struct error *e
);

// After the act: @port is as it stands here and nothing is under way.
int store_record(struct store *store, const struct port *port, struct error *e);

// The port is gone, its intent too, and its network if no other port uses it.
int store_forget(struct store *store, const char *name, struct error *e);
