// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/pool.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vdpad/util/cleanup.h"

static const char *const kind_names[] = {
	[POOL_MGMTDEVS] = "mgmtdevs",
	[POOL_VF] = "vf",
	[POOL_SF] = "sf",
	[POOL_DPDK] = "dpdk",
};

const char *pool_kind_name(enum pool_kind kind) {
	return kind_names[kind];
}

int pool_kind_parse(const char *name, enum pool_kind *ret_kind) {
	for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
		if (strcmp(kind_names[i], name) == 0) {
			*ret_kind = (enum pool_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool pool_name_is_valid(const char *name) {
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len > 0 && len < POOL_NAME_SIZE && strspn(name, allowed) == len;
}

bool pci_address_is_valid(const char *text) {
	static const char shape[] = "xxxx:xx:xx.7";

	if (strlen(text) != strlen(shape))
		return false;
	for (size_t i = 0; i < strlen(shape); i++) {
		const char *allowed = shape[i] == 'x' ? "0123456789abcdef" : "01234567";

		if (shape[i] == ':' || shape[i] == '.' ? text[i] != shape[i]
		                                       : strchr(allowed, text[i]) == NULL)
			return false;
	}
	return true;
}

bool pool_next_word(const char **rest, char *word, size_t size) {
	static const char blanks[] = " \t,";
	const char *begin = *rest + strspn(*rest, blanks);
	size_t len = strcspn(begin, blanks);

	*rest = begin + len;
	snprintf(word, size, "%.*s", (int)len, begin);
	return len > 0;
}

bool pool_list_has(const char *list, const char *word) {
	char one[POOL_MEMBERS_SIZE];

	while (pool_next_word(&list, one, sizeof(one))) {
		if (strcmp(one, word) == 0)
			return true;
	}
	return false;
}

bool pool_serves(const struct pool_config *pool, const char *network) {
	return pool_list_has(pool->networks, network);
}

bool pool_has_mgmtdev(const struct pool_config *pool, const struct mgmtdev_facts *dev) {
	const char *rest = pool->members;
	char pattern[PORT_RESOURCE_SIZE];

	switch (pool->kind) {
	case POOL_MGMTDEVS:
		while (pool_next_word(&rest, pattern, sizeof(pattern))) {
			if (fnmatch(pattern, dev->name, 0) == 0)
				return true;
		}
		return false;
	case POOL_VF:
		return strcmp(dev->pf, pool->pf) == 0 && strncmp(dev->function, "vf", 2) == 0;
	case POOL_SF:
		return strcmp(dev->pf, pool->pf) == 0 && strncmp(dev->function, "sf", 2) == 0;
	case POOL_DPDK:
		return false;
	}
	return false;
}

void pools_collect(const char *root, const struct config *config, struct facts *facts) {
	char path[PATH_MAX];

	facts->n_pools = 0;
	for (size_t i = 0; i < config->n_pools && i < POOLS_MAX; i++) {
		struct pool_facts *pool = &facts->pools[facts->n_pools++];

		*pool = (struct pool_facts){.config = config->pools[i]};
		if (pool->config.pf[0] == '\0')
			continue;
		snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s", root, pool->config.pf);
		pool->pf_is_there = access(path, F_OK) == 0;
	}
}

static const struct pool_facts *find_pool(const struct facts *facts, const char *name) {
	for (size_t i = 0; i < facts->n_pools; i++) {
		if (strcmp(facts->pools[i].config.name, name) == 0)
			return &facts->pools[i];
	}
	return NULL;
}

static bool pf_is_missing(const struct facts *facts, const char *pf) {
	for (size_t i = 0; i < facts->n_pools; i++) {
		if (strcmp(facts->pools[i].config.pf, pf) == 0)
			return !facts->pools[i].pf_is_there;
	}
	return false;
}

void pools_replace(const struct config *config, struct facts *facts) {
	struct pool_facts pools[POOLS_MAX] = {0};
	size_t n = config->n_pools < POOLS_MAX ? config->n_pools : POOLS_MAX;

	for (size_t i = 0; i < n; i++) {
		const struct pool_facts *old = find_pool(facts, config->pools[i].name);

		pools[i].config = config->pools[i];
		pools[i].n_ports = old != NULL ? old->n_ports : 0;
		pools[i].pf_is_there =
			pools[i].config.pf[0] != '\0' && !pf_is_missing(facts, pools[i].config.pf);
	}
	memcpy(facts->pools, pools, sizeof(pools));
	facts->n_pools = n;
}

void pools_count_port(struct facts *facts, const char *name) {
	for (size_t i = 0; i < facts->n_pools; i++) {
		if (strcmp(facts->pools[i].config.name, name) == 0)
			facts->pools[i].n_ports++;
	}
}
