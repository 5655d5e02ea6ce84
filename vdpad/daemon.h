// SPDX-License-Identifier: GPL-2.0-or-later
// struct daemon owns everything that vdpad has. Its parts (provision, restore, bus_api) take it whole.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#include "vdpad/backend/backend_external.h"
#include "vdpad/backend/backend_switch.h"
#include "vdpad/backend/restore.h"
#include "vdpad/config/config.h"
#include "vdpad/config/config_node.h"
#include "vdpad/hardware.h"
#include "vdpad/hub.h"
#include "vdpad/model/facts.h"
#include "vdpad/model/network.h"
#include "vdpad/port_set.h"
#include "vdpad/store/store.h"
#include "vdpad/util/error.h"

struct bus_api;
struct requests;

struct daemon_options {
	const char *config_path;
	const char *cluster_path;
	const char *run_dir;
	const char *state_dir;
	const char *facts_root; // below which the node is looked at; NULL for the real one
};

struct daemon {
	struct daemon_options options;
	uint64_t start_ms;
	sd_id128_t machine_id;
	int lock_fd;
	sd_event *event;
	struct config *config;
	struct config_warnings warnings; // as of the last look, at start, reload or a new switch
	struct facts facts;
	uint64_t facts_ms; // when they were collected
	struct networks networks;
	bool networks_stale; // the last attempt to resolve them failed, which was logged
	struct store *store;
	struct port_set ports;
	uint64_t n_acts; // on ports, begun or ended so far
	struct bus_api *api;
	struct requests *requests;
	struct backend_switch *fallback;
	struct external *external;
	struct hub *hub;
	struct restore restore;
	struct vdpa_calls *vdpa_calls;
	struct vdpa_view *vdpa_view;
	struct backend_vdpa *vdpa;
	struct vdpa_restore vdpa_restore;
	bool functions_due; // vdpa_functions_run()
	struct vdpa_stats *vdpa_stats;
	struct dpdk_view *dpdk_view;
	struct backend_dpdk *dpdk;
	sd_event_source *timer;
};

// Take the lock, read configuration and state, join the bus, listen for the workers.
// Returns 0 and a daemon owned by the caller, or -errno with a sentence.
int daemon_new(const struct daemon_options *options, struct daemon **ret_daemon, struct error *e);

// Serve until SIGTERM or SIGINT. Returns 0, or a positive exit status when the bus was lost.
int daemon_run(struct daemon *d);

// Nothing on the switch, no TAP and no port is taken away.
void daemon_free(struct daemon *d);

// Read the configuration again. On failure the old one stays.
int daemon_reload(struct daemon *d, struct error *e);

// Below which /sys and /proc are read: "" for the real ones.
const char *daemon_facts_root(const struct daemon *d);

// The node as seen now: collected again if the last time is more than @max_age_ms ago.
const struct facts *daemon_facts(struct daemon *d, uint64_t max_age_ms);

// A network as configured and seen now, after another look at the node if it is not known; NULL.
const struct network *daemon_find_network(struct daemon *d, const char *name);

// The same, or as a port that uses it last saw it. Returns 0 or -ENOENT.
int daemon_network_of_port(struct daemon *d, const char *name, struct network *ret_network);

// NULL when this build has no such backend.
struct backend *daemon_backend(struct daemon *d, enum backend_kind kind);

// Whether ports of this backend that are degraded may be served in a moment.
bool daemon_is_restoring(const struct daemon *d, enum backend_kind kind);

// The worker that ports of this backend need.
enum worker daemon_worker(enum backend_kind kind);

// The port's state, reason or specification changed: tell the bus.
void daemon_port_changed(struct daemon *d, const struct managed_port *port);
