// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/hardware.h"

#include <string.h>

#include "vdpad/daemon.h"
#include "vdpad/model/pool.h"
#include "vdpad/util/ipc.h"

#define DEVICES_SIZE (FACTS_MAX_DPDK_VDPA * PCI_ADDRESS_SIZE)

int hardware_init(struct daemon *d) {
	int r = vdpa_calls_new(d->hub, &d->vdpa_calls);

	if (r == 0)
		r = vdpa_view_new(d->vdpa_calls, vdpa_restore_told, d, &d->vdpa_view);
	if (r == 0)
		r = backend_vdpa_new(d, &d->vdpa);
	if (r == 0)
		r = vdpa_stats_new(d->vdpa_calls, &d->vdpa_stats);
	if (r == 0)
		r = dpdk_view_new(d->hub, &d->dpdk_view);
	if (r == 0)
		r = backend_dpdk_new(d->fallback, &d->dpdk);
	return r < 0 ? r : vdpa_restore_init(d);
}

void hardware_done(struct daemon *d) {
	vdpa_restore_done(d);
	backend_dpdk_free(d->dpdk);
	dpdk_view_free(d->dpdk_view);
	vdpa_stats_free(d->vdpa_stats);
	backend_vdpa_free(d->vdpa);
	vdpa_view_free(d->vdpa_view);
	vdpa_calls_free(d->vdpa_calls);
}

void hardware_worker_ready(struct daemon *d, enum worker worker) {
	if (worker == WORKER_SWITCH) {
		dpdk_view_ask(d->dpdk_view, d->config);
		return;
	}
	vdpa_functions_look(d);
	vdpa_restore_look(d);
}

void hardware_worker_lost(struct daemon *d, enum worker worker) {
	if (worker == WORKER_SWITCH)
		dpdk_view_lost(d->dpdk_view);
	else
		vdpa_restore_lost(d); // devices are the kernel's and stay
}

void hardware_reload(struct daemon *d) {
	dpdk_view_ask(d->dpdk_view, d->config);
	vdpa_functions_look(d);
	vdpa_restore_look(d);
}

int hardware_settings(const struct daemon *d, sd_bus_message *reply) {
	char devices[DEVICES_SIZE];

	dpdk_view_configured(d->config, devices, sizeof(devices));
	return devices[0] != '\0' ? ipc_dict_add_s(reply, "devices", devices) : 0;
}

// A management device is also used by a port whose device is not there, or not yet.
static void count_vdpa_lease(struct daemon *d, const struct port *port) {
	const struct vdpa_report *report = vdpa_view_report(d->vdpa_view);
	char name[VDPA_DEVICE_NAME_SIZE];

	vdpa_device_name(port->generation, name);
	if (report == NULL || vdpa_report_find(report, name) != NULL)
		return;
	for (size_t i = 0; i < d->facts.n_mgmtdevs; i++)
		d->facts.mgmtdevs[i].n_devices +=
			strcmp(d->facts.mgmtdevs[i].name, port->resource) == 0;
}

static void count_dpdk_lease(struct daemon *d, const struct port *port) {
	for (size_t i = 0; i < d->facts.n_dpdk_vdpa; i++) {
		if (strcmp(d->facts.dpdk_vdpa[i].pci, port->resource) == 0)
			d->facts.dpdk_vdpa[i].in_use = true;
	}
}

void hardware_fill_facts(struct daemon *d) {
	vdpa_view_fill_facts(d->vdpa_view, &d->facts);
	dpdk_view_fill_facts(d->dpdk_view, &d->facts);
	pools_collect(daemon_facts_root(d), d->config, &d->facts);
	for (size_t i = 0; i < d->ports.n; i++) {
		const struct port *port = &d->ports.list[i]->port;

		pools_count_port(&d->facts, port->pool);
		if (port->backend == BACKEND_VDPA)
			count_vdpa_lease(d, port);
		else if (port->backend == BACKEND_DPDK_VDPA)
			count_dpdk_lease(d, port);
	}
}
