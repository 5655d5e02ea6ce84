// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/vdpa_reconcile.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/model/pool.h"
#include "vdpad/util/cleanup.h"

struct context {
	const struct vdpa_wanted *wanted;
	const struct vdpa_report *report;
	struct vdpa_plan plan;
};

static struct vdpa_step *add(
	struct context *c, enum vdpa_step_kind kind, const struct port *port,
	const struct reported_vdpa *device
) {
	struct vdpa_step *step = &c->plan.steps[c->plan.n++];

	*step = (struct vdpa_step){.kind = kind, .port = port, .device = device};
	return step;
}

static const struct wanted_vdpa *find_wanted(const struct context *c, uint64_t generation) {
	for (size_t i = 0; i < c->wanted->n_ports; i++) {
		if (c->wanted->ports[i].port->generation == generation)
			return &c->wanted->ports[i];
	}
	return NULL;
}

static void plan_unknown(struct context *c) {
	for (size_t i = 0; i < c->report->n_devices; i++) {
		const struct reported_vdpa *device = &c->report->devices[i];

		if (device->generation == 0 || find_wanted(c, device->generation) != NULL)
			continue;
		if (c->wanted->may_delete)
			add(c, VDPA_DROP, NULL, device);
		else
			c->plan.n_unknown++;
	}
}

// Whether the device is what the port was promised. What the kernel does not say is taken as right.
static bool is_as_wanted(const struct port *port, const struct reported_vdpa *device) {
	const struct port_spec *spec = &port->spec;

	return (!device->has_mac || mac_addr_is_zero(&device->mac) ||
	        mac_addr_equal(&device->mac, &spec->mac)) &&
		(device->mtu_bytes == 0 || device->mtu_bytes >= spec->mtu_bytes) &&
		(device->queue_pairs == 0 || device->queue_pairs >= spec->queue_pairs) &&
		strcmp(device->mgmtdev, port->resource) == 0;
}

static void plan_present(
	struct context *c, const struct wanted_vdpa *w, const struct reported_vdpa *device
) {
	bool bound = strcmp(device->driver, VDPA_DRIVER) == 0 && device->node[0] != '\0';
	struct vdpa_step *step;

	if (!w->was_seen && !device->active && !is_as_wanted(w->port, device)) {
		step = add(c, VDPA_REPLACE, w->port, device);
		str_copy(step->resource, sizeof(step->resource), w->port->resource);
	} else if (device->parked) {
		add(c, VDPA_KEEP, w->port, device);
	} else if (!bound) { // adding what is there binds it
		step = add(c, VDPA_MAKE, w->port, device);
		str_copy(step->resource, sizeof(step->resource), device->mgmtdev);
	} else if (device->uid != c->wanted->uid) {
		add(c, VDPA_OWN, w->port, device);
	} else if (w->unsettled && w->port->function[0] != '\0') {
		add(c, VDPA_SETTLE, w->port, device);
	} else if (strcmp(w->link, device->node) != 0) {
		add(c, VDPA_LINK, w->port, device);
	} else {
		add(c, VDPA_ADOPT, w->port, device);
	}
}

static bool has_room(const struct mgmtdev_facts *mgmtdev) {
	return !mgmtdev->one_device || mgmtdev->n_devices == 0;
}

static bool is_promised(const struct context *c, const char *resource) {
	for (size_t i = 0; i < c->wanted->n_ports; i++) {
		if (strcmp(c->wanted->ports[i].port->resource, resource) == 0)
			return true;
	}
	for (size_t i = 0; i < c->plan.n; i++) {
		if (strcmp(c->plan.steps[i].resource, resource) == 0)
			return true;
	}
	return false;
}

// Another management device of the port's pool that has room; NULL.
static const struct mgmtdev_facts *find_other(const struct context *c, const struct port *port) {
	const struct pool_config *pool = NULL;

	for (size_t i = 0; i < c->wanted->n_pools; i++) {
		if (strcmp(c->wanted->pools[i].name, port->pool) == 0)
			pool = &c->wanted->pools[i];
	}
	if (pool == NULL || pool->kind != POOL_MGMTDEVS)
		return NULL;
	for (size_t i = 0; i < c->report->n_mgmtdevs; i++) {
		const struct mgmtdev_facts *mgmtdev = &c->report->mgmtdevs[i];

		if (pool_has_mgmtdev(pool, mgmtdev) && has_room(mgmtdev) &&
		    (!mgmtdev->one_device || !is_promised(c, mgmtdev->name)))
			return mgmtdev;
	}
	return NULL;
}

static void plan_absent(struct context *c, const struct wanted_vdpa *w) {
	const struct port *port = w->port;
	const struct mgmtdev_facts *mgmtdev = vdpa_report_find_mgmtdev(c->report, port->resource);
	const struct mgmtdev_facts *other;
	struct vdpa_step *step;

	if (w->n_missed + 1 < VDPA_ABSENT_AFTER) {
		add(c, VDPA_MISSED, port, NULL);
		return;
	}
	// A function is made again with its management device.
	if (port->function[0] != '\0' || (mgmtdev != NULL && has_room(mgmtdev))) {
		step = add(c, VDPA_MAKE, port, NULL);
		str_copy(step->resource, sizeof(step->resource), port->resource);
		return;
	}
	// A VM that had the device does not get another one by it: the port stays where it is.
	other = w->was_seen ? NULL : find_other(c, port);
	if (other != NULL) {
		step = add(c, VDPA_MAKE, port, NULL);
		str_copy(step->resource, sizeof(step->resource), other->name);
		return;
	}
	step = add(c, VDPA_DEGRADE, port, NULL);
	if (mgmtdev == NULL)
		snprintf(
			step->reason, sizeof(step->reason),
			"its device is gone with management device %s: was the NIC removed, or its "
			"driver unloaded? The port returns with it",
			port->resource
		);
	else
		snprintf(
			step->reason, sizeof(step->reason),
			"its device is gone, and another one has taken %s, which has room for no "
			"more",
			port->resource
		);
}

static void plan_wanted(struct context *c) {
	char name[VDPA_DEVICE_NAME_SIZE];

	for (size_t i = 0; i < c->wanted->n_ports; i++) {
		const struct wanted_vdpa *w = &c->wanted->ports[i];
		const struct reported_vdpa *device;

		if (w->busy)
			continue;
		vdpa_device_name(w->port->generation, name);
		device = vdpa_report_find(c->report, name);
		if (w->deleting)
			add(c, VDPA_DELETE, w->port, device);
		else if (device != NULL)
			plan_present(c, w, device);
		else
			plan_absent(c, w);
	}
}

int vdpa_reconcile(
	const struct vdpa_wanted *wanted, const struct vdpa_report *report,
	struct vdpa_plan *ret_plan
) {
	struct context c = {.wanted = wanted, .report = report};
	size_t n_max = wanted->n_ports + report->n_devices;

	if (n_max > 0) {
		c.plan.steps = calloc(n_max, sizeof(*c.plan.steps));
		if (c.plan.steps == NULL)
			return -ENOMEM;
	}
	plan_unknown(&c);
	plan_wanted(&c);
	assert(c.plan.n <= n_max);
	*ret_plan = c.plan;
	return 0;
}

void vdpa_plan_done(struct vdpa_plan *plan) {
	free(plan->steps);
	*plan = (struct vdpa_plan){0};
}
