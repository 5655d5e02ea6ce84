// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/rx_buffers.h"

#include <errno.h>

#include <rte_mbuf.h>

void rx_buffers_init(struct rx_buffers *buffers, struct rte_mempool *pool) {
	*buffers = (struct rx_buffers){.pool = pool, .n_missing = RX_SPARE_BUFFERS};
}

void rx_buffers_done(struct rx_buffers *buffers) {
	rte_pktmbuf_free_bulk(
		&buffers->spare[buffers->n_missing], RX_SPARE_BUFFERS - buffers->n_missing
	);
	buffers->n_missing = RX_SPARE_BUFFERS;
}

int rx_buffers_offer(struct rx_buffers *buffers, struct iovec iov[static RX_SPARE_BUFFERS]) {
	if (buffers->n_missing > 0 &&
	    rte_pktmbuf_alloc_bulk(buffers->pool, buffers->spare, buffers->n_missing) < 0)
		return -ENOMEM;
	buffers->n_missing = 0;
	for (int i = 0; i < RX_SPARE_BUFFERS; i++) {
		iov[i].iov_base = rte_pktmbuf_mtod(buffers->spare[i], void *);
		iov[i].iov_len = BUFFER_DATA_BYTES;
	}
	return 0;
}

struct rte_mbuf *rx_buffers_take(struct rx_buffers *buffers, uint32_t len) {
	struct rte_mbuf *first = buffers->spare[0], *last = NULL;
	uint16_t n = 0;

	first->pkt_len = len;
	while (len > 0) {
		struct rte_mbuf *m = buffers->spare[n++];

		m->data_len = (uint16_t)RTE_MIN(len, (uint32_t)BUFFER_DATA_BYTES);
		len -= m->data_len;
		if (last != NULL)
			last->next = m;
		last = m;
	}
	first->nb_segs = n;
	buffers->n_missing = n;
	return first;
}
