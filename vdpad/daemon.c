// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "vdpad/bus/bus_api.h"
#include "vdpad/daemon_state.h"
#include "vdpad/lock.h"
#include "vdpad/model/capability.h"
#include "vdpad/request.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define CARE_INTERVAL_MS 2000 // how often to look at the bridges, and whether restoring is needed

// The node

const char *daemon_facts_root(const struct daemon *d) {
	return d->options.facts_root != NULL ? d->options.facts_root : "";
}

static void collect(struct daemon *d) {
	facts_collect(daemon_facts_root(d), &d->facts);
	d->facts_ms = clock_now_ms();
}

static void log_availability(const struct networks *old, const struct networks *now) {
	for (size_t i = 0; i < now->n; i++) {
		const struct network *network = &now->list[i];
		const struct network *before = networks_find(old, network->name);
		struct log_subject subject = {.network = network->name};
		struct error e;

		if (network_check(network, &e) < 0) {
			if (before == NULL || !before->bridge_is_missing)
				log_about(
					LOG_WARNING, &subject, "%s; it takes no new ports", e.text
				);
		} else if (before != NULL && before->bridge_is_missing) {
			log_about(LOG_INFO, &subject, "network '%s' is available", network->name);
		}
	}
}

// Networks of the configuration and the facts of now; on failure the old ones stay.
static int resolve_networks(
	struct daemon *d, const struct config *config, bool *ret_changed, struct error *e
) {
	struct networks networks;
	int r = networks_resolve(config, &d->facts, &networks, e);

	if (r < 0)
		return r;
	log_availability(&d->networks, &networks);
	*ret_changed = !networks_equal(&d->networks, &networks);
	networks_done(&d->networks);
	d->networks = networks;
	return 0;
}

static void look_at_node(struct daemon *d) {
	bool changed;
	struct error e;

	collect(d);
	if (resolve_networks(d, d->config, &changed, &e) == 0) {
		d->networks_stale = false;
		if (changed)
			restore_start(d); // uplinks may have to move
	} else if (!d->networks_stale) {
		log_warn("%s; the networks stay as they were", e.text);
		d->networks_stale = true;
	}
}

static uint32_t count_ports(const struct daemon *d, enum backend_kind kind) {
	uint32_t n = 0;

	for (size_t i = 0; i < d->ports.n; i++)
		n += d->ports.list[i]->port.backend == kind;
	return n;
}

const struct facts *daemon_facts(struct daemon *d, uint64_t max_age_ms) {
	const struct worker_info *fallback = hub_info(d->hub, WORKER_SWITCH);

	if (clock_now_ms() - d->facts_ms > max_age_ms || max_age_ms == 0)
		look_at_node(d);
	d->facts.fallback.connected = fallback->ready;
	d->facts.fallback.max_queue_pairs = fallback->max_queue_pairs;
	d->facts.fallback.max_mtu_bytes = fallback->max_mtu_bytes;
	d->facts.fallback.max_ports = fallback->max_ports;
	d->facts.fallback.hugepages = fallback->hugepages;
	d->facts.fallback.n_workers = fallback->n_workers;
	capability_format(fallback->capabilities, d->facts.fallback.capabilities);
	external_describe(d, &d->facts);
	d->facts.fallback.n_ports = count_ports(d, BACKEND_SWITCH);
	d->facts.netlink_connected = hub_is_ready(d->hub, WORKER_NETLINK);
	hardware_fill_facts(d);
	return &d->facts;
}

const struct network *daemon_find_network(struct daemon *d, const char *name) {
	const struct network *network = networks_find(&d->networks, name);

	if (network != NULL)
		return network;
	daemon_facts(d, 0); // its bridge may be new
	return networks_find(&d->networks, name);
}

int daemon_network_of_port(struct daemon *d, const char *name, struct network *ret_network) {
	const struct network *network = networks_find(&d->networks, name);

	if ((network == NULL || network->bridge_is_missing) &&
	    store_find_network(d->store, name, ret_network, NULL) == 0)
		return 0; // with the MTU that the bridge had
	if (network == NULL)
		return -ENOENT;
	*ret_network = *network;
	return 0;
}

struct backend *daemon_backend(struct daemon *d, enum backend_kind kind) {
	switch (kind) {
	case BACKEND_VDPA:
		return backend_vdpa_base(d->vdpa);
	case BACKEND_SWITCH:
		return backend_switch_base(d->fallback);
	case BACKEND_DPDK_VDPA:
		return backend_dpdk_base(d->dpdk);
	case BACKEND_EXTERNAL:
		return external_base(d->external);
	case BACKEND_NONE:
		break;
	}
	return NULL;
}

enum worker daemon_worker(enum backend_kind kind) {
	return kind == BACKEND_VDPA ? WORKER_NETLINK : WORKER_SWITCH;
}

bool daemon_is_restoring(const struct daemon *d, enum backend_kind kind) {
	return kind == BACKEND_VDPA ? vdpa_view_is_asking(d->vdpa_view) : d->restore.running;
}

void daemon_port_changed(struct daemon *d, const struct managed_port *port) {
	bus_api_port_changed(d->api, port);
	requests_wake(d->requests);
}

// What the switch does without is settled when it starts, so that is when to look again.
static void check_config(struct daemon *d) {
	struct config_warnings before = d->warnings;

	config_check_node(d->config, daemon_facts_root(d), &d->warnings);
	for (size_t i = 0; i < d->warnings.n; i++) {
		if (i >= before.n || strcmp(before.list[i], d->warnings.list[i]) != 0)
			log_warn("%s", d->warnings.list[i]);
	}
}

static void warn_of_vanished_networks(const struct daemon *d) {
	for (size_t i = 0; i < d->ports.n; i++) {
		const struct port_spec *spec = &d->ports.list[i]->port.spec;
		struct log_subject subject = {.port = spec->name, .network = spec->network};

		if (networks_find(&d->networks, spec->network) == NULL)
			log_about(
				LOG_WARNING, &subject,
				"port '%s' is served on, but its network '%s' is not configured "
				"any "
				"more: it takes no new ports",
				spec->name, spec->network
			);
	}
}

int daemon_reload(struct daemon *d, struct error *e) {
	struct config *config;
	bool changed;
	int r;

	r = config_load(d->options.config_path, d->options.cluster_path, &config, e);
	if (r == 0) {
		collect(d);
		r = resolve_networks(d, config, &changed, e);
		if (r < 0)
			config_free(config);
	}
	if (r < 0) {
		log_err("the configuration was not read again, the old one stays: %s", e->text);
		return r;
	}
	config_free(d->config);
	d->config = config;
	d->networks_stale = false;
	log_info("the configuration was read again: %zu networks", d->networks.n);
	check_config(d);
	warn_of_vanished_networks(d);
	external_configure(d->external);
	restore_start(d);
	hardware_reload(d);
	return 0;
}

// The workers

static void notify_status(const struct daemon *d) {
	sd_notifyf(
		0, "STATUS=%zu ports; vdpad-switch %s, vdpad-netlink %s", d->ports.n,
		hub_is_ready(d->hub, WORKER_SWITCH) ? "ready" : "not there",
		hub_is_ready(d->hub, WORKER_NETLINK) ? "ready" : "not there"
	);
}

static int on_settings(void *userdata, enum worker worker, sd_bus_message *reply) {
	const struct daemon *d = userdata;
	const struct config *config = d->config;

	if (worker != WORKER_SWITCH)
		return 0;
	ipc_dict_add_s(reply, "cpus", config->fallback.cpus);
	ipc_dict_add_u(reply, "memory_mb", config->fallback.memory_mb);
	ipc_dict_add_s(reply, "socket_group", config->fallback.socket_group);
	ipc_dict_add_u(reply, "socket_mode", config->fallback.socket_mode);
	return hardware_settings(d, reply);
}

static void on_ready(void *userdata, enum worker worker) {
	struct daemon *d = userdata;
	const struct worker_info *info = hub_info(d->hub, worker);

	log_info("%s %s, process %u, is ready", worker_name(worker), info->version, info->pid);
	notify_status(d);
	if (worker == WORKER_SWITCH)
		check_config(d);
	restore_start(d);
	hardware_worker_ready(d, worker);
	requests_wake(d->requests);
}

static void on_lost(void *userdata, enum worker worker) {
	struct daemon *d = userdata;

	log_warn(
		"%s is lost%s", worker_name(worker),
		worker == WORKER_SWITCH ? ": its ports are degraded until it is back" : ""
	);
	notify_status(d);
	hardware_worker_lost(d, worker);
	if (worker != WORKER_SWITCH)
		return;
	backend_switch_lost(d->fallback);
	for (size_t i = 0; i < d->ports.n; i++) {
		struct managed_port *port = d->ports.list[i];

		if (daemon_worker(port->port.backend) != WORKER_SWITCH)
			continue;
		port->connected = false;
		port->detail[0] = '\0';
		if (port->act != PORT_IDLE || port->port.state == PORT_DELETING)
			continue;
		port_enter(
			port, PORT_DEGRADED,
			"vdpad-switch is not running; the port comes back with it"
		);
		daemon_port_changed(d, port);
	}
}

static void on_port_changed(
	void *userdata, const char *name, uint64_t generation, bool connected, const char *detail
) {
	struct daemon *d = userdata;
	struct managed_port *port = port_set_find(&d->ports, name);
	struct log_subject subject = {.port = name, .reason = detail};

	if (port == NULL || port->port.generation != generation)
		return; // about a port that is gone
	if (port->connected != connected)
		log_about(
			LOG_INFO, &subject, "port '%s': VM %s%s%s", name,
			connected ? "connected" : "disconnected", detail[0] != '\0' ? ": " : "",
			detail
		);
	if (port_report(port, connected, detail))
		daemon_port_changed(d, port);
}

static void on_vdpa_changed(void *userdata) {
	vdpa_restore_look(userdata);
}

static const struct hub_handlers hub_handlers = {
	.settings = on_settings,
	.ready = on_ready,
	.lost = on_lost,
	.port_changed = on_port_changed,
	.vdpa_changed = on_vdpa_changed,
};

// Events

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
	struct daemon *d = userdata;
	int r;

	daemon_facts(d, CARE_INTERVAL_MS / 2); // bridges come and go
	if (restore_is_needed(d))
		restore_start(d);
	r = sd_event_source_set_time(source, usec + CARE_INTERVAL_MS * UINT64_C(1000));
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_sighup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
	struct error e;

	(void)source;
	(void)info;
	sd_notify(0, "RELOADING=1");
	daemon_reload(userdata, &e); // which logs
	sd_notify(0, "READY=1");
	return 0;
}

static int add_events(struct daemon *d) {
	sigset_t signals;
	uint64_t now_us;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->event, NULL, SIGHUP, on_sighup, d);
	if (r >= 0)
		r = sd_event_now(d->event, CLOCK_MONOTONIC, &now_us);
	if (r >= 0)
		r = sd_event_add_time(
			d->event, &d->timer, CLOCK_MONOTONIC, now_us + CARE_INTERVAL_MS * 1000, 0,
			on_timer, d
		);
	return r < 0 ? r : sd_event_set_watchdog(d->event, true);
}

// Start and end

// Its owner in a packaged system is vdpad-switch, and then it is there already.
static int make_port_dir(const struct daemon *d, struct error *e) {
	char path[PORT_PATH_SIZE];
	int n = snprintf(path, sizeof(path), "%s/%s", d->options.run_dir, IPC_PORT_DIR);

	if (n + (int)sizeof("/.sock") + PORT_NAME_SIZE > PORT_PATH_SIZE)
		return error_set(
			e, ENAMETOOLONG,
			"the run directory %s is too long a path for sockets below it",
			d->options.run_dir
		);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(e, errno, "cannot make %s: %m", path);
	return 0;
}

static void find_machine_id(struct daemon *d) {
	int r = sd_id128_get_machine(&d->machine_id);

	if (r < 0)
		log_warn(
			"the node has no machine id (%s): MAC addresses are made from names only",
			strerror(-r)
		);
}

static int start(struct daemon *d, struct error *e) {
	bool changed;
	int r;

	r = lock_take(d->options.run_dir, &d->lock_fd, e);
	if (r < 0)
		return r;
	r = config_load(d->options.config_path, d->options.cluster_path, &d->config, e);
	if (r < 0)
		return r;
	check_config(d);
	find_machine_id(d);
	collect(d);
	r = resolve_networks(d, d->config, &changed, e);
	if (r < 0)
		return r;
	r = make_port_dir(d, e);
	if (r < 0)
		return r;
	r = daemon_open_state(d, e);
	if (r < 0)
		return r;
	r = sd_event_new(&d->event);
	if (r >= 0)
		r = add_events(d);
	if (r < 0)
		return error_set(e, -r, "cannot make the event loop: %s", strerror(-r));
	r = requests_new(d, &d->requests);
	if (r < 0)
		return error_set(e, -r, "cannot wait for workers: %s", strerror(-r));
	r = bus_api_new(d, &d->api, e);
	if (r < 0)
		return r;
	r = hub_new(d->event, d->options.run_dir, &hub_handlers, d, &d->hub, e);
	if (r < 0)
		return r;
	if (backend_switch_new(d->hub, &d->fallback) < 0 || hardware_init(d) < 0)
		return error_set(e, ENOMEM, "out of memory");
	r = external_new(d, &d->external);
	if (r < 0)
		return error_set(e, -r, "cannot watch sockets: %s", strerror(-r));
	return bus_api_take_name(d->api, e);
}

int daemon_new(const struct daemon_options *options, struct daemon **ret_daemon, struct error *e) {
	struct daemon *d = calloc(1, sizeof(*d));
	int r;

	if (d == NULL)
		return error_set(e, ENOMEM, "out of memory");
	d->options = *options;
	d->start_ms = clock_now_ms();
	d->lock_fd = -EBADF;
	r = start(d, e);
	if (r < 0) {
		daemon_free(d);
		return r;
	}
	*ret_daemon = d;
	return 0;
}

int daemon_run(struct daemon *d) {
	int r;

	log_info("vdpad " VDPAD_VERSION " serves %zu ports", d->ports.n);
	warn_of_vanished_networks(d);
	notify_status(d);
	sd_notify(0, "READY=1");
	r = sd_event_loop(d->event);
	sd_notify(0, "STOPPING=1");
	if (r != 0)
		log_err("the system bus is lost, or the event loop failed");
	return r;
}

void daemon_free(struct daemon *d) {
	if (d == NULL)
		return;
	hub_free(d->hub); // ends what is under way, which needs all the rest
	backend_switch_free(d->fallback);
	hardware_done(d);
	external_free(d->external);
	requests_free(d->requests);
	bus_api_free(d->api);
	sd_event_source_unref(d->timer);
	sd_event_unref(d->event);
	port_set_done(&d->ports);
	store_close(d->store);
	networks_done(&d->networks);
	config_free(d->config);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	free(d);
}
