// SPDX-License-Identifier: GPL-2.0-or-later
// DPDK's environment.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vdpad/util/error.h"

// Start EAL, once in the life of the process, with @memory_mb for what
// DPDK allocates: on huge pages where enough are free, else on ordinary ones (which are
// taken when used). @pci: with the PCI bus, on which nothing is touched but what rte_dev_probe() names
// later. Its threads may run wherever the process may. @verbose: its informational
// messages on standard error, else warnings only. @ret_hugepages: which it was.
int eal_start(uint32_t memory_mb, bool pci, bool verbose, bool *ret_hugepages, struct error *e);
