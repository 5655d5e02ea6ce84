// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/vdpa_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

struct vdpa_view {
	struct vdpa_calls *calls;
	vdpa_view_fn told;
	void *userdata;
	struct vdpa_report report;
	struct vdpa_report coming; // the half of a new one
	bool has_report;
	bool asking, again;
};

static void end(struct vdpa_view *view, const struct error *e) {
	if (e == NULL) {
		vdpa_report_done(&view->report);
		view->report = view->coming;
		view->coming = (struct vdpa_report){0};
		view->has_report = true;
	}
	vdpa_report_done(&view->coming);
	view->asking = false;
	view->told(view->userdata, e);
	if (view->again)
		vdpa_view_ask(view);
}

static void on_devices(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct vdpa_view *view = userdata;
	struct error unread;

	if (e == NULL && vdpa_report_read_devices(reply, &view->coming, &unread) < 0)
		e = &unread;
	end(view, e);
}

static void on_mgmtdevs(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct vdpa_view *view = userdata;
	struct error unread;

	if (e == NULL && vdpa_report_read_mgmtdevs(reply, &view->coming, &unread) < 0)
		e = &unread;
	if (e != NULL) {
		end(view, e);
		return;
	}
	vdpa_calls_add(view->calls, "ListVdpa", NULL, LINK_CALL_TIMEOUT_MS, on_devices, view);
}

void vdpa_view_ask(struct vdpa_view *view) {
	if (view->asking) {
		view->again = true;
		return;
	}
	view->asking = true;
	view->again = false;
	vdpa_calls_add(view->calls, "ListMgmtdevs", NULL, LINK_CALL_TIMEOUT_MS, on_mgmtdevs, view);
}

bool vdpa_view_is_asking(const struct vdpa_view *view) {
	return view->asking;
}

const struct vdpa_report *vdpa_view_report(const struct vdpa_view *view) {
	return view->has_report ? &view->report : NULL;
}

void vdpa_view_forget(struct vdpa_view *view, const char *name) {
	struct vdpa_report *report = &view->report;
	size_t i = 0;

	while (i < report->n_devices && strcmp(report->devices[i].name, name) != 0)
		i++;
	if (i == report->n_devices)
		return;
	for (size_t k = 0; k < report->n_mgmtdevs; k++) {
		struct mgmtdev_facts *mgmtdev = &report->mgmtdevs[k];

		if (strcmp(mgmtdev->name, report->devices[i].mgmtdev) == 0 &&
		    mgmtdev->n_devices > 0)
			mgmtdev->n_devices--;
	}
	report->n_devices--;
	memmove(&report->devices[i], &report->devices[i + 1],
	        (report->n_devices - i) * sizeof(*report->devices));
}

void vdpa_view_fill_facts(const struct vdpa_view *view, struct facts *facts) {
	const struct vdpa_report *report = &view->report;
	size_t n = report->n_mgmtdevs;

	if (n > ARRAY_LEN(facts->mgmtdevs))
		n = ARRAY_LEN(facts->mgmtdevs);
	facts->vdpa.asked = view->has_report;
	snprintf(
		facts->vdpa.wedged, sizeof(facts->vdpa.wedged), "%s", vdpa_calls_wedged(view->calls)
	);
	if (n > 0)
		memcpy(facts->mgmtdevs, report->mgmtdevs, n * sizeof(*report->mgmtdevs));
	facts->n_mgmtdevs = n;
}

int vdpa_view_new(
	struct vdpa_calls *calls, vdpa_view_fn told, void *userdata, struct vdpa_view **ret_view
) {
	struct vdpa_view *view = calloc(1, sizeof(*view));

	if (view == NULL)
		return -ENOMEM;
	view->calls = calls;
	view->told = told;
	view->userdata = userdata;
	*ret_view = view;
	return 0;
}

void vdpa_view_free(struct vdpa_view *view) {
	if (view == NULL)
		return;
	vdpa_report_done(&view->report);
	vdpa_report_done(&view->coming);
	free(view);
}
