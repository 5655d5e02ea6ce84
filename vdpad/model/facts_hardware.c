// SPDX-License-Identifier: GPL-2.0-or-later
// What a snapshot says of hardware.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/model/facts_fields.h"
#include "vdpad/model/pool.h"

#define MGMTDEV_FACT(key, kind, member) FACT_OF(struct mgmtdev_facts, NULL, key, kind, member)
#define DPDK_FACT(key, kind, member) FACT_OF(struct dpdk_vdpa_facts, NULL, key, kind, member)
#define POOL_FACT(key, kind, member) FACT_OF(struct pool_facts, NULL, key, kind, member)

static const struct fact mgmtdev_table[] = {
	MGMTDEV_FACT("name", KIND_TEXT, name),
	MGMTDEV_FACT("driver", KIND_TEXT, driver),
	MGMTDEV_FACT("pf", KIND_TEXT, pf),
	MGMTDEV_FACT("function", KIND_TEXT, function),
	MGMTDEV_FACT("takes", KIND_U32, takes),
	MGMTDEV_FACT("one_device", KIND_BOOL, one_device),
	MGMTDEV_FACT("features", KIND_BITS, features),
	MGMTDEV_FACT("max_vqs", KIND_U32, max_vqs),
	MGMTDEV_FACT("devices", KIND_U32, n_devices),
};

static const struct fact dpdk_table[] = {
	DPDK_FACT("pci", KIND_TEXT, pci),
	DPDK_FACT("driver", KIND_TEXT, driver),
	DPDK_FACT("features", KIND_BITS, features),
	DPDK_FACT("max_queue_pairs", KIND_U32, max_queue_pairs),
	DPDK_FACT("in_use", KIND_BOOL, in_use),
	DPDK_FACT("reason", KIND_TEXT, reason),
};

// Without its kind, which is a word.
static const struct fact pool_table[] = {
	POOL_FACT("name", KIND_TEXT, config.name),
	POOL_FACT("networks", KIND_TEXT, config.networks),
	POOL_FACT("members", KIND_TEXT, config.members),
	POOL_FACT("pf", KIND_TEXT, config.pf),
	POOL_FACT("pf_is_there", KIND_BOOL, pf_is_there),
	POOL_FACT("count", KIND_U32, config.count),
	POOL_FACT("limit", KIND_U32, config.limit),
	POOL_FACT("ports", KIND_U32, n_ports),
};

// A list of a snapshot, and where it goes.
struct list {
	const char *key;
	const struct fact *table;
	size_t n_table;
	size_t offset; // of the array in struct facts
	size_t size;   // of one element
	size_t n_max;
	size_t n_offset; // of the number of elements
};

#define LIST(key, member, table, n_max)                                       \
	{                                                                     \
		key, table, ARRAY_LEN(table), offsetof(struct facts, member), \
			sizeof(((struct facts *)0)->member[0]), n_max,        \
			offsetof(struct facts, n_##member)                    \
	}

static const struct list lists[] = {
	LIST("mgmtdevs", mgmtdevs, mgmtdev_table, FACTS_MAX_MGMTDEVS),
	LIST("dpdk_vdpa", dpdk_vdpa, dpdk_table, FACTS_MAX_DPDK_VDPA),
	LIST("pools", pools, pool_table, POOLS_MAX),
};

static void *element(const struct list *list, struct facts *facts, size_t i) {
	return (char *)facts + list->offset + i * list->size;
}

static bool is_pools(const struct list *list) {
	return list->table == pool_table;
}

void facts_hardware_to_json(const struct facts *facts, json_t *json) {
	for (const struct list *list = lists; list < lists + ARRAY_LEN(lists); list++) {
		size_t n = *(const size_t *)((const char *)facts + list->n_offset);
		json_t *array = json_array();

		for (size_t i = 0; i < n; i++) {
			const void *from = element(list, (struct facts *)facts, i);
			json_t *object = json_object();

			fact_object_to_json(object, list->table, list->n_table, from);
			if (is_pools(list))
				json_object_set_new(
					object, "kind",
					json_string(pool_kind_name(facts->pools[i].config.kind))
				);
			json_array_append_new(array, object);
		}
		json_object_set_new(json, list->key, array);
	}
}

static int kind_from_json(const json_t *object, struct pool_facts *pool, struct error *e) {
	const char *kind = json_string_value(json_object_get(object, "kind"));

	if (!pool_name_is_valid(pool->config.name))
		return error_set(e, EINVAL, "facts: a pool has no name");
	if (kind == NULL || pool_kind_parse(kind, &pool->config.kind) < 0)
		return error_set(
			e, EINVAL, "facts: the kind of pool '%s' must be mgmtdevs, vf, sf or dpdk",
			pool->config.name
		);
	return 0;
}

static int list_from_json(
	const struct list *list, const json_t *array, struct facts *facts, struct error *e
) {
	size_t n = json_array_size(array);
	int r;

	if (!json_is_array(array) || n > list->n_max)
		return error_set(
			e, EINVAL, "facts: '%s' must be a list of at most %zu", list->key,
			list->n_max
		);
	for (size_t i = 0; i < n; i++) {
		const json_t *object = json_array_get(array, i);

		if (!json_is_object(object))
			return error_set(
				e, EINVAL, "facts: number %zu of '%s' is no object", i + 1,
				list->key
			);
		r = fact_object_from_json(
			object, list->table, list->n_table, element(list, facts, i), e
		);
		if (r >= 0 && is_pools(list))
			r = kind_from_json(object, &facts->pools[i], e);
		if (r < 0)
			return r;
	}
	*(size_t *)((char *)facts + list->n_offset) = n;
	return 0;
}

static int compare_mgmtdevs(const void *a, const void *b) {
	return strcmp(
		((const struct mgmtdev_facts *)a)->name, ((const struct mgmtdev_facts *)b)->name
	);
}

int facts_hardware_from_json(const json_t *json, struct facts *facts, struct error *e) {
	for (const struct list *list = lists; list < lists + ARRAY_LEN(lists); list++) {
		const json_t *array = json_object_get(json, list->key);
		int r = array != NULL ? list_from_json(list, array, facts, e) : 0;

		if (r < 0)
			return r;
	}
	qsort(facts->mgmtdevs, facts->n_mgmtdevs, sizeof(facts->mgmtdevs[0]), compare_mgmtdevs);
	return 0;
}
