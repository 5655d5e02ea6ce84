// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/fake/vdpa_kernel.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/error.h"
#include "vdpad/util/ipc.h"

#define TEXT_SIZE 4096

// Files

// Cut to fit, and nobody is warned.
static void print(char *text, size_t size, const char *fmt, ...) _printf_(3, 4);
static void print(char *text, size_t size, const char *fmt, ...) {
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, size, fmt, ap);
	va_end(ap);
}

static const char *path_of(char path[static PATH_MAX], const char *dir, const char *fmt, ...)
	_printf_(3, 4);
static const char *path_of(char path[static PATH_MAX], const char *dir, const char *fmt, ...) {
	size_t len = strlen(dir);
	va_list ap;

	print(path, PATH_MAX, "%s/", dir);
	len++;

	va_start(ap, fmt);
	vsnprintf(path + len, PATH_MAX - len, fmt, ap);
	va_end(ap);
	return path;
}

static char *flat(char file[static NAME_MAX], const char *name) {
	print(file, NAME_MAX, "%s", name);
	for (char *p = file; *p != '\0'; p++) {
		if (*p == '/')
			*p = ',';
	}
	return file;
}

static bool read_text(const char *path, char text[static TEXT_SIZE]) {
	FILE *file = fopen(path, "r");
	size_t n;

	if (file == NULL)
		return false;
	n = fread(text, 1, TEXT_SIZE - 1, file);
	text[n] = '\0';
	fclose(file);
	return true;
}

void vdpa_kernel_write(const char *dir, const char *path, const char *text) {
	char full[PATH_MAX], temporary[PATH_MAX];
	FILE *file;

	path_of(full, dir, "%s", path);
	path_of(temporary, dir, ".new");
	file = fopen(temporary, "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0 ||
	    rename(temporary, full) < 0)
		abort();
}

void vdpa_kernel_remove(const char *dir, const char *path) {
	char full[PATH_MAX];

	(void)unlink(path_of(full, dir, "%s", path));
}

int vdpa_kernel_has(const char *dir, const char *path) {
	char full[PATH_MAX];

	return access(path_of(full, dir, "%s", path), F_OK) == 0;
}

void vdpa_kernel_make(const char *dir) {
	static const char *const names[] = {"",    "mgmtdevs", "devices", "pfs",    "functions",
	                                    "dev", "held",     "active",  "refuse", "blind"};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (mkdir(path_of(path, dir, "%s", names[i]), 0755) < 0 && errno != EEXIST)
			abort();
	}
}

int vdpa_kernel_n_calls(const char *dir, const char *method) {
	char path[PATH_MAX], line[64];
	FILE *file = fopen(path_of(path, dir, "calls"), "r");
	int n = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		n += strcmp(line, method) == 0;
	}
	if (file != NULL)
		fclose(file);
	return n;
}

// The value of @key in "key value" lines, "" for none.
static const char *get(const char *text, const char *key, char value[static NAME_MAX]) {
	size_t len = strlen(key);

	value[0] = '\0';
	for (const char *line = text; line != NULL && *line != '\0';) {
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			print(value, NAME_MAX, "%s", line + len + 1);
			value[strcspn(value, "\n")] = '\0';
			break;
		}
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return value;
}

static uint64_t get_number(const char *text, const char *key) {
	char value[NAME_MAX];

	return strtoull(get(text, key, value), NULL, 0);
}

static bool read_thing(
	const char *dir, const char *kind, const char *name, char text[static TEXT_SIZE]
) {
	char path[PATH_MAX], file[NAME_MAX];

	return read_text(path_of(path, dir, "%s/%s", kind, flat(file, name)), text);
}

// Call @fn for each thing in @kind. Returns its first result that is not 0.
typedef int (*each_fn)(const char *dir, const char *name, const char *text, void *userdata);
static int each(const char *dir, const char *kind, each_fn fn, void *userdata) {
	char path[PATH_MAX], text[TEXT_SIZE], name[NAME_MAX];
	DIR *d = opendir(path_of(path, dir, "%s", kind));
	struct dirent *entry;
	int r = 0;

	while (d != NULL && r == 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		print(name, sizeof(name), "%s", entry->d_name);
		for (char *p = name; *p != '\0'; p++) {
			if (*p == ',')
				*p = '/';
		}
		if (read_thing(dir, kind, name, text))
			r = fn(dir, name, text, userdata);
	}
	if (d != NULL)
		closedir(d);
	return r;
}

// What every call does first. Returns true when it is answered already.
static bool is_answered(const char *dir, sd_bus_message *m, int *ret, sd_bus_error *ret_error) {
	const char *method = sd_bus_message_get_member(m);
	char path[PATH_MAX], text[TEXT_SIZE], *end;
	struct error e;
	int code;
	FILE *calls = fopen(path_of(path, dir, "calls"), "a");

	if (calls != NULL) {
		fprintf(calls, "%s\n", method);
		fclose(calls);
	}
	if (read_text(path_of(path, dir, "wedged"), text)) {
		error_set(&e, ETIMEDOUT, "%s", text);
	} else if (read_text(path_of(path, dir, "refuse/%s", method), text)) {
		code = (int)strtol(text, &end, 10);
		error_set(&e, code, "%s", end + 1);
	} else {
		return false;
	}
	*ret = error_to_bus(&e, ret_error);
	return true;
}

// Devices

static int drop_orphan(const char *dir, const char *name, const char *text, void *userdata) {
	char mgmtdev[NAME_MAX], node[NAME_MAX], other[TEXT_SIZE];

	(void)userdata;
	if (read_thing(dir, "mgmtdevs", get(text, "mgmtdev", mgmtdev), other))
		return 0;
	(void)unlink(get(text, "node", node));
	print(other, sizeof(other), "devices/%s", name);
	vdpa_kernel_remove(dir, other);
	return 0;
}

static int append_device(sd_bus_message *m, const char *dir, const char *name, const char *text) {
	char mgmtdev[NAME_MAX], driver[NAME_MAX], node[NAME_MAX], mac[NAME_MAX], active[NAME_MAX];

	get(text, "mgmtdev", mgmtdev);
	get(text, "driver", driver);
	get(text, "node", node);
	get(text, "mac", mac);
	print(active, sizeof(active), "active/%.200s", name);
	return sd_bus_message_append(
		m, "a{sv}", 12, "mgmtdev", "s", mgmtdev, "driver", "s", driver, "node", "s", node,
		"virtio_id", "u", 1, "max_vqs", "u", 3, "uid", "u",
		(uint32_t)get_number(text, "uid"), "parked", "b", (int)get_number(text, "parked"),
		"mac", "s", mac, "mtu", "u", (uint32_t)get_number(text, "mtu"), "queue_pairs", "u",
		(uint32_t)get_number(text, "queue_pairs"), "features", "t",
		get_number(text, "features"), "active", "b", vdpa_kernel_has(dir, active)
	);
}

static int list_device(const char *dir, const char *name, const char *text, void *reply) {
	char blind[NAME_MAX];

	print(blind, sizeof(blind), "blind/%.200s", name);
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

	if (is_answered(dir, m, &r, ret_error))
		return r;
	each(dir, "devices", drop_orphan, NULL);
	sd_bus_message_new_method_return(m, &reply);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	each(dir, "devices", list_device, reply);
	sd_bus_message_close_container(reply);
	return sd_bus_message_send(reply);
}

static int list_mgmtdev(const char *dir, const char *name, const char *text, void *reply) {
	char driver[NAME_MAX], pf[NAME_MAX], function[NAME_MAX];

	(void)dir;
	get(text, "driver", driver);
	get(text, "pf", pf);
	get(text, "function", function);
	return sd_bus_message_append(
		       reply, "{sa{sv}}", name, 7, "driver", "s", driver, "takes", "u",
		       (uint32_t)get_number(text, "takes"), "one_device", "b",
		       (int)get_number(text, "one_device"), "features", "t",
		       get_number(text, "features"), "max_vqs", "u",
		       (uint32_t)get_number(text, "max_vqs"), "pf", "s", pf, "function", "s",
		       function
	       ) < 0
		? -EIO
		: 0;
}

static int list_mgmtdevs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *dir = userdata;
	int r;

	if (is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_new_method_return(m, &reply);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	each(dir, "mgmtdevs", list_mgmtdev, reply);
	sd_bus_message_close_container(reply);
	return sd_bus_message_send(reply);
}

static int count_on(const char *dir, const char *name, const char *text, void *userdata) {
	char mgmtdev[NAME_MAX];
	const char *wanted = *(const char **)userdata;

	(void)dir;
	(void)name;
	return strcmp(get(text, "mgmtdev", mgmtdev), wanted) == 0 ? 1 : 0;
}

// The lowest free number, as the kernel does.
static int make_node(const char *dir, char node[static PATH_MAX]) {
	for (int i = 0; i < 1000; i++) {
		FILE *file;

		path_of(node, dir, "dev/vhost-vdpa-%d", i);
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

	if (!read_thing(dir, "mgmtdevs", add->mgmtdev, text))
		return error_set(e, EIO, "Fail to find the specified management device");
	takes = get_number(text, "takes");
	if ((add->mac[0] != '\0' && !(takes & IPC_VDPA_TAKES_MAC)) ||
	    (add->mtu != 0 && !(takes & IPC_VDPA_TAKES_MTU)) ||
	    (add->queue_pairs != 0 && !(takes & IPC_VDPA_TAKES_QUEUE_PAIRS)) ||
	    (add->features != 0 && !(takes & IPC_VDPA_TAKES_FEATURES)))
		return error_set(e, EOPNOTSUPP, "Some provided attributes are not supported");
	if (get_number(text, "one_device") != 0 &&
	    each(dir, "devices", count_on, (void *)&add->mgmtdev) != 0)
		return error_set(e, ENOSPC, "%s has its one device", add->mgmtdev);
	get(text, "mac", own_mac);
	if (make_node(dir, node) < 0)
		return error_set(e, EIO, "no node");
	print(text, sizeof(text),
	      "mgmtdev %s\nmac %s\nmtu %u\nqueue_pairs %u\nfeatures %" PRIu64
	      "\nnode %s\nuid %u\ndriver vhost_vdpa\nparked 0\n",
	      add->mgmtdev, add->mac[0] != '\0' ? add->mac : own_mac,
	      add->mtu != 0 ? add->mtu : 1500, add->queue_pairs != 0 ? add->queue_pairs : 1,
	      add->features, node, add->uid);
	print(path, sizeof(path), "devices/%s", name);
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

	if (is_answered(dir, m, &r, ret_error))
		return r;
	if (sd_bus_message_read_basic(m, 's', &name) <= 0 ||
	    ipc_dict_read(m, fields, ARRAY_LEN(fields), &add, &e) < 0)
		abort();
	if (!read_thing(dir, "devices", name, text) && make_device(dir, name, &add, &e) < 0)
		return error_to_bus(&e, ret_error);
	if (!read_thing(dir, "devices", name, text))
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

	if (!read_thing(dir, "devices", name, text))
		return;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		print(changed + len, sizeof(changed) - len, "%s %s\n", keys[i],
		      strcmp(keys[i], key) == 0 ? value : get(text, keys[i], old));
		len += strlen(changed + len);
	}
	print(path, sizeof(path), "devices/%s", name);
	vdpa_kernel_write(dir, path, changed);
}

static int del_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *name;
	char text[TEXT_SIZE], held[TEXT_SIZE], path[PATH_MAX], node[NAME_MAX];
	struct error e;
	int r;

	if (is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read_basic(m, 's', &name);
	if (read_text(path_of(path, dir, "held/%s", name), held)) {
		set(dir, name, "parked", "1");
		error_set(&e, EBUSY, "%s is open in %s", name, held);
		return error_to_bus(&e, ret_error);
	}
	if (read_thing(dir, "devices", name, text)) {
		(void)unlink(get(text, "node", node));
		print(path, sizeof(path), "devices/%s", name);
		vdpa_kernel_remove(dir, path);
	}
	return sd_bus_reply_method_return(m, "");
}

static int keep_vdpa(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *name;
	int r;

	if (is_answered(dir, m, &r, ret_error))
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

	if (is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read(m, "suu", &name, &uid, &gid);
	print(number, sizeof(number), "%u", uid);
	set(dir, name, "uid", number);
	return sd_bus_reply_method_return(m, "");
}

static int vdpa_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *name;
	char active[NAME_MAX];
	int r;

	if (is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read_basic(m, 's', &name);
	print(active, sizeof(active), "active/%.200s", name);
	if (!vdpa_kernel_has(dir, active))
		return sd_bus_reply_method_return(m, "a{st}", 0);
	return sd_bus_reply_method_return(
		m, "a{st}", 2, "rx0_received_desc", UINT64_C(7), "rx0_completed_desc", UINT64_C(5)
	);
}

// Functions

struct spec {
	const char *mac, *bridge;
	uint32_t mtu, vlan;
	uint64_t max_bps;
};

static int find_function(const char *dir, const char *name, const char *text, void *userdata) {
	char value[2 * NAME_MAX], pf[NAME_MAX], function[NAME_MAX];
	char **wanted = userdata; // PF/F in, the management device out

	(void)dir;
	print(value, sizeof(value), "%s/%s", get(text, "pf", pf), get(text, "function", function));
	if (strcmp(value, wanted[0]) != 0)
		return 0;
	print(wanted[1], NAME_MAX, "%s", name);
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
	int r;

	if (is_answered(dir, m, &r, ret_error))
		return r;
	if (sd_bus_message_read(m, "ss", &pf, &function) <= 0 ||
	    ipc_dict_read(m, fields, ARRAY_LEN(fields), &spec, &e) < 0)
		abort();
	print(whole, sizeof(whole), "%s/%s", pf, function);
	if (each(dir, "mgmtdevs", find_function, wanted) == 0) {
		print(path, sizeof(path), "pfs/%s", pf);
		if (function[0] != 's' || !vdpa_kernel_has(dir, path)) {
			error_set(&e, EIO, "there is no PF %s", pf);
			return error_to_bus(&e, ret_error);
		}
		print(mgmtdev, sizeof(mgmtdev), "auxiliary/mlx5_core.sf.%s", function + 7);
		print(text, sizeof(text), VDPA_KERNEL_MLX5 "pf %s\nfunction %s\n", pf, function);
		print(path, sizeof(path), "mgmtdevs/%s", mgmtdev);
		*strchr(path + strlen("mgmtdevs/"), '/') = ',';
		vdpa_kernel_write(dir, path, text);
	}
	print(text, sizeof(text), "mac %s\nvlan %u\nbridge %s\nmgmtdev %s\n", spec.mac, spec.vlan,
	      spec.bridge, mgmtdev);
	print(path, sizeof(path), "functions/%s,%s", pf, function);
	vdpa_kernel_write(dir, path, text);
	return sd_bus_reply_method_return(m, "ssa(ss)", mgmtdev, "pf0f", 0);
}

static int del_function(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *dir = userdata, *pf, *function;
	char path[PATH_MAX], file[NAME_MAX], text[TEXT_SIZE], mgmtdev[NAME_MAX];
	int r;

	if (is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read(m, "ss", &pf, &function);
	print(path, sizeof(path), "%s/%s", pf, function);
	if (read_thing(dir, "functions", path, text) && function[0] == 's') {
		get(text, "mgmtdev", mgmtdev);
		print(path, sizeof(path), "mgmtdevs/%s", flat(file, mgmtdev));
		vdpa_kernel_remove(dir, path);
		each(dir, "devices", drop_orphan, NULL);
	}
	print(path, sizeof(path), "functions/%s,%s", pf, function);
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
		       get(text, "mgmtdev", mgmtdev), "representor", "s", "pf0f", "mac", "s",
		       get(text, "mac", mac), "active", "b", 1
	       ) < 0
		? -EIO
		: 0;
}

static int list_functions(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct function_list list;
	const char *dir = userdata;
	int r;

	if (is_answered(dir, m, &r, ret_error))
		return r;
	sd_bus_message_read_basic(m, 's', &list.pf);
	sd_bus_message_new_method_return(m, &reply);
	sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	list.reply = reply;
	each(dir, "functions", list_function, &list);
	sd_bus_message_close_container(reply);
	return sd_bus_message_send(reply);
}

static int ensure_vfs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	int r;

	if (is_answered(userdata, m, &r, ret_error))
		return r;
	return sd_bus_reply_method_return(m, "a(ss)", 0);
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
	METHOD("EnsureVfs", "sub", "a(ss)", ensure_vfs),
	METHOD("EnsureFunction", "ssa{sv}b", "ssa(ss)", ensure_function),
	METHOD("DelFunction", "ssb", "a(ss)", del_function),
	METHOD("ListFunctions", "s", "a{sa{sv}}", list_functions),
	SD_BUS_VTABLE_END,
};

int vdpa_kernel_serve(sd_bus *bus, const char *dir) {
	return sd_bus_add_object_vtable(
		bus, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, vtable, (void *)dir
	);
}
