// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/hw_device.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define VFIO_PCI "vfio-pci"
#define MAX_COUNTERS 64
#define COUNTER_NAME_SIZE (RTE_VDPA_STATS_NAME_SIZE + sizeof("_ring65535"))

// The drivers of DPDK, by the PCI ids that they announce in their PMD_INFO_STRING; 0 matches any.
// The devargs are each driver's own: ifc refuses "class", the others know nothing else.
static const struct family {
	uint16_t vendor, device, subsystem_vendor;
	const char *driver;
	const char *devargs;
	const char *kernel_driver;
	const char *package; // Debian's, without the number of the ABI
} families[] = {
	{0x1af4, 0, 0x8086, "ifc", "vdpa=1", VFIO_PCI, "librte-vdpa-ifc"},
	{0x15b3, 0, 0, "mlx5", "class=vdpa", "mlx5_core", "librte-vdpa-mlx5"},
	{0x10ee, 0, 0, "sfc", "class=vdpa", VFIO_PCI, "librte-vdpa-sfc"},
	{0x19ee, 0, 0, "nfp", "class=vdpa", VFIO_PCI, "librte-vdpa-nfp"},
	{0x1da8, 0, 0, "nfp", "class=vdpa", VFIO_PCI, "librte-vdpa-nfp"},
	{0, 0, 0, "other", "class=vdpa", VFIO_PCI, "librte-vdpa-ifc, -mlx5, -nfp or -sfc"},
};

bool hw_address_is_valid(const char *text) {
	size_t domain = strspn(text, "0123456789abcdef");
	const char *rest = text + domain;

	// The rest is ":3b:00.2".
	return domain >= 4 && domain <= 8 && strlen(rest) == 8 && rest[0] == ':' &&
		rest[3] == ':' && rest[6] == '.' && isxdigit(rest[1]) && isxdigit(rest[2]) &&
		(rest[4] == '0' || rest[4] == '1') && isxdigit(rest[5]) && rest[7] >= '0' &&
		rest[7] <= '7' && strpbrk(rest, "ABCDEF") == NULL;
}

// sysfs

static void device_path(
	const struct hw_env *env, const char *address, const char *file, char path[static PATH_MAX]
) {
	snprintf(path, PATH_MAX, "%s/bus/pci/devices/%s%s", env->sys_dir, address, file);
}

bool hw_device_is_present(const struct hw_env *env, const char *address) {
	char path[PATH_MAX];

	device_path(env, address, "", path);
	return access(path, F_OK) == 0;
}

// 0 when there is none.
static uint16_t read_id(const struct hw_env *env, const char *address, const char *file) {
	char path[PATH_MAX], text[16] = "";
	FILE *f;

	device_path(env, address, file, path);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	fclose(f);
	return (uint16_t)strtoul(text, NULL, 16);
}

// What the link @file of the device points to, without directories; "" when there is none.
static void read_link(
	const struct hw_env *env, const char *address, const char *file, char name[static NAME_MAX]
) {
	char path[PATH_MAX], target[PATH_MAX];
	const char *slash;
	ssize_t len;

	name[0] = '\0';
	device_path(env, address, file, path);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return;
	target[len] = '\0';
	slash = strrchr(target, '/');
	str_copy(name, NAME_MAX, slash == NULL ? target : slash + 1);
}

static const struct family *find_family(const struct hw_env *env, const char *address) {
	uint16_t vendor = read_id(env, address, "/vendor");
	uint16_t id = read_id(env, address, "/device");
	uint16_t subsystem_vendor = read_id(env, address, "/subsystem_vendor");
	const struct family *family = families;

	while ((family->vendor != 0 && family->vendor != vendor) ||
	       (family->device != 0 && family->device != id) ||
	       (family->subsystem_vendor != 0 && family->subsystem_vendor != subsystem_vendor))
		family++; // the last one matches
	return family;
}

static int check_vfio(const struct hw_env *env, const char *address, struct error *e) {
	char group[NAME_MAX], path[PATH_MAX];
	const char *const nodes[] = {"vfio", group};

	read_link(env, address, "/iommu_group", group);
	if (group[0] == '\0')
		return error_set(
			e, ENXIO,
			"%s has no IOMMU group: boot with the IOMMU on (firmware, intel_iommu=on)",
			address
		);
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		snprintf(path, sizeof(path), "%s/vfio/%s", env->dev_dir, nodes[i]);
		if (access(path, R_OK | W_OK) < 0)
			return error_set(
				e, ENXIO,
				"vdpad-switch may not open %s (%s), which %s needs: give it the "
				"drop-in for devices, vdpad-switch-hw.conf",
				path, strerror(errno), address
			);
	}
	return 0;
}

static int check(
	const struct hw_env *env, struct hw_device *device, const struct family **ret_family,
	struct error *e
) {
	const char *address = device->address;
	const struct family *family;
	char bound[NAME_MAX];

	if (!env->pci)
		return error_set(
			e, ENXIO,
			"vdpad-switch was started when no device was configured, without DPDK's "
			"PCI bus: restart it for %s",
			address
		);
	if (!hw_device_is_present(env, address))
		return error_set(
			e, ENXIO,
			"there is no PCI device %s: it is unplugged, or its VFs were not created",
			address
		);
	family = find_family(env, address);
	device->driver = family->driver;
	read_link(env, address, "/driver", bound);
	if (strcmp(bound, family->kernel_driver) != 0)
		return error_set(
			e, ENXIO,
			"%s is bound to %s; DPDK's driver needs %s: driverctl set-override %s %s",
			address, bound[0] == '\0' ? "no driver" : bound, family->kernel_driver,
			address, family->kernel_driver
		);
	*ret_family = family;
	return strcmp(family->kernel_driver, VFIO_PCI) == 0 ? check_vfio(env, address, e) : 0;
}

int hw_device_check(const struct hw_env *env, struct hw_device *device, struct error *e) {
	const struct family *family;

	return check(env, device, &family, e);
}

// DPDK

static int no_driver(const char *address, const struct family *family, struct error *e) {
	return error_set(
		e, EOPNOTSUPP,
		"this DPDK has no vDPA driver for %s: install %s (with the number of the installed "
		"librte-eal) and restart vdpad-switch",
		address, family->package
	);
}

static int probe(
	const struct hw_env *env, const char *address, const struct family *family, struct error *e
) {
	char devargs[HW_ADDRESS_SIZE + 32];
	int r;

	snprintf(devargs, sizeof(devargs), "%s,%s", address, family->devargs);
	r = env->ops->probe(devargs);
	if (r == -EEXIST) // an earlier detach failed
		return 0;
	if (r == -ENOTSUP)
		return no_driver(address, family, e);
	if (r < -1)
		return error_set(
			e, EIO, "DPDK's driver '%s' does not start %s: %s", family->driver, address,
			strerror(-r)
		);
	if (r < 0)
		return error_set(
			e, EIO, "DPDK's driver '%s' does not start %s; the log has its words",
			family->driver, address
		);
	return 0;
}

int hw_device_attach(const struct hw_env *env, struct hw_device *device, struct error *e) {
	const struct family *family;
	struct rte_vdpa_device *vdpa;
	struct hw_limits limits;
	int r;

	r = check(env, device, &family, e);
	if (r >= 0)
		r = probe(env, device->address, family, e);
	if (r < 0)
		return r;
	vdpa = env->ops->find(device->address);
	if (vdpa == NULL)
		r = no_driver(device->address, family, e); // a driver of another class took it
	else if (env->ops->read_limits(vdpa, &limits) < 0 || limits.queue_pairs == 0)
		r = error_set(e, EIO, "%s does not tell its queues and features", device->address);
	else if (env->ops->watch(device->address, env->events) < 0)
		r = error_set(e, EIO, "DPDK cannot watch %s being unplugged", device->address);
	if (r < 0) {
		env->ops->remove(device->address);
		return r;
	}
	device->limits = limits;
	device->vdpa = vdpa;
	return 0;
}

void hw_device_detach(const struct hw_env *env, struct hw_device *device) {
	if (device->vdpa == NULL)
		return;
	env->ops->unwatch(device->address, env->events);
	device->vdpa = NULL;
	// One that cannot be removed now stays with DPDK, and the next attach finds it there.
	env->ops->remove(device->address);
}

// Counters

static void tidy_name(const char *from, char to[static RTE_VDPA_STATS_NAME_SIZE]) {
	size_t len = 0;

	for (size_t i = 0; i < RTE_VDPA_STATS_NAME_SIZE - 1 && from[i] != '\0'; i++) {
		if (isalnum((unsigned char)from[i]))
			to[len++] = (char)tolower((unsigned char)from[i]);
		else if (len > 0 && to[len - 1] != '_')
			to[len++] = '_';
	}
	to[len] = '\0';
}

void hw_device_read_counters(
	const struct hw_env *env, const struct hw_device *device, uint16_t n_rings,
	hw_counter_fn each, void *userdata
) {
	struct rte_vdpa_stat_name names[MAX_COUNTERS];
	struct rte_vdpa_stat values[MAX_COUNTERS];
	uint64_t sums[MAX_COUNTERS] = {0};
	char name[RTE_VDPA_STATS_NAME_SIZE], ring_name[COUNTER_NAME_SIZE];
	int n, n_values;

	if (device->vdpa == NULL)
		return;
	n = env->ops->stat_names(device->vdpa, names, MAX_COUNTERS);
	if (n <= 0 || n > MAX_COUNTERS)
		return;
	for (uint16_t ring = 0; ring < n_rings; ring++) {
		// A ring that the guest does not use has none.
		n_values = env->ops->stats(device->vdpa, ring, values, (unsigned int)n);
		for (int i = 0; i < n_values && i < n; i++) {
			if (values[i].id >= (uint64_t)n)
				continue;
			tidy_name(names[values[i].id].name, name);
			snprintf(ring_name, sizeof(ring_name), "%s_ring%u", name, ring);
			each(userdata, ring_name, values[i].value);
			sums[values[i].id] += values[i].value;
		}
	}
	for (int i = 0; i < n; i++) {
		tidy_name(names[i].name, name);
		each(userdata, name, sums[i]);
	}
}
