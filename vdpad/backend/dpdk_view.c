// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/dpdk_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/model/pool.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

struct dpdk_view {
	struct hub *hub;
	bool asking;
	struct dpdk_vdpa_facts list[FACTS_MAX_DPDK_VDPA];
	size_t n;
};

struct fields {
	const char *driver, *in_use_by, *reason;
	uint32_t max_queue_pairs;
	uint64_t features;
};

static int read_device(sd_bus_message *m, const char *pci, void *userdata, struct error *e) {
	static const struct ipc_field known[] = {
		{"driver", 's', offsetof(struct fields, driver), true},
		{"max_queue_pairs", 'u', offsetof(struct fields, max_queue_pairs), true},
		{"features", 't', offsetof(struct fields, features), true},
		{"in_use_by", 's', offsetof(struct fields, in_use_by), true},
		{"reason", 's', offsetof(struct fields, reason), false},
	};
	struct dpdk_vdpa_facts device = {0};
	struct dpdk_view *view = userdata;
	struct fields f = {0};
	int r;

	if (view->n == FACTS_MAX_DPDK_VDPA)
		return error_set(e, EPROTO, "more than %d devices", FACTS_MAX_DPDK_VDPA);
	r = ipc_dict_read(m, known, ARRAY_LEN(known), &f, e);
	if (r < 0)
		return r;
	if (str_copy(device.pci, sizeof(device.pci), pci) < 0)
		return error_set(e, EPROTO, "'%.100s' is no PCI address", pci);
	snprintf(device.driver, sizeof(device.driver), "%s", f.driver);
	if (f.reason != NULL)
		snprintf(device.reason, sizeof(device.reason), "%s", f.reason);
	device.max_queue_pairs = f.max_queue_pairs;
	device.features = f.features;
	device.in_use = f.in_use_by[0] != '\0';
	view->list[view->n++] = device;
	return 0;
}

static void on_list(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct dpdk_view *view = userdata;
	struct error unread;

	view->asking = false;
	view->n = 0;
	if (e == NULL && ipc_list_read(reply, read_device, view, &unread) < 0)
		e = &unread;
	if (e == NULL)
		return;
	view->n = 0;
	if (e->code != EHOSTDOWN)
		log_warn("vdpad-switch does not say which vDPA devices it can drive: %s", e->text);
}

void dpdk_view_configured(const struct config *config, char *text, size_t size) {
	char device[PCI_ADDRESS_SIZE];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < config->n_pools; i++) {
		const char *rest = config->pools[i].members;

		if (config->pools[i].kind != POOL_DPDK)
			continue;
		while (len < size && pool_next_word(&rest, device, sizeof(device)))
			len += (size_t
			)snprintf(text + len, size - len, "%s%s", len > 0 ? "," : "", device);
	}
}

void dpdk_view_ask(struct dpdk_view *view, const struct config *config) {
	char devices[PCI_ADDRESS_SIZE];

	dpdk_view_configured(config, devices, sizeof(devices));
	if (view->asking || devices[0] == '\0')
		return;
	view->asking = true;
	hub_call(
		view->hub, WORKER_SWITCH, hub_message(view->hub, WORKER_SWITCH, "ListHwVdpa"), 0,
		on_list, view
	);
}

void dpdk_view_forget_user(struct dpdk_view *view, const char *pci) {
	for (size_t i = 0; i < view->n; i++) {
		if (strcmp(view->list[i].pci, pci) == 0)
			view->list[i].in_use = false;
	}
}

void dpdk_view_lost(struct dpdk_view *view) {
	view->n = 0;
}

void dpdk_view_fill_facts(const struct dpdk_view *view, struct facts *facts) {
	memcpy(facts->dpdk_vdpa, view->list, sizeof(facts->dpdk_vdpa));
	facts->n_dpdk_vdpa = view->n;
}

int dpdk_view_new(struct hub *hub, struct dpdk_view **ret_view) {
	struct dpdk_view *view = calloc(1, sizeof(*view));

	if (view == NULL)
		return -ENOMEM;
	view->hub = hub;
	*ret_view = view;
	return 0;
}

void dpdk_view_free(struct dpdk_view *view) {
	free(view);
}
