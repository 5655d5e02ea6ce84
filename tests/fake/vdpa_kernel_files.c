// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/fake/vdpa_kernel_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fake/vdpa_kernel.h"
#include "vdpad/util/error.h"

void vk_print(char *text, size_t size, const char *fmt, ...) {
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, size, fmt, ap);
	va_end(ap);
}

const char *vk_path(char path[static PATH_MAX], const char *dir, const char *fmt, ...) {
	size_t len = strlen(dir);
	va_list ap;

	vk_print(path, PATH_MAX, "%s/", dir);
	len++;

	va_start(ap, fmt);
	vsnprintf(path + len, PATH_MAX - len, fmt, ap);
	va_end(ap);
	return path;
}

char *vk_flat(char file[static NAME_MAX], const char *name) {
	vk_print(file, NAME_MAX, "%s", name);
	for (char *p = file; *p != '\0'; p++) {
		if (*p == '/')
			*p = ',';
	}
	return file;
}

bool vk_read_text(const char *path, char text[static TEXT_SIZE]) {
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

	vk_path(full, dir, "%s", path);
	vk_path(temporary, dir, ".new");
	file = fopen(temporary, "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0 ||
	    rename(temporary, full) < 0)
		abort();
}

void vdpa_kernel_remove(const char *dir, const char *path) {
	char full[PATH_MAX];

	(void)unlink(vk_path(full, dir, "%s", path));
}

int vdpa_kernel_has(const char *dir, const char *path) {
	char full[PATH_MAX];

	return access(vk_path(full, dir, "%s", path), F_OK) == 0;
}

void vdpa_kernel_make(const char *dir) {
	static const char *const names[] = {"",    "mgmtdevs", "devices", "pfs",    "functions",
	                                    "dev", "held",     "active",  "refuse", "blind"};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (mkdir(vk_path(path, dir, "%s", names[i]), 0755) < 0 && errno != EEXIST)
			abort();
	}
}

int vdpa_kernel_n_calls(const char *dir, const char *method) {
	char path[PATH_MAX], line[64];
	FILE *file = fopen(vk_path(path, dir, "calls"), "r");
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
const char *vk_get(const char *text, const char *key, char value[static NAME_MAX]) {
	size_t len = strlen(key);

	value[0] = '\0';
	for (const char *line = text; line != NULL && *line != '\0';) {
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			vk_print(value, NAME_MAX, "%s", line + len + 1);
			value[strcspn(value, "\n")] = '\0';
			break;
		}
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return value;
}

uint64_t vk_get_number(const char *text, const char *key) {
	char value[NAME_MAX];

	return strtoull(vk_get(text, key, value), NULL, 0);
}

bool vk_read_thing(
	const char *dir, const char *kind, const char *name, char text[static TEXT_SIZE]
) {
	char path[PATH_MAX], file[NAME_MAX];

	return vk_read_text(vk_path(path, dir, "%s/%s", kind, vk_flat(file, name)), text);
}

// Call @fn for each thing in @kind. Returns its first result that is not 0.
int vk_each(const char *dir, const char *kind, vk_each_fn fn, void *userdata) {
	char path[PATH_MAX], text[TEXT_SIZE], name[NAME_MAX];
	DIR *d = opendir(vk_path(path, dir, "%s", kind));
	struct dirent *entry;
	int r = 0;

	while (d != NULL && r == 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		vk_print(name, sizeof(name), "%s", entry->d_name);
		for (char *p = name; *p != '\0'; p++) {
			if (*p == ',')
				*p = '/';
		}
		if (vk_read_thing(dir, kind, name, text))
			r = fn(dir, name, text, userdata);
	}
	if (d != NULL)
		closedir(d);
	return r;
}

// What every call does first. Returns true when it is answered already.
bool vk_is_answered(const char *dir, sd_bus_message *m, int *ret, sd_bus_error *ret_error) {
	const char *method = sd_bus_message_get_member(m);
	char path[PATH_MAX], text[TEXT_SIZE], *end;
	struct error e;
	int code;
	FILE *calls = fopen(vk_path(path, dir, "calls"), "a");

	if (calls != NULL) {
		fprintf(calls, "%s\n", method);
		fclose(calls);
	}
	if (vk_read_text(vk_path(path, dir, "wedged"), text)) {
		error_set(&e, ETIMEDOUT, "%s", text);
	} else if (vk_read_text(vk_path(path, dir, "refuse/%s", method), text)) {
		code = (int)strtol(text, &end, 10);
		error_set(&e, code, "%s", end + 1);
	} else {
		return false;
	}
	*ret = error_to_bus(&e, ret_error);
	return true;
}
