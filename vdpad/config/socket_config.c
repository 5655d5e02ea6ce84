// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/config/socket_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SOCKETS_MAX 256 // FACTS_MAX_SOCKETS

bool socket_config_path_is_valid(const char *path) {
	size_t len = strlen(path);

	if (path[0] != '/' || len < 2 || len >= PORT_PATH_SIZE || path[len - 1] == '/')
		return false;
	for (const char *p = path; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || *p == ',')
			return false;
	}
	return strstr(path, "//") == NULL && strstr(path, "/../") == NULL &&
		(len < 3 || strcmp(path + len - 3, "/..") != 0);
}

int socket_config_open(struct config_parser *p, const char *name) {
	struct config *config = p->config;
	size_t n = config->n_sockets;
	void *grown;

	if (!port_name_is_valid(name))
		return conf_file_fail(
			&p->file, EINVAL,
			"'%s' is no name of a socket: 1 to 32 of a-z 0-9 . _ -; such as: "
			"[socket vpp0]",
			name
		);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(config->sockets[i].name, name) == 0)
			return conf_file_fail(
				&p->file, EINVAL, "[%s] appears twice: the first is in %s:%u",
				p->title, p->socket_places[i].file, p->socket_places[i].line
			);
	}
	if (n >= SOCKETS_MAX)
		return conf_file_fail(
			&p->file, EINVAL, "there are more than %d sockets", SOCKETS_MAX
		);
	grown = reallocarray(config->sockets, n + 1, sizeof(*config->sockets));
	if (grown == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");
	config->sockets = grown;
	grown = reallocarray(p->socket_places, n + 1, sizeof(*p->socket_places));
	if (grown == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");
	p->socket_places = grown;
	p->socket_places[n] =
		(struct config_place){.file = strdup(p->file.name), .line = p->file.line};
	if (p->socket_places[n].file == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");

	p->socket = &config->sockets[config->n_sockets++];
	*p->socket = (struct socket_config){.qemu_listens = false};
	str_copy(p->socket->name, sizeof(p->socket->name), name);
	p->seen[SECTION_SOCKET] = 0;
	return 0;
}

static int check(struct config_parser *p, size_t i) {
	const struct socket_config *sockets = p->config->sockets;
	const struct socket_config *socket = &sockets[i];

	p->file.name = p->socket_places[i].file;
	p->file.line = p->socket_places[i].line;
	if (socket->path[0] == '\0')
		return conf_file_fail(
			&p->file, EINVAL, "[socket %s] has no path: where the socket is",
			socket->name
		);
	if (socket->network[0] == '\0')
		return conf_file_fail(
			&p->file, EINVAL, "[socket %s] has no network: the one that it leads to",
			socket->name
		);
	for (size_t j = 0; j < i; j++) {
		if (strcmp(sockets[j].path, socket->path) == 0)
			return conf_file_fail(
				&p->file, EINVAL, "[socket %s] has the path of [socket %s]",
				socket->name, sockets[j].name
			);
	}
	return 0;
}

static int compare(const void *a, const void *b) {
	return strcmp(
		((const struct socket_config *)a)->name, ((const struct socket_config *)b)->name
	);
}

int socket_config_finish(struct config_parser *p) {
	struct config *config = p->config;

	for (size_t i = 0; i < config->n_sockets; i++) {
		if (check(p, i) < 0)
			return -EINVAL;
	}
	socket_config_forget_places(p);
	if (config->n_sockets > 0)
		qsort(config->sockets, config->n_sockets, sizeof(*config->sockets), compare);
	return 0;
}

void socket_config_forget_places(struct config_parser *p) {
	for (size_t i = 0; p->socket_places != NULL && i < p->config->n_sockets; i++)
		free(p->socket_places[i].file);
	free(p->socket_places);
	p->socket_places = NULL;
}

const struct socket_config *config_find_socket(const struct config *config, const char *name) {
	for (size_t i = 0; i < config->n_sockets; i++) {
		if (strcmp(config->sockets[i].name, name) == 0)
			return &config->sockets[i];
	}
	return NULL;
}
