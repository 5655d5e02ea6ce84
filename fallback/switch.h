// SPDX-License-Identifier: GPL-2.0-or-later
// Networks and ports as configured. Each change is published to the workers as one new table.
//
// Everything here runs in the main thread. Errors are complete sentences for people.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "fallback/counters.h"
#include "fallback/guest_port_spec.h"
#include "fallback/vhost_port.h"
#include "fallback/worker.h"
#include "vdpad/util/error.h"
#include "vdpad/util/parse.h"

#define SWITCH_MAX_PORTS 512
#define SWITCH_MAX_NETWORKS 256
#define SWITCH_MAX_MTU 9000
#define SWITCH_MIN_MTU 68
#define SWITCH_CAPABILITIES "vlan,link,network" // of ipc.h: what switch_set_port() takes
_Static_assert(
	SWITCH_MAX_PORTS + SWITCH_MAX_NETWORKS <= FORWARD_MAX_PORTS, "each network has an uplink"
);

struct switch_network_spec {
	uint32_t mtu_bytes;
	uint32_t ageing_s;
};

// A network, a port and an uplink as others see them. Strings live until the next change.
struct switch_network_view {
	const char *name;
	struct switch_network_spec spec;
	const char *uplink; // interface, "" for none
};

struct switch_port_view {
	const char *name;
	struct guest_port_spec spec;
	struct vhost_port_status status;
};

struct switch_counters_view {
	const char *name; // port, or interface of an uplink
	const char *network;
	uint64_t connects;
	struct port_counters counters;
};

struct network_switch;

// @workers and @event, which runs the ports' sessions, outlive it. 0, or -errno with a sentence.
int switch_new(
	struct workers *workers, sd_event *event, struct network_switch **ret_sw, struct error *e
);
void switch_free(struct network_switch *sw);

// Who owns new sockets and who may open them.
void switch_set_socket_owner(struct network_switch *sw, gid_t group, mode_t mode);

// -EINVAL, or -EPERM at the limit.
int switch_set_network(
	struct network_switch *sw, const char *name, const struct switch_network_spec *spec,
	struct error *e
);
// @fd is consumed in any case. -ENODEV without the network; see tap_port_new().
int switch_set_uplink(
	struct network_switch *sw, const char *network, const char *ifname, int fd, struct error *e
);
// -EBUSY while it has ports; success if there is no such network.
int switch_del_network(struct network_switch *sw, const char *name, struct error *e);

// Create or change. Only network, vlan and link_up can change, without the peer noticing: -EEXIST names
// another key that differs. What the old network has learnt of the port is forgotten.
// -ENODEV without the network; -EINVAL; -EPERM at the limit; see vhost_port_new().
int switch_set_port(
	struct network_switch *sw, const char *name, const struct guest_port_spec *spec,
	struct error *e
);
// Success if there is no such port.
int switch_del_port(struct network_switch *sw, const char *name, struct error *e);

// The @index-th of each kind; false behind the last one. Counters: ports, then uplinks.
bool switch_view_network(
	const struct network_switch *sw, size_t index, struct switch_network_view *ret_view
);
bool switch_view_port(
	const struct network_switch *sw, size_t index, struct switch_port_view *ret_view
);
bool switch_view_counters(
	const struct network_switch *sw, size_t index, struct switch_counters_view *ret_view
);

// An eventfd that is readable when ports may have changed their status, and the ports that have
// since the last call: the next one with each call, false when there is none left.
int switch_changed_fd(const struct network_switch *sw);
bool switch_next_changed_port(struct network_switch *sw, struct switch_port_view *ret_view);
