// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vdpa_inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/sysfs.h"
#include "netlink/vdpa_uapi.h"
#include "vdpad/util/parse.h"

#define CLASS_NET (1ULL << VDPA_VIRTIO_ID_NET)
#define FEATURE_CTRL_VQ (1ULL << 17)
#define FEATURE_MQ (1ULL << 22)

// ---- Management devices -------------------------------------------------------------------------

static int read_places(
	const struct vdpa_kernel *kernel, struct vdpa_mgmtdev_list *mgmtdevs,
	struct vdpa_place_list *ret_list
) {
	struct vdpa_place_list list = {0};

	list.items = calloc(mgmtdevs->n_items + 1, sizeof(*list.items));
	if (list.items == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < mgmtdevs->n_items; i++) {
		struct vdpa_place *place = &list.items[list.n_items];

		if (!(mgmtdevs->items[i].classes & CLASS_NET))
			continue;
		place->mgmtdev = mgmtdevs->items[i];
		mgmtdevs->items[i].handle = (struct nl_handle){0};
		nic_function_read(kernel->roots->sys, &place->mgmtdev.handle, &place->function);
		list.n_items++;
	}
	*ret_list = list;
	return 0;
}

// What this kernel cannot ask for, no driver takes.
static uint32_t kernel_takes(const struct nl_socket *nl) {
	uint32_t takes = NIC_TAKES_ALL;

	if (!vdpa_can_add_with_mac_and_mtu(nl))
		takes &= ~(NIC_TAKES_MAC | NIC_TAKES_MTU);
	if (!vdpa_can_add_with_queue_pairs(nl))
		takes &= ~NIC_TAKES_QUEUE_PAIRS;
	if (!vdpa_can_add_with_features(nl))
		takes &= ~NIC_TAKES_FEATURES;
	return takes;
}

int vdpa_place_list(
	const struct vdpa_kernel *kernel, struct vdpa_place_list *ret_list, struct error *e
) {
	_cleanup_mgmtdev_list_ struct vdpa_mgmtdev_list mgmtdevs = {0};
	_cleanup_nl_socket_ struct nl_socket *nl = NULL;
	int r = vdpa_kernel_open(kernel, &nl, e);

	if (r == -ENOENT) {
		*ret_list = (struct vdpa_place_list){0};
		return 0;
	}
	if (r < 0)
		return r;
	r = vdpa_mgmtdev_list(nl, &mgmtdevs);
	if (r == 0)
		r = read_places(kernel, &mgmtdevs, ret_list);
	if (r < 0)
		return vdpa_refused(e, r, "cannot list the vDPA management devices", nl);
	for (size_t i = 0; i < ret_list->n_items; i++)
		ret_list->items[i].function.takes &= kernel_takes(nl);
	return 0;
}

void vdpa_place_list_done(struct vdpa_place_list *list) {
	for (size_t i = 0; i < list->n_items; i++)
		vdpa_mgmtdev_done(&list->items[i].mgmtdev);
	free(list->items);
	*list = (struct vdpa_place_list){0};
}

// ---- Devices ------------------------------------------------------------------------------------

static int add_state(struct vdpa_state_list *list, struct vdpa_dev *dev) {
	struct vdpa_state *larger;

	if (list->n_items >= VDPA_LIST_MAX)
		return -EOVERFLOW;
	larger = reallocarray(list->items, list->n_items + 1, sizeof(*larger));
	if (larger == NULL)
		return -ENOMEM;
	list->items = larger;
	larger[list->n_items++] = (struct vdpa_state){.dev = *dev};
	*dev = (struct vdpa_dev){0};
	return 0;
}

static bool has_sysfs_name(const struct vdpa_dev_list *devs, const char *entry) {
	char name[NAME_MAX + 1];

	for (size_t i = 0; i < devs->n_items; i++)
		if (vdpa_sysfs_name(devs->items[i].name, name) == 0 && strcmp(name, entry) == 0)
			return true;
	return false;
}

// A device of sysfs that the kernel's list lacks: it was left out, has gone since, or nothing that could be
// listed made it (-EINVAL).
static int add_missing(struct nl_socket *nl, const char *entry, struct vdpa_state_list *list) {
	_cleanup_(vdpa_dev_done) struct vdpa_dev dev = {0};
	int r = vdpa_dev_get(nl, entry, &dev);

	if (r == -EINVAL) {
		dev.name = strdup(entry);
		return dev.name == NULL ? -ENOMEM : add_state(list, &dev);
	}
	return r == 0 ? add_state(list, &dev) : r == -ENODEV ? 0 : r;
}

static int read_states(
	const struct vdpa_kernel *kernel, struct nl_socket *nl, struct vdpa_dev_list *devs,
	struct vdpa_state_list *list
) {
	_cleanup_dir_ DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];
	int r;

	r = sysfs_path(path, "%s/bus/vdpa/devices", kernel->roots->sys);
	if (r < 0)
		return r;
	dir = opendir(path);
	while (dir != NULL && r == 0 && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && !has_sysfs_name(devs, entry->d_name))
			r = add_missing(nl, entry->d_name, list);
	for (size_t i = 0; i < devs->n_items && r == 0; i++)
		r = add_state(list, &devs->items[i]);
	for (size_t i = 0; i < list->n_items && r == 0; i++)
		vdpa_device_look(kernel, nl, &list->items[i]);
	return r;
}

int vdpa_state_list(
	const struct vdpa_kernel *kernel, struct vdpa_state_list *ret_list, struct error *e
) {
	_cleanup_(vdpa_state_list_done) struct vdpa_state_list list = {0};
	_cleanup_dev_list_ struct vdpa_dev_list devs = {0};
	_cleanup_nl_socket_ struct nl_socket *nl = NULL;
	int r = vdpa_kernel_open(kernel, &nl, e);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0) {
		r = vdpa_dev_list(nl, &devs);
		if (r == 0)
			r = read_states(kernel, nl, &devs, &list);
		if (r < 0)
			return vdpa_refused(e, r, "cannot list the vDPA devices", nl);
	}
	*ret_list = list;
	list = (struct vdpa_state_list){0};
	return 0;
}

void vdpa_state_list_done(struct vdpa_state_list *list) {
	for (size_t i = 0; i < list->n_items; i++)
		vdpa_state_done(&list->items[i]);
	free(list->items);
	*list = (struct vdpa_state_list){0};
}

// ---- Counters -----------------------------------------------------------------------------------

// Rings come in pairs, the guest's receive ring first; the control ring follows the last pair in use.
static void print_ring(uint32_t ring, uint32_t n_rings, bool has_control, char text[static 16]) {
	if (has_control && ring == n_rings - 1)
		snprintf(text, 16, "ctrl");
	else
		snprintf(text, 16, "%s%u", ring % 2 == 0 ? "rx" : "tx", ring / 2);
}

static int add_counters(
	struct vdpa_counter_list *list, const struct vdpa_vendor_stats *stats, const char *ring
) {
	struct vdpa_counter *larger =
		reallocarray(list->items, list->n_items + stats->n_stats + 1, sizeof(*larger));

	if (larger == NULL)
		return -ENOMEM;
	list->items = larger;
	for (size_t i = 0; i < stats->n_stats; i++) {
		struct vdpa_counter *counter = &larger[list->n_items++];

		snprintf(counter->name, sizeof(counter->name), "%s_%s", ring, stats->stats[i].name);
		counter->value = stats->stats[i].value;
	}
	return 0;
}

static int read_counters(
	struct nl_socket *nl, const char *name, const struct vdpa_net_config *config,
	struct vdpa_counter_list *list
) {
	bool has_control = config->negotiated & FEATURE_CTRL_VQ;
	bool has_pairs = (config->negotiated & FEATURE_MQ) && config->has_queue_pairs;
	uint32_t n_rings = 2U * (has_pairs ? config->queue_pairs : 1) + has_control;
	struct vdpa_vendor_stats stats;
	char ring[16];
	int r = 0;

	for (uint32_t i = 0; i < n_rings && r == 0; i++) {
		r = vdpa_dev_stats_get(nl, name, i, &stats);
		print_ring(i, n_rings, has_control, ring);
		if (r == 0)
			r = add_counters(list, &stats, ring);
		else if (r == -EINVAL || r == -ERANGE) // not a ring of this driver's
			r = 0;
	}
	return r == -EAGAIN ? 0 : r; // the guest's driver has gone meanwhile
}

int vdpa_counter_list(
	const struct vdpa_kernel *kernel, const char *name, struct vdpa_counter_list *ret_list,
	struct error *e
) {
	_cleanup_(vdpa_counter_list_done) struct vdpa_counter_list list = {0};
	_cleanup_nl_socket_ struct nl_socket *nl = NULL;
	struct vdpa_net_config config;
	char what[128], printed[VDPA_PRINTED_NAME_SIZE];
	int r = vdpa_kernel_open(kernel, &nl, e);

	snprintf(
		what, sizeof(what), "cannot read the counters of vDPA device '%s'",
		vdpa_name_print(name, printed)
	);
	if (r == -ENOENT)
		return error_set(e, EIO, "%s: %s", what, e->text);
	if (r < 0)
		return r;
	r = vdpa_dev_config_get(nl, name, &config);
	if (r == 0 && config.has_negotiated)
		r = read_counters(nl, name, &config, &list);
	if (r < 0)
		return vdpa_refused(e, r, what, nl);
	*ret_list = list;
	list = (struct vdpa_counter_list){0};
	return 0;
}

void vdpa_counter_list_done(struct vdpa_counter_list *list) {
	free(list->items);
	*list = (struct vdpa_counter_list){0};
}
