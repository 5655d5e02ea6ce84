// SPDX-License-Identifier: GPL-2.0-or-later
// Pools of hardware: what of the node's hardware one has, and who may use it. Pure functions.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vdpad/config/config.h"
#include "vdpad/model/facts.h"

const char *pool_kind_name(enum pool_kind kind); // "mgmtdevs", "vf", "sf", "dpdk"
int pool_kind_parse(const char *name, enum pool_kind *ret_kind);

// 1 to 31 of A-Z a-z 0-9 . _ -
bool pool_name_is_valid(const char *name);

// "0000:3b:00.2", as sysfs has it.
bool pci_address_is_valid(const char *text);

// The next word of a list with blanks or commas between them, into @word. @rest moves behind it.
// Returns false at the end. A longer word is cut.
bool pool_next_word(const char **rest, char *word, size_t size);

// Whether @word is one of the list's.
bool pool_list_has(const char *list, const char *word);

bool pool_serves(const struct pool_config *pool, const char *network);

// Whether @dev is of the pool: by a pattern, or as a function of its PF.
bool pool_has_mgmtdev(const struct pool_config *pool, const struct mgmtdev_facts *dev);

// The facts' part about pools: the configuration's, whether their PFs are there (below @root, "" for
// the real one). No port is counted yet.
void pools_collect(const char *root, const struct config *config, struct facts *facts);

// Replace the pools of a snapshot by @config's. Ports are still counted for a pool of the same name; a PF
// of which the snapshot knows nothing is taken to be there.
void pools_replace(const struct config *config, struct facts *facts);

// One port more that is of pool @name; unknown pools are ignored.
void pools_count_port(struct facts *facts, const char *name);
