// SPDX-License-Identifier: GPL-2.0-or-later
// What a worker receives into. A port that must offer memory before it knows how long the frame is
// (a TAP) reads into the spare buffers; only those that the frame filled leave, and are replaced
// next time.

#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include <rte_mempool.h>

#include "fallback/frame.h"

#define BUFFER_DATA_BYTES 2048 // data room of the pool that every port can use, without headroom
#define RX_SPARE_BUFFERS ((FRAME_MAX_BYTES + BUFFER_DATA_BYTES - 1) / BUFFER_DATA_BYTES)

struct rx_buffers {
	struct rte_mempool *pool; // borrowed; its data room is BUFFER_DATA_BYTES
	struct rte_mbuf *spare[RX_SPARE_BUFFERS];
	uint16_t n_missing; // at the beginning of spare
};

void rx_buffers_init(struct rx_buffers *buffers, struct rte_mempool *pool);
void rx_buffers_done(struct rx_buffers *buffers);

// Point @iov at all spare buffers, each of BUFFER_DATA_BYTES. Returns 0 or -ENOMEM.
int rx_buffers_offer(struct rx_buffers *buffers, struct iovec iov[static RX_SPARE_BUFFERS]);

// The @len bytes (1 to FRAME_MAX_BYTES) that were read as one frame, owned by the caller.
struct rte_mbuf *rx_buffers_take(struct rx_buffers *buffers, uint32_t len);
