// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/vdpa_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/backend/report.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

#define NAME_PREFIX "vdpad-"
#define GENERATION_MAX_DIGITS 9 // 15 characters, less the prefix

void vdpa_device_name(uint64_t generation, char name[static VDPA_DEVICE_NAME_SIZE]) {
	snprintf(name, VDPA_DEVICE_NAME_SIZE, NAME_PREFIX "%" PRIx64, generation);
}

// Exactly what vdpa_device_name() makes: "vdpad-01" or "vdpad-A" is somebody else's.
uint64_t vdpa_device_generation(const char *name) {
	const char *digits = name + strlen(NAME_PREFIX);
	size_t n;

	if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
		return 0;
	n = strlen(digits);
	if (n == 0 || n > GENERATION_MAX_DIGITS || digits[0] == '0' ||
	    strspn(digits, "0123456789abcdef") != n)
		return 0;
	return strtoull(digits, NULL, 16);
}

// Both kinds of entry read into this; strings are borrowed from the message.
struct fields {
	const char *driver, *pf, *function, *mgmtdev, *node, *mac;
	uint32_t takes, max_vqs, virtio_id, uid, mtu, queue_pairs;
	uint64_t features;
	bool one_device, parked, active;
};

#define FIELD(name, type, required) \
	{ #name, type, offsetof(struct fields, name), required }

static const struct ipc_field mgmtdev_fields[] = {
	FIELD(driver, 's', true),   FIELD(takes, 'u', true),   FIELD(one_device, 'b', true),
	FIELD(features, 't', true), FIELD(max_vqs, 'u', true), FIELD(pf, 's', true),
	FIELD(function, 's', true),
};
static const struct ipc_field device_fields[] = {
	FIELD(mgmtdev, 's', true),      FIELD(driver, 's', true),    FIELD(node, 's', true),
	FIELD(virtio_id, 'u', true),    FIELD(max_vqs, 'u', true),   FIELD(uid, 'u', true),
	FIELD(parked, 'b', true),       FIELD(mac, 's', false),      FIELD(mtu, 'u', false),
	FIELD(queue_pairs, 'u', false), FIELD(features, 't', false), FIELD(active, 'b', false),
};

static int copy(char *dst, size_t size, const char *what, const char *value, struct error *e) {
	if (str_copy(dst, size, value) < 0)
		return error_set(e, EPROTO, "%s '%.100s' is too long", what, value);
	return 0;
}

static int fill_mgmtdev(
	struct mgmtdev_facts *mgmtdev, const char *name, const struct fields *f, struct error *e
) {
	*mgmtdev = (struct mgmtdev_facts){
		.takes = f->takes,
		.one_device = f->one_device,
		.features = f->features,
		.max_vqs = f->max_vqs,
	};
	if (copy(mgmtdev->name, sizeof(mgmtdev->name), "management device", name, e) < 0 ||
	    copy(mgmtdev->driver, sizeof(mgmtdev->driver), "driver", f->driver, e) < 0 ||
	    copy(mgmtdev->pf, sizeof(mgmtdev->pf), "PF", f->pf, e) < 0 ||
	    copy(mgmtdev->function, sizeof(mgmtdev->function), "function", f->function, e) < 0)
		return -EPROTO;
	return 0;
}

static int fill_device(
	struct reported_vdpa *device, const char *name, const struct fields *f, struct error *e
) {
	*device = (struct reported_vdpa){
		.has_mac = f->mac != NULL,
		.mtu_bytes = f->mtu,
		.queue_pairs = f->queue_pairs,
		.max_vqs = f->max_vqs,
		.uid = f->uid,
		.features = f->features,
		.generation = vdpa_device_generation(name),
		.active = f->active,
		.parked = f->parked,
	};
	if (copy(device->name, sizeof(device->name), "device", name, e) < 0 ||
	    copy(device->mgmtdev, sizeof(device->mgmtdev), "management device", f->mgmtdev, e) <
	            0 ||
	    copy(device->driver, sizeof(device->driver), "driver", f->driver, e) < 0 ||
	    copy(device->node, sizeof(device->node), "node", f->node, e) < 0)
		return -EPROTO;
	if (f->mac != NULL && mac_addr_parse(f->mac, &device->mac) < 0)
		return error_set(
			e, EPROTO, "'%.40s' of device '%s' is no MAC address", f->mac, name
		);
	return 0;
}

static int read_mgmtdev(sd_bus_message *m, const char *name, void *userdata, struct error *e) {
	struct vdpa_report *report = userdata;
	struct mgmtdev_facts *mgmtdev;
	struct fields f = {0};
	int r;

	r = ipc_dict_read(m, mgmtdev_fields, ARRAY_LEN(mgmtdev_fields), &f, e);
	if (r < 0)
		return r;
	mgmtdev = report_append((void **)&report->mgmtdevs, &report->n_mgmtdevs, sizeof(*mgmtdev));
	if (mgmtdev == NULL)
		return error_set(e, ENOMEM, "out of memory");
	return fill_mgmtdev(mgmtdev, name, &f, e);
}

static int read_device(sd_bus_message *m, const char *name, void *userdata, struct error *e) {
	struct vdpa_report *report = userdata;
	struct reported_vdpa *device =
		report_append((void **)&report->devices, &report->n_devices, sizeof(*device));

	if (device == NULL)
		return error_set(e, ENOMEM, "out of memory");
	return vdpa_report_read_device(m, name, device, e);
}

// Both structs begin with their name.
static int compare_names(const void *a, const void *b) {
	return strcmp(a, b);
}

int vdpa_report_read_mgmtdevs(sd_bus_message *m, struct vdpa_report *report, struct error *e) {
	int r = ipc_list_read(m, read_mgmtdev, report, e);

	if (r == 0 && report->n_mgmtdevs > 0)
		qsort(report->mgmtdevs, report->n_mgmtdevs, sizeof(*report->mgmtdevs),
		      compare_names);
	return r;
}

static void count_devices(struct vdpa_report *report) {
	for (size_t i = 0; i < report->n_mgmtdevs; i++) {
		struct mgmtdev_facts *mgmtdev = &report->mgmtdevs[i];

		for (size_t k = 0; k < report->n_devices; k++)
			mgmtdev->n_devices +=
				strcmp(report->devices[k].mgmtdev, mgmtdev->name) == 0;
	}
}

int vdpa_report_read_devices(sd_bus_message *m, struct vdpa_report *report, struct error *e) {
	int r = ipc_list_read(m, read_device, report, e);

	if (r == 0 && report->n_devices > 0)
		qsort(report->devices, report->n_devices, sizeof(*report->devices), compare_names);
	if (r == 0)
		count_devices(report);
	return r;
}

int vdpa_report_read_device(
	sd_bus_message *m, const char *name, struct reported_vdpa *ret_device, struct error *e
) {
	struct reported_vdpa device;
	struct fields f = {0};
	int r;

	r = ipc_dict_read(m, device_fields, ARRAY_LEN(device_fields), &f, e);
	if (r == 0)
		r = fill_device(&device, name, &f, e);
	if (r == 0)
		*ret_device = device;
	return r;
}

void vdpa_report_done(struct vdpa_report *report) {
	free(report->devices);
	free(report->mgmtdevs);
	*report = (struct vdpa_report){0};
}

const struct reported_vdpa *vdpa_report_find(const struct vdpa_report *report, const char *name) {
	if (report->n_devices == 0)
		return NULL;
	return bsearch(
		name, report->devices, report->n_devices, sizeof(*report->devices), compare_names
	);
}

const struct mgmtdev_facts *vdpa_report_find_mgmtdev(
	const struct vdpa_report *report, const char *name
) {
	if (report->n_mgmtdevs == 0)
		return NULL;
	return bsearch(
		name, report->mgmtdevs, report->n_mgmtdevs, sizeof(*report->mgmtdevs), compare_names
	);
}
