// SPDX-License-Identifier: GPL-2.0-or-later
// The workers: one poll loop for each configured CPU.
//
// A worker polls its ports and forwards what they give. When nothing came for a while it arms its
// ports' descriptors, looks once more, and sleeps in epoll: an idle switch uses no CPU.
//
// Workers see the configuration as one pointer. Whoever takes something away from them publishes a
// table without it, or clears what they look at, and then waits until each worker has passed a
// quiescent state (or sleeps, when it holds nothing).

#pragma once

#include <stdint.h>

#include "fallback/forward.h"
#include "vdpad/util/error.h"

#define WORKERS_MAX 64

struct workers;

// Which CPUs @cpus ("auto", or a list such as "2-3,6") means. Returns how many workers there will
// be (CPU -1: not pinned), or -EINVAL with @e.
int workers_parse_cpus(const char *cpus, int ret_cpus[static WORKERS_MAX], struct error *e);

// Whether this process may run on each of the CPUs: 0, or -EINVAL with a sentence.
int workers_check_cpus(const int *cpus, int n_cpus, struct error *e);

// Start one worker for each of @cpus with an empty table. EAL must run.
int workers_new(const int *cpus, uint16_t n_cpus, struct workers **ret_workers, struct error *e);

// Stop and free them; the table that they have is freed as well. The ports are not stopped.
void workers_free(struct workers *workers);

uint16_t workers_count(const struct workers *workers);

// The epoll set that worker @index sleeps in. A port adds its descriptors, edge-triggered; their
// data is not looked at.
int workers_epoll_fd(const struct workers *workers, uint16_t index);

// Make a worker look at its ports now. From any thread.
void workers_wake(struct workers *workers, uint16_t index);

// Let the workers see @table (consumed), and free the previous one when nobody uses it any more.
// Blocks for as long as one turn of a poll loop takes. Main thread only.
void workers_publish(struct workers *workers, struct forward_table *table);

// Wait until no worker uses what it saw before this call. From any thread but a worker's.
void workers_synchronize(struct workers *workers);

// The sum over all workers, and back to zero (when no table in use has the port).
void workers_read_counters(
	const struct workers *workers, uint16_t port_id, struct port_counters *ret_sum
);
void workers_clear_counters(struct workers *workers, uint16_t port_id);
