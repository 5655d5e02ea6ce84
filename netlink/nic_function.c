// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nic_function.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/sysfs.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define MAX_VFS 65535

// By the driver's name up to a dot ("mlx5_core.sf"), or that of a management device without a bus.
// An older kernel may have a driver that takes less, and says so then.
static const struct {
	const char *driver;
	uint32_t takes;
} drivers[] = {
	{"mlx5_core", NIC_TAKES_ALL},
	{"pds_core", NIC_TAKES_MAC | NIC_TAKES_QUEUE_PAIRS | NIC_TAKES_FEATURES},
	{"pds_vdpa", NIC_TAKES_MAC | NIC_TAKES_QUEUE_PAIRS | NIC_TAKES_FEATURES},
	{"ifcvf", NIC_TAKES_FEATURES},
	{"vp-vdpa", NIC_TAKES_FEATURES},
	{"octep_vdpa", NIC_TAKES_FEATURES},
	{"vdpasim_net", NIC_TAKES_MAC | NIC_TAKES_MTU | NIC_TAKES_FEATURES},
	{"vduse", 0},
};

static uint32_t takes_of(const char *driver) {
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		size_t len = strlen(drivers[i].driver);

		if (strncmp(driver, drivers[i].driver, len) == 0 &&
		    (driver[len] == 0 || driver[len] == '.'))
			return drivers[i].takes;
	}
	return NIC_TAKES_ALL;
}

// The driver of the device at @device.
static void read_driver(const char *device, char driver[static NIC_FUNCTION_DRIVER_SIZE]) {
	char path[PATH_MAX], name[NAME_MAX + 1];

	driver[0] = 0;
	if (sysfs_path(path, "%s/driver", device) == 0 && sysfs_link_name(path, name) == 0)
		str_copy(driver, NIC_FUNCTION_DRIVER_SIZE, name);
}

// "0000:3b:00.2"?
static bool is_pci_address(const char *text) {
	unsigned int domain, bus, device, function;
	int end = 0;

	return sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) == 4 &&
		text[end] == 0 && strlen(text) < PCI_ADDRESS_SIZE;
}

// Which VF of its PF the PCI function @pci is, if it is one.
static void read_vf(const char *sys, const char *pci, struct nic_function *f) {
	char path[PATH_MAX], target[NAME_MAX + 1], pf[NAME_MAX + 1];

	if (sysfs_path(path, "%s/bus/pci/devices/%s/physfn", sys, pci) < 0 ||
	    sysfs_link_name(path, pf) < 0 || !is_pci_address(pf))
		return;
	for (unsigned int vf = 0; vf < MAX_VFS; vf++) {
		if (sysfs_path(path, "%s/bus/pci/devices/%s/virtfn%u", sys, pf, vf) < 0 ||
		    sysfs_link_name(path, target) < 0 || target[0] == 0)
			return;
		if (strcmp(target, pci) == 0) {
			str_copy(f->pf, sizeof(f->pf), pf);
			snprintf(f->name, sizeof(f->name), "vf%u", vf);
			return;
		}
	}
}

// An auxiliary device is below the PCI function that it is a part of; a subfunction has a number.
static void read_auxiliary(const char *sys, const char *device, struct nic_function *f) {
	char path[PATH_MAX], sfnum[16], *slash;
	_cleanup_free_ char *real = NULL;
	uint64_t number;

	if (sysfs_path(path, "%s/sfnum", device) < 0)
		return;
	real = realpath(device, NULL);
	if (real == NULL)
		return;
	do {
		slash = strrchr(real, '/');
		if (slash == NULL)
			return;
		*slash = 0;
	} while (!is_pci_address(slash + 1));

	if (sysfs_read(path, sfnum, sizeof(sfnum)) < 0 ||
	    parse_u64(sfnum, 0, UINT32_MAX, &number) < 0) {
		read_vf(sys, slash + 1, f);
		return;
	}
	str_copy(f->pf, sizeof(f->pf), slash + 1);
	snprintf(f->name, sizeof(f->name), "sf%u", (uint32_t)number);
}

void nic_function_read(
	const char *sys, const struct nl_handle *handle, struct nic_function *ret_function
) {
	struct nic_function f = {.one_device = handle->bus != NULL};
	char device[PATH_MAX];

	if (handle->bus == NULL)
		str_copy(f.driver, sizeof(f.driver), handle->dev);
	else if (strchr(handle->dev, '/') == NULL && strchr(handle->bus, '/') == NULL && sysfs_path(device, "%s/bus/%s/devices/%s", sys, handle->bus, handle->dev) == 0) {
		read_driver(device, f.driver);
		if (strcmp(handle->bus, "pci") == 0)
			read_vf(sys, handle->dev, &f);
		else
			read_auxiliary(sys, device, &f);
	}
	f.takes = takes_of(f.driver);
	*ret_function = f;
}
