// SPDX-License-Identifier: GPL-2.0-or-later
// port qemu: the arguments that attach ports to a QEMU.
//
// They are printed as one line, because that can be pasted, stands in $(...) and survives eval; no
// value that vdpad makes needs quotes, but a run directory with a blank would.
//
// vDPA devices pin the guest's RAM against RLIMIT_MEMLOCK, which QEMU inherits from this shell. Too low a
// limit would be found out by the guest, whose NIC then passes nothing; so it is refused here. A program
// that asks for JSON starts QEMU by itself and sets the limit that it reads there.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/port_qemu.h"
#include "vdpad/ctl/print.h"
#include "vdpad/ctl/program.h"
#include "vdpad/model/qemu_args.h"

#define DEFAULT_MEMORY "1g"

static int read_port(const json_t *json, const char *name, struct port *port, struct error *e) {
	const char *path, *mac, *profile, *backend;
	json_int_t mtu_bytes, queue_pairs;
	int qemu_listens = 0;
	int r;

	r = json_unpack(
		(json_t *)json, "{s:s, s:s, s:s, s:s, s:I, s:I, s?b}", "path", &path, "mac", &mac,
		"profile", &profile, "backend", &backend, "mtu", &mtu_bytes, "queue_pairs",
		&queue_pairs, "qemu_listens", &qemu_listens
	);
	if (r < 0)
		return error_set(e, EBADMSG, "vdpad's answer about port '%s' is incomplete", name);
	*port = (struct port){
		.spec.mtu_bytes = (uint32_t)mtu_bytes,
		.spec.queue_pairs = (uint32_t)queue_pairs,
		.qemu_listens = qemu_listens != 0,
	};
	if (str_copy(port->spec.name, sizeof(port->spec.name), name) < 0 ||
	    str_copy(port->spec.profile, sizeof(port->spec.profile), profile) < 0 ||
	    str_copy(port->path, sizeof(port->path), path) < 0 ||
	    mac_addr_parse(mac, &port->spec.mac) < 0 || backend_parse(backend, &port->backend) < 0)
		return error_set(e, EBADMSG, "vdpad's answer about port '%s' is wrong", name);
	return 0;
}

// The answer, as it grows.
struct answer {
	json_t *ports;
	json_t *nic_args;
	json_t *memory_args;
	uint64_t memory_bytes; // 0: the caller's business
	size_t n_shared;       // NICs that need shared RAM
	size_t n_pinned;       // NICs that pin it
};

static void add_arg(json_t *args, const char *option, const char *value) {
	json_array_append_new(args, json_string(option));
	json_array_append_new(args, json_string(value));
}

// Null where nobody knows the machine's RAM.
static json_t *memlock_to_json(const struct answer *answer, size_t n_pinned) {
	if (n_pinned > 0 && answer->memory_bytes == 0)
		return json_null();
	return json_integer((json_int_t)qemu_memlock_bytes(answer->memory_bytes, n_pinned));
}

static int add_port(
	struct answer *answer, const struct port *port, struct qemu_version version, struct error *e
) {
	const struct port_spec *spec = &port->spec;
	struct qemu_nic nic;
	char mac[MAC_TEXT_SIZE];
	json_t *json;
	int r;

	r = qemu_nic_init(&nic, port, version, e);
	if (r < 0)
		return r;
	if (nic.chardev[0] != '\0')
		add_arg(answer->nic_args, "-chardev", nic.chardev);
	add_arg(answer->nic_args, "-netdev", nic.netdev);
	add_arg(answer->nic_args, "-device", nic.device);
	answer->n_shared += nic.shared_memory;
	answer->n_pinned += nic.pins_memory;
	json = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:b}", "name", spec->name,
		"kind", nic.kind, "path", port->path, "netdev", nic.netdev, "device", nic.device,
		"mac", mac_addr_format(&spec->mac, mac), "mtu", (json_int_t)spec->mtu_bytes,
		"queue_pairs", (json_int_t)spec->queue_pairs, "profile", spec->profile,
		"memlock_bytes", memlock_to_json(answer, nic.pins_memory), "shared_memory",
		(int)nic.shared_memory
	);
	if (nic.chardev[0] != '\0')
		json_object_set_new(json, "chardev", json_string(nic.chardev));
	json_array_append_new(answer->ports, json);
	return 0;
}

// Ask vdpad for each name of "a,b,c".
static int add_ports(
	struct answer *answer, const char *names, struct qemu_version version, struct error *e
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
			r = add_port(answer, &port, version, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_port_key(const char *key) {
	return port_spec_key_bit(key) != 0;
}

// Ask vdpad what `port add` would make of the request.
static int add_plan(
	struct answer *answer, const struct request *request, struct qemu_version version,
	struct error *e
) {
	struct request spec = {.operand = request->operand};
	json_t *planned = NULL;
	struct port port;
	int r;

	if (strchr(request->operand, ',') != NULL)
		return error_set(e, EINVAL, "--plan is about one port, not several");
	if (request_value(request, "network") == NULL)
		return error_set(e, EINVAL, "--plan needs key 'network', as 'port add' does");
	for (size_t i = 0; i < request->n_pairs; i++) {
		if (is_port_key(request->pairs[i].key))
			spec.pairs[spec.n_pairs++] = request->pairs[i];
	}
	r = client_ask_spec("PreviewPort", &spec, &planned, e);
	if (r < 0)
		return r;
	r = read_port(planned, request->operand, &port, e);
	json_decref(planned);
	return r < 0 ? r : add_port(answer, &port, version, e);
}

// Keys of a port say nothing about one that exists.
static int check_keys(const struct request *request, struct error *e) {
	for (size_t i = 0; i < request->n_pairs; i++) {
		if (is_port_key(request->pairs[i].key))
			return error_set(
				e, EINVAL, "key '%s' needs --plan: the port would have it",
				request->pairs[i].key
			);
	}
	return 0;
}

static int read_memory(const char *memory, uint64_t *ret_bytes, struct error *e) {
	struct qemu_ram ram;

	if (strcmp(memory, "none") == 0) {
		*ret_bytes = 0;
		return 0;
	}
	if (parse_size(memory, ret_bytes) < 0)
		return error_set(
			e, EINVAL, "memory '%s' is no size: it is like 512m or 4g, or none", memory
		);
	return qemu_ram_init(&ram, *ret_bytes, false, e);
}

static int add_memory(struct answer *answer, struct error *e) {
	struct qemu_ram ram;
	int r;

	if (answer->memory_bytes == 0)
		return 0;
	r = qemu_ram_init(&ram, answer->memory_bytes, answer->n_shared > 0, e);
	if (r < 0)
		return r;
	add_arg(answer->memory_args, "-m", ram.size);
	if (ram.object[0] == '\0')
		return 0;
	add_arg(answer->memory_args, "-object", ram.object);
	add_arg(answer->memory_args, "-machine", ram.machine);
	return 0;
}

int port_qemu_check_memlock(uint64_t needed_bytes, uint64_t limit_bytes, struct error *e) {
	uint64_t needed_kib = (needed_bytes + 1023) >> 10;

	if (limit_bytes == RLIM_INFINITY || limit_bytes >= needed_bytes)
		return 0;
	return error_set(
		e, EPERM,
		"ports on hardware pin the guest's RAM: QEMU must be allowed to lock %" PRIu64
		" KiB, and what is started from here may lock %" PRIu64
		" KiB. Say 'ulimit -l %" PRIu64
		"' first, start QEMU with 'prlimit --memlock=%" PRIu64
		"', or give its unit LimitMEMLOCK=%" PRIu64 "; --ignore-memlock prints the "
		"arguments all the same",
		needed_kib, limit_bytes >> 10, needed_kib, needed_kib << 10, needed_kib << 10
	);
}

static int check_memlock(const struct answer *answer, struct error *e) {
	struct rlimit limit;

	if (answer->n_pinned == 0 || answer->memory_bytes == 0)
		return 0;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return error_set(e, errno, "cannot read the memlock limit: %s", strerror(errno));
	return port_qemu_check_memlock(
		qemu_memlock_bytes(answer->memory_bytes, answer->n_pinned), limit.rlim_cur, e
	);
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

// What the caller of `memory none` has to see to.
static void print_notes(const struct answer *answer) {
	if (answer->memory_bytes != 0)
		return;
	if (answer->n_shared > 0)
		fputs("vdpactl: note: give QEMU all of its RAM with share=on, or no packet will "
		      "pass\n",
		      stderr);
	if (answer->n_pinned > 0)
		fprintf(stderr,
		        "vdpactl: note: QEMU must be allowed to lock %zu times its RAM and %" PRIu64
		        " MiB more, or no packet will pass: prlimit --memlock=...\n",
		        answer->n_pinned, qemu_memlock_bytes(0, answer->n_pinned) >> 20);
}

static int make_answer(const struct request *request, struct answer *answer, struct error *e) {
	const char *memory = request_value(request, "memory");
	struct qemu_version version;
	int r;

	r = read_memory(memory != NULL ? memory : DEFAULT_MEMORY, &answer->memory_bytes, e);
	if (r >= 0)
		r = read_version(request_value(request, "qemu_version"), &version, e);
	if (r >= 0 && (request->options & OPTION_PLAN) != 0)
		r = add_plan(answer, request, version, e);
	else if (r >= 0 && (r = check_keys(request, e)) >= 0)
		r = add_ports(answer, request->operand, version, e);
	if (r >= 0)
		r = add_memory(answer, e);
	return r;
}

int cmd_port_qemu(const struct request *request, struct error *e) {
	bool ignores_memlock = (request->options & OPTION_IGNORE_MEMLOCK) != 0;
	const char *format = request_value(request, "format");
	bool as_lines = format != NULL && strcmp(format, "lines") == 0;
	bool as_json = print_wants_json(request);
	struct answer answer = {
		.ports = json_array(), .nic_args = json_array(), .memory_args = json_array()};
	json_t *json;
	int r;

	if (format != NULL && !as_lines && strcmp(format, "shell") != 0)
		r = error_set(e, EINVAL, "format '%s' is unknown: it is shell or lines", format);
	else
		r = make_answer(request, &answer, e);
	if (r >= 0 && !as_json && !ignores_memlock)
		r = check_memlock(&answer, e);
	json_array_extend(answer.memory_args, answer.nic_args);
	json = json_pack(
		"{s:o, s:O, s:o, s:b}", "ports", answer.ports, "args", answer.memory_args,
		"memlock_bytes", memlock_to_json(&answer, answer.n_pinned), "shared_memory",
		(int)(answer.n_shared > 0)
	);
	if (r >= 0 && as_json)
		print_json(request, json);
	else if (r >= 0)
		print_args(answer.memory_args, as_lines);
	if (r >= 0)
		print_notes(&answer);
	json_decref(json);
	json_decref(answer.memory_args);
	json_decref(answer.nic_args);
	return r;
}
