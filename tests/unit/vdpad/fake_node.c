// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/vdpad/fake_node.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fake/vdpa_kernel.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"

static const char *read_name(sd_bus_message *m) {
	const char *name;

	assert_true(sd_bus_message_read_basic(m, 's', &name) > 0);
	return name;
}

static size_t find(char list[][NETWORK_NAME_SIZE], size_t n, const char *name) {
	size_t i = 0;

	while (i < n && strcmp(list[i], name) != 0)
		i++;
	return i;
}

static size_t find_port(const struct node *node, const char *name) {
	size_t i = 0;

	while (i < node->n_ports && strcmp(node->ports[i].name, name) != 0)
		i++;
	return i;
}

static void remove_port(struct node *node, size_t i) {
	sd_bus_message_unref(node->ports[i].spec);
	node->ports[i] = node->ports[--node->n_ports];
}

static int answer_call(const struct node *node, sd_bus_message *m) {
	return node->mute ? 1 : sd_bus_reply_method_return(m, "");
}

// The switch

static int set_network(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct node *node = userdata;
	const char *name = read_name(m);
	size_t i = find(node->networks, node->n_networks, name);

	(void)ret_error;
	if (i == node->n_networks) {
		strcpy(node->networks[i], name);
		node->uplinks[i][0] = '\0';
		node->n_networks++;
	}
	return answer_call(node, m);
}

static int set_uplink(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct node *node = userdata;
	size_t i = find(node->networks, node->n_networks, read_name(m));

	if (i == node->n_networks)
		return sd_bus_error_set_errno(ret_error, ENOENT);
	strcpy(node->uplinks[i], read_name(m));
	return answer_call(node, m);
}

static int del_network(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct node *node = userdata;
	size_t i = find(node->networks, node->n_networks, read_name(m));

	(void)ret_error;
	if (i < node->n_networks) {
		node->n_networks--;
		memmove(node->networks[i], node->networks[node->n_networks], NETWORK_NAME_SIZE);
		memmove(node->uplinks[i], node->uplinks[node->n_networks], NETWORK_NAME_SIZE);
	}
	return answer_call(node, m);
}

static int set_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct node *node = userdata;
	const char *name = read_name(m);
	size_t i = find_port(node, name);

	node->n_set_port++;
	if (node->refuse != 0)
		return sd_bus_error_set_errno(ret_error, node->refuse);
	if (i < node->n_ports)
		sd_bus_message_unref(node->ports[i].spec);
	else
		node->n_ports++;
	strcpy(node->ports[i].name, name);
	node->ports[i].spec = sd_bus_message_ref(m);
	return answer_call(node, m);
}

static int del_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct node *node = userdata;
	size_t i = find_port(node, read_name(m));

	(void)ret_error;
	if (i < node->n_ports)
		remove_port(node, i);
	return answer_call(node, m);
}

static void append_port(sd_bus_message *reply, const struct fake_port *port) {
	sd_bus_message_rewind(port->spec, true);
	sd_bus_message_skip(port->spec, "s");
	sd_bus_message_enter_container(port->spec, 'a', "{sv}");
	sd_bus_message_open_container(reply, 'e', "sa{sv}");
	sd_bus_message_append(reply, "s", port->name);
	sd_bus_message_open_container(reply, 'a', "{sv}");
	sd_bus_message_copy(reply, port->spec, true);
	ipc_dict_add_b(reply, "connected", false);
	sd_bus_message_close_container(reply);
	assert_true(sd_bus_message_close_container(reply) >= 0);
}

static int list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct node *node = userdata;

	(void)ret_error;
	assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	for (size_t i = 0; i < node->n_networks; i++)
		sd_bus_message_append(
			reply, "{sa{sv}}", node->networks[i], 3, "mtu", "u", 1500, "ageing_s", "u",
			300, "uplink", "s", node->uplinks[i]
		);
	sd_bus_message_close_container(reply);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	for (size_t i = 0; i < node->n_ports; i++)
		append_port(reply, &node->ports[i]);
	assert_true(sd_bus_message_close_container(reply) >= 0);
	return sd_bus_message_send(reply);
}

static int stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	return sd_bus_reply_method_return(m, "a{sa{sv}}", 0);
}

const char *node_device_of(const struct node *node, const char *name) {
	const char *device = "", *key;
	size_t i = 0;

	while (i < node->n_ports && strcmp(node->ports[i].name, name) != 0)
		i++;
	assert_true(i < node->n_ports);
	sd_bus_message_rewind(node->ports[i].spec, true);
	sd_bus_message_skip(node->ports[i].spec, "s");
	sd_bus_message_enter_container(node->ports[i].spec, 'a', "{sv}");
	while (sd_bus_message_enter_container(node->ports[i].spec, 'e', "sv") > 0) {
		sd_bus_message_read_basic(node->ports[i].spec, 's', &key);
		if (strcmp(key, "device") == 0)
			sd_bus_message_read(node->ports[i].spec, "v", "s", &device);
		else
			sd_bus_message_skip(node->ports[i].spec, "v");
		sd_bus_message_exit_container(node->ports[i].spec);
	}
	return device;
}

// The port that was given the device; "" for none.
static const char *user_of_device(const struct node *node) {
	for (size_t i = 0; i < node->n_ports; i++) {
		if (node_device_of(node, node->ports[i].name)[0] != '\0')
			return node->ports[i].name;
	}
	return "";
}

static int list_hw_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const struct node *node = userdata;

	(void)ret_error;
	if (node->dpdk_device == NULL)
		return sd_bus_reply_method_return(m, "a{sa{sv}}", 0);
	return sd_bus_reply_method_return(
		m, "a{sa{sv}}", 1, node->dpdk_device, 5, "driver", "s", "ifc", "max_queue_pairs",
		"u", 4, "features", "t", UINT64_MAX, "in_use_by", "s", user_of_device(node),
		"reason", "s", node->dpdk_reason != NULL ? node->dpdk_reason : ""
	);
}

static const sd_bus_vtable switch_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("SetNetwork", "sa{sv}", "", set_network, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("SetUplink", "ssh", "", set_uplink, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DelNetwork", "s", "", del_network, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("SetPort", "sa{sv}", "", set_port, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DelPort", "s", "", del_port, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("List", "", "a{sa{sv}}a{sa{sv}}", list, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ListHwVdpa", "", "a{sa{sv}}", list_hw_vdpa, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Stats", "", "a{sa{sv}}", stats, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

// vdpad-netlink

struct tap_options {
	const char *network, *bridge;
	uint32_t mtu_bytes;
};

static int open_tap(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct ipc_field fields[] = {
		{"network", 's', offsetof(struct tap_options, network), true},
		{"bridge", 's', offsetof(struct tap_options, bridge), true},
		{"mtu", 'u', offsetof(struct tap_options, mtu_bytes), true},
	};
	_cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct node *node = userdata;
	const char *name = read_name(m);
	struct tap_options options;
	struct error e;

	assert_int_equal(ipc_dict_read(m, fields, ARRAY_LEN(fields), &options, &e), 0);
	if (options.bridge[0] != '\0') {
		error_set(&e, ENXIO, "there is no Linux bridge '%s'", options.bridge);
		return error_to_bus(&e, ret_error);
	}
	if (find(node->uplinks, node->n_networks, name) < node->n_networks) {
		error_set(&e, EBUSY, "TAP '%s' is still open", name);
		return error_to_bus(&e, ret_error);
	}
	if (find(node->taps, node->n_taps, name) == node->n_taps)
		strcpy(node->taps[node->n_taps++], name);
	return sd_bus_reply_method_return(m, "h", fd);
}

static int del_tap(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct node *node = userdata;
	size_t i = find(node->taps, node->n_taps, read_name(m));

	(void)ret_error;
	if (i < node->n_taps)
		memmove(node->taps[i], node->taps[--node->n_taps], NETWORK_NAME_SIZE);
	return sd_bus_reply_method_return(m, "");
}

static int list_taps(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct node *node = userdata;

	(void)ret_error;
	assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	for (size_t i = 0; i < node->n_taps; i++)
		sd_bus_message_append(
			reply, "{sa{sv}}", node->taps[i], 3, "network", "s", node->taps[i] + 4,
			"bridge", "s", "", "mtu", "u", 1500
		);
	assert_true(sd_bus_message_close_container(reply) >= 0);
	return sd_bus_message_send(reply);
}

static const sd_bus_vtable netlink_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("OpenTap", "sa{sv}", "h", open_tap, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DelTap", "s", "", del_tap, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ListTaps", "", "a{sa{sv}}", list_taps, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

// Coming and going

static sd_bus *worker_comes(
	struct node *node, const char *socket, const char *path, const char *interface,
	const sd_bus_vtable *vtable, const char *kind
) {
	char full[128];
	sd_bus *link;

	snprintf(full, sizeof(full), "%s/%s", node->run_dir, socket);
	assert_int_equal(link_connect(full, node->d->event, &link), 0);
	assert_true(sd_bus_add_object_vtable(link, NULL, path, interface, vtable, node) >= 0);
	assert_true(
		sd_bus_call_method_async(
			link, NULL, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Register", NULL, NULL,
			"sa{sv}", kind, 2, "version", "s", "1", "pid", "u", 5
		) >= 0
	);
	if (strcmp(kind, "switch") == 0)
		assert_true(
			sd_bus_call_method_async(
				link, NULL, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Ready", NULL, NULL,
				"a{sv}", 5, "workers", "u", 1, "max_queue_pairs", "u", 8, "max_mtu",
				"u", 9000, "max_ports", "u", 64, "capabilities", "s",
				"vlan,link,network"
			) >= 0
		);
	else
		assert_true(
			sd_bus_call_method_async(
				link, NULL, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Ready", NULL, NULL,
				"a{sv}", 0
			) >= 0
		);
	return link;
}

void node_switch_comes(struct node *node) {
	node->fallback = worker_comes(
		node, IPC_SWITCH_LINK, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, switch_vtable, "switch"
	);
}

void node_switch_goes(struct node *node) {
	node->fallback = sd_bus_close_unref(node->fallback);
	while (node->n_ports > 0)
		remove_port(node, 0);
	node->n_networks = 0;
}

void node_netlink_comes(struct node *node) {
	node->netlink = worker_comes(
		node, IPC_NETLINK_LINK, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, netlink_vtable,
		"netlink"
	);
	assert_true(vdpa_kernel_serve(node->netlink, node->kernel) >= 0);
}

void node_netlink_goes(struct node *node) {
	node->netlink = sd_bus_close_unref(node->netlink);
}

void node_workers_come(struct node *node) {
	node_switch_comes(node);
	node_netlink_comes(node);
}

void node_workers_are_known(struct node *node) {
	node_workers_come(node);
	node_wait(node, hub_is_ready(node->d->hub, WORKER_SWITCH));
	node_wait(node, hub_is_ready(node->d->hub, WORKER_NETLINK));
	node_wait(node, !node->d->restore.running);
}

void node_init(struct node *node, const char *config) {
	FILE *file;

	*node = (struct node){.dir = "/tmp/test-daemon-XXXXXX"};
	assert_non_null(mkdtemp(node->dir));
	snprintf(node->config, sizeof(node->config), "%s/vdpad.conf", node->dir);
	snprintf(node->run_dir, sizeof(node->run_dir), "%s/run", node->dir);
	snprintf(node->state_dir, sizeof(node->state_dir), "%s/state", node->dir);
	snprintf(node->kernel, sizeof(node->kernel), "%s/kernel", node->dir);
	vdpa_kernel_make(node->kernel);
	file = fopen(node->config, "w");
	assert_non_null(file);
	fputs(config, file);
	assert_int_equal(fclose(file), 0);
}

void node_have_vdpa(struct node *node) {
	char command[512];

	snprintf(node->root, sizeof(node->root), "%s/root", node->dir);
	snprintf(
		command, sizeof(command),
		"mkdir -p %s/sys/bus/vdpa/devices %s/sys/bus/vdpa/drivers/vhost_vdpa "
		"%s/sys/bus/pci/devices/0000:3b:00.0",
		node->root, node->root, node->root
	);
	assert_int_equal(system(command), 0);
}

void node_start_vdpad(struct node *node) {
	const struct daemon_options options = {
		.config_path = node->config,
		.run_dir = node->run_dir,
		.state_dir = node->state_dir,
		.facts_root = node->root,
	};
	struct error e;

	if (daemon_new(&options, &node->d, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(sd_bus_open_system(&node->client) >= 0);
	assert_true(sd_bus_attach_event(node->client, node->d->event, 0) >= 0);
}

void node_stop_vdpad(struct node *node) {
	node->client = sd_bus_flush_close_unref(node->client);
	node->fallback = sd_bus_close_unref(node->fallback);
	node->netlink = sd_bus_close_unref(node->netlink);
	daemon_free(node->d);
	node->d = NULL;
}

void node_done(struct node *node) {
	char command[96];

	if (node->d != NULL)
		node_stop_vdpad(node);
	while (node->n_ports > 0)
		remove_port(node, 0);
	snprintf(command, sizeof(command), "rm -r %s", node->dir);
	assert_int_equal(system(command), 0);
}

int node_teardown(void **state) {
	node_done(*state);
	free(*state);
	return 0;
}

void node_run(struct node *node, uint64_t ms) {
	uint64_t end_ms = clock_now_ms() + ms;

	while (clock_now_ms() < end_ms)
		assert_true(sd_event_run(node->d->event, 10000) >= 0);
}
