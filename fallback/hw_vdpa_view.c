// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/hw_vdpa.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fallback/hw_vdpa_state.h"

#define RINGS_PER_PAIR 2

static void view_port(const struct hw_port *port, struct hw_port_view *ret_view) {
	bool listening, has_peer;

	ret_view->name = port->name;
	ret_view->spec = port->spec;
	hw_vdpa_lock();
	listening = port->listening;
	has_peer = port->has_peer;
	ret_view->connected = port->driver_runs;
	ret_view->connects = port->connects;
	hw_vdpa_unlock();
	if (!listening)
		snprintf(ret_view->detail, HW_DETAIL_SIZE, "%s", port->reason);
	else if (ret_view->connected)
		snprintf(
			ret_view->detail, HW_DETAIL_SIZE, "the guest's driver runs on %s",
			port->spec.device
		);
	else
		snprintf(
			ret_view->detail, HW_DETAIL_SIZE, "%s",
			has_peer ? "peer connected, guest driver not ready" : "no VM is attached"
		);
}

bool hw_vdpa_view_port(const struct hw_vdpa *hw, size_t index, struct hw_port_view *ret_view) {
	if (index >= hw->n_ports)
		return false;
	view_port(hw->ports[index], ret_view);
	return true;
}

void hw_vdpa_read_counters(
	const struct hw_vdpa *hw, size_t index, hw_counter_fn each, void *userdata
) {
	const struct hw_port *port = hw->ports[index];

	hw_device_read_counters(
		&hw->env, &port->slot->device, (uint16_t)(port->spec.queue_pairs * RINGS_PER_PAIR),
		each, userdata
	);
}

static struct hw_slot *nth_configured(struct hw_vdpa *hw, size_t n) {
	for (size_t i = 0; i < hw->n_slots; i++) {
		if (hw->slots[i]->configured && n-- == 0)
			return hw->slots[i];
	}
	return NULL;
}

// Why nobody could have the device now; also learns what it is.
static void examine(struct hw_vdpa *hw, struct hw_device *device, char reason[HW_DETAIL_SIZE]) {
	struct error e = {0};
	int r = hw_device_check(&hw->env, device, &e);

	if (r >= 0 && device->limits.queue_pairs == 0) {
		r = hw_device_attach(&hw->env, device, &e);
		hw_device_detach(&hw->env, device);
	}
	if (r < 0)
		snprintf(reason, HW_DETAIL_SIZE, "%.*s", HW_DETAIL_SIZE - 1, e.text);
}

bool hw_vdpa_view_device(struct hw_vdpa *hw, size_t index, struct hw_device_view *ret_view) {
	struct hw_slot *slot = nth_configured(hw, index);

	if (slot == NULL)
		return false;
	ret_view->reason[0] = '\0';
	if (slot->port == NULL)
		examine(hw, &slot->device, ret_view->reason);
	else
		snprintf(ret_view->reason, HW_DETAIL_SIZE, "%s", slot->port->reason);
	ret_view->address = slot->device.address;
	// Known, perhaps, but not at work.
	ret_view->driver =
		slot->port == NULL && ret_view->reason[0] != '\0' ? "" : slot->device.driver;
	ret_view->limits = slot->device.limits;
	ret_view->in_use_by = slot->port == NULL ? "" : slot->port->name;
	return true;
}

int hw_vdpa_changed_fd(const struct hw_vdpa *hw) {
	return hw->changed_fd;
}

static void note(struct hw_port *port, const struct hw_port_view *view) {
	port->announced_connected = view->connected;
	snprintf(port->announced_detail, HW_DETAIL_SIZE, "%s", view->detail);
}

void hw_vdpa_note_announced(struct hw_port *port) {
	struct hw_port_view view;

	view_port(port, &view);
	note(port, &view);
}

bool hw_vdpa_next_changed_port(struct hw_vdpa *hw, struct hw_port_view *ret_view) {
	eventfd_t ignored;

	eventfd_read(hw->changed_fd, &ignored); // before looking, so that no change is missed
	for (size_t i = 0; i < hw->n_ports; i++) {
		struct hw_port *port = hw->ports[i];

		view_port(port, ret_view);
		if (ret_view->connected == port->announced_connected &&
		    strcmp(ret_view->detail, port->announced_detail) == 0)
			continue;
		note(port, ret_view);
		return true;
	}
	return false;
}
