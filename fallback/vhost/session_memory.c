// SPDX-License-Identifier: GPL-2.0-or-later
// What a front-end says about its memory. New maps are made before the workers are asked to leave
// this session, and old ones are undone after they have left.

#include <errno.h>

#include "fallback/vhost/session_internal.h"

static int open_region(
	struct session *s, const struct message_region *from, int fd, struct memory_region *ret
) {
	return memory_region_open(
		ret, from->guest_addr, from->user_addr, from->size, fd, from->mmap_offset,
		s->config.sealed_only, &s->memory.report
	);
}

// All regions of the table, mapped, in a memory of their own.
static int open_table(struct session *s, const struct message *m, struct memory *ret) {
	uint64_t total = 0;

	for (uint32_t i = 0; i < m->payload.table.n_regions; i++) {
		struct memory_region region;
		int r;

		if (m->payload.table.regions[i].size > s->config.memory_bytes - total)
			return -EDQUOT;
		total += m->payload.table.regions[i].size;
		r = open_region(s, &m->payload.table.regions[i], m->fds[i], &region);
		if (r < 0)
			return r;
		r = memory_insert(ret, &region);
		if (r < 0) {
			memory_region_close(&region);
			return r;
		}
	}
	return 0;
}

int session_set_mem_table(struct session *s, struct message *m) {
	struct memory fresh;
	int r;

	memory_init(&fresh, -1);
	r = open_table(s, m, &fresh);
	if (r == 0) {
		session_queues_stop(s);
		session_quiesce(s);
		memory_exchange(&s->memory, &fresh);
		session_queues_start(s);
	}
	memory_done(&fresh);
	return r;
}

int session_get_max_mem_slots(struct session *s, struct message *m) {
	(void)s;
	m->payload.number = MEMORY_MAX_REGIONS;
	return 0;
}

// QEMU keeps a table of what it has told for each queue pair, and tells it again for each. So to add
// what is there, and to remove what is not, is done already.
int session_add_mem_reg(struct session *s, struct message *m) {
	const struct message_region *asked = &m->payload.slot.region;
	const struct memory_region *present;
	struct memory_region region;
	int r;

	present = memory_find_region(&s->memory, asked->guest_addr, asked->user_addr, asked->size);
	if (present != NULL && mapping_is_of(&present->mapping, m->fds[0], asked->mmap_offset))
		return 0;
	if (asked->size > s->config.memory_bytes - memory_total(&s->memory))
		return -EDQUOT;
	r = open_region(s, asked, m->fds[0], &region);
	if (r < 0)
		return r;
	session_quiesce(s);
	r = memory_insert(&s->memory, &region);
	if (r < 0) {
		memory_region_close(&region);
		return r;
	}
	// Rings that run keep their addresses: no map has moved.
	session_queues_start(s);
	return 0;
}

int session_rem_mem_reg(struct session *s, struct message *m) {
	const struct message_region *asked = &m->payload.slot.region;
	struct memory_region region;

	if (memory_find_region(&s->memory, asked->guest_addr, asked->user_addr, asked->size) ==
	    NULL)
		return 0;
	session_queues_stop(s); // those whose parts were in it will not start again
	session_quiesce(s);
	memory_remove(&s->memory, asked->guest_addr, asked->user_addr, asked->size, &region);
	session_queues_start(s);
	memory_region_close(&region);
	return 0;
}

int session_set_log_base(struct session *s, struct message *m) {
	struct mapping mapping;
	int r;

	if (m->payload.log.size > s->config.memory_bytes)
		return -EDQUOT;
	r = mapping_open(
		&mapping, m->fds[0], m->payload.log.offset, m->payload.log.size,
		s->config.sealed_only, &s->memory.report
	);
	if (r < 0)
		return r;
	session_quiesce(s);
	memory_set_log(&s->memory, &mapping, m->payload.log.size);
	return 0;
}
