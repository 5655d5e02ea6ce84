// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/ctl/fake_vdpad.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/private_bus.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/error.h"
#include "vdpad/util/ipc.h"

static pid_t vdpad_pid;

static int add_port(sd_bus_message *reply, const char *name, const char *reason) {
	int r = sd_bus_message_open_container(reply, 'a', "{sv}");

	ipc_dict_add_s(reply, "name", name);
	ipc_dict_add_s(reply, "network", "vmbr0");
	ipc_dict_add_s(reply, "mac", "52:54:00:ab:cd:ef");
	ipc_dict_add_u(reply, "mtu", 9000);
	ipc_dict_add_u(reply, "queue_pairs", 2);
	ipc_dict_add_u(reply, "vlan", 0);
	ipc_dict_add_s(reply, "profile", "fast-1");
	ipc_dict_add_s(reply, "link", "up");
	ipc_dict_add_s(reply, "backend", strncmp(name, "hw", 2) == 0 ? "vdpa" : "switch");
	ipc_dict_add_s(reply, "state", "ready");
	ipc_dict_add_s(reply, "reason", reason);
	ipc_dict_add_s(reply, "path", "/run/with blank/port.sock");
	ipc_dict_add_t(reply, "generation", UINT64_MAX);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int on_show_ports(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	// Not sorted. Those on hardware are not listed.
	static const char *const names[] = {"vm100-net0", "a", "hw0", "hw1"};
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *wanted;
	bool found = false;

	(void)userdata;
	if (sd_bus_message_read(m, "s", &wanted) < 0 ||
	    sd_bus_message_new_method_return(m, &reply) < 0)
		return -EBADMSG;
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (wanted[0] != '\0' ? strcmp(wanted, names[i]) != 0 : names[i][0] == 'h')
			continue;
		found = true;
		sd_bus_message_open_container(reply, 'e', "sa{sv}");
		sd_bus_message_append(reply, "s", names[i]);
		add_port(reply, names[i], "");
		sd_bus_message_close_container(reply);
	}
	sd_bus_message_close_container(reply);
	if (!found) {
		struct error e;

		error_set(&e, ENOENT, "there is no port '%s'", wanted);
		return error_to_bus(&e, ret_error);
	}
	return sd_bus_send(NULL, reply, NULL);
}

static int on_add_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *name, *key, *value;
	char asked[256] = "";
	size_t len = 0;
	int may_exist;
	struct error e;

	(void)userdata;
	if (sd_bus_message_read(m, "s", &name) < 0 ||
	    sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
		return -EBADMSG;
	while (sd_bus_message_read(m, "{sv}", &key, "s", &value) > 0)
		len += (size_t)snprintf(asked + len, sizeof(asked) - len, "%s=%s ", key, value);
	sd_bus_message_exit_container(m);
	sd_bus_message_read(m, "b", &may_exist);
	snprintf(asked + len, sizeof(asked) - len, "%s", may_exist ? "may_exist" : "must_be_new");

	if (strcmp(name, "die") == 0)
		_exit(0);
	if (strcmp(name, "sleep") == 0)
		return 1; // handled, one day
	if (strcmp(name, "conflict") == 0) {
		error_set(&e, EEXIST, "port '%s' exists with another mac", name);
		return error_to_bus(&e, ret_error);
	}
	if (sd_bus_message_new_method_return(m, &reply) < 0 || add_port(reply, name, asked) < 0)
		return -ENOMEM;
	return sd_bus_send(NULL, reply, NULL);
}

static int on_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;

	(void)userdata;
	(void)ret_error;
	if (sd_bus_message_new_method_return(m, &reply) < 0)
		return -ENOMEM;
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	sd_bus_message_open_container(reply, 'e', "sa{sv}");
	sd_bus_message_append(
		reply, "sa{sv}", "a", 4, "network", "s", "vmbr0", "rx_packets", "t", (uint64_t)7,
		"tx_drop_ring_full", "t", (uint64_t)3, "rx_drop_bad_header", "t", (uint64_t)0
	);
	sd_bus_message_close_container(reply);
	sd_bus_message_close_container(reply);
	return sd_bus_send(NULL, reply, NULL);
}

static int on_show_pools(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	return sd_bus_reply_method_return(
		m, "a{sa{sv}}", 1, "fast", 8, "kind", "s", "mgmtdevs", "networks", "s", "vmbr0",
		"hardware", "s", "pci/*", "reason", "s", "", "limit", "u", 0, "ports", "u", 1,
		"n_members", "u", 1, "members", "aa{sv}", 1, 4, "name", "s", "pci/0000:3b:00.2",
		"driver", "s", "mlx5_core", "port", "s", "hw0", "reason", "s", ""
	);
}

static int on_show_mgmtdevs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	return sd_bus_reply_method_return(
		m, "a{sa{sv}}", 1, "vdpasim_net", 3, "driver", "s", "", "takes", "s", "mac mtu",
		"max_queue_pairs", "u", 0
	);
}

static int on_show_devices(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	return sd_bus_reply_method_return(
		m, "a{sa{sv}}", 1, "a/b", 4, "mgmtdev", "s", "vdpasim_net", "owner", "s", "",
		"port", "s", "", "active", "b", 1
	);
}

static int on_plan(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	return sd_bus_reply_method_return(m, "a(ss)", 1, "make it", "MAKE{IT=1}");
}

// Whose key name says what is chosen.
static int on_explain(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *key, *name = "", *value;

	(void)userdata;
	(void)ret_error;
	if (sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
		return -EBADMSG;
	while (sd_bus_message_read(m, "{sv}", &key, "s", &value) > 0) {
		if (strcmp(key, "name") == 0)
			name = value;
	}
	return sd_bus_reply_method_return(
		m, "a{sv}", 2, "chosen", "s", strcmp(name, "nothing") == 0 ? "" : "vdpa",
		"candidates", "aa{sv}", 2, 5, "backend", "s", "vdpa", "pool", "s", "fast",
		"resource", "s", name, "accepted", "b", 1, "reason", "s", "for a reason", 3,
		"backend", "s", "switch", "against_policy", "b", 1, "reason", "s", "not asked for"
	);
}

static int on_status(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	return sd_bus_reply_method_return(m, "a{sv}", 1, "vdpa", "s", "ready");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("ShowPorts", "s", "a{sa{sv}}", on_show_ports, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("AddPort", "sa{sv}b", "a{sv}", on_add_port, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ShowPools", "s", "a{sa{sv}}", on_show_pools, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD(
		"ShowMgmtdevs", "s", "a{sa{sv}}", on_show_mgmtdevs, SD_BUS_VTABLE_UNPRIVILEGED
	),
	SD_BUS_METHOD("ShowDevices", "s", "a{sa{sv}}", on_show_devices, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("PlanPool", "s", "a(ss)", on_plan, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("PlanPort", "sa{sv}", "a(ss)", on_plan, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Explain", "a{sv}", "a{sv}", on_explain, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Status", "", "a{sv}", on_status, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Stats", "s", "a{sa{sv}}", on_stats, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void run_vdpad(int ready_fd) {
	sd_bus *bus = NULL;

	if (sd_bus_open_system(&bus) < 0 ||
	    sd_bus_add_object_vtable(bus, NULL, IPC_PATH, IPC_MANAGER_IFACE, vtable, NULL) < 0 ||
	    sd_bus_request_name(bus, IPC_BUS_NAME, 0) < 0 || write(ready_fd, "", 1) != 1)
		return;
	close(ready_fd);
	while (sd_bus_process(bus, NULL) >= 0)
		sd_bus_wait(bus, UINT64_MAX);
}

void fake_vdpad_start(void) {
	vdpad_pid = child_start(run_vdpad);
}

void fake_vdpad_stop(void) {
	child_stop(vdpad_pid);
}
