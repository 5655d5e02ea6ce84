// SPDX-License-Identifier: GPL-2.0-or-later
// The walk ends because each descriptor read costs one of `max` steps, whatever the guest links to
// what. Each descriptor is copied once, in two loads, and only the copy is looked at. An index is
// used only after a comparison with the number of entries in the table it points into, which is
// either the ring's size or a length that was itself copied once, and whose whole range was
// translated.

#include "fallback/vhost/chain.h"

#include <errno.h>

#include <linux/virtio_ring.h>

static struct descriptor read_packed(const uint8_t *table, uint32_t i, uint16_t *ret_id) {
	struct descriptor d = chain_descriptor(table, i);

	// The last two fields are the other way round.
	if (ret_id != NULL)
		*ret_id = d.flags;
	d.flags = d.next;
	return d;
}

int chain_read_any(
	struct ring *r, uint16_t head, bool writable, struct segment *segments, unsigned int max,
	uint64_t *ret_size
) {
	const uint8_t *table = (const uint8_t *)r->desc;
	uint32_t n_entries = r->size;
	uint32_t i = head;
	bool in_indirect = false;
	unsigned int n = 0;
	uint64_t size = 0;

	for (unsigned int steps = 0; steps <= max; steps++) {
		struct descriptor d;
		int pieces;

		if (i >= n_entries)
			return -EBADMSG;
		d = chain_descriptor(table, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			// Last of its chain, of whole descriptors, never inside another, never
			// empty.
			if (in_indirect || !r->indirect || (d.flags & VRING_DESC_F_NEXT) ||
			    d.size == 0 || d.size % sizeof(struct vring_desc) != 0)
				return -EBADMSG;
			table = memory_at(r->memory, d.addr, d.size, &r->hint);
			if (table == NULL)
				return -EBADMSG;
			n_entries = d.size / sizeof(struct vring_desc);
			i = 0;
			in_indirect = true;
			continue;
		}
		if (!!(d.flags & VRING_DESC_F_WRITE) != writable)
			return -EBADMSG;
		// No driver does this, QEMU's own devices refuse it, and it must not cost a step.
		if (d.size == 0)
			return -EBADMSG;
		pieces = memory_split(r->memory, d.addr, d.size, &r->hint, segments + n, max - n);
		if (pieces < 0)
			return pieces == -E2BIG ? -E2BIG : -EBADMSG;
		n += (unsigned int)pieces;
		size += d.size;
		if ((d.flags & VRING_DESC_F_NEXT) == 0) {
			*ret_size = size;
			return (int)n;
		}
		i = d.next;
	}
	return -E2BIG;
}

// Pieces found so far, and how many more may be looked at.
struct pieces {
	struct segment *segments;
	unsigned int n, max;
	unsigned int steps;
	uint64_t size;
};

static int add_piece(struct ring *r, struct pieces *p, const struct descriptor *d, bool writable) {
	int n;

	if (!!(d->flags & VRING_DESC_F_WRITE) != writable || d->size == 0)
		return -EBADMSG;
	if (p->steps++ > p->max)
		return -E2BIG;
	n = memory_split(r->memory, d->addr, d->size, &r->hint, p->segments + p->n, p->max - p->n);
	if (n < 0)
		return n == -E2BIG ? -E2BIG : -EBADMSG;
	p->n += (unsigned int)n;
	p->size += d->size;
	return 0;
}

// In this layout a table is used from its first entry to its last.
static int add_table(struct ring *r, struct pieces *p, const struct descriptor *d, bool writable) {
	const uint8_t *table;
	int error = 0;

	if (!r->indirect || (d->flags & VRING_DESC_F_NEXT) || d->size == 0 ||
	    d->size % sizeof(struct vring_packed_desc) != 0)
		return -EBADMSG;
	table = memory_at(r->memory, d->addr, d->size, &r->hint);
	if (table == NULL)
		return -EBADMSG;
	for (uint32_t i = 0; i < d->size / sizeof(struct vring_packed_desc) && error == 0; i++) {
		struct descriptor entry = read_packed(table, i, NULL);

		error = entry.flags & VRING_DESC_F_INDIRECT ? -EBADMSG
							    : add_piece(r, p, &entry, writable);
	}
	return error;
}

int chain_read_packed(
	struct ring *r, uint16_t index, bool writable, struct segment *segments, unsigned int max,
	struct packed_chain *ret_chain
) {
	struct pieces p = {.segments = segments, .max = max};
	uint32_t i = index;
	int error = 0;

	*ret_chain = (struct packed_chain){0};
	for (uint32_t n_slots = 1; n_slots <= r->size && n_slots <= CHAIN_MAX_SLOTS; n_slots++) {
		struct descriptor d = read_packed((const uint8_t *)r->desc, i, &ret_chain->id);

		if (error == 0)
			error = d.flags & VRING_DESC_F_INDIRECT ? add_table(r, &p, &d, writable)
								: add_piece(r, &p, &d, writable);
		if (error < 0 && writable)
			return error;
		if ((d.flags & VRING_DESC_F_NEXT) == 0) {
			ret_chain->n_slots = (uint16_t)n_slots;
			ret_chain->size = p.size;
			return error < 0 ? error : (int)p.n;
		}
		i = i + 1 == r->size ? 0 : i + 1;
	}
	return -EBADMSG;
}
