// SPDX-License-Identifier: GPL-2.0-or-later
// port qemu: the arguments that attach ports to a QEMU.
//
// They are printed as one line, because that can be pasted, stands in $(...) and survives eval; no
// value that vdpad makes needs quotes, but a run directory with a blank would.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/print.h"
#include "vdpad/ctl/program.h"
#include "vdpad/qemu_args.h"

#define DEFAULT_MEMORY "1g"

static int read_port(const json_t *json, const char *name, struct port *port, struct error *e) {
	const char *path, *mac, *profile, *backend;
	json_int_t mtu_bytes, queue_pairs;
	int r;

	r = json_unpack(
		(json_t *)json, "{s:s, s:s, s:s, s:s, s:I, s:I}", "path", &path, "mac", &mac,
		"profile", &profile, "backend", &backend, "mtu", &mtu_bytes, "queue_pairs",
		&queue_pairs
	);
	if (r < 0)
		return error_set(e, EBADMSG, "vdpad's answer about port '%s' is incomplete", name);
	*port = (struct port
	){.spec.mtu_bytes = (uint32_t)mtu_bytes, .spec.queue_pairs = (uint32_t)queue_pairs};
	if (str_copy(port->spec.name, sizeof(port->spec.name), name) < 0 ||
	    str_copy(port->spec.profile, sizeof(port->spec.profile), profile) < 0 ||
	    str_copy(port->path, sizeof(port->path), path) < 0 ||
	    mac_addr_parse(mac, &port->spec.mac) < 0 || backend_parse(backend, &port->backend) < 0)
		return error_set(e, EBADMSG, "vdpad's answer about port '%s' is wrong", name);
	return 0;
}

static void add_arg(json_t *args, const char *option, const char *value) {
	json_array_append_new(args, json_string(option));
	json_array_append_new(args, json_string(value));
}

// Describe @port in @ports and append its options to @args.
static int add_port(
	const struct port *port, struct qemu_version version, json_t *ports, json_t *args,
	struct error *e
) {
	const struct port_spec *spec = &port->spec;
	struct qemu_nic nic;
	char mac[MAC_TEXT_SIZE];
	int r;

	r = qemu_nic_init(&nic, port, version, e);
	if (r < 0)
		return r;
	add_arg(args, "-chardev", nic.chardev);
	add_arg(args, "-netdev", nic.netdev);
	add_arg(args, "-device", nic.device);
	json_array_append_new(
		ports,
		json_pack(
			"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:b}", "name",
			spec->name, "kind", "vhost-user", "path", port->path, "chardev",
			nic.chardev, "netdev", nic.netdev, "device", nic.device, "mac",
			mac_addr_format(&spec->mac, mac), "mtu", (json_int_t)spec->mtu_bytes,
			"queue_pairs", (json_int_t)spec->queue_pairs, "profile", spec->profile,
			"memlock_bytes", (json_int_t)nic.memlock_bytes, "shared_memory",
			(int)nic.shared_memory
		)
	);
	return 0;
}

// Ask vdpad for each name of "a,b,c".
static int add_ports(
	const char *names, struct qemu_version version, json_t *ports, json_t *args, struct error *e
) {
	_cleanup_free_ char *list = strdup(names);
	char *rest = NULL;

	if (list == NULL)
		return error_set(e, ENOMEM, "out of memory");
	for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		json_t *found = NULL;
		struct port port;
		int r;

		r = client_ask("ShowPorts", name, &found, e);
		if (r < 0)
			return r;
		r = read_port(json_object_get(found, name), name, &port, e);
		json_decref(found);
		if (r >= 0)
			r = add_port(&port, version, ports, args, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_memory(const char *memory, json_t *args, struct error *e) {
	struct qemu_ram ram;
	uint64_t size_bytes;
	int r;

	if (strcmp(memory, "none") == 0)
		return 0;
	if (parse_size(memory, &size_bytes) < 0)
		return error_set(
			e, EINVAL, "memory '%s' is no size: it is like 512m or 4g, or none", memory
		);
	r = qemu_ram_init(&ram, size_bytes, e);
	if (r < 0)
		return r;
	add_arg(args, "-m", ram.size);
	add_arg(args, "-object", ram.object);
	add_arg(args, "-machine", ram.machine);
	return 0;
}

static int read_version(const char *text, struct qemu_version *ret_version, struct error *e) {
	char line[256];
	struct error why;

	if (text == NULL) {
		if (program_find_qemu(ret_version, line, sizeof(line), &why) < 0)
			return error_set(
				e, why.code, "%s; or say which it will be: qemu_version 7.2",
				why.text
			);
		return 0;
	}
	if (qemu_version_parse(text, ret_version) < 0)
		return error_set(
			e, EINVAL, "qemu_version '%s' is no version: it is like 7.2", text
		);
	return 0;
}

// As one word for a POSIX shell.
static void print_quoted(const char *word) {
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789%+,-./:=@_";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	}
	putchar('\'');
}

static void print_args(const json_t *args, bool as_lines) {
	size_t i;
	json_t *arg;

	json_array_foreach (args, i, arg) {
		if (as_lines) {
			puts(json_string_value(arg));
			continue;
		}
		print_quoted(json_string_value(arg));
		putchar(i + 1 < json_array_size(args) ? ' ' : '\n');
	}
}

int cmd_port_qemu(const struct request *request, struct error *e) {
	const char *memory = request_value(request, "memory");
	const char *format = request_value(request, "format");
	bool as_lines = format != NULL && strcmp(format, "lines") == 0;
	json_t *answer, *ports = json_array(), *args = json_array();
	struct qemu_version version;
	int r;

	answer = json_pack("{s:o, s:o}", "ports", ports, "args", args); // owns both
	if (format != NULL && !as_lines && strcmp(format, "shell") != 0)
		r = error_set(e, EINVAL, "format '%s' is unknown: it is shell or lines", format);
	else
		r = add_memory(memory != NULL ? memory : DEFAULT_MEMORY, args, e);
	if (r >= 0)
		r = read_version(request_value(request, "qemu_version"), &version, e);
	if (r >= 0)
		r = add_ports(request->operand, version, ports, args, e);
	if (r >= 0 && print_wants_json(request))
		print_json(request, answer);
	else if (r >= 0)
		print_args(args, as_lines);
	if (r >= 0 && memory != NULL && strcmp(memory, "none") == 0)
		fputs("vdpactl: note: give QEMU all of its RAM with share=on, or no packet will "
		      "pass\n",
		      stderr);
	json_decref(answer);
	return r;
}
