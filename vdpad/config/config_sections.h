// SPDX-License-Identifier: GPL-2.0-or-later
// The sections of a configuration file and their keys: what each may hold and where it goes. Private
// to config.c, which knows the files.

#pragma once

#include "vdpad/config/conf_file.h"
#include "vdpad/config/config.h"

enum config_section {
	SECTION_NONE,
	SECTION_DEFAULTS,
	SECTION_LIMITS,
	SECTION_SWITCH,
	SECTION_NETWORKS,
	SECTION_NETWORK,
	SECTION_DEVICES,
	SECTION_POOL,
	SECTION_SOCKET,
	CONFIG_N_SECTIONS,
};

// Where a network or pool was configured, for the message about the second place.
struct config_place {
	char *file; // owned
	unsigned int line;
	uint32_t keys; // of a pool, as bits
};

struct config_parser {
	struct conf_file file;
	struct config *config;
	struct config_place *places; // of config->networks, before they are sorted
	enum config_section section;
	char title[CONF_LINE_MAX_CHARS + 1]; // of the section as written, for messages
	struct network_config *network;      // of section SECTION_NETWORK
	struct config_place *pool_places;    // of config->pools
	size_t n_pool_places;
	struct socket_config *socket;       // of section SECTION_SOCKET
	struct config_place *socket_places; // of config->sockets, likewise
	uint32_t seen
		[CONFIG_N_SECTIONS]; // keys of this file, as bits in the order of the section's table
};

// The two callbacks of struct conf_file, whose user is a struct config_parser.
int config_on_section(struct conf_file *file, const char *title);
int config_on_key(struct conf_file *file, const char *key, const char *value);

// Note that @key, number @index of its section, was given. Returns 0, or the failure that it was twice.
int config_see_key(struct config_parser *p, const char *key, size_t index);
