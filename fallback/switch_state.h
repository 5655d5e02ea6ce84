// SPDX-License-Identifier: GPL-2.0-or-later
// What switch.c keeps and switch_view.c shows. Nobody else includes this.

#pragma once

#include "fallback/switch.h"

#include "fallback/socket_path.h"

// What a port and an uplink have in common: a place in the table.
struct attachment {
	uint16_t id;
	uint16_t worker;
	struct switch_port *io; // owned
};

struct network {
	char name[NETWORK_NAME_SIZE];
	struct switch_network_spec spec;
	struct fdb *fdb;
	char uplink_name[NETWORK_NAME_SIZE]; // "": none
	struct attachment uplink;
};

struct port {
	char name[PORT_NAME_SIZE];
	char path[SOCKET_PATH_SIZE];
	struct network *network;
	struct guest_port_spec spec; // its strings point to the two above
	struct attachment guest;
	struct vhost_port_status announced;
};

struct network_switch {
	struct workers *workers;
	sd_event *event;          // borrowed
	struct notifier notifier; // of the main thread
	gid_t socket_group;
	mode_t socket_mode;
	int changed_fd;
	size_t n_networks;
	struct network *networks[SWITCH_MAX_NETWORKS];
	size_t n_ports;
	struct port *ports[SWITCH_MAX_PORTS];
	bool id_used[FORWARD_MAX_PORTS];
	uint32_t n_polled[WORKERS_MAX]; // ports of each worker
};
