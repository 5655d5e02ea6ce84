// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
