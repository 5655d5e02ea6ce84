// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/counters.h"

static const char *const drop_reason_names[DROP_REASONS] = {
	[DROP_RUNT] = "runt",
	[DROP_MALFORMED] = "malformed",
	[DROP_BAD_SOURCE] = "bad_source",
	[DROP_RESERVED] = "reserved",
	[DROP_TAGGED] = "tagged",
	[DROP_BAD_OFFLOAD] = "bad_offload",
	[DROP_HAIRPIN] = "hairpin",
	[DROP_NO_RECEIVER] = "no_receiver",
	[DROP_LINK_DOWN] = "link_down",
	[DROP_NOT_READY] = "not_ready",
	[DROP_TOO_BIG] = "too_big",
	[DROP_RING_FULL] = "ring_full",
	[DROP_IO_ERROR] = "io_error",
};

const char *drop_reason_name(enum drop_reason reason) {
	return drop_reason_names[reason];
}

static void add_other(uint64_t *sum, const uint64_t *counter) {
	*sum += __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void counters_add(struct port_counters *sum, const struct port_counters *counters) {
	add_other(&sum->rx_packets, &counters->rx_packets);
	add_other(&sum->rx_bytes, &counters->rx_bytes);
	add_other(&sum->tx_packets, &counters->tx_packets);
	add_other(&sum->tx_bytes, &counters->tx_bytes);
	for (int i = 0; i < DROP_REASONS; i++) {
		add_other(&sum->rx_drop[i], &counters->rx_drop[i]);
		add_other(&sum->tx_drop[i], &counters->tx_drop[i]);
	}
}
