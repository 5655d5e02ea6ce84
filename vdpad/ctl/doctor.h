// SPDX-License-Identifier: GPL-2.0-or-later
// The examination of a node: a list of findings, each with a verdict, what was found, and what it
// means and what to do about it.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "vdpad/model/facts.h"
#include "vdpad/util/cleanup.h"

#define DOCTOR_MAX_FINDINGS 96 // a pool may be one

enum verdict {
	VERDICT_OK,
	VERDICT_WARN, // vdpad works, something is slower or not possible
	VERDICT_FAIL, // something that was promised does not work
};

struct finding {
	const char *check; // static storage
	enum verdict verdict;
	char found[256];
	const char *advice; // static storage; what it means and what to do, "" when all is well
};

struct report {
	struct finding findings[DOCTOR_MAX_FINDINGS];
	size_t n;
};

const char *verdict_name(enum verdict verdict);

// Add a finding; @fmt says what was found.
void report_add(
	struct report *report, const char *check, enum verdict verdict, const char *advice,
	const char *fmt, ...
) _printf_(5, 6);

// What can be seen without vdpad. Pure functions of their arguments.
void doctor_check_facts(struct report *report, const struct facts *facts);
void doctor_check_memlock(struct report *report, uint64_t limit_bytes);
void doctor_check_qemu_line(struct report *report, const char *line); // of `--version`

// A port as vdpad has it, and its socket at @path, which QEMU makes if @qemu_listens. Adds nothing when
// all is well.
void doctor_check_port(
	struct report *report, const char *port, const char *state, const char *reason,
	const char *path, bool qemu_listens
);
void doctor_check_socket(struct report *report, const char *port, const char *path);

// What vdpad answers to ShowPools, ShowMgmtdevs and ShowDevices, and Status's key "vdpa", of which a kernel
// without vDPA has nothing to say that doctor_check_facts() does not.
void doctor_check_pools(struct report *report, const json_t *pools, const json_t *mgmtdevs);
void doctor_check_devices(struct report *report, const json_t *devices);
void doctor_check_vdpa(struct report *report, const char *state, bool kernel_has_vdpa);

// Status's key "config_warnings"; NULL, of a vdpad that does not say, adds nothing.
void doctor_check_config(struct report *report, const json_t *warnings);

// The rest of the node: limits, devices, QEMU, this user's groups.
void doctor_check_node(struct report *report);
