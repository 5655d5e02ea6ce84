// SPDX-License-Identifier: GPL-2.0-or-later
// The commands of vdpactl: one table that drives dispatch, help and completion, and against which
// the manual page is tested.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vdpad/util/error.h"

#define COMMAND_MAX_PAIRS 24 // more than any command has keys
#define COMMAND_NAME_SIZE 32 // of object, blank and verb

// What the word behind the verb is.
enum operand {
	OPERAND_NONE,
	OPERAND_NEW_PORT,
	OPERAND_PORT,
	OPERAND_ANY_PORT, // may be left out
	OPERAND_PORTS,    // NAME[,NAME...]
	OPERAND_NETWORK,
	OPERAND_ANY_NETWORK, // may be left out
	OPERAND_POOL,
	OPERAND_ANY_POOL, // may be left out, as the next two
	OPERAND_ANY_MGMTDEV,
	OPERAND_ANY_DEVICE,
};

// Options, as bits.
enum {
	OPTION_JSON = 1 << 0,
	OPTION_PRETTY = 1 << 1,
	OPTION_HELP = 1 << 2,
	OPTION_VERSION = 1 << 3,
	OPTION_MAY_EXIST = 1 << 4,
	OPTION_MAY_NOT_EXIST = 1 << 5,
	OPTION_FACTS = 1 << 6,
	OPTION_CONFIG = 1 << 7,
	OPTION_PLAN = 1 << 8,
	OPTION_IGNORE_MEMLOCK = 1 << 9,
	OPTION_DRY_RUN = 1 << 10,
};
#define OPTIONS_GLOBAL (OPTION_JSON | OPTION_PRETTY | OPTION_HELP | OPTION_VERSION)

struct pair {
	const char *key;
	const char *value;
};

struct request;

struct command {
	const char *object;
	const char *verb; // NULL: the object alone is the command
	enum operand operand;
	const char *const *keys; // that it takes, ending with NULL; NULL for none
	unsigned int options;    // OPTION_* that it takes besides the global ones
	const char *summary;     // one sentence for help

	// Returns 0 or -errno with @e filled.
	int (*run)(const struct request *request, struct error *e);
};

// A command line, read and checked as far as the table says. Strings are borrowed from argv.
struct request {
	const struct command *command;
	const char *operand; // NULL if it was left out
	struct pair pairs[COMMAND_MAX_PAIRS];
	size_t n_pairs;
	unsigned int options; // OPTION_* that were given
	const char *facts_path;
	const char *config_path;
	const char *help_object; // for `help`: NULL for the overview
	const char *help_verb;   // NULL for all of the object
};

// Option words, ending with a NULL word.
struct option_word {
	unsigned int bit;
	const char *word;
	char letter;          // 0 for none
	const char *argument; // what help calls it; NULL if it has none
	const char *help;
};
extern const struct option_word option_words[];

// All commands, ending with an object of NULL; commands of one object stand together.
extern const struct command commands[];

// The command of these words; @verb NULL means `show` where the object has it. NULL if there is none.
const struct command *command_find(const char *object, const char *verb);

// True if the table has @object.
bool command_object_exists(const char *object);

// "port add" or "explain", into @text; returns @text.
char *command_name(const struct command *command, char text[static COMMAND_NAME_SIZE]);

// For lists of words: the object of @command if @object is NULL, else its verb. NULL where it has no
// such word or an earlier row of the table has said it.
const char *command_word(const struct command *command, const char *object);

// One line about a key, for help.
const char *command_key_help(const char *key);

// What may be given for @key, ending with NULL, or NULL if it is free.
const char *const *command_key_values(const char *key);

// "NAME", "[NAME]", "NAME[,NAME...]", "NETWORK", "[NETWORK]"; "" for none.
const char *command_operand_text(enum operand operand);

// Read a command line. Returns 0, or -EINVAL with a sentence that says what would be right.
// @ret_request->command is NULL when help or the version was asked for (see options).
int command_parse(int argc, char **argv, struct request *ret_request, struct error *e);

// The value of @key in @request, or NULL.
const char *request_value(const struct request *request, const char *key);

// The functions of the table.
int cmd_port_add(const struct request *request, struct error *e);
int cmd_port_set(const struct request *request, struct error *e);
int cmd_port_del(const struct request *request, struct error *e);
int cmd_port_show(const struct request *request, struct error *e);
int cmd_port_qemu(const struct request *request, struct error *e);
int cmd_network_show(const struct request *request, struct error *e);
int cmd_pool_show(const struct request *request, struct error *e);
int cmd_pool_plan(const struct request *request, struct error *e);
int cmd_mgmtdev_show(const struct request *request, struct error *e);
int cmd_dev_show(const struct request *request, struct error *e);
int cmd_explain(const struct request *request, struct error *e);
int cmd_facts(const struct request *request, struct error *e);
int cmd_stats(const struct request *request, struct error *e);
int cmd_monitor(const struct request *request, struct error *e);
int cmd_doctor(const struct request *request, struct error *e);
int cmd_reload(const struct request *request, struct error *e);
