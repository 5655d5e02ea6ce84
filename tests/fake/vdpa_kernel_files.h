// SPDX-License-Identifier: GPL-2.0-or-later
// What the parts of vdpa_kernel have in common: its files. Private to them.

#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "vdpad/util/cleanup.h"

#define TEXT_SIZE 4096

// Cut to fit, and nobody is warned.
void vk_print(char *text, size_t size, const char *fmt, ...) _printf_(3, 4);
const char *vk_path(char path[static PATH_MAX], const char *dir, const char *fmt, ...)
	_printf_(3, 4);
char *vk_flat(char file[static NAME_MAX], const char *name); // `/` becomes `,`
bool vk_read_text(const char *path, char text[static TEXT_SIZE]);

// The value of @key in "key value" lines, "" for none.
const char *vk_get(const char *text, const char *key, char value[static NAME_MAX]);
uint64_t vk_get_number(const char *text, const char *key);

// The text of KIND/NAME.
bool vk_read_thing(
	const char *dir, const char *kind, const char *name, char text[static TEXT_SIZE]
);

// Call @fn for each thing in @kind. Returns its first result that is not 0.
typedef int (*vk_each_fn)(const char *dir, const char *name, const char *text, void *userdata);
int vk_each(const char *dir, const char *kind, vk_each_fn fn, void *userdata);

// What every call does first. Returns true when it is answered already.
bool vk_is_answered(const char *dir, sd_bus_message *m, int *ret, sd_bus_error *ret_error);

// For vk_each() over devices: it goes if its management device is gone.
int vk_drop_orphan(const char *dir, const char *name, const char *text, void *userdata);

// The methods about functions of PFs.
int vk_serve_functions(sd_bus *bus, const char *dir);
