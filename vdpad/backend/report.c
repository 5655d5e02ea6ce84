// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

// All kinds of entry read into this; strings are borrowed from the message.
struct fields {
	const char *network, *path, *detail, *uplink, *bridge, *device;
	uint32_t mtu, ageing_s, queue_pairs, vlan;
	uint64_t features, generation;
	bool link_up, connected;
};

#define FIELD(name, type, required) \
	{ #name, type, offsetof(struct fields, name), required }

static const struct ipc_field network_fields[] = {
	FIELD(mtu, 'u', true),
	FIELD(ageing_s, 'u', true),
	FIELD(uplink, 's', true),
};
static const struct ipc_field port_fields[] = {
	FIELD(network, 's', true),     FIELD(path, 's', true),       FIELD(mtu, 'u', true),
	FIELD(queue_pairs, 'u', true), FIELD(vlan, 'u', true),       FIELD(link_up, 'b', true),
	FIELD(features, 't', true),    FIELD(generation, 't', true), FIELD(connected, 'b', true),
	FIELD(detail, 's', false),     FIELD(device, 's', false),
};
static const struct ipc_field tap_fields[] = {
	FIELD(network, 's', true),
	FIELD(bridge, 's', true),
	FIELD(mtu, 'u', true),
};

void *report_append(void **list, size_t *n, size_t size) {
	char *grown;

	if (*n >= REPORT_MAX_ENTRIES)
		return NULL;
	if ((*n & (*n - 1)) == 0) { // 0 and the powers of two: double
		grown = reallocarray(*list, *n == 0 ? 1 : *n * 2, size);
		if (grown == NULL)
			return NULL;
		*list = grown;
	}
	return memset((char *)*list + (*n)++ * size, 0, size);
}

static int too_long(const char *what, const char *value, struct error *e) {
	return error_set(e, EPROTO, "%s '%.100s' is too long", what, value);
}

static int read_network(sd_bus_message *m, const char *name, void *userdata, struct error *e) {
	struct switch_report *report = userdata;
	struct fields f = {0};
	struct reported_network *network;
	int r;

	r = ipc_dict_read(m, network_fields, ARRAY_LEN(network_fields), &f, e);
	if (r < 0)
		return r;
	network = report_append((void **)&report->networks, &report->n_networks, sizeof(*network));
	if (network == NULL)
		return error_set(e, ENOMEM, "out of memory");
	if (str_copy(network->name, sizeof(network->name), name) < 0)
		return too_long("network", name, e);
	if (str_copy(network->uplink, sizeof(network->uplink), f.uplink) < 0)
		return too_long("uplink", f.uplink, e);
	network->mtu_bytes = f.mtu;
	network->ageing_s = f.ageing_s;
	return 0;
}

static int read_port(sd_bus_message *m, const char *name, void *userdata, struct error *e) {
	struct switch_report *report = userdata;
	struct fields f = {0};
	struct reported_port *port;
	int r;

	r = ipc_dict_read(m, port_fields, ARRAY_LEN(port_fields), &f, e);
	if (r < 0)
		return r;
	port = report_append((void **)&report->ports, &report->n_ports, sizeof(*port));
	if (port == NULL)
		return error_set(e, ENOMEM, "out of memory");
	if (str_copy(port->name, sizeof(port->name), name) < 0)
		return too_long("port", name, e);
	if (str_copy(port->network, sizeof(port->network), f.network) < 0)
		return too_long("network", f.network, e);
	if (str_copy(port->path, sizeof(port->path), f.path) < 0)
		return too_long("path", f.path, e);
	if (f.device != NULL && str_copy(port->device, sizeof(port->device), f.device) < 0)
		return too_long("device", f.device, e);
	if (f.detail != NULL)
		strncat(port->detail, f.detail, sizeof(port->detail) - 1);
	port->mtu_bytes = f.mtu;
	port->queue_pairs = f.queue_pairs;
	port->vlan = f.vlan;
	port->features = f.features;
	port->generation = f.generation;
	port->link_up = f.link_up;
	port->connected = f.connected;
	return 0;
}

static int read_tap(sd_bus_message *m, const char *name, void *userdata, struct error *e) {
	struct tap_report *report = userdata;
	struct fields f = {0};
	struct reported_tap *tap;
	int r;

	r = ipc_dict_read(m, tap_fields, ARRAY_LEN(tap_fields), &f, e);
	if (r < 0)
		return r;
	tap = report_append((void **)&report->list, &report->n, sizeof(*tap));
	if (tap == NULL)
		return error_set(e, ENOMEM, "out of memory");
	if (str_copy(tap->name, sizeof(tap->name), name) < 0)
		return too_long("TAP", name, e);
	if (str_copy(tap->network, sizeof(tap->network), f.network) < 0)
		return too_long("network", f.network, e);
	if (str_copy(tap->bridge, sizeof(tap->bridge), f.bridge) < 0)
		return too_long("bridge", f.bridge, e);
	tap->mtu_bytes = f.mtu;
	return 0;
}

static int compare_ports(const void *a, const void *b) {
	return strcmp(
		((const struct reported_port *)a)->name, ((const struct reported_port *)b)->name
	);
}

int switch_report_read(sd_bus_message *m, struct switch_report *ret_report, struct error *e) {
	_cleanup_(switch_report_done) struct switch_report report = {0};
	int r;

	r = ipc_list_read(m, read_network, &report, e);
	if (r == 0)
		r = ipc_list_read(m, read_port, &report, e);
	if (r < 0)
		return r;
	if (report.n_ports > 0)
		qsort(report.ports, report.n_ports, sizeof(*report.ports), compare_ports);
	*ret_report = report;
	report = (struct switch_report){0};
	return 0;
}

void switch_report_done(struct switch_report *report) {
	free(report->networks);
	free(report->ports);
	*report = (struct switch_report){0};
}

int tap_report_read(sd_bus_message *m, struct tap_report *ret_report, struct error *e) {
	_cleanup_(tap_report_done) struct tap_report report = {0};
	int r;

	r = ipc_list_read(m, read_tap, &report, e);
	if (r < 0)
		return r;
	*ret_report = report;
	report = (struct tap_report){0};
	return 0;
}

void tap_report_done(struct tap_report *report) {
	free(report->list);
	*report = (struct tap_report){0};
}

static int compare_name(const void *name, const void *port) {
	return strcmp(name, ((const struct reported_port *)port)->name);
}

const struct reported_port *switch_report_find_port(
	const struct switch_report *report, const char *name
) {
	if (report->n_ports == 0)
		return NULL;
	return bsearch(name, report->ports, report->n_ports, sizeof(*report->ports), compare_name);
}

const struct reported_network *switch_report_find_network(
	const struct switch_report *report, const char *name
) {
	for (size_t i = 0; i < report->n_networks; i++) {
		if (strcmp(report->networks[i].name, name) == 0)
			return &report->networks[i];
	}
	return NULL;
}

const struct reported_tap *tap_report_find(const struct tap_report *report, const char *name) {
	for (size_t i = 0; i < report->n; i++) {
		if (strcmp(report->list[i].name, name) == 0)
			return &report->list[i];
	}
	return NULL;
}
