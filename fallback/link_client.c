// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/link_client.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "fallback/control.h"
#include "fallback/eal.h"
#include "fallback/socket_path.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"
#include "vdpad/util/parse.h"

#define RETRY_ACCURACY_US 1000
#define CPUS_SIZE 256

// What vdpad wants of us; see Register in vdpad/util/ipc.h.
struct settings {
	const char *cpus;
	uint32_t memory_mb;
	const char *socket_group;
	uint32_t socket_mode;
	const char *devices;
};

struct link_client {
	sd_event *event;
	sd_event_source *retry;
	sd_event_source *changes;
	sd_event_source *hw_changes;
	sd_bus *link;
	char path[SOCKET_PATH_SIZE];
	bool verbose;
	bool complained; // about vdpad, since it last served us: once is enough

	// Fixed by the first settings: EAL starts once.
	char cpus[CPUS_SIZE];
	uint32_t memory_mb;
	bool hugepages;
	struct workers *workers;
	bool pci;
	struct control control; // what serves vdpad; its sw is NULL before the first settings
};

static int on_changes(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	struct link_client *client = userdata;

	(void)source, (void)fd, (void)revents;
	control_announce_changes(client->link, &client->control);
	return 0;
}

static int on_hw_changes(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	struct link_client *client = userdata;

	(void)source, (void)fd, (void)revents;
	hw_vdpa_check(client->control.hw, false);
	control_announce_changes(client->link, &client->control);
	return 0;
}

// A mistake there must not take all ports of the node: without a usable list, one worker runs wherever the
// kernel puts it.
static int choose_cpus(const char *text, int cpus[static WORKERS_MAX]) {
	struct error e;
	int n_cpus = workers_parse_cpus(text, cpus, &e);

	if (n_cpus >= 0 && workers_check_cpus(cpus, n_cpus, &e) == 0)
		return n_cpus;
	log_err("%s; one worker runs, on any CPU", e.text);
	return workers_parse_cpus("auto", cpus, NULL);
}

static int start_hw(struct link_client *client, struct error *e) {
	const struct hw_vdpa_config config = {
		.event = client->event,
		.ops = &hw_vdpa_dpdk,
		.sys_dir = "/sys",
		.dev_dir = "/dev",
		.pci = client->pci,
	};
	int r;

	r = hw_vdpa_new(&config, &client->control.hw);
	if (r >= 0)
		r = sd_event_add_io(
			client->event, &client->hw_changes, hw_vdpa_changed_fd(client->control.hw),
			EPOLLIN, on_hw_changes, client
		);
	return r < 0 ? error_set(e, -r, "devices: %s", strerror(-r)) : 0;
}

// The first time: EAL, workers, the switch.
static int start_switch(
	struct link_client *client, const struct settings *settings, struct error *e
) {
	int cpus[WORKERS_MAX];
	int n_cpus, r;

	r = str_copy(client->cpus, sizeof(client->cpus), settings->cpus);
	if (r < 0)
		return error_set(e, EINVAL, "cpus: longer than %d characters", CPUS_SIZE - 1);
	client->memory_mb = settings->memory_mb;
	n_cpus = choose_cpus(settings->cpus, cpus);
	client->pci = settings->devices[0] != '\0';
	r = eal_start(settings->memory_mb, client->pci, client->verbose, &client->hugepages, e);
	if (r < 0)
		return r;
	r = workers_new(cpus, (uint16_t)n_cpus, &client->workers, e);
	if (r < 0)
		return r;
	r = switch_new(client->workers, client->event, &client->control.sw, e);
	if (r < 0)
		return r;
	r = sd_event_add_io(
		client->event, &client->changes, switch_changed_fd(client->control.sw), EPOLLIN,
		on_changes, client
	);
	if (r < 0)
		return error_set(e, -r, "event loop: %s", strerror(-r));
	return start_hw(client, e);
}

static bool settings_are_in_force(
	const struct link_client *client, const struct settings *settings
) {
	return strcmp(client->cpus, settings->cpus) == 0 &&
		client->memory_mb == settings->memory_mb;
}

static int apply_settings(
	struct link_client *client, const struct settings *settings, struct error *e
) {
	gid_t gid = (gid_t)-1;
	int r;

	if (settings->socket_group[0] != '\0') {
		const struct group *group = getgrnam(settings->socket_group);

		if (group != NULL)
			gid = group->gr_gid;
		else
			log_err("socket_group: there is no group '%s'; sockets keep the switch's "
			        "own",
			        settings->socket_group);
	}
	if (settings->socket_mode > 0777)
		return error_set(e, EINVAL, "socket_mode: %o is no mode", settings->socket_mode);
	if (client->control.sw == NULL) {
		r = start_switch(client, settings, e);
		if (r < 0)
			return r;
	} else if (!settings_are_in_force(client, settings)) {
		log_warn("cpus and memory_mb take effect when vdpad-switch starts again");
	}
	switch_set_socket_owner(client->control.sw, gid, settings->socket_mode);
	hw_vdpa_set_socket_owner(client->control.hw, gid, settings->socket_mode);
	if (hw_vdpa_set_devices(client->control.hw, settings->devices, e) < 0)
		log_err("devices: %s", e->text); // the others may do
	if (settings->devices[0] != '\0' && !client->pci)
		log_warn("devices can be used when vdpad-switch has been started again");
	return 0;
}

static void retry_later(struct link_client *client) {
	client->link = sd_bus_close_unref(client->link); // to flush would wait for vdpad
	sd_event_source_set_time_relative(client->retry, LINK_RETRY_MS * 1000);
	sd_event_source_set_enabled(client->retry, SD_EVENT_ONESHOT);
}

// An answer that is no answer: say so, and begin again.
static void give_up_link(struct link_client *client, const char *what, const sd_bus_error *error) {
	if (!client->complained)
		log_warn(
			"vdpad does not answer %s as expected (it serves one switch): %s", what,
			error != NULL && error->message != NULL ? error->message : "unknown reason"
		);
	client->complained = true;
	retry_later(client);
}

static int on_ready_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct link_client *client = userdata;

	(void)ret_error;
	if (sd_bus_message_is_method_error(m, NULL)) {
		give_up_link(client, "Ready", sd_bus_message_get_error(m));
		return 0;
	}
	client->complained = false;
	log_info("connected to vdpad");
	sd_notify(0, "READY=1");
	return 0;
}

static int send_ready(struct link_client *client) {
	_cleanup_message_ sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(
		client->link, &m, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Ready"
	);
	if (r < 0)
		return r;
	sd_bus_message_open_container(m, 'a', "{sv}");
	ipc_dict_add_u(m, "workers", workers_count(client->workers));
	ipc_dict_add_b(m, "hugepages", client->hugepages);
	ipc_dict_add_u(m, "max_queue_pairs", VHOST_PORT_MAX_QUEUE_PAIRS);
	ipc_dict_add_u(m, "max_mtu", SWITCH_MAX_MTU);
	ipc_dict_add_u(m, "max_ports", SWITCH_MAX_PORTS);
	ipc_dict_add_s(m, "capabilities", SWITCH_CAPABILITIES);
	sd_bus_message_close_container(m);
	return sd_bus_call_async(
		client->link, NULL, m, on_ready_reply, client, LINK_CALL_TIMEOUT_MS * 1000
	);
}

static int on_register_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct ipc_field fields[] = {
		{"cpus", 's', offsetof(struct settings, cpus), true},
		{"memory_mb", 'u', offsetof(struct settings, memory_mb), true},
		{"socket_group", 's', offsetof(struct settings, socket_group), true},
		{"socket_mode", 'u', offsetof(struct settings, socket_mode), true},
		{"devices", 's', offsetof(struct settings, devices), false},
	};
	struct link_client *client = userdata;
	struct settings settings = {.devices = ""};
	struct error e = {0};
	int r;

	(void)ret_error;
	if (sd_bus_message_is_method_error(m, NULL)) {
		give_up_link(client, "Register", sd_bus_message_get_error(m));
		return 0;
	}
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), &settings, &e);
	if (r >= 0)
		r = apply_settings(client, &settings, &e);
	if (r < 0) {
		log_err("cannot work with the settings from vdpad: %s", e.text);
		// With a switch that runs, frames matter more. Without one the supervisor tries
		// again.
		if (client->control.sw == NULL)
			return sd_event_exit(client->event, EXIT_FAILURE);
		retry_later(client);
		return 0;
	}
	r = control_attach(client->link, &client->control);
	if (r >= 0)
		r = send_ready(client);
	if (r < 0) {
		log_warn("the link to vdpad fails: %s", strerror(-r));
		retry_later(client);
	}
	return 0;
}

static int send_register(struct link_client *client) {
	_cleanup_message_ sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(
		client->link, &m, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Register"
	);
	if (r < 0)
		return r;
	sd_bus_message_append(
		m, "sa{sv}", "switch", 2, "version", "s", VDPAD_VERSION, "pid", "u",
		(uint32_t)getpid()
	);
	return sd_bus_call_async(
		client->link, NULL, m, on_register_reply, client, LINK_CALL_TIMEOUT_MS * 1000
	);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)m, (void)ret_error;
	log_info("vdpad is gone; switching goes on without it");
	retry_later(userdata);
	return 0;
}

static int try_connect(struct link_client *client) {
	int r;

	r = link_connect(client->path, client->event, &client->link);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(
		client->link, NULL, NULL, "/org/freedesktop/DBus/Local",
		"org.freedesktop.DBus.Local", "Disconnected", on_disconnected, client
	);
	if (r < 0)
		return r;
	return send_register(client);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
	struct link_client *client = userdata;
	int r;

	(void)source, (void)usec;
	r = try_connect(client);
	if (r < 0) {
		if (!client->complained)
			log_info("no vdpad at %s yet: %s", client->path, strerror(-r));
		client->complained = true;
		retry_later(client);
	}
	return 0;
}

int link_client_new(
	sd_event *event, const char *run_dir, bool verbose, struct link_client **ret_client
) {
	struct link_client *client = calloc(1, sizeof(*client));
	int r;

	if (client == NULL)
		return -ENOMEM;
	client->event = sd_event_ref(event);
	client->verbose = verbose;
	if (snprintf(client->path, sizeof(client->path), "%s/%s", run_dir, IPC_SWITCH_LINK) >=
	    (int)sizeof(client->path)) {
		link_client_free(client);
		return -ENAMETOOLONG;
	}
	r = sd_event_add_time_relative(
		event, &client->retry, CLOCK_MONOTONIC, 0, RETRY_ACCURACY_US, on_retry, client
	);
	if (r < 0) {
		link_client_free(client);
		return r;
	}
	*ret_client = client;
	return 0;
}

void link_client_free(struct link_client *client) {
	if (client == NULL)
		return;
	sd_bus_close_unref(client->link);
	sd_event_source_unref(client->hw_changes);
	sd_event_source_unref(client->changes);
	sd_event_source_unref(client->retry);
	hw_vdpa_free(client->control.hw);
	switch_free(client->control.sw);
	workers_free(client->workers);
	sd_event_unref(client->event);
	free(client);
}
