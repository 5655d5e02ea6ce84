// SPDX-License-Identifier: GPL-2.0-or-later
// Facts as JSON: one table for both ways, of the node and of each list.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/model/capability.h"
#include "vdpad/model/facts_fields.h"
#include "vdpad/model/pool.h"
#include "vdpad/util/cleanup.h"

#define FACT(group, key, kind, member) FACT_OF(struct facts, group, key, kind, member)
#define BRIDGE_FACT(key, kind, member) FACT_OF(struct bridge_facts, NULL, key, kind, member)
#define MGMTDEV_FACT(key, kind, member) FACT_OF(struct mgmtdev_facts, NULL, key, kind, member)
#define DPDK_FACT(key, kind, member) FACT_OF(struct dpdk_vdpa_facts, NULL, key, kind, member)
#define POOL_FACT(key, kind, member) FACT_OF(struct pool_facts, NULL, key, kind, member)
#define SOCKET_FACT(key, kind, member) FACT_OF(struct socket_facts, NULL, key, kind, member)

static const struct fact fact_table[] = {
	FACT(NULL, "kernel", KIND_TEXT, kernel),
	FACT("vdpa", "bus", KIND_BOOL, vdpa.bus),
	FACT("vdpa", "module", KIND_BOOL, vdpa.module),
	FACT("vdpa", "vhost_vdpa", KIND_BOOL, vdpa.vhost_vdpa),
	FACT("vdpa", "devices", KIND_U32, vdpa.n_devices),
	FACT("vdpa", "asked", KIND_BOOL, vdpa.asked),
	FACT("vdpa", "wedged", KIND_TEXT, vdpa.wedged),
	FACT("hugepages", "size_bytes", KIND_U64, hugepages.size_bytes),
	FACT("hugepages", "total", KIND_U64, hugepages.total),
	FACT("hugepages", "free", KIND_U64, hugepages.free),
	FACT(NULL, "iommu", KIND_BOOL, iommu),
	FACT("switch", "connected", KIND_BOOL, fallback.connected),
	FACT("switch", "max_queue_pairs", KIND_U32, fallback.max_queue_pairs),
	FACT("switch", "max_mtu", KIND_U32, fallback.max_mtu_bytes),
	FACT("switch", "max_ports", KIND_U32, fallback.max_ports),
	FACT("switch", "ports", KIND_U32, fallback.n_ports),
	FACT("switch", "hugepages", KIND_BOOL, fallback.hugepages),
	FACT("switch", "workers", KIND_U32, fallback.n_workers),
	FACT("switch", "capabilities", KIND_TEXT, fallback.capabilities),
	FACT("netlink", "connected", KIND_BOOL, netlink_connected),
};

static const struct fact bridge_table[] = {
	BRIDGE_FACT("name", KIND_TEXT, name),
	BRIDGE_FACT("mtu", KIND_U32, mtu_bytes),
	BRIDGE_FACT("vlan_filtering", KIND_BOOL, vlan_filtering),
};

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

static const struct fact socket_table[] = {
	SOCKET_FACT("name", KIND_TEXT, name),
	SOCKET_FACT("network", KIND_TEXT, network),
	SOCKET_FACT("path", KIND_TEXT, path),
	SOCKET_FACT("qemu_listens", KIND_BOOL, qemu_listens),
	SOCKET_FACT("listening", KIND_BOOL, listening),
	SOCKET_FACT("connected", KIND_BOOL, connected),
	SOCKET_FACT("port", KIND_TEXT, port),
};

// A list of a snapshot, and where it goes.
struct list {
	const char *key;
	const char *of; // " bridges": what it is of, for a message, where the key does not say it
	const struct fact *table;
	size_t n_table;
	size_t offset; // of the array in struct facts
	size_t size;   // of one element
	size_t n_max;
	size_t n_offset; // of the number of elements
	// What the table cannot say of element @number, counted from 1; NULL: nothing.
	void (*to_json)(const void *element, json_t *object);
	int (*from_json)(const json_t *object, void *element, size_t number, struct error *e);
	bool is_sorted; // by name, the first member
};

static int bridge_from_json(const json_t *object, void *element, size_t number, struct error *e) {
	const struct bridge_facts *bridge = element;

	(void)object;
	if (!network_name_is_valid(bridge->name))
		return error_set(e, EINVAL, "facts: bridge number %zu has no name", number);
	return 0;
}

static int socket_from_json(const json_t *object, void *element, size_t number, struct error *e) {
	const struct socket_facts *socket = element;

	(void)object;
	if (!port_name_is_valid(socket->name))
		return error_set(e, EINVAL, "facts: socket number %zu has no name", number);
	return 0;
}

static int pool_from_json(const json_t *object, void *element, size_t number, struct error *e) {
	const char *kind = json_string_value(json_object_get(object, "kind"));
	struct pool_config *pool = &((struct pool_facts *)element)->config;

	(void)number;
	if (!pool_name_is_valid(pool->name))
		return error_set(e, EINVAL, "facts: a pool has no name");
	if (kind == NULL || pool_kind_parse(kind, &pool->kind) < 0)
		return error_set(
			e, EINVAL, "facts: the kind of pool '%s' must be mgmtdevs, vf, sf or dpdk",
			pool->name
		);
	return 0;
}

static void pool_to_json(const void *element, json_t *object) {
	const struct pool_facts *pool = element;

	json_object_set_new(object, "kind", json_string(pool_kind_name(pool->config.kind)));
}

#define LIST(key, of, member, table, n_max, ...)                                  \
	{                                                                         \
		key, of, table, ARRAY_LEN(table), offsetof(struct facts, member), \
			sizeof(((struct facts *)0)->member[0]), n_max,            \
			offsetof(struct facts, n_##member), __VA_ARGS__           \
	}

static const struct list lists[] = {
	LIST("bridges", " bridges", bridges, bridge_table, FACTS_MAX_BRIDGES, NULL,
             bridge_from_json, true),
	LIST("mgmtdevs", "", mgmtdevs, mgmtdev_table, FACTS_MAX_MGMTDEVS, NULL, NULL, true),
	LIST("dpdk_vdpa", "", dpdk_vdpa, dpdk_table, FACTS_MAX_DPDK_VDPA, NULL, NULL, false),
	LIST("pools", "", pools, pool_table, POOLS_MAX, pool_to_json, pool_from_json, false),
	LIST("sockets", " sockets", sockets, socket_table, FACTS_MAX_SOCKETS, NULL,
             socket_from_json, true),
};

static void list_to_json(const struct list *list, const struct facts *facts, json_t *json) {
	const char *element = (const char *)facts + list->offset;
	size_t n = *(const size_t *)((const char *)facts + list->n_offset);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++, element += list->size) {
		json_t *object = json_object();

		fact_object_to_json(object, list->table, list->n_table, element);
		if (list->to_json != NULL)
			list->to_json(element, object);
		json_array_append_new(array, object);
	}
	json_object_set_new(json, list->key, array);
}

json_t *facts_to_json(const struct facts *facts) {
	json_t *json = json_object();

	fact_object_to_json(json, fact_table, ARRAY_LEN(fact_table), facts);
	for (const struct list *list = lists; list < lists + ARRAY_LEN(lists); list++)
		list_to_json(list, facts, json);
	return json;
}

_Static_assert(
	offsetof(struct bridge_facts, name) == 0 && offsetof(struct mgmtdev_facts, name) == 0 &&
		offsetof(struct socket_facts, name) == 0,
	"lists are sorted by their first member"
);

static int compare_names(const void *a, const void *b) {
	return strcmp(a, b);
}

static int list_from_json(
	const struct list *list, const json_t *array, struct facts *facts, struct error *e
) {
	char *first = (char *)facts + list->offset, *element = first;
	size_t n = json_array_size(array);
	int r;

	if (!json_is_array(array) || n > list->n_max)
		return error_set(
			e, EINVAL, "facts: '%s' must be a list of at most %zu%s", list->key,
			list->n_max, list->of
		);
	for (size_t i = 0; i < n; i++, element += list->size) {
		const json_t *object = json_array_get(array, i);

		if (!json_is_object(object))
			return error_set(
				e, EINVAL, "facts: number %zu of '%s' is no object", i + 1,
				list->key
			);
		r = fact_object_from_json(object, list->table, list->n_table, element, e);
		if (r >= 0 && list->from_json != NULL)
			r = list->from_json(object, element, i + 1, e);
		if (r < 0)
			return r;
	}
	if (list->is_sorted)
		qsort(first, n, list->size, compare_names);
	*(size_t *)((char *)facts + list->n_offset) = n;
	return 0;
}

int facts_from_json(const json_t *json, struct facts *ret_facts, struct error *e) {
	_cleanup_free_ struct facts *facts = calloc(1, sizeof(*facts));
	int r;

	if (facts == NULL)
		return error_set(e, ENOMEM, "out of memory");
	if (!json_is_object(json) || !json_is_string(json_object_get(json, "kernel")))
		return error_set(
			e, EINVAL,
			"this is no snapshot of facts: it has no text 'kernel'; "
			"make one with `vdpactl facts`"
		);
	str_copy(
		facts->fallback.capabilities, sizeof(facts->fallback.capabilities),
		CAPABILITY_OLD_SWITCH
	);
	r = fact_object_from_json(json, fact_table, ARRAY_LEN(fact_table), facts, e);
	for (const struct list *list = lists; r >= 0 && list < lists + ARRAY_LEN(lists); list++) {
		const json_t *array = json_object_get(json, list->key);

		if (array != NULL) // else a snapshot of an older version
			r = list_from_json(list, array, facts, e);
	}
	if (r < 0)
		return r;
	*ret_facts = *facts;
	return 0;
}
