// SPDX-License-Identifier: GPL-2.0-or-later
// The memory of one guest: its regions, the way from a guest address to ours, and every write into
// it.
//
// A range is translated as a whole or not at all. Each region satisfies, from the moment it is
// known,
//   guest_addr + size and user_addr + size do not overflow, and no two regions share a guest
//   address;
// so with offset = addr - guest_addr (wrapping), `offset < size && len <= size - offset` is the
// whole test and cannot be fooled: an address below the region wraps to an offset beyond any size.
// A range over several regions is cut where one ends; the next piece starts at an address that
// cannot have wrapped.
//
// Writes go through memory_write() and memory_store_*() and nothing else, so the dirty log of a
// live migration is kept in one place. The order there matters: first the data, then the bit. The
// front-end takes a bit away before it reads the page; if the bit came first, it could be taken
// away before the data came, and the page would never be sent again. The bit is set by an atomic
// or, which also keeps the two in order.
//
// The table changes only while no worker uses it (session.h, quiesce). Workers read it without a
// lock.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fallback/vhost/mapping.h"

#define MEMORY_MAX_REGIONS 128 // offered as memory slots; QEMU takes at most what its machine has
#define MEMORY_LOG_PAGE 4096   // one bit of the dirty log, whatever the size of a page
#define MEMORY_SHORT 192       // bytes copied without a call, if it is known when compiled

// A piece of guest memory that has been checked. Never empty.
struct segment {
	uint8_t *host;
	uint64_t guest_addr;
	uint32_t size;
};

struct memory_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr; // in the front-end, which names the rings by it
	uint8_t *host;
	struct mapping mapping;
};

struct memory {
	struct memory_region regions[MEMORY_MAX_REGIONS]; // by guest_addr, without overlap
	unsigned int n_regions;
	bool log_enabled; // the feature LOG_ALL
	struct mapping log_mapping;
	uint64_t log_size;           // bytes of the log; 0: none
	struct sigbus_report report; // faulted: the peer has taken memory away from under us
};

void memory_init(struct memory *m, int event_fd);
void memory_done(struct memory *m);

// Map one region; it is not part of any memory yet. Results as of mapping_open(), or -EINVAL when
// its addresses overflow.
int memory_region_open(
	struct memory_region *region, uint64_t guest_addr, uint64_t user_addr, uint64_t size,
	int fd, uint64_t offset, bool sealed_only, struct sigbus_report *report
);
void memory_region_close(struct memory_region *region);

// Insert @region, which then belongs to @m. Returns 0, -EEXIST if it overlaps one, or -ENOSPC.
int memory_insert(struct memory *m, const struct memory_region *region);

// The region with exactly these three, or NULL.
struct memory_region *memory_find_region(
	struct memory *m, uint64_t guest_addr, uint64_t user_addr, uint64_t size
);

// Take out the region with exactly these three; the caller closes it. Returns 0 or -ENOENT.
int memory_remove(
	struct memory *m, uint64_t guest_addr, uint64_t user_addr, uint64_t size,
	struct memory_region *ret_region
);

// Give @m the regions of @other and the reverse; the rest of both stays.
void memory_exchange(struct memory *m, struct memory *other);

// Bytes of all regions.
uint64_t memory_total(const struct memory *m);

// Use @mapping, which then belongs to @m, as the dirty log. The one before is closed.
void memory_set_log(struct memory *m, struct mapping *mapping, uint64_t size);

// The host address of a range named by the front-end's own address, within one region. NULL if
// there is none.
uint8_t *memory_at_user(const struct memory *m, uint64_t user_addr, uint64_t size);

// The guest address of the same place, which memory_at_user() has found.
uint64_t memory_user_to_guest(const struct memory *m, uint64_t user_addr);

// Cold half of memory_at(): look in all regions and remember the one found in @hint.
uint8_t *memory_find(
	const struct memory *m, uint64_t guest_addr, uint64_t size, unsigned int *hint
);

// The host address of @size bytes at @guest_addr, if one region has them all; NULL otherwise.
// @hint is the caller's memory of the last region used; any number will do.
static inline uint8_t *memory_at(
	const struct memory *m, uint64_t guest_addr, uint64_t size, unsigned int *hint
) {
	if (__builtin_expect(*hint < m->n_regions, 1)) {
		const struct memory_region *region = &m->regions[*hint];
		uint64_t offset = guest_addr - region->guest_addr;

		if (__builtin_expect(offset < region->size && size <= region->size - offset, 1))
			return region->host + offset;
	}
	return memory_find(m, guest_addr, size, hint);
}

// Cold half of memory_split().
int memory_split_slow(
	const struct memory *m, uint64_t guest_addr, uint32_t size, unsigned int *hint,
	struct segment *segments, unsigned int max
);

// Cut a range into pieces that each lie in one region. A range of no bytes must start in a region,
// too, and gives no piece. Returns the number of pieces; -EFAULT if a byte is not mapped, -E2BIG if
// there are more than @max pieces.
static inline int memory_split(
	const struct memory *m, uint64_t guest_addr, uint32_t size, unsigned int *hint,
	struct segment *segments, unsigned int max
) {
	uint8_t *host = memory_at(m, guest_addr, size, hint);

	if (__builtin_expect(host == NULL || size == 0 || max == 0, 0))
		return memory_split_slow(m, guest_addr, size, hint, segments, max);
	segments[0] = (struct segment){.host = host, .guest_addr = guest_addr, .size = size};
	return 1;
}

// Cold half of the writers.
void memory_log(struct memory *m, uint64_t log_addr, uint64_t size);

// Copy into guest memory. @host is inside a segment or ring of @m with @size bytes there; @log_addr
// is the same place as the dirty log counts it, and @log false for what the front-end does not want
// to have logged.
static inline void memory_write(
	struct memory *m, uint8_t *host, bool log, uint64_t log_addr, const void *from, size_t size
) {
	// What the compiler knows to be short is of ours, and needs no call.
	if (__builtin_constant_p(size) && size <= MEMORY_SHORT)
		memcpy(host, from, size);
	else
		memmove(host, from, size); // a guest may offer the same bytes for both
	if (__builtin_expect(m->log_enabled && log, 0))
		memory_log(m, log_addr, size);
}

// One store each, so that the guest never sees half a number. memory_store_u16() also makes all
// that was written before visible before it.
static inline void memory_store_u16(
	struct memory *m, uint16_t *host, bool log, uint64_t log_addr, uint16_t value
) {
	__atomic_store_n(host, value, __ATOMIC_RELEASE);
	if (__builtin_expect(m->log_enabled && log, 0))
		memory_log(m, log_addr, sizeof(value));
}

// Numbers in shared memory are read by these, once, into a local that is then checked and used.
typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned_u64;

static inline uint16_t memory_load_u16(const uint16_t *host) {
	return __atomic_load_n(host, __ATOMIC_RELAXED);
}

static inline uint16_t memory_load_u16_acquire(const uint16_t *host) {
	return __atomic_load_n(host, __ATOMIC_ACQUIRE);
}

static inline uint64_t memory_load_u64(const void *host) {
	return *(const volatile unaligned_u64 *)host;
}

// A copy of guest memory is taken here and now: the compiler may not read the original again later.
static inline void memory_read(void *to, const uint8_t *host, size_t size) {
	memcpy(to, host, size);
	__asm__ volatile("" ::: "memory");
}
