// SPDX-License-Identifier: GPL-2.0-or-later
// The forwarding database of one network: (VLAN, MAC address) -> port.
//
// Theory. A fixed table of FDB_ENTRIES entries in buckets of FDB_WAYS, two cache lines each. An
// entry is two atomic words: the key (address, VLAN) and the value (port, second in which the
// address was last seen).
//
// Lookup takes no lock. It reads the key, the value, and the key again. A writer that replaces an
// entry clears the key first and sets the new one last, so a reader that sees the same key twice
// has a value that belonged to this key. Still a lookup is only advice: the port found may have
// been deleted, or moved to another VLAN, since it was learnt. Who sends must check that the port
// is a member of the frame's VLAN.
//
// Learning writes nothing when the entry is right and was seen this second; it takes the lock only
// to insert an address or move it. When another worker holds the lock it learns nothing: the next
// frame will.
//
// A full bucket evicts from the port that holds most entries in the table, the oldest of them. So a
// guest that floods the table with addresses evicts its own, and the place of a quiet guest is
// safe. The hash is seeded, so that nobody can aim at one bucket.
//
// Nothing runs to age entries: an entry older than the ageing time is not found, and its place is
// free.

#pragma once

#include <stdint.h>

#define FDB_ENTRIES 8192
#define FDB_WAYS 8
#define FDB_MISS UINT16_MAX
#define FDB_MAX_PORTS 1024 // port ids are below this

struct fdb;

// @seed should be random. NULL when out of memory.
struct fdb *fdb_new(uint64_t seed, uint32_t ageing_s);
void fdb_free(struct fdb *fdb);

// How long an address is known after it was last seen.
void fdb_set_ageing(struct fdb *fdb, uint32_t ageing_s);

// @mac (6 octets, unicast) in @vlan was seen on @port_id at @now_s, a time that never goes back.
void fdb_learn(struct fdb *fdb, const void *mac, uint16_t vlan, uint16_t port_id, uint32_t now_s);

// The port behind which @mac is, or FDB_MISS.
uint16_t fdb_find(const struct fdb *fdb, const void *mac, uint16_t vlan, uint32_t now_s);

// Forget every address behind @port_id.
void fdb_flush_port(struct fdb *fdb, uint16_t port_id);

// How many addresses are remembered behind @port_id, aged ones included until their place is
// needed.
uint32_t fdb_count_port(struct fdb *fdb, uint16_t port_id);
