// SPDX-License-Identifier: GPL-2.0-or-later
// DPDK's environment and the packet buffers.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mempool.h>

#include "vdpad/util/error.h"

// Start EAL, once in the life of the process, with @memory_mb for packet buffers and what
// librte_vhost allocates: on huge pages where enough are free, else on ordinary ones (which are
// taken when used). @pci: with the PCI bus, on which nothing is touched but what rte_dev_probe() names
// later. Its threads may run wherever the process may. @verbose: its informational
// messages on standard error, else warnings only. @ret_hugepages: which it was.
int eal_start(uint32_t memory_mb, bool pci, bool verbose, bool *ret_hugepages, struct error *e);

// The pool that every port can use: buffers of BUFFER_DATA_BYTES (rx_buffers.h), about 2.4 KB of
// memory each; 4096 of them and 2048 more for each worker, so 15 MB for one.
int eal_buffers_new(uint16_t n_workers, struct rte_mempool **ret_pool, struct error *e);

// The pool for frames of an MTU of 9000 in one piece, about 10 KB each; 512 and 512 more for each
// worker, so 10 MB for one.
int eal_jumbo_buffers_new(uint16_t n_workers, struct rte_mempool **ret_pool, struct error *e);
