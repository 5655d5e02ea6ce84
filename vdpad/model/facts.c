// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vdpad/model/capability.h"
#include "vdpad/model/facts_fields.h"
#include "vdpad/util/cleanup.h"

static void closedirp(DIR **dir) {
	if (*dir != NULL)
		closedir(*dir);
}
#define _cleanup_closedir_ _cleanup_(closedirp)

static void fclosep(FILE **file) {
	if (*file != NULL)
		fclose(*file);
}
#define _cleanup_fclose_ _cleanup_(fclosep)

// Places below @root, as printf.
static bool path_format(char path[static PATH_MAX], const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static bool path_format(char path[static PATH_MAX], const char *fmt, va_list ap) {
	int n = vsnprintf(path, PATH_MAX, fmt, ap);

	return n > 0 && n < PATH_MAX;
}

static FILE *open_at(const char *fmt, ...) _printf_(1, 2);
static FILE *open_at(const char *fmt, ...) {
	char path[PATH_MAX];
	va_list ap;
	bool fits;

	va_start(ap, fmt);
	fits = path_format(path, fmt, ap);
	va_end(ap);
	return fits ? fopen(path, "re") : NULL;
}

static bool exists_at(const char *fmt, ...) _printf_(1, 2);
static bool exists_at(const char *fmt, ...) {
	char path[PATH_MAX];
	va_list ap;
	bool fits;

	va_start(ap, fmt);
	fits = path_format(path, fmt, ap);
	va_end(ap);
	return fits && access(path, F_OK) == 0;
}

// Entries of a directory, without those that begin with a dot; 0 when it is not there.
static uint32_t count_entries_at(const char *root, const char *path) {
	_cleanup_closedir_ DIR *dir = NULL;
	char full[PATH_MAX];
	uint32_t n = 0;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return 0;
	dir = opendir(full);
	if (dir == NULL)
		return 0;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		n += entry->d_name[0] != '.';
	return n;
}

// The first line of @file without its end; "" when there is none.
static void read_line(FILE *file, char *line, int size) {
	line[0] = '\0';
	if (file != NULL && fgets(line, size, file) == NULL)
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

// modules.dep has "kernel/drivers/vdpa/vdpa.ko.xz: ..." (with or without a compression's suffix),
// modules.builtin has "kernel/drivers/vdpa/vdpa.ko".
static bool list_has_module(const char *root, const char *kernel, const char *list) {
	_cleanup_fclose_ FILE *file = open_at("%s/lib/modules/%s/%s", root, kernel, list);
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (file == NULL)
		return false;
	while (getline(&line, &size, file) >= 0) {
		const char *base;

		line[strcspn(line, ":\n")] = '\0';
		base = strrchr(line, '/');
		base = base != NULL ? base + 1 : line;
		if (strcmp(base, "vdpa.ko") == 0 || strncmp(base, "vdpa.ko.", 8) == 0)
			return true;
	}
	return false;
}

static void collect_hugepages(const char *root, struct facts *facts) {
	_cleanup_fclose_ FILE *file = open_at("%s/proc/meminfo", root);
	unsigned long long value;
	char line[128];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "HugePages_Total: %llu", &value) == 1)
			facts->hugepages.total = value;
		else if (sscanf(line, "HugePages_Free: %llu", &value) == 1)
			facts->hugepages.free = value;
		else if (sscanf(line, "Hugepagesize: %llu kB", &value) == 1)
			facts->hugepages.size_bytes = value * 1024;
	}
}

static int compare_bridges(const void *a, const void *b) {
	return strcmp(
		((const struct bridge_facts *)a)->name, ((const struct bridge_facts *)b)->name
	);
}

static void read_bridge(const char *root, const char *name, struct facts *facts) {
	struct bridge_facts *bridge = &facts->bridges[facts->n_bridges];
	_cleanup_fclose_ FILE *mtu = open_at("%s/sys/class/net/%s/mtu", root, name);
	_cleanup_fclose_ FILE *ifindex = open_at("%s/sys/class/net/%s/ifindex", root, name);
	_cleanup_fclose_ FILE *filtering =
		open_at("%s/sys/class/net/%s/bridge/vlan_filtering", root, name);
	uint64_t mtu_bytes, index;
	char text[32];

	read_line(mtu, text, sizeof(text));
	if (str_copy(bridge->name, sizeof(bridge->name), name) < 0 ||
	    parse_u64(text, 0, UINT32_MAX, &mtu_bytes) < 0)
		return; // gone in this moment
	bridge->mtu_bytes = (uint32_t)mtu_bytes;
	read_line(ifindex, text, sizeof(text));
	if (parse_u64(text, 1, UINT32_MAX, &index) == 0)
		bridge->index = (uint32_t)index;
	read_line(filtering, text, sizeof(text));
	bridge->vlan_filtering = strcmp(text, "1") == 0;
	facts->n_bridges++;
}

static void collect_bridges(const char *root, struct facts *facts) {
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/sys/class/net", root) >= (int)sizeof(path))
		return;
	dir = opendir(path);
	for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
		if (facts->n_bridges < FACTS_MAX_BRIDGES && entry->d_name[0] != '.' &&
		    exists_at("%s/sys/class/net/%s/bridge", root, entry->d_name))
			read_bridge(root, entry->d_name, facts);
	}
	qsort(facts->bridges, facts->n_bridges, sizeof(facts->bridges[0]), compare_bridges);
}

void facts_collect(const char *root, struct facts *facts) {
	_cleanup_fclose_ FILE *release = open_at("%s/proc/sys/kernel/osrelease", root);

	memset(&facts->hugepages, 0, sizeof(facts->hugepages));
	memset(facts->bridges, 0, sizeof(facts->bridges));
	facts->n_bridges = 0;

	read_line(release, facts->kernel, sizeof(facts->kernel));
	facts->vdpa.bus = exists_at("%s/sys/bus/vdpa", root);
	facts->vdpa.module = list_has_module(root, facts->kernel, "modules.dep") ||
		list_has_module(root, facts->kernel, "modules.builtin");
	facts->vdpa.vhost_vdpa = exists_at("%s/sys/bus/vdpa/drivers/vhost_vdpa", root);
	facts->vdpa.n_devices = count_entries_at(root, "/sys/bus/vdpa/devices");
	facts->iommu = count_entries_at(root, "/sys/kernel/iommu_groups") > 0;
	collect_hugepages(root, facts);
	collect_bridges(root, facts);
}

// ---- JSON: one table for both ways -------------------------------------------------------------

#define FACT(group, key, kind, member) FACT_OF(struct facts, group, key, kind, member)
#define BRIDGE_FACT(key, kind, member) FACT_OF(struct bridge_facts, NULL, key, kind, member)

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

static json_t *value_to_json(const struct fact *fact, const void *object) {
	const char *member = (const char *)object + fact->offset;
	char bits[24];

	switch (fact->kind) {
	case KIND_TEXT:
		return json_string(member);
	case KIND_BOOL:
		return json_boolean(*(const bool *)member);
	case KIND_U32:
		return json_integer(*(const uint32_t *)member);
	case KIND_U64:
		return json_integer((json_int_t) * (const uint64_t *)member);
	case KIND_BITS:
		snprintf(bits, sizeof(bits), "0x%" PRIx64, *(const uint64_t *)member);
		return json_string(bits);
	}
	return NULL;
}

void fact_object_to_json(json_t *json, const struct fact *table, size_t n, const void *object) {
	for (const struct fact *fact = table; fact < table + n; fact++) {
		json_t *holder = json;

		if (fact->group != NULL) {
			holder = json_object_get(json, fact->group);
			if (holder == NULL) {
				json_object_set_new(json, fact->group, json_object());
				holder = json_object_get(json, fact->group);
			}
		}
		json_object_set_new(holder, fact->key, value_to_json(fact, object));
	}
}

json_t *facts_to_json(const struct facts *facts) {
	json_t *json = json_object(), *bridges = json_array();

	fact_object_to_json(json, fact_table, ARRAY_LEN(fact_table), facts);
	for (size_t i = 0; i < facts->n_bridges; i++) {
		json_t *bridge = json_object();

		fact_object_to_json(
			bridge, bridge_table, ARRAY_LEN(bridge_table), &facts->bridges[i]
		);
		json_array_append_new(bridges, bridge);
	}
	json_object_set_new(json, "bridges", bridges);
	facts_hardware_to_json(facts, json);
	facts_sockets_to_json(facts, json);
	return json;
}

static int bits_parse(const char *text, uint64_t *ret_bits) {
	static const char digits[] = "0123456789abcdef";
	size_t len = text != NULL ? strlen(text) : 0;

	if (len < 3 || len > 18 || strncmp(text, "0x", 2) != 0 ||
	    strspn(text + 2, digits) != len - 2)
		return -EINVAL;
	*ret_bits = strtoull(text + 2, NULL, 16);
	return 0;
}

static int value_from_json(
	const struct fact *fact, const json_t *value, void *object, struct error *e
) {
	char *member = (char *)object + fact->offset;
	const char *group = fact->group != NULL ? fact->group : "";
	const char *dot = fact->group != NULL ? "." : "";
	uint64_t max = fact->kind == KIND_U32 ? UINT32_MAX : INT64_MAX;

	switch (fact->kind) {
	case KIND_TEXT:
		if (!json_is_string(value) ||
		    str_copy(member, fact->size, json_string_value(value)) < 0)
			return error_set(
				e, EINVAL,
				"facts: '%s%s%s' must be a text of at most %zu characters", group,
				dot, fact->key, fact->size - 1
			);
		return 0;
	case KIND_BOOL:
		if (!json_is_boolean(value))
			return error_set(
				e, EINVAL, "facts: '%s%s%s' must be true or false", group, dot,
				fact->key
			);
		*(bool *)member = json_is_true(value);
		return 0;
	case KIND_U32:
	case KIND_U64:
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    (uint64_t)json_integer_value(value) > max)
			return error_set(
				e, EINVAL, "facts: '%s%s%s' must be a number from 0 to %llu", group,
				dot, fact->key, (unsigned long long)max
			);
		if (fact->kind == KIND_U32)
			*(uint32_t *)member = (uint32_t)json_integer_value(value);
		else
			*(uint64_t *)member = (uint64_t)json_integer_value(value);
		return 0;
	case KIND_BITS:
		if (bits_parse(json_string_value(value), (uint64_t *)member) < 0)
			return error_set(
				e, EINVAL, "facts: '%s%s%s' must be a text such as \"0x1f\"", group,
				dot, fact->key
			);
		return 0;
	}
	return 0;
}

int fact_object_from_json(
	const json_t *json, const struct fact *table, size_t n, void *object, struct error *e
) {
	for (const struct fact *fact = table; fact < table + n; fact++) {
		const json_t *holder = json;
		const json_t *value;
		int r;

		if (fact->group != NULL)
			holder = json_object_get(json, fact->group);
		value = json_object_get(holder, fact->key);
		if (value == NULL)
			continue; // a snapshot of an older version
		r = value_from_json(fact, value, object, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int bridges_from_json(const json_t *bridges, struct facts *facts, struct error *e) {
	size_t n = json_array_size(bridges);
	int r;

	if (bridges == NULL)
		return 0;
	if (!json_is_array(bridges) || n > FACTS_MAX_BRIDGES)
		return error_set(
			e, EINVAL, "facts: 'bridges' must be a list of at most %d bridges",
			FACTS_MAX_BRIDGES
		);
	for (size_t i = 0; i < n; i++) {
		r = fact_object_from_json(
			json_array_get(bridges, i), bridge_table, ARRAY_LEN(bridge_table),
			&facts->bridges[i], e
		);
		if (r < 0)
			return r;
		if (!network_name_is_valid(facts->bridges[i].name))
			return error_set(e, EINVAL, "facts: bridge number %zu has no name", i + 1);
	}
	facts->n_bridges = n;
	qsort(facts->bridges, n, sizeof(facts->bridges[0]), compare_bridges);
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
	if (r < 0)
		return r;
	r = bridges_from_json(json_object_get(json, "bridges"), facts, e);
	if (r >= 0)
		r = facts_hardware_from_json(json, facts, e);
	if (r < 0)
		return r;
	r = facts_sockets_from_json(json, facts, e);
	if (r < 0)
		return r;
	*ret_facts = *facts;
	return 0;
}
