// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/memory.h"

#include <errno.h>

void memory_init(struct memory *m, int event_fd) {
	*m = (struct memory){.report = {.event_fd = event_fd}};
}

void memory_done(struct memory *m) {
	for (unsigned int i = 0; i < m->n_regions; i++)
		memory_region_close(&m->regions[i]);
	m->n_regions = 0;
	memory_set_log(m, &(struct mapping){.guard = -1}, 0);
}

int memory_region_open(
	struct memory_region *region, uint64_t guest_addr, uint64_t user_addr, uint64_t size,
	int fd, uint64_t offset, bool sealed_only, struct sigbus_report *report
) {
	struct mapping mapping;
	uint64_t end;
	int r;

	if (__builtin_add_overflow(guest_addr, size, &end) ||
	    __builtin_add_overflow(user_addr, size, &end))
		return -EINVAL;
	r = mapping_open(&mapping, fd, offset, size, sealed_only, report);
	if (r < 0)
		return r;
	*region = (struct memory_region){
		.guest_addr = guest_addr,
		.size = size,
		.user_addr = user_addr,
		.host = mapping.data,
		.mapping = mapping,
	};
	return 0;
}

void memory_region_close(struct memory_region *region) {
	mapping_close(&region->mapping);
}

// The first region that ends beyond @guest_addr; n_regions if there is none.
static unsigned int find_end_beyond(const struct memory *m, uint64_t guest_addr) {
	unsigned int low = 0, high = m->n_regions;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (m->regions[middle].guest_addr + m->regions[middle].size > guest_addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int memory_insert(struct memory *m, const struct memory_region *region) {
	unsigned int i = find_end_beyond(m, region->guest_addr);

	if (i < m->n_regions && m->regions[i].guest_addr < region->guest_addr + region->size)
		return -EEXIST;
	if (m->n_regions == MEMORY_MAX_REGIONS)
		return -ENOSPC;
	memmove(&m->regions[i + 1], &m->regions[i], (m->n_regions - i) * sizeof(m->regions[0]));
	m->regions[i] = *region;
	m->n_regions++;
	return 0;
}

struct memory_region *memory_find_region(
	struct memory *m, uint64_t guest_addr, uint64_t user_addr, uint64_t size
) {
	struct memory_region *region = &m->regions[find_end_beyond(m, guest_addr)];

	if (region == &m->regions[m->n_regions] || region->guest_addr != guest_addr ||
	    region->user_addr != user_addr || region->size != size)
		return NULL;
	return region;
}

int memory_remove(
	struct memory *m, uint64_t guest_addr, uint64_t user_addr, uint64_t size,
	struct memory_region *ret_region
) {
	struct memory_region *region = memory_find_region(m, guest_addr, user_addr, size);
	unsigned int i;

	if (region == NULL)
		return -ENOENT;
	i = (unsigned int)(region - m->regions);
	*ret_region = *region;
	m->n_regions--;
	memmove(&m->regions[i], &m->regions[i + 1], (m->n_regions - i) * sizeof(m->regions[0]));
	return 0;
}

void memory_exchange(struct memory *m, struct memory *other) {
	unsigned int n_regions = m->n_regions;

	for (unsigned int i = 0; i < MEMORY_MAX_REGIONS; i++) {
		struct memory_region region = m->regions[i];

		m->regions[i] = other->regions[i];
		other->regions[i] = region;
	}
	m->n_regions = other->n_regions;
	other->n_regions = n_regions;
}

uint64_t memory_total(const struct memory *m) {
	uint64_t total = 0;

	for (unsigned int i = 0; i < m->n_regions; i++)
		total += m->regions[i].size;
	return total;
}

void memory_set_log(struct memory *m, struct mapping *mapping, uint64_t size) {
	mapping_close(&m->log_mapping);
	m->log_mapping = *mapping;
	m->log_size = size;
}

uint8_t *memory_at_user(const struct memory *m, uint64_t user_addr, uint64_t size) {
	for (unsigned int i = 0; i < m->n_regions; i++) {
		const struct memory_region *region = &m->regions[i];
		uint64_t offset = user_addr - region->user_addr;

		if (offset < region->size && size <= region->size - offset)
			return region->host + offset;
	}
	return NULL;
}

uint64_t memory_user_to_guest(const struct memory *m, uint64_t user_addr) {
	for (unsigned int i = 0; i < m->n_regions; i++) {
		uint64_t offset = user_addr - m->regions[i].user_addr;

		if (offset < m->regions[i].size)
			return m->regions[i].guest_addr + offset;
	}
	return 0;
}

uint8_t *memory_find(
	const struct memory *m, uint64_t guest_addr, uint64_t size, unsigned int *hint
) {
	unsigned int i = find_end_beyond(m, guest_addr);
	uint64_t offset;

	if (i == m->n_regions || guest_addr < m->regions[i].guest_addr)
		return NULL;
	*hint = i;
	offset = guest_addr - m->regions[i].guest_addr;
	return size <= m->regions[i].size - offset ? m->regions[i].host + offset : NULL;
}

int memory_split_slow(
	const struct memory *m, uint64_t guest_addr, uint32_t size, unsigned int *hint,
	struct segment *segments, unsigned int max
) {
	unsigned int n = 0;

	if (size == 0)
		return memory_at(m, guest_addr, 0, hint) != NULL ? 0 : -EFAULT;
	while (size > 0) {
		uint8_t *host = memory_at(m, guest_addr, 1, hint);
		const struct memory_region *region;
		uint64_t room;
		uint32_t piece;

		if (host == NULL)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		region = &m->regions[*hint];
		room = region->size - (guest_addr - region->guest_addr);
		piece = size < room ? size : (uint32_t)room;
		segments[n++] =
			(struct segment){.host = host, .guest_addr = guest_addr, .size = piece};
		guest_addr += piece;
		size -= piece;
	}
	return (int)n;
}

void memory_log(struct memory *m, uint64_t log_addr, uint64_t size) {
	uint64_t page = log_addr / MEMORY_LOG_PAGE;
	uint64_t end;

	if (size == 0 || __builtin_add_overflow(log_addr, size - 1, &end))
		return;
	for (; page <= end / MEMORY_LOG_PAGE; page++) {
		if (page / 8 >= m->log_size)
			return; // the front-end's log is too short for its own memory
		__atomic_fetch_or(
			&m->log_mapping.data[page / 8], (uint8_t)(1u << (page % 8)),
			__ATOMIC_SEQ_CST
		);
	}
}
