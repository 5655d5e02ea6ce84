// SPDX-License-Identifier: GPL-2.0-or-later
// A virtqueue of a guest's NIC, seen from the switch: take the frames that the guest sends and give
// their buffers back; place frames into the buffers that the guest offers. One interface for both
// layouts of a ring. Directions are the switch's: a ring we take from is the guest's transmit ring.
//
// A frame is a local copy of its first bytes (the head) followed by segments of guest memory that
// have been checked. Decisions are made on the head, which may be edited, and the head is what is
// written out: the guest can change its memory at any time, and gains nothing by it but another
// payload of its own. From guest to guest the payload is copied once, from the segments of one into
// the buffers of the other.
//
// A ring belongs to one thread at a time. The order of calls on it is
//   ring_take(), any use of the frames, ring_give_back(), ring_flush()
//   ring_place() as often as wanted, ring_flush()
// and each sequence ends before that thread is quiescent (session.h).
//
// What a guest can do wrong costs it either one frame (counted) or its ring (ring_fault), never
// more: the ring rests until the front-end sets it up anew, as it does when the guest's driver
// starts again.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#include "fallback/vhost/memory.h"
#include "fallback/vhost/notify.h"

#define RING_MAX_SIZE 32768      // the largest that virtio allows
#define RING_BURST 64            // frames taken at once
#define RING_HEAD_SIZE 192       // headers of a tunnel over IPv6 and of the TCP in it: 150
#define RING_HEAD_ROOM 16        // before the head, to put a VLAN tag in
#define RING_FRAME_SEGMENTS 256  // pieces of one frame; Linux sends up to 19
#define RING_BURST_SEGMENTS 1536 // pieces of one burst; a refused chain counts for the most
#define RING_MAX_FRAME 65557     // 65,535 bytes of IP, Ethernet, two VLAN tags
#define RING_MIN_FRAME 14        // an Ethernet header
#define RING_MERGED_BUFFERS 128  // receive buffers for one frame; Linux needs up to 45

enum ring_fault {
	RING_FAULT_NONE,
	RING_FAULT_INDEX,  // the guest's index is ahead by more than the ring holds
	RING_FAULT_HEAD,   // a chain starts outside of the descriptor table
	RING_FAULT_BUFFER, // a receive buffer is no chain of writable guest memory
};

struct ring_frame {
	uint8_t *head; // RING_HEAD_ROOM bytes before it may be used, too
	uint16_t head_size;
	uint16_t n_segments;
	uint32_t size; // of head and segments
	const struct segment *segments;
	struct virtio_net_hdr_v1
		offload; // as the guest wrote it; zeroes unless it negotiated offloads
};

// What one ring_take() has brought. Segments and heads belong to the burst.
struct ring_burst {
	uint16_t n_frames; // good ones, in frames[]
	uint16_t n_taken;  // buffers to give back, good or not
	uint16_t ids[RING_BURST];
	uint16_t n_slots[RING_BURST]; // packed only
	struct ring_frame frames[RING_BURST];
	uint8_t heads[RING_BURST][RING_HEAD_ROOM + RING_HEAD_SIZE];
	struct segment segments[RING_BURST_SEGMENTS];
};

// Written by the ring's thread only; any thread may read.
struct ring_stats {
	uint64_t frames;
	uint64_t bytes;
	uint64_t runts;     // dropped: shorter than an Ethernet header
	uint64_t oversized; // dropped: longer than RING_MAX_FRAME
	uint64_t malformed; // dropped: no chain of readable guest memory, or too many pieces
	uint64_t no_buffer; // not placed: the guest offers too little room
	uint64_t notified;
};

// What the front-end has said about a ring.
struct ring_setup {
	uint64_t features; // negotiated
	uint64_t desc_user_addr;
	uint64_t avail_user_addr;
	uint64_t used_user_addr;
	uint64_t log_addr; // where the dirty log counts the used ring, if log is set
	bool log;
	uint16_t size;
	uint32_t base; // where to go on; the split layout knows better
};

struct ring;

struct ring_ops {
	int (*start)(struct ring *r, const struct ring_setup *setup);
	uint32_t (*position)(const struct ring *r);
	uint16_t (*take)(struct ring *r, struct ring_burst *b, uint16_t max);
	void (*give_back)(struct ring *r, const struct ring_burst *b);
	void (*expect)(struct ring *r, uint16_t n_frames);
	int (*place
	)(struct ring *r, const struct ring_frame *f, const struct virtio_net_hdr_v1 *hdr);
	bool (*publish)(struct ring *r);
	bool (*watch)(struct ring *r, bool on);
};

struct ring {
	const struct ring_ops *ops;
	struct memory *memory;
	struct vring_desc *desc; // in guest memory, `size` entries, as all below
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size;       // a power of two
	uint16_t next_avail; // the next entry of the guest's to take
	uint16_t seen_avail; // as far as the guest has been seen to be
	uint16_t next_used;  // what the guest has been told
	uint16_t n_pending;  // written behind next_used, not yet told
	uint32_t
		no_room; // since the last flush there was no room for this many bytes; 0: there was
	uint8_t header_size; // of the virtio-net header: 10 or 12
	bool running;
	bool enabled; // SET_VRING_ENABLE; one that runs without it is emptied, not forwarded from
	bool event_index;
	bool indirect;
	bool mergeable;
	bool offloads; // the guest may ask for checksums and segmentation
	bool log;
	bool must_signal; // whatever the guest's event index says
	enum ring_fault fault;
	unsigned int hint; // for memory_at()
	uint64_t log_addr;
	uint64_t desc_log_addr; // from here to used_wrap: of the packed layout
	uint16_t first_slot;    // of what is pending; its flags are held back
	uint16_t first_flags;
	uint16_t last_publish; // where next_used was when the guest was last told of it
	bool avail_wrap, used_wrap;
	int call_fd; // the guest's interrupt, or -1; owned by the session
	struct ring_stats stats;
};

// Take up to @max (at most RING_BURST) buffers that the guest has sent. Returns b->n_frames, which
// may be 0 though buffers were taken; ring_give_back() is needed when b->n_taken is not 0.
static inline uint16_t ring_take(struct ring *r, struct ring_burst *b, uint16_t max) {
	b->n_taken = 0;
	b->n_frames = 0;
	return __builtin_expect(r->running, 1) ? r->ops->take(r, b, max) : 0;
}

// Give back all that the last ring_take() took. The frames must not be used any more.
static inline void ring_give_back(struct ring *r, const struct ring_burst *b) {
	if (b->n_taken > 0)
		r->ops->give_back(r, b);
}

// @n_frames are about to be placed: have the memory fetched that they will go to, all at once. A
// hint for speed; to leave it out, or to place others, is no mistake.
static inline void ring_expect(struct ring *r, uint16_t n_frames) {
	if (r->running && r->ops->expect != NULL)
		r->ops->expect(r, n_frames);
}

// ring_flush() is near: have the line fetched for writing that it tells the guest by, as the guest
// reads that line again and again. A hint, as above.
static inline void ring_expect_flush(struct ring *r) {
	__builtin_prefetch(r->used, 1);
}

// Copy a frame (borrowed; from another guest's ring or made of other memory) into the next receive
// buffers. @hdr says what is left for the guest to do; its num_buffers is set here.
//
// Returns 0; -ENOBUFS when the guest has too little room, which is looked for in vain once until
// the next ring_flush(), -EBADMSG when its ring is at fault,
// -ENETDOWN when it does not run or is not enabled.
int ring_place(struct ring *r, const struct ring_frame *f, const struct virtio_net_hdr_v1 *hdr);

// Tell the guest what was given back and placed, and interrupt it if it wants that.
void ring_flush(struct ring *r, struct notifier *n);

// Ask the guest to kick when it adds something, or not to. Returns true when something is there
// already, so that a thread about to sleep must not. A ring that starts anew is not watched. The
// kick descriptor is to be watched edge-triggered and never read: it is shared with a stranger, who
// can make a read wait.
static inline bool ring_watch(struct ring *r, bool on) {
	return r->running && r->ops->watch(r, on);
}

// Begin with the layout that @setup->features name. No thread uses the ring yet.
// Returns 0, -EINVAL for a size or alignment that cannot be, -EFAULT when a part is not in guest
// memory.
int ring_start(struct ring *r, struct memory *m, const struct ring_setup *setup);

// No thread uses the ring any more. Safe on a ring that does not run.
void ring_stop(struct ring *r);

// The position to hand over to whoever continues with this ring (GET_VRING_BASE).
uint32_t ring_position(const struct ring *r);

// Mark the ring as unusable until its next start, and wake the control thread.
void ring_fail(struct ring *r, enum ring_fault fault);

// "index", "head" and so on.
const char *ring_fault_name(enum ring_fault fault);
