// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/ctl/command.h"

#include <stdio.h>
#include <string.h>

#include "vdpad/model/port.h"
#include "vdpad/model/profile.h"

static const char *const set_keys[] = {"network", "vlan",     "trunks", "rate",
                                       "link",    "lifetime", NULL};
// Those of `port add` go with --plan.
static const char *const qemu_keys[] = {
	"memory", "qemu_version", "format", "network", "mac",     "mtu",  "queue_pairs", "vlan",
	"trunks", "rate",         "policy", "socket",  "profile", "link", "lifetime",    NULL};
static const char *const explain_keys[] = {
	"name", "network", "mac",    "mtu",     "queue_pairs", "vlan",     "trunks",
	"rate", "policy",  "socket", "profile", "link",        "lifetime", NULL};

const struct command commands[] = {
	{"network", "show", OPERAND_ANY_NETWORK, NULL, 0, "Show networks that ports can join.",
         cmd_network_show},

	{"port", "add", OPERAND_NEW_PORT, port_spec_keys, OPTION_MAY_EXIST | OPTION_DRY_RUN,
         "Give a virtual machine a NIC on a network.", cmd_port_add},
	{"port", "set", OPERAND_PORT, set_keys, 0, "Change a port while it is in use.",
         cmd_port_set},
	{"port", "del", OPERAND_PORT, NULL, OPTION_MAY_NOT_EXIST, "Take a port away.",
         cmd_port_del},
	{"port", "show", OPERAND_ANY_PORT, NULL, 0, "Show ports and the state they are in.",
         cmd_port_show},
	{"port", "qemu", OPERAND_PORTS, qemu_keys, OPTION_IGNORE_MEMLOCK | OPTION_PLAN,
         "Print the arguments that QEMU needs for ports.", cmd_port_qemu},

	{"pool", "show", OPERAND_ANY_POOL, NULL, 0,
         "Show pools of hardware, what they have and who uses it.", cmd_pool_show},
	{"pool", "plan", OPERAND_POOL, NULL, 0,
         "Say what vdpad would do to make a pool's hardware.", cmd_pool_plan},
	{"mgmtdev", "show", OPERAND_ANY_MGMTDEV, NULL, 0,
         "Show what on this node can make vDPA devices.", cmd_mgmtdev_show},
	{"dev", "show", OPERAND_ANY_DEVICE, NULL, 0, "Show vDPA devices, vdpad's and others'.",
         cmd_dev_show},

	{"explain", NULL, OPERAND_NETWORK, explain_keys, OPTION_FACTS | OPTION_CONFIG,
         "Say what would serve a port, and why nothing better.", cmd_explain},
	{"facts", NULL, OPERAND_NONE, NULL, 0,
         "Print what vdpad knows of this node, for explain --facts.", cmd_facts},
	{"stats", NULL, OPERAND_ANY_PORT, NULL, 0, "Show packet counters of ports and uplinks.",
         cmd_stats},
	{"monitor", NULL, OPERAND_NONE, NULL, 0, "Print each change of a port until interrupted.",
         cmd_monitor},
	{"doctor", NULL, OPERAND_NONE, NULL, 0,
         "Examine this node and say what each finding means.", cmd_doctor},
	{"reload", NULL, OPERAND_NONE, NULL, 0, "Let vdpad read its configuration again.",
         cmd_reload},
	{NULL},
};

const struct option_word option_words[] = {
	{OPTION_JSON, "--json", 'j', NULL, "Print JSON for programs."},
	{OPTION_PRETTY, "--pretty", 'p', NULL, "Indent the JSON."},
	{OPTION_HELP, "--help", 'h', NULL, "Print help on the words before it."},
	{OPTION_VERSION, "--version", 'V', NULL, "Print the version of vdpactl."},
	{OPTION_MAY_EXIST, "--may-exist", 0, NULL,
         "Success if the port exists with this specification."},
	{OPTION_MAY_NOT_EXIST, "--may-not-exist", 0, NULL, "Success if there is no such port."},
	{OPTION_PLAN, "--plan", 0, NULL,
         "Of a port as `port add` would make it, without making it."},
	{OPTION_FACTS, "--facts", 0, "FILE", "Decide from a recorded snapshot, without vdpad."},
	{OPTION_CONFIG, "--config", 0, "FILE", "The configuration to go with --facts."},
	{OPTION_DRY_RUN, "--dry-run", 0, NULL, "Say what would be done, and do nothing."},
	{OPTION_IGNORE_MEMLOCK, "--ignore-memlock", 0, NULL,
         "Print arguments that need a higher memlock limit than there is."},
	{0},
};

static const struct {
	const char *key;
	const char *help;
} own_key_help[] = {
	{"memory", "RAM of the machine, default 1g; none if you give QEMU shared RAM yourself"},
	{"qemu_version", "of the QEMU to be started, such as 7.2; else the installed one is asked"},
	{"name", "of the port that asks: a socket that it has is free for it"},
	{"format", "shell: one line to paste; lines: one argument a line, not quoted"},
};

const struct command *command_find(const char *object, const char *verb) {
	for (const struct command *c = commands; c->object != NULL; c++) {
		const char *wanted = verb != NULL ? verb : "show";

		if (strcmp(c->object, object) == 0 &&
		    (c->verb == NULL || strcmp(c->verb, wanted) == 0))
			return c;
	}
	return NULL;
}

bool command_object_exists(const char *object) {
	for (const struct command *c = commands; c->object != NULL; c++) {
		if (strcmp(c->object, object) == 0)
			return true;
	}
	return false;
}

char *command_name(const struct command *command, char text[static COMMAND_NAME_SIZE]) {
	bool has_verb = command->verb != NULL;

	snprintf(
		text, COMMAND_NAME_SIZE, "%s%s%s", command->object, has_verb ? " " : "",
		has_verb ? command->verb : ""
	);
	return text;
}

const char *command_word(const struct command *command, const char *object) {
	bool is_first = command == commands || strcmp(command[-1].object, command->object) != 0;

	if (object == NULL)
		return is_first ? command->object : NULL;
	return strcmp(command->object, object) == 0 ? command->verb : NULL;
}

const char *command_key_help(const char *key) {
	for (size_t i = 0; i < ARRAY_LEN(own_key_help); i++) {
		if (strcmp(own_key_help[i].key, key) == 0)
			return own_key_help[i].help;
	}
	return port_spec_key_help(key);
}

static const char *const *policy_values(void) {
	static const char *values[POLICY_EXTERNAL + 2];

	for (enum policy p = POLICY_AUTO; p <= POLICY_EXTERNAL; p++)
		values[p] = policy_name(p);
	return values;
}

static const char *const *profile_values(void) {
	static const char *values[16];

	for (size_t i = 0; i < ARRAY_LEN(values) - 1 && profiles[i].name != NULL; i++)
		values[i] = profiles[i].name;
	return values;
}

const char *const *command_key_values(const char *key) {
	static const char *const vlan[] = {"none", NULL};
	static const char *const link[] = {"up", "down", NULL};
	static const char *const lifetime[] = {"runtime", "persistent", NULL};
	static const char *const memory[] = {"none", "1g", "2g", "4g", NULL};
	static const char *const format[] = {"shell", "lines", NULL};

	if (strcmp(key, "policy") == 0)
		return policy_values();
	if (strcmp(key, "profile") == 0)
		return profile_values();
	if (strcmp(key, "vlan") == 0 || strcmp(key, "trunks") == 0 || strcmp(key, "rate") == 0)
		return vlan;
	if (strcmp(key, "link") == 0)
		return link;
	if (strcmp(key, "lifetime") == 0)
		return lifetime;
	if (strcmp(key, "memory") == 0)
		return memory;
	if (strcmp(key, "format") == 0)
		return format;
	return NULL;
}

const char *command_operand_text(enum operand operand) {
	switch (operand) {
	case OPERAND_NONE:
		return "";
	case OPERAND_NEW_PORT:
	case OPERAND_PORT:
		return "NAME";
	case OPERAND_ANY_PORT:
		return "[NAME]";
	case OPERAND_PORTS:
		return "NAME[,NAME...]";
	case OPERAND_NETWORK:
		return "NETWORK";
	case OPERAND_ANY_NETWORK:
		return "[NETWORK]";
	case OPERAND_POOL:
		return "POOL";
	case OPERAND_ANY_POOL:
		return "[POOL]";
	case OPERAND_ANY_MGMTDEV:
		return "[MGMTDEV]";
	case OPERAND_ANY_DEVICE:
		return "[DEVICE]";
	}
	return "";
}

const char *request_value(const struct request *request, const char *key) {
	for (size_t i = 0; i < request->n_pairs; i++) {
		if (strcmp(request->pairs[i].key, key) == 0)
			return request->pairs[i].value;
	}
	return NULL;
}
