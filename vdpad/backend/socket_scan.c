// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/socket_scan.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/util/cleanup.h"

// include/uapi/linux/net.h, __SO_ACCEPTCON and SS_CONNECTED
#define FLAG_LISTENS 0x10000U
#define STATE_CONNECTED 3U

static const char *base_name(const char *path) {
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

// The folder of @path without links; false if there is none that can be seen.
static bool real_folder(const char *path, char real[static PATH_MAX]) {
	char folder[PATH_MAX];
	size_t len = (size_t)(base_name(path) - path);

	if (len == 0 || len >= sizeof(folder))
		return false;
	memcpy(folder, path, len);
	folder[len] = '\0';
	return realpath(folder, real) != NULL;
}

static bool is_same(const char *bound, const char *path) {
	char a[PATH_MAX], b[PATH_MAX];

	if (strcmp(bound, path) == 0)
		return true;
	return strcmp(base_name(bound), base_name(path)) == 0 && real_folder(bound, a) &&
		real_folder(path, b) && strcmp(a, b) == 0;
}

// A line is "Num: RefCount Protocol Flags Type St Inode Path"; only named sockets have a path.
static void read_line(char *line, struct socket_use *uses, size_t n) {
	unsigned int flags, state;
	int path_at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%*s %*x %*x %x %*x %x %*u %n", &flags, &state, &path_at) != 2 ||
	    path_at == 0 || line[path_at] != '/')
		return;
	for (size_t i = 0; i < n; i++) {
		if (!is_same(line + path_at, uses[i].path))
			continue;
		if ((flags & FLAG_LISTENS) != 0)
			uses[i].listening = true;
		else if (state == STATE_CONNECTED)
			uses[i].connected = true;
	}
}

void socket_scan(FILE *table, struct socket_use *uses, size_t n) {
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		uses[i].listening = uses[i].connected = false;
	while (getline(&line, &size, table) >= 0)
		read_line(line, uses, n);
}
