// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/config/config_pool.h"
#include "vdpad/config/config_sections.h"
#include "vdpad/config/socket_config.h"

#define CONF_DIR "conf.d"
#define CONF_SUFFIX ".conf"

struct config *config_new(void) {
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	config->defaults.policy = POLICY_AUTO;
	config->defaults.queue_pairs = 1;
	config->defaults.link_up = true;
	str_copy(config->defaults.profile, sizeof(config->defaults.profile), "fast-1");
	config->limits.ports = 512;
	config->limits.queue_pairs = 64;
	str_copy(config->fallback.cpus, sizeof(config->fallback.cpus), "auto");
	config->fallback.memory_mb = 64;
	str_copy(config->fallback.socket_group, sizeof(config->fallback.socket_group), "kvm");
	config->fallback.socket_mode = 0660;
	str_copy(config->devices.user, sizeof(config->devices.user), "root");
	config->networks_from_bridges = true;
	return config;
}

void config_free(struct config *config) {
	if (config == NULL)
		return;
	free(config->networks);
	free(config->pools);
	free(config->sockets);
	free(config);
}

static int parser_init(struct config_parser *p, struct error *e) {
	*p = (struct config_parser){
		.file =
			{.on_section = config_on_section,
	                 .on_key = config_on_key,
	                 .user = p,
	                 .e = e},
		.config = config_new(),
	};
	return p->config != NULL ? 0 : error_set(e, ENOMEM, "out of memory");
}

static void parser_done(struct config_parser *p) {
	for (size_t i = 0; p->config != NULL && i < p->config->n_networks; i++)
		free(p->places[i].file);
	free(p->places);
	config_pool_forget_places(p);
	socket_config_forget_places(p);
	config_free(p->config);
}
#define _cleanup_parser_ _cleanup_(parser_done)

static int compare_networks(const void *a, const void *b) {
	return strcmp(
		((const struct network_config *)a)->name, ((const struct network_config *)b)->name
	);
}

// What can be judged only when a section is complete; then hand over the configuration.
static int finish(struct config_parser *p, struct config **ret_config) {
	struct config *config = p->config;

	for (size_t i = 0; i < config->n_networks; i++) {
		const struct network_config *network = &config->networks[i];

		p->file.name = p->places[i].file;
		p->file.line = p->places[i].line;
		if (network->uplink == UPLINK_NONE && network->bridge[0] != '\0')
			return conf_file_fail(
				&p->file, EINVAL,
				"[network %s] has bridge '%s' but uplink none: a bridge needs "
				"uplink "
				"tap",
				network->name, network->bridge
			);
		free(p->places[i].file);
		p->places[i].file = NULL;
	}
	if (config_pool_finish(p) < 0 || socket_config_finish(p) < 0)
		return -EINVAL;
	if (config->defaults.queue_pairs > config->limits.queue_pairs)
		return error_set(
			p->file.e, EINVAL,
			"[defaults] queue_pairs %u is more than [limits] queue_pairs %u",
			config->defaults.queue_pairs, config->limits.queue_pairs
		);
	if (config->n_networks > 0)
		qsort(config->networks, config->n_networks, sizeof(*config->networks),
		      compare_networks);
	*ret_config = TAKE_PTR(p->config);
	return 0;
}

static void start_file(struct config_parser *p) {
	p->section = SECTION_NONE;
	memset(p->seen, 0, sizeof(p->seen));
}

int config_parse(const char *name, const char *text, struct config **ret_config, struct error *e) {
	_cleanup_parser_ struct config_parser p;
	int r;

	r = parser_init(&p, e);
	if (r < 0)
		return r;
	start_file(&p);
	r = conf_file_parse(&p.file, name, text);
	if (r < 0)
		return r;
	return finish(&p, ret_config);
}

static int is_conf(const struct dirent *entry) {
	size_t len = strlen(entry->d_name), suffix_len = strlen(CONF_SUFFIX);

	return entry->d_name[0] != '.' && len > suffix_len &&
		strcmp(entry->d_name + len - suffix_len, CONF_SUFFIX) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_file(struct config_parser *p, const char *path) {
	start_file(p);
	return conf_file_load(&p->file, path);
}

// The files of conf.d beside @path.
static int load_directory(struct config_parser *p, const char *path) {
	const char *slash = strrchr(path, '/');
	struct dirent **entries = NULL;
	char file[PATH_MAX], dir[PATH_MAX];
	int n, r = 0;

	if (snprintf(
		    dir, sizeof(dir), "%.*s" CONF_DIR, slash != NULL ? (int)(slash - path + 1) : 0,
		    path
	    ) >= (int)sizeof(dir))
		return error_set(p->file.e, ENAMETOOLONG, "%s is too long for a path", path);
	n = scandir(dir, &entries, is_conf, by_name);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return error_set(p->file.e, errno, "%s cannot be read: %s", dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (r == 0 &&
		    snprintf(file, sizeof(file), "%s/%s", dir, entries[i]->d_name) >=
		            (int)sizeof(file))
			r = error_set(p->file.e, ENAMETOOLONG, "a path in %s is too long", dir);
		else if (r == 0)
			r = load_file(p, file);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int config_load(
	const char *path, const char *cluster_path, struct config **ret_config, struct error *e
) {
	_cleanup_parser_ struct config_parser p;
	int r;

	r = parser_init(&p, e);
	if (r < 0)
		return r;
	r = load_file(&p, path);
	if (r == 0)
		r = load_directory(&p, path);
	if (r == 0 && cluster_path != NULL)
		r = load_file(&p, cluster_path);
	if (r < 0)
		return r;
	return finish(&p, ret_config);
}
