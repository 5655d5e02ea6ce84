// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/fake/vdpa_kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake/vdpa_kernel_files.h"
#include "vdpad/util/error.h"
#include "vdpad/util/ipc.h"

int vk_drop_orphan(const char *dir, const char *name, const char *text, void *userdata) {
	char mgmtdev[NAME_MAX], node[NAME_MAX], other[TEXT_SIZE];

	(void)userdata;
	if (vk_read_thing(dir, "mgmtdevs", vk_get(text, "mgmtdev", mgmtdev), other))
		return 0;
	(void)unlink(vk_get(text, "node", node));
	vk_print(other, sizeof(other), "devices/%s", name);
	vdpa_kernel_remove(dir, other);
	return 0;
}

static int append_device(sd_bus_message *m, const char *dir, const char *name, const char *text) {
	char mgmtdev[NAME_MAX], driver[NAME_MAX], node[NAME_MAX], mac[NAME_MAX], active[NAME_MAX];

	vk_get(text, "mgmtdev", mgmtdev);
	vk_get(text, "driver", driver);
	vk_get(text, "node", node);
	vk_get(text, "mac", mac);
	vk_print(active, sizeof(active), "active/%.200s", name);
	return sd_bus_message_append(
		m, "a{sv}", 12, "mgmtdev", "s", mgmtdev, "driver", "s", driver, "node", "s", node,
		"virtio_id", "u", 1, "max_vqs", "u", 3, "uid", "u",
		(uint32_t)vk_get_number(text, "uid"), "parked", "b",
		(int)vk_get_number(text, "parked"), "mac", "s", mac, "mtu", "u",
		(uint32_t)vk_get_number(text, "mtu"), "queue_pairs", "u",
		(uint32_t)vk_get_number(text, "queue_pairs"), "features", "t",
		vk_get_number(text, "features"), "active", "b", vdpa_kernel_has(dir, active)
	);
}

static int list_device(const char *dir, const char *name, const char *text, void *reply) {
	char blind[NAME_MAX];

	vk_print(blind, sizeof(blind), "blind/%.200s", name);
	if (vdpa_kernel_has(dir, blind))
		return 0;
	sd_bus_message_open_container(reply, 'e', "sa{sv}");
	sd_bus_message_append(reply, "s", name);
	append_device(reply, dir, name, text);
	return sd_bus_message_close_container(reply) < 0 ? -EIO : 0;
}

static int list_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *dir = userdata;
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	vk_each(dir, "devices", vk_drop_orphan, NULL);
	sd_bus_message_new_method_return(m, &reply);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	vk_each(dir, "devices", list_device, reply);
	sd_bus_message_close_container(reply);
	return sd_bus_message_send(reply);
}

static int list_mgmtdev(const char *dir, const char *name, const char *text, void *reply) {
	char driver[NAME_MAX], pf[NAME_MAX], function[NAME_MAX];

	(void)dir;
	vk_get(text, "driver", driver);
	vk_get(text, "pf", pf);
	vk_get(text, "function", function);
	return sd_bus_message_append(
		       reply, "{sa{sv}}", name, 7, "driver", "s", driver, "takes", "u",
		       (uint32_t)vk_get_number(text, "takes"), "one_device", "b",
		       (int)vk_get_number(text, "one_device"), "features", "t",
		       vk_get_number(text, "features"), "max_vqs", "u",
		       (uint32_t)vk_get_number(text, "max_vqs"), "pf", "s", pf, "function", "s",
		       function
	       ) < 0
		? -EIO
		: 0;
}

static int list_mgmtdevs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *dir = userdata;
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_new_method_return(m, &reply);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	vk_each(dir, "mgmtdevs", list_mgmtdev, reply);
	sd_bus_message_close_container(reply);
	return sd_bus_message_send(reply);
}

static int count_on(const char *dir, const char *name, const char *text, void *userdata) {
	char mgmtdev[NAME_MAX];
	const char *wanted = *(const char **)userdata;

	(void)dir;
	(void)name;
	return strcmp(vk_get(text, "mgmtdev", mgmtdev), wanted) == 0 ? 1 : 0;
}

// The lowest free number, as the kernel does.
static int make_node(const char *dir, char node[static PATH_MAX]) {
	for (int i = 0; i < 1000; i++) {
		FILE *file;

		vk_path(node, dir, "dev/vhost-vdpa-%d", i);
		if (access(node, F_OK) == 0)
			continue;
		file = fopen(node, "w");
		return file == NULL || fclose(file) != 0 ? -errno : 0;
	}
	return -ENOSPC;
}

struct add {
	const char *mgmtdev, *mac;
	uint32_t mtu, queue_pairs, uid, gid;
	uint64_t features;
};

static int make_device(const char *dir, const char *name, const struct add *add, struct error *e) {
	char text[TEXT_SIZE], node[PATH_MAX], path[PATH_MAX], own_mac[NAME_MAX];
	uint64_t takes;

	if (!vk_read_thing(dir, "mgmtdevs", add->mgmtdev, text))
		return error_set(e, EIO, "Fail to find the specified management device");
	takes = vk_get_number(text, "takes");
	if ((add->mac[0] != '\0' && !(takes & IPC_VDPA_TAKES_MAC)) ||
	    (add->mtu != 0 && !(takes & IPC_VDPA_TAKES_MTU)) ||
	    (add->queue_pairs != 0 && !(takes & IPC_VDPA_TAKES_QUEUE_PAIRS)) ||
	    (add->features != 0 && !(takes & IPC_VDPA_TAKES_FEATURES)))
		return error_set(e, EOPNOTSUPP, "Some provided attributes are not supported");
	if (vk_get_number(text, "one_device") != 0 &&
	    vk_each(dir, "devices", count_on, (void *)&add->mgmtdev) != 0)
		return error_set(e, ENOSPC, "%s has its one device", add->mgmtdev);
	vk_get(text, "mac", own_mac);
	if (make_node(dir, node) < 0)
		return error_set(e, EIO, "no node");
	vk_print(
		text, sizeof(text),
		"mgmtdev %s\nmac %s\nmtu %u\nqueue_pairs %u\nfeatures %" PRIu64
		"\nnode %s\nuid %u\ndriver vhost_vdpa\nparked 0\n",
		add->mgmtdev, add->mac[0] != '\0' ? add->mac : own_mac,
		add->mtu != 0 ? add->mtu : 1500, add->queue_pairs != 0 ? add->queue_pairs : 1,
		add->features, node, add->uid
	);
	vk_print(path, sizeof(path), "devices/%s", name);
	vdpa_kernel_write(dir, path, text);
	return 0;
}

static int add_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct ipc_field fields[] = {
		{"mgmtdev", 's', offsetof(struct add, mgmtdev), true},
		{"mac", 's', offsetof(struct add, mac), true},
		{"mtu", 'u', offsetof(struct add, mtu), true},
		{"queue_pairs", 'u', offsetof(struct add, queue_pairs), true},
		{"features", 't', offsetof(struct add, features), true},
		{"uid", 'u', offsetof(struct add, uid), true},
		{"gid", 'u', offsetof(struct add, gid), true},
	};
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *dir = userdata, *name;
	char text[TEXT_SIZE];
	struct add add = {0};
	struct error e;
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	if (sd_bus_message_read_basic(m, 's', &name) <= 0 ||
	    ipc_dict_read(m, fields, ARRAY_LEN(fields), &add, &e) < 0)
		abort();
	if (!vk_read_thing(dir, "devices", name, text) && make_device(dir, name, &add, &e) < 0)
		return error_to_bus(&e, ret_error);
	if (!vk_read_thing(dir, "devices", name, text))
		abort();
	sd_bus_message_new_method_return(m, &reply);
	append_device(reply, dir, name, text);
	return sd_bus_message_send(reply);
}

// Change one value of a device.
static void set(const char *dir, const char *name, const char *key, const char *value) {
	static const char *const keys[] = {"mgmtdev", "mac", "mtu",    "queue_pairs", "features",
	                                   "node",    "uid", "driver", "parked"};
	char text[TEXT_SIZE], changed[TEXT_SIZE] = "", old[NAME_MAX], path[PATH_MAX];
	size_t len = 0;

	if (!vk_read_thing(dir, "devices", name, text))
		return;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		vk_print(
			changed + len, sizeof(changed) - len, "%s %s\n", keys[i],
			strcmp(keys[i], key) == 0 ? value : vk_get(text, keys[i], old)
		);
		len += strlen(changed + len);
	}
	vk_print(path, sizeof(path), "devices/%s", name);
	vdpa_kernel_write(dir, path, changed);
}

static int del_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *name;
	char text[TEXT_SIZE], held[TEXT_SIZE], path[PATH_MAX], node[NAME_MAX];
	struct error e;
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read_basic(m, 's', &name);
	if (vk_read_text(vk_path(path, dir, "held/%s", name), held)) {
		set(dir, name, "parked", "1");
		error_set(&e, EBUSY, "%s is open in %s", name, held);
		return error_to_bus(&e, ret_error);
	}
	if (vk_read_thing(dir, "devices", name, text)) {
		(void)unlink(vk_get(text, "node", node));
		vk_print(path, sizeof(path), "devices/%s", name);
		vdpa_kernel_remove(dir, path);
	}
	return sd_bus_reply_method_return(m, "");
}

static int keep_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *name;
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read_basic(m, 's', &name);
	set(dir, name, "parked", "0");
	return sd_bus_reply_method_return(m, "");
}

static int own_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *name;
	char number[16];
	uint32_t uid, gid;
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read(m, "suu", &name, &uid, &gid);
	vk_print(number, sizeof(number), "%u", uid);
	set(dir, name, "uid", number);
	return sd_bus_reply_method_return(m, "");
}

static int vdpa_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *name;
	char active[NAME_MAX];
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read_basic(m, 's', &name);
	vk_print(active, sizeof(active), "active/%.200s", name);
	if (!vdpa_kernel_has(dir, active))
		return sd_bus_reply_method_return(m, "a{st}", 0);
	return sd_bus_reply_method_return(
		m, "a{st}", 2, "rx0_received_desc", UINT64_C(7), "rx0_completed_desc", UINT64_C(5)
	);
}

#define METHOD(name, in, out, fn) SD_BUS_METHOD(name, in, out, fn, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("ListMgmtdevs", "", "a{sa{sv}}", list_mgmtdevs),
	METHOD("ListVdpa", "", "a{sa{sv}}", list_vdpa),
	METHOD("AddVdpa", "sa{sv}", "a{sv}", add_vdpa),
	METHOD("DelVdpa", "s", "", del_vdpa),
	METHOD("KeepVdpa", "s", "", keep_vdpa),
	METHOD("OwnVdpa", "suu", "", own_vdpa),
	METHOD("VdpaStats", "s", "a{st}", vdpa_stats),
	SD_BUS_VTABLE_END,
};

int vdpa_kernel_serve(sd_bus *bus, const char *dir) {
	int r = sd_bus_add_object_vtable(
		bus, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, vtable, (void *)dir
	);

	return r < 0 ? r : vk_serve_functions(bus, dir);
}
