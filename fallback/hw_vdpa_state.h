// SPDX-License-Identifier: GPL-2.0-or-later
// What hw_vdpa.c keeps, hw_vdpa_view.c shows and hw_vdpa_events.c hears of. Nobody else includes this.

#pragma once

#include "fallback/hw_vdpa.h"

struct hw_port;

struct hw_slot {
	struct hw_device device;
	bool configured;
	const struct hw_port *port; // that has it, or NULL
	bool unplug_requested;      // under the lock
};

struct hw_port {
	char name[PORT_NAME_SIZE];
	char network[NETWORK_NAME_SIZE];
	char path[SOCKET_PATH_SIZE];
	struct guest_port_spec spec; // its strings point to the two above and to the device's
	struct hw_slot *slot;
	char reason[HW_DETAIL_SIZE]; // why it has no socket
	uint32_t wait_s;             // until the next attempt to get one
	uint32_t pause_s;            // after an attempt that DPDK failed
	bool announced_connected;
	char announced_detail[HW_DETAIL_SIZE];

	// Under the lock.
	bool listening;
	bool has_peer;
	bool driver_runs;
	uint64_t connects;
};

struct hw_vdpa {
	struct hw_env env;
	sd_event_source *timer;
	gid_t socket_group;
	mode_t socket_mode;
	int changed_fd;
	size_t n_slots; // these four are changed under the lock
	struct hw_slot *slots[HW_MAX_DEVICES];
	size_t n_ports;
	struct hw_port *ports[HW_MAX_DEVICES];
};

// For what callbacks change. Never held while DPDK is called, which may call back.
void hw_vdpa_lock(void);
void hw_vdpa_unlock(void);

// NULL: to nobody any more.
void hw_vdpa_deliver_events_to(struct hw_vdpa *hw);
extern const struct hw_events hw_vdpa_events;

// The port's state is known to the other side: it is the answer to its request.
void hw_vdpa_note_announced(struct hw_port *port);
