// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/fdb.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_spinlock.h>

#define FDB_BUCKETS (FDB_ENTRIES / FDB_WAYS)
#define KEY_EMPTY 0

struct entry {
	_Atomic uint64_t key;   // address << 16 | vlan << 4 | 1
	_Atomic uint64_t value; // port id << 32 | last seen, seconds
};

struct bucket {
	struct entry ways[FDB_WAYS];
};

struct fdb {
	struct bucket *buckets;
	uint64_t seed;
	_Atomic uint32_t ageing_s;
	rte_spinlock_t lock; // of everything that changes a key or n_entries
	uint32_t n_entries[FDB_MAX_PORTS];
};

static uint64_t key_of(const void *mac, uint16_t vlan) {
	uint32_t low;
	uint16_t high;

	// Not as one number in memory: to load what was stored in two parts stalls the CPU.
	memcpy(&low, mac, sizeof(low));
	memcpy(&high, (const uint8_t *)mac + sizeof(low), sizeof(high));
	return (uint64_t)high << 48 | (uint64_t)low << 16 | (uint64_t)(vlan & 0xfff) << 4 | 1;
}

static uint64_t value_of(uint16_t port_id, uint32_t seen_s) {
	return (uint64_t)port_id << 32 | seen_s;
}

static uint16_t value_port(uint64_t value) {
	return (uint16_t)(value >> 32);
}

static uint32_t value_seen_s(uint64_t value) {
	return (uint32_t)value;
}

static bool is_aged(const struct fdb *fdb, uint64_t value, uint32_t now_s) {
	uint32_t ageing_s = atomic_load_explicit(&fdb->ageing_s, memory_order_relaxed);

	// Signed: another worker's second may have begun a moment before ours.
	return (int64_t)now_s - value_seen_s(value) > ageing_s;
}

// Finalizer of splitmix64, keyed by the seed.
static struct bucket *bucket_of(const struct fdb *fdb, uint64_t key) {
	uint64_t hash = key ^ fdb->seed;

	hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
	return &fdb->buckets[(hash ^ (hash >> 31)) % FDB_BUCKETS];
}

static struct entry *find_entry(struct bucket *bucket, uint64_t key) {
	for (int i = 0; i < FDB_WAYS; i++) {
		if (atomic_load_explicit(&bucket->ways[i].key, memory_order_acquire) == key)
			return &bucket->ways[i];
	}
	return NULL;
}

struct fdb *fdb_new(uint64_t seed, uint32_t ageing_s) {
	struct fdb *fdb = calloc(1, sizeof(*fdb));

	if (fdb == NULL)
		return NULL;
	fdb->buckets = aligned_alloc(RTE_CACHE_LINE_SIZE, FDB_BUCKETS * sizeof(struct bucket));
	if (fdb->buckets == NULL) {
		free(fdb);
		return NULL;
	}
	memset(fdb->buckets, 0, FDB_BUCKETS * sizeof(struct bucket));
	fdb->seed = seed;
	fdb->ageing_s = ageing_s;
	rte_spinlock_init(&fdb->lock);
	return fdb;
}

void fdb_free(struct fdb *fdb) {
	if (fdb == NULL)
		return;
	free(fdb->buckets);
	free(fdb);
}

void fdb_set_ageing(struct fdb *fdb, uint32_t ageing_s) {
	atomic_store_explicit(&fdb->ageing_s, ageing_s, memory_order_relaxed);
}

uint16_t fdb_find(const struct fdb *fdb, const void *mac, uint16_t vlan, uint32_t now_s) {
	uint64_t key = key_of(mac, vlan);
	struct entry *entry = find_entry(bucket_of(fdb, key), key);
	uint64_t value;

	if (entry == NULL)
		return FDB_MISS;
	value = atomic_load_explicit(&entry->value, memory_order_acquire);
	if (atomic_load_explicit(&entry->key, memory_order_relaxed) != key ||
	    is_aged(fdb, value, now_s))
		return FDB_MISS;
	return value_port(value);
}

static void clear_entry(struct fdb *fdb, struct entry *entry) {
	uint64_t value = atomic_load_explicit(&entry->value, memory_order_relaxed);

	atomic_store_explicit(&entry->key, KEY_EMPTY, memory_order_relaxed);
	fdb->n_entries[value_port(value)]--;
}

// Whether @a should go before @b: its port holds more, or it is older.
static bool is_worse(const struct fdb *fdb, uint64_t a, uint64_t b) {
	uint32_t n_a = fdb->n_entries[value_port(a)], n_b = fdb->n_entries[value_port(b)];

	return n_a != n_b ? n_a > n_b : value_seen_s(a) < value_seen_s(b);
}

// A place for a new entry. An aged one is as good as an empty one.
static struct entry *make_room(struct fdb *fdb, struct bucket *bucket, uint32_t now_s) {
	struct entry *worst = NULL;
	uint64_t worst_value = 0;

	for (int i = 0; i < FDB_WAYS; i++) {
		struct entry *entry = &bucket->ways[i];
		uint64_t value = atomic_load_explicit(&entry->value, memory_order_relaxed);

		if (atomic_load_explicit(&entry->key, memory_order_relaxed) == KEY_EMPTY)
			return entry;
		if (is_aged(fdb, value, now_s)) {
			clear_entry(fdb, entry);
			return entry;
		}
		if (worst == NULL || is_worse(fdb, value, worst_value)) {
			worst = entry;
			worst_value = value;
		}
	}
	clear_entry(fdb, worst);
	return worst;
}

static void insert(struct fdb *fdb, uint64_t key, uint16_t port_id, uint32_t now_s) {
	struct bucket *bucket = bucket_of(fdb, key);
	struct entry *entry = find_entry(bucket, key);

	if (entry != NULL)
		clear_entry(fdb, entry);
	else
		entry = make_room(fdb, bucket, now_s);
	// After the key was cleared, before it is set: see the theory in fdb.h.
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&entry->value, value_of(port_id, now_s), memory_order_relaxed);
	atomic_store_explicit(&entry->key, key, memory_order_release);
	fdb->n_entries[port_id]++;
}

void fdb_learn(struct fdb *fdb, const void *mac, uint16_t vlan, uint16_t port_id, uint32_t now_s) {
	uint64_t key = key_of(mac, vlan);
	struct entry *entry = find_entry(bucket_of(fdb, key), key);

	if (entry != NULL) {
		uint64_t value = atomic_load_explicit(&entry->value, memory_order_relaxed);

		if (value == value_of(port_id, now_s))
			return;
		if (value_port(value) == port_id) {
			// The exchange fails if somebody else changed the entry; nothing is lost
			// then.
			atomic_compare_exchange_strong_explicit(
				&entry->value, &value, value_of(port_id, now_s),
				memory_order_relaxed, memory_order_relaxed
			);
			return;
		}
	}
	if (!rte_spinlock_trylock(&fdb->lock))
		return;
	insert(fdb, key, port_id, now_s);
	rte_spinlock_unlock(&fdb->lock);
}

void fdb_flush_port(struct fdb *fdb, uint16_t port_id) {
	rte_spinlock_lock(&fdb->lock);
	for (int b = 0; b < FDB_BUCKETS; b++) {
		for (int i = 0; i < FDB_WAYS; i++) {
			struct entry *entry = &fdb->buckets[b].ways[i];

			if (entry->key != KEY_EMPTY && value_port(entry->value) == port_id)
				clear_entry(fdb, entry);
		}
	}
	rte_spinlock_unlock(&fdb->lock);
}

uint32_t fdb_count_port(struct fdb *fdb, uint16_t port_id) {
	uint32_t n;

	rte_spinlock_lock(&fdb->lock);
	n = fdb->n_entries[port_id];
	rte_spinlock_unlock(&fdb->lock);
	return n;
}
