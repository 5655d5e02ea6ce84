// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/vdpa_kernel.h"
#include "tests/fake/vdpa_kernel_files.h"
#include "vdpad/util/error.h"
#include "vdpad/util/ipc.h"

struct spec {
	const char *mac, *bridge;
	uint32_t mtu, vlan;
	uint64_t max_bps;
};

static int find_function(const char *dir, const char *name, const char *text, void *userdata) {
	char value[2 * NAME_MAX], pf[NAME_MAX], function[NAME_MAX];
	char **wanted = userdata; // PF/F in, the management device out

	(void)dir;
	vk_print(
		value, sizeof(value), "%s/%s", vk_get(text, "pf", pf),
		vk_get(text, "function", function)
	);
	if (strcmp(value, wanted[0]) != 0)
		return 0;
	vk_print(wanted[1], NAME_MAX, "%s", name);
	return 1;
}

static int ensure_function(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct ipc_field fields[] = {
		{"mac", 's', offsetof(struct spec, mac), true},
		{"mtu", 'u', offsetof(struct spec, mtu), true},
		{"bridge", 's', offsetof(struct spec, bridge), true},
		{"vlan", 'u', offsetof(struct spec, vlan), true},
		{"max_bps", 't', offsetof(struct spec, max_bps), true},
	};
	const char *dir = userdata, *pf, *function;
	char whole[NAME_MAX], mgmtdev[NAME_MAX], path[PATH_MAX], text[TEXT_SIZE];
	char *wanted[] = {whole, mgmtdev};
	struct spec spec = {0};
	struct error e;
	int dry_run, r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	if (sd_bus_message_read(m, "ss", &pf, &function) <= 0 ||
	    ipc_dict_read(m, fields, ARRAY_LEN(fields), &spec, &e) < 0 ||
	    sd_bus_message_read(m, "b", &dry_run) <= 0)
		abort();
	if (dry_run)
		return sd_bus_reply_method_return(
			m, "ssa(ss)", "", "", 1, "make the function", function
		);
	vk_print(whole, sizeof(whole), "%s/%s", pf, function);
	if (vk_each(dir, "mgmtdevs", find_function, wanted) == 0) {
		vk_print(path, sizeof(path), "pfs/%s", pf);
		if (function[0] != 's' || !vdpa_kernel_has(dir, path)) {
			error_set(&e, EIO, "there is no PF %s", pf);
			return error_to_bus(&e, ret_error);
		}
		vk_print(mgmtdev, sizeof(mgmtdev), "auxiliary/mlx5_core.sf.%s", function + 7);
		vk_print(text, sizeof(text), VDPA_KERNEL_MLX5 "pf %s\nfunction %s\n", pf, function);
		vk_print(path, sizeof(path), "mgmtdevs/%s", mgmtdev);
		*strchr(path + strlen("mgmtdevs/"), '/') = ',';
		vdpa_kernel_write(dir, path, text);
	}
	vk_print(
		text, sizeof(text), "mac %s\nvlan %u\nbridge %s\nmgmtdev %s\n", spec.mac, spec.vlan,
		spec.bridge, mgmtdev
	);
	vk_print(path, sizeof(path), "functions/%s,%s", pf, function);
	vdpa_kernel_write(dir, path, text);
	return sd_bus_reply_method_return(m, "ssa(ss)", mgmtdev, "pf0f", 0);
}

static int del_function(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *pf, *function;
	char path[PATH_MAX], file[NAME_MAX], text[TEXT_SIZE], mgmtdev[NAME_MAX];
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read(m, "ss", &pf, &function);
	vk_print(path, sizeof(path), "%s/%s", pf, function);
	if (vk_read_thing(dir, "functions", path, text) && function[0] == 's') {
		vk_get(text, "mgmtdev", mgmtdev);
		vk_print(path, sizeof(path), "mgmtdevs/%s", vk_flat(file, mgmtdev));
		vdpa_kernel_remove(dir, path);
		vk_each(dir, "devices", vk_drop_orphan, NULL);
	}
	vk_print(path, sizeof(path), "functions/%s,%s", pf, function);
	vdpa_kernel_remove(dir, path);
	return sd_bus_reply_method_return(m, "a(ss)", 0);
}

struct function_list {
	sd_bus_message *reply;
	const char *pf;
};

static int list_function(const char *dir, const char *name, const char *text, void *userdata) {
	const struct function_list *list = userdata;
	char mac[NAME_MAX], mgmtdev[NAME_MAX];
	size_t len = strlen(list->pf);

	(void)dir;
	if (strncmp(name, list->pf, len) != 0 || name[len] != '/')
		return 0;
	return sd_bus_message_append(
		       list->reply, "{sa{sv}}", name + len + 1, 4, "mgmtdev", "s",
		       vk_get(text, "mgmtdev", mgmtdev), "representor", "s", "pf0f", "mac", "s",
		       vk_get(text, "mac", mac), "active", "b", 1
	       ) < 0
		? -EIO
		: 0;
}

static int list_functions(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct function_list list;
	const char *dir = userdata;
	int r;

	if (vk_is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read_basic(m, 's', &list.pf);
	sd_bus_message_new_method_return(m, &reply);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	list.reply = reply;
	vk_each(dir, "functions", list_function, &list);
	sd_bus_message_close_container(reply);
	return sd_bus_message_send(reply);
}

static int ensure_vfs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	int r;

	if (vk_is_answered(userdata, m, &r, ret_error))
		return r;
	return sd_bus_reply_method_return(m, "a(ss)", 0);
}

#define METHOD(name, in, out, fn) SD_BUS_METHOD(name, in, out, fn, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("EnsureVfs", "sub", "a(ss)", ensure_vfs),
	METHOD("EnsureFunction", "ssa{sv}b", "ssa(ss)", ensure_function),
	METHOD("DelFunction", "ssb", "a(ss)", del_function),
	METHOD("ListFunctions", "s", "a{sa{sv}}", list_functions),
	SD_BUS_VTABLE_END,
};

int vk_serve_functions(sd_bus *bus, const char *dir) {
	return sd_bus_add_object_vtable(
		bus, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, vtable, (void *)dir
	);
}
