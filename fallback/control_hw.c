// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/control_hw.h"

#include <stdio.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

#define COUNTER_KEY_SIZE 96

static int append_port(sd_bus_message *m, const struct hw_port_view *view) {
	ipc_entry_open(m, view->name);
	guest_port_spec_append(m, &view->spec);
	ipc_dict_add_b(m, "connected", view->connected);
	ipc_dict_add_s(m, "detail", view->detail);
	return ipc_entry_close(m);
}

int control_hw_append_ports(sd_bus_message *m, const struct hw_vdpa *hw) {
	struct hw_port_view view;
	int r = 0;

	for (size_t i = 0; r >= 0 && hw_vdpa_view_port(hw, i, &view); i++)
		r = append_port(m, &view);
	return r;
}

static void append_counter(void *userdata, const char *name, uint64_t value) {
	char key[COUNTER_KEY_SIZE];

	snprintf(key, sizeof(key), "hw_%s", name);
	ipc_dict_add_t(userdata, key, value);
}

int control_hw_append_stats(sd_bus_message *m, const struct hw_vdpa *hw) {
	struct hw_port_view view;
	int r = 0;

	for (size_t i = 0; r >= 0 && hw_vdpa_view_port(hw, i, &view); i++) {
		ipc_entry_open(m, view.name);
		ipc_dict_add_s(m, "network", view.spec.network);
		ipc_dict_add_t(m, "connects", view.connects);
		hw_vdpa_read_counters(hw, i, append_counter, m);
		r = ipc_entry_close(m);
	}
	return r;
}

static int append_device(sd_bus_message *m, const struct hw_device_view *view) {
	ipc_entry_open(m, view->address);
	ipc_dict_add_s(m, "driver", view->driver);
	ipc_dict_add_u(m, "max_queue_pairs", view->limits.queue_pairs);
	ipc_dict_add_t(m, "features", view->limits.features);
	ipc_dict_add_s(m, "in_use_by", view->in_use_by);
	ipc_dict_add_s(m, "reason", view->reason);
	return ipc_entry_close(m);
}

int control_hw_list(sd_bus_message *m, struct hw_vdpa *hw) {
	_cleanup_message_ sd_bus_message *answer = NULL;
	struct hw_device_view view;
	int r;

	r = sd_bus_message_new_method_return(m, &answer);
	if (r >= 0)
		r = sd_bus_message_open_container(answer, 'a', "{sa{sv}}");
	for (size_t i = 0; r >= 0 && hw_vdpa_view_device(hw, i, &view); i++)
		r = append_device(answer, &view);
	if (r >= 0)
		r = sd_bus_message_close_container(answer);
	return r < 0 ? r : sd_bus_message_send(answer);
}
