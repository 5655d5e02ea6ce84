// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/config/config_sections.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/config/config_pool.h"
#include "vdpad/config/socket_config.h"

#define NETWORKS_MAX 256
#define PORTS_MAX 4096
#define QUEUE_PAIRS_MAX 128 // of one vhost-user device
#define MEMORY_MIN_MB 64
#define MEMORY_MAX_MB 65536
#define AGEING_MAX_S 1000000 // IEEE 802.1Q, 8.8.3
#define CPU_MAX 1023
#define MODE_OF_OTHERS 07

static const char *const section_names[CONFIG_N_SECTIONS] = {
	[SECTION_DEFAULTS] = "defaults", [SECTION_LIMITS] = "limits",
	[SECTION_SWITCH] = "switch",     [SECTION_NETWORKS] = "networks",
	[SECTION_NETWORK] = "network",   [SECTION_DEVICES] = "devices",
	[SECTION_POOL] = "pool",         [SECTION_SOCKET] = "socket",
};

enum value_kind {
	VALUE_NUMBER, // uint32_t within min and max
	VALUE_BOOL,
	VALUE_CPUS,
	VALUE_GROUP,
	VALUE_MODE,
	VALUE_BRIDGE,
	VALUE_UPLINK,
	VALUE_USER,
	VALUE_NETWORK,
	VALUE_SOCKET_PATH,
	VALUE_SOCKET_MODE,
};

struct key {
	const char *name;
	enum value_kind kind;
	size_t offset; // in struct config, network_config or socket_config, by the section
	uint32_t min, max;
};

static const struct key limits_keys[] = {
	{"ports", VALUE_NUMBER, offsetof(struct config, limits.ports), 1, PORTS_MAX},
	{"queue_pairs", VALUE_NUMBER, offsetof(struct config, limits.queue_pairs), 1,
         QUEUE_PAIRS_MAX},
};

static const struct key switch_keys[] = {
	{"cpus", VALUE_CPUS, offsetof(struct config, fallback.cpus), 0, 0},
	{"memory_mb", VALUE_NUMBER, offsetof(struct config, fallback.memory_mb), MEMORY_MIN_MB,
         MEMORY_MAX_MB},
	{"socket_group", VALUE_GROUP, offsetof(struct config, fallback.socket_group), 0, 0},
	{"socket_mode", VALUE_MODE, offsetof(struct config, fallback.socket_mode), 0, 0},
};

static const struct key networks_keys[] = {
	{"bridges", VALUE_BOOL, offsetof(struct config, networks_from_bridges), 0, 0},
};

static const struct key devices_keys[] = {
	{"user", VALUE_USER, offsetof(struct config, devices.user), 0, 0},
};

static const struct key network_keys[] = {
	{"bridge", VALUE_BRIDGE, offsetof(struct network_config, bridge), 0, 0},
	{"uplink", VALUE_UPLINK, offsetof(struct network_config, uplink), 0, 0},
	{"mtu", VALUE_NUMBER, offsetof(struct network_config, mtu_bytes), MTU_MIN, MTU_MAX},
	{"ageing_s", VALUE_NUMBER, offsetof(struct network_config, ageing_s), 1, AGEING_MAX_S},
};

static const struct key socket_keys[] = {
	{"path", VALUE_SOCKET_PATH, offsetof(struct socket_config, path), 0, 0},
	{"network", VALUE_NETWORK, offsetof(struct socket_config, network), 0, 0},
	{"mode", VALUE_SOCKET_MODE, offsetof(struct socket_config, qemu_listens), 0, 0},
};

static const struct {
	const struct key *keys;
	size_t n;
} section_keys[CONFIG_N_SECTIONS] = {
	[SECTION_LIMITS] = {limits_keys, ARRAY_LEN(limits_keys)},
	[SECTION_SWITCH] = {switch_keys, ARRAY_LEN(switch_keys)},
	[SECTION_NETWORKS] = {networks_keys, ARRAY_LEN(networks_keys)},
	[SECTION_NETWORK] = {network_keys, ARRAY_LEN(network_keys)},
	[SECTION_DEVICES] = {devices_keys, ARRAY_LEN(devices_keys)},
	[SECTION_SOCKET] = {socket_keys, ARRAY_LEN(socket_keys)},
};

// Keys of a port that make sense as a default. A port's name, network and MAC are its own.
static const char *const defaults_keys[] = {
	"mtu", "queue_pairs", "vlan", "policy", "profile", "link", "lifetime",
};

// "2", "2-3,6": what one worker each can be put on.
static bool cpus_are_valid(const char *text) {
	unsigned long first, last;
	char *end;

	if (strcmp(text, "auto") == 0)
		return true;
	for (;;) {
		if (*text < '0' || *text > '9')
			return false;
		first = last = strtoul(text, &end, 10);
		if (*end == '-') {
			if (end[1] < '0' || end[1] > '9')
				return false;
			last = strtoul(end + 1, &end, 10);
		}
		if (first > last || last > CPU_MAX)
			return false;
		if (*end == '\0')
			return true;
		if (*end != ',')
			return false;
		text = end + 1;
	}
}

static bool group_is_valid(const char *text) {
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	return strspn(text, allowed) == strlen(text) && strlen(text) <= 32 && text[0] != '-';
}

static bool mode_parse(const char *text, uint32_t *ret_mode) {
	char *end;
	unsigned long mode;

	if (strspn(text, "01234567") != strlen(text) || strlen(text) < 3 || strlen(text) > 4)
		return false;
	mode = strtoul(text, &end, 8);
	if (mode > 0777 || (mode & MODE_OF_OTHERS) != 0)
		return false;
	*ret_mode = (uint32_t)mode;
	return true;
}

static int set_number(
	struct config_parser *p, const struct key *key, const char *value, void *member
) {
	uint64_t number;
	int r = parse_u64(value, key->min, key->max, &number);

	if (r < 0)
		return conf_file_fail(
			&p->file, EINVAL, "[%s] %s '%s' is %s: %" PRIu32 " to %" PRIu32, p->title,
			key->name, value, r == -ERANGE ? "out of range" : "not a number", key->min,
			key->max
		);
	*(uint32_t *)member = (uint32_t)number;
	return 0;
}

static int set_value(
	struct config_parser *p, const struct key *key, const char *value, void *object
) {
	void *member = (char *)object + key->offset;
	const char *right = NULL;

	switch (key->kind) {
	case VALUE_NUMBER:
		return set_number(p, key, value, member);
	case VALUE_BOOL:
		if (parse_bool(value, member) < 0)
			right = "yes or no";
		break;
	case VALUE_CPUS:
		if (!cpus_are_valid(value) ||
		    str_copy(member, sizeof(p->config->fallback.cpus), value) < 0)
			right = "auto, or a list of CPUs such as 2-3,6";
		break;
	case VALUE_GROUP:
		if (!group_is_valid(value) ||
		    str_copy(member, sizeof(p->config->fallback.socket_group), value) < 0)
			right = "the name of a group, or nothing to leave the group alone";
		break;
	case VALUE_MODE:
		if (!mode_parse(value, member))
			right = "an octal mode without rights for others, such as 0660";
		break;
	case VALUE_BRIDGE:
		if (!network_name_is_valid(value))
			right = "the name of a Linux bridge: 1 to 15 of A-Z a-z 0-9 . _ -";
		else
			str_copy(member, NETWORK_NAME_SIZE, value);
		break;
	case VALUE_USER:
		if (value[0] == '\0' || !group_is_valid(value))
			right = "the name of a user, such as root";
		else
			str_copy(member, sizeof(p->config->devices.user), value);
		break;
	case VALUE_UPLINK:
		if (strcmp(value, "tap") == 0)
			*(enum uplink_kind *)member = UPLINK_TAP;
		else if (strcmp(value, "none") == 0)
			*(enum uplink_kind *)member = UPLINK_NONE;
		else
			right = "tap or none";
		break;
	case VALUE_NETWORK:
		if (!network_name_is_valid(value))
			right = "the name of a network: 1 to 15 of A-Z a-z 0-9 . _ -";
		else
			str_copy(member, NETWORK_NAME_SIZE, value);
		break;
	case VALUE_SOCKET_PATH:
		if (!socket_config_path_is_valid(value))
			right = SOCKET_CONFIG_PATH_RULE;
		else
			str_copy(member, PORT_PATH_SIZE, value);
		break;
	case VALUE_SOCKET_MODE:
		if (strcmp(value, "client") != 0 && strcmp(value, "server") != 0)
			right = "client (QEMU connects) or server (QEMU listens)";
		*(bool *)member = strcmp(value, "server") == 0;
		break;
	}
	if (right != NULL)
		return conf_file_fail(
			&p->file, EINVAL, "[%s] %s '%s' is not valid: %s", p->title, key->name,
			value, right
		);
	return 0;
}

// Refuse the second of two equal keys of a section. Each file may say a key once, a later file again.
int config_see_key(struct config_parser *p, const char *key, size_t index) {
	if (p->seen[p->section] & (1U << index))
		return conf_file_fail(
			&p->file, EINVAL, "[%s] key '%s' is given twice", p->title, key
		);
	p->seen[p->section] |= 1U << index;
	return 0;
}

static int set_default(struct config_parser *p, const char *key, const char *value) {
	struct error port_error;

	for (size_t i = 0; i < ARRAY_LEN(defaults_keys); i++) {
		if (strcmp(defaults_keys[i], key) != 0)
			continue;
		if (config_see_key(p, key, i) < 0)
			return -EINVAL;
		if (port_spec_set(&p->config->defaults, key, value, &port_error) < 0)
			return conf_file_fail(
				&p->file, EINVAL, "[%s] %s", p->title, port_error.text
			);
		return 0;
	}
	return conf_file_fail(
		&p->file, EINVAL,
		"[%s] unknown key '%s': mtu, queue_pairs, vlan, policy, profile, link and lifetime "
		"have defaults",
		p->title, key
	);
}

static int unknown_key(struct config_parser *p, const char *key) {
	char names[128] = "";
	size_t n = section_keys[p->section].n, len = 0;

	for (size_t i = 0; i < n && len < sizeof(names); i++)
		len += (size_t)snprintf(
			names + len, sizeof(names) - len, "%s%s",
			i == 0 ? "" : (i + 1 < n ? ", " : " or "),
			section_keys[p->section].keys[i].name
		);
	return conf_file_fail(
		&p->file, EINVAL, "[%s] unknown key '%s': it must be %s", p->title, key, names
	);
}

int config_on_key(struct conf_file *file, const char *key, const char *value) {
	struct config_parser *p = file->user;
	void *object = p->section == SECTION_NETWORK ? (void *)p->network
		: p->section == SECTION_SOCKET       ? (void *)p->socket
						     : (void *)p->config;

	if (p->section == SECTION_NONE)
		return conf_file_fail(
			&p->file, EINVAL, "key '%s' stands before the first [section]", key
		);
	if (p->section == SECTION_DEFAULTS)
		return set_default(p, key, value);
	if (p->section == SECTION_POOL)
		return config_pool_on_key(p, key, value);
	for (size_t i = 0; i < section_keys[p->section].n; i++) {
		const struct key *known = &section_keys[p->section].keys[i];

		if (strcmp(known->name, key) != 0)
			continue;
		if (config_see_key(p, key, i) < 0)
			return -EINVAL;
		return set_value(p, known, value, object);
	}
	return unknown_key(p, key);
}

static int open_network(struct config_parser *p, const char *name) {
	struct config *config = p->config;
	void *grown;

	if (!network_name_is_valid(name))
		return conf_file_fail(
			&p->file, EINVAL,
			"'%s' is no network name: 1 to 15 of A-Z a-z 0-9 . _ -, as in [network "
			"fast0]",
			name
		);
	for (size_t i = 0; i < config->n_networks; i++) {
		if (strcmp(config->networks[i].name, name) == 0)
			return conf_file_fail(
				&p->file, EINVAL, "[%s] appears twice: the first is in %s:%u",
				p->title, p->places[i].file, p->places[i].line
			);
	}
	if (config->n_networks >= NETWORKS_MAX)
		return conf_file_fail(
			&p->file, EINVAL, "there are more than %d networks", NETWORKS_MAX
		);

	grown = realloc(config->networks, (config->n_networks + 1) * sizeof(*config->networks));
	if (grown == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");
	config->networks = grown;
	grown = realloc(p->places, (config->n_networks + 1) * sizeof(*p->places));
	if (grown == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");
	p->places = grown;
	p->places[config->n_networks] =
		(struct config_place){.file = strdup(p->file.name), .line = p->file.line};
	if (p->places[config->n_networks].file == NULL)
		return conf_file_fail(&p->file, ENOMEM, "out of memory");

	p->network = &config->networks[config->n_networks++];
	*p->network = (struct network_config){.uplink = UPLINK_TAP, .ageing_s = AGEING_DEFAULT_S};
	str_copy(p->network->name, sizeof(p->network->name), name);
	p->seen[SECTION_NETWORK] = 0;
	return 0;
}

int config_on_section(struct conf_file *file, const char *title) {
	struct config_parser *p = file->user;
	size_t word_len = strcspn(title, " \t");
	const char *name = title + word_len + strspn(title + word_len, " \t");

	str_copy(p->title, sizeof(p->title), title);
	for (enum config_section s = SECTION_DEFAULTS; s < CONFIG_N_SECTIONS; s++) {
		if (strlen(section_names[s]) != word_len ||
		    strncmp(section_names[s], title, word_len) != 0)
			continue;
		if (s == SECTION_NETWORK) {
			p->section = s;
			return open_network(p, name);
		}
		if (s == SECTION_POOL) {
			p->section = s;
			return config_pool_open(p, name);
		}
		if (s == SECTION_SOCKET) {
			p->section = s;
			return socket_config_open(p, name);
		}
		if (*name == '\0') {
			p->section = s;
			return 0;
		}
	}
	return conf_file_fail(
		file, EINVAL,
		"unknown section [%s]: it must be [defaults], [limits], [switch], [devices], "
		"[networks], [network NAME], [pool NAME] or [socket NAME]",
		title
	);
}
