// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/config/config_pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/model/pool.h"

#define COUNT_MAX 4096 // SR-IOV allows more; no NIC has them
#define LIMIT_MAX 4096 // as [limits] ports

// In the order of key_names, which is that of config_see_key()'s bits.
enum pool_key {
	KEY_NETWORKS,
	KEY_MGMTDEVS,
	KEY_PF,
	KEY_FUNCTIONS,
	KEY_COUNT,
	KEY_PCI,
	KEY_CLASS,
	KEY_LIMIT,
	N_KEYS,
};
static const char *const key_names[N_KEYS] = {
	[KEY_NETWORKS] = "networks",   [KEY_MGMTDEVS] = "mgmtdevs", [KEY_PF] = "pf",
	[KEY_FUNCTIONS] = "functions", [KEY_COUNT] = "count",       [KEY_PCI] = "pci",
	[KEY_CLASS] = "class",         [KEY_LIMIT] = "limit",
};

static bool has(uint32_t keys, enum pool_key key) {
	return (keys & (1U << key)) != 0;
}

static bool network_is_right(const char *word, const char **ret_rule) {
	*ret_rule =
		"the names of networks with blanks between them, 1 to 15 of A-Z a-z 0-9 . _ - each";
	return network_name_is_valid(word);
}

// "pci/0000:3b:00.2", "auxiliary/mlx5_core.sf.*", "vdpasim_net"
static bool mgmtdev_is_right(const char *word, const char **ret_rule) {
	if (pci_address_is_valid(word)) {
		*ret_rule = "the management device of a PCI function is called pci/ADDRESS";
		return false;
	}
	*ret_rule = "management devices as 'vdpactl mgmtdev show' lists them, such as "
		    "pci/0000:3b:00.2, or patterns for them";
	return strlen(word) < PORT_RESOURCE_SIZE && word[0] != '/';
}

static bool pci_is_right(const char *word, const char **ret_rule) {
	*ret_rule = "PCI addresses with domain, such as 0000:5e:00.2";
	return pci_address_is_valid(word);
}

// Take a list of words into @list, one space between them. Each is checked with @is_right and may be
// there once.
static int set_list(
	struct config_parser *p, const char *key, const char *value,
	bool (*is_right)(const char *word, const char **ret_rule), char *list
) {
	char word[CONF_LINE_MAX_CHARS + 1];
	const char *rest = value, *rule;

	list[0] = '\0';
	while (pool_next_word(&rest, word, sizeof(word))) {
		if (!is_right(word, &rule))
			return conf_file_fail(
				&p->file, EINVAL, "[%s] %s '%s' is not valid: %s", p->title, key,
				word, rule
			);
		if (pool_list_has(list, word))
			return conf_file_fail(
				&p->file, EINVAL, "[%s] %s has '%s' twice", p->title, key, word
			);
		if (list[0] != '\0')
			strcat(list, " "); // a line is shorter than POOL_MEMBERS_SIZE
		strcat(list, word);
	}
	if (list[0] == '\0')
		return conf_file_fail(
			&p->file, EINVAL, "[%s] %s is empty: it must have one word at least",
			p->title, key
		);
	return 0;
}
_Static_assert(CONF_LINE_MAX_CHARS < POOL_MEMBERS_SIZE, "a list is a part of one line");

static int set_number(
	struct config_parser *p, const char *key, const char *value, uint32_t max, uint32_t *member
) {
	uint64_t number;
	int r = parse_u64(value, 1, max, &number);

	if (r < 0)
		return conf_file_fail(
			&p->file, EINVAL, "[%s] %s '%s' is %s: 1 to %" PRIu32, p->title, key, value,
			r == -ERANGE ? "out of range" : "not a number", max
		);
	*member = (uint32_t)number;
	return 0;
}

static int not_valid(
	struct config_parser *p, const char *key, const char *value, const char *right
) {
	return conf_file_fail(
		&p->file, EINVAL, "[%s] %s '%s' is not valid: %s", p->title, key, value, right
	);
}

static int set_value(
	struct config_parser *p, struct pool_config *pool, enum pool_key index, const char *value
) {
	const char *key = key_names[index];

	switch (index) {
	case KEY_NETWORKS:
		return set_list(p, key, value, network_is_right, pool->networks);
	case KEY_MGMTDEVS:
		pool->kind = POOL_MGMTDEVS;
		return set_list(p, key, value, mgmtdev_is_right, pool->members);
	case KEY_PF:
		if (!pci_address_is_valid(value))
			return not_valid(
				p, key, value, "a PCI address with domain, such as 0000:3b:00.0"
			);
		return str_copy(pool->pf, sizeof(pool->pf), value);
	case KEY_FUNCTIONS:
		if (strcmp(value, "vf") != 0 && strcmp(value, "sf") != 0)
			return not_valid(p, key, value, "vf or sf");
		pool->kind = value[0] == 'v' ? POOL_VF : POOL_SF;
		return 0;
	case KEY_COUNT:
		return set_number(p, key, value, COUNT_MAX, &pool->count);
	case KEY_PCI:
		pool->kind = POOL_DPDK;
		return set_list(p, key, value, pci_is_right, pool->members);
	case KEY_CLASS:
		if (strcmp(value, "vdpa") != 0)
			return not_valid(p, key, value, "vdpa");
		return 0;
	case KEY_LIMIT:
		return set_number(p, key, value, LIMIT_MAX, &pool->limit);
	case N_KEYS:
		break;
	}
	return -EINVAL;
}

int config_pool_on_key(struct config_parser *p, const char *key, const char *value) {
	struct pool_config *pool = &p->config->pools[p->config->n_pools - 1];

	for (enum pool_key i = 0; i < N_KEYS; i++) {
		if (strcmp(key_names[i], key) != 0)
			continue;
		if (config_see_key(p, key, i) < 0)
			return -EINVAL;
		p->pool_places[p->config->n_pools - 1].keys |= 1U << i;
		return set_value(p, pool, i, value);
	}
	return conf_file_fail(
		&p->file, EINVAL,
		"[%s] unknown key '%s': it must be networks, mgmtdevs, pf, functions, count, pci, "
		"class or limit",
		p->title, key
	);
}

int config_pool_open(struct config_parser *p, const char *name) {
	struct config *config = p->config;
	size_t n = config->n_pools;
	void *grown;

	if (!pool_name_is_valid(name))
		return conf_file_fail(
			&p->file, EINVAL,
			"'%s' is no pool name: 1 to %d of A-Z a-z 0-9 . _ -, as in [pool fast]",
			name, POOL_NAME_SIZE - 1
		);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(config->pools[i].name, name) == 0)
			return conf_file_fail(
				&p->file, EINVAL, "[%s] appears twice: the first is in %s:%u",
				p->title, p->pool_places[i].file, p->pool_places[i].line
			);
	}
	if (n >= POOLS_MAX)
		return conf_file_fail(&p->file, EINVAL, "there are more than %d pools", POOLS_MAX);

	grown = realloc(config->pools, (n + 1) * sizeof(*config->pools));
	if (grown == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");
	config->pools = grown;
	grown = realloc(p->pool_places, (n + 1) * sizeof(*p->pool_places));
	if (grown == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");
	p->pool_places = grown;
	p->pool_places[n] =
		(struct config_place){.file = strdup(p->file.name), .line = p->file.line};
	if (p->pool_places[n].file == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");

	p->n_pool_places++;
	config->pools[n] = (struct pool_config){.kind = POOL_MGMTDEVS};
	str_copy(config->pools[n].name, sizeof(config->pools[n].name), name);
	config->n_pools++;
	p->seen[SECTION_POOL] = 0;
	return 0;
}

// What is wrong with the keys that a pool has together; NULL if nothing is.
static const char *wrong_keys(const struct pool_config *pool, uint32_t keys) {
	int n_kinds = has(keys, KEY_MGMTDEVS) + has(keys, KEY_PF) + has(keys, KEY_PCI);

	if (!has(keys, KEY_NETWORKS))
		return "lacks networks: which may use it, as in networks = vmbr0";
	if (n_kinds == 0)
		return "has no hardware: give mgmtdevs, or pf and functions, or pci and class";
	if (n_kinds > 1)
		return "has hardware of two kinds: mgmtdevs, pf and pci exclude each other, write "
		       "a pool for each";
	if (has(keys, KEY_PF) && !has(keys, KEY_FUNCTIONS))
		return "lacks functions: what to make of the PF, functions = sf or functions = vf";
	if (!has(keys, KEY_PF) && has(keys, KEY_FUNCTIONS))
		return "has functions but no pf: whose functions, as in pf = 0000:3b:00.0";
	if (has(keys, KEY_PF) && pool->kind == POOL_VF && !has(keys, KEY_COUNT))
		return "lacks count: how many VFs to make, as in count = 8";
	if (has(keys, KEY_COUNT) && (!has(keys, KEY_PF) || pool->kind != POOL_VF))
		return "has count, which goes with functions = vf; the number of ports is limit";
	if (has(keys, KEY_PCI) && !has(keys, KEY_CLASS))
		return "lacks class: DPDK drives these devices with class = vdpa";
	if (!has(keys, KEY_PCI) && has(keys, KEY_CLASS))
		return "has class, which goes with pci";
	return NULL;
}

// Two pools cannot both say how many VFs one PF has.
static const struct pool_config *find_vfs(const struct config *config, size_t n, const char *pf) {
	for (size_t i = 0; i < n; i++) {
		if (config->pools[i].kind == POOL_VF && strcmp(config->pools[i].pf, pf) == 0)
			return &config->pools[i];
	}
	return NULL;
}

int config_pool_finish(struct config_parser *p) {
	for (size_t i = 0; i < p->config->n_pools; i++) {
		const struct pool_config *pool = &p->config->pools[i], *other = NULL;
		const struct config_place *place = &p->pool_places[i];
		const char *wrong = wrong_keys(pool, place->keys);

		p->file.name = place->file;
		p->file.line = place->line;
		if (wrong != NULL)
			return conf_file_fail(&p->file, EINVAL, "[pool %s] %s", pool->name, wrong);
		if (pool->kind == POOL_VF)
			other = find_vfs(p->config, i, pool->pf);
		if (other != NULL)
			return conf_file_fail(
				&p->file, EINVAL,
				"[pool %s] has the VFs of %s, which [pool %s] has already: give "
				"one "
				"pool more networks",
				pool->name, pool->pf, other->name
			);
	}
	return 0;
}

void config_pool_forget_places(struct config_parser *p) {
	for (size_t i = 0; i < p->n_pool_places; i++)
		free(p->pool_places[i].file);
	free(p->pool_places);
}

const struct pool_config *config_find_pool(const struct config *config, const char *name) {
	for (size_t i = 0; i < config->n_pools; i++) {
		if (strcmp(config->pools[i].name, name) == 0)
			return &config->pools[i];
	}
	return NULL;
}
