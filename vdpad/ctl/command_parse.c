// SPDX-License-Identifier: GPL-2.0-or-later
// From argv to a checked struct request. Options may stand anywhere; "--" ends them. The rest is
// OBJECT VERB [OPERAND] [KEY VALUE ...].

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/command.h"
#include "vdpad/model/pool.h"
#include "vdpad/util/parse.h"

#define MAX_WORDS 64

struct words {
	const char *list[MAX_WORDS];
	size_t n;
	bool has_help; // the word `help` was said where it asks for help
};

static const struct option_word *find_option(const char *word) {
	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		if (strcmp(o->word, word) == 0)
			return o;
	}
	return NULL;
}

static const struct option_word *find_letter(char letter) {
	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		if (o->letter == letter)
			return o;
	}
	return NULL;
}

static void set_argument(struct request *request, unsigned int bit, const char *argument) {
	if (bit == OPTION_FACTS)
		request->facts_path = argument;
	else if (bit == OPTION_CONFIG)
		request->config_path = argument;
}

static int read_letters(struct request *request, const char *letters, struct error *e) {
	for (; *letters != '\0'; letters++) {
		const struct option_word *option = find_letter(*letters);

		if (option == NULL)
			return error_set(
				e, EINVAL, "unknown option '-%c': try 'vdpactl help'", *letters
			);
		request->options |= option->bit;
	}
	return 0;
}

// Take the options out of argv into @request and leave the words in @words.
static int read_options(
	int argc, char **argv, struct request *request, struct words *words, struct error *e
) {
	bool options_end = false;
	int r;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		const struct option_word *option;

		if (options_end || word[0] != '-' || word[1] == '\0') {
			if (words->n == MAX_WORDS)
				return error_set(e, EINVAL, "too many words");
			words->list[words->n++] = word;
			continue;
		}
		if (strcmp(word, "--") == 0) {
			options_end = true;
			continue;
		}
		if (word[1] != '-') {
			r = read_letters(request, word + 1, e);
			if (r < 0)
				return r;
			continue;
		}
		option = find_option(word);
		if (option == NULL)
			return error_set(
				e, EINVAL, "unknown option '%s': try 'vdpactl help'", word
			);
		request->options |= option->bit;
		if (option->argument == NULL)
			continue;
		if (i + 1 == argc)
			return error_set(
				e, EINVAL, "option '%s' needs a %s", word, option->argument
			);
		set_argument(request, option->bit, argv[++i]);
	}
	return 0;
}

// Append @word to the list "a, b" in @list.
static void list_word(char *list, size_t size, const char *word) {
	size_t len = strlen(list);

	snprintf(list + len, size - len, "%s%s", len > 0 ? ", " : "", word);
}

static int unknown_command(const char *object, const char *verb, struct error *e) {
	bool object_exists = command_object_exists(object);
	char choices[256] = "";

	for (const struct command *c = commands; c->object != NULL; c++) {
		const char *word = command_word(c, object_exists ? object : NULL);

		if (word != NULL)
			list_word(choices, sizeof(choices), word);
	}
	if (object_exists)
		return error_set(
			e, EINVAL, "unknown verb '%s': %s has %s, help", verb, object, choices
		);
	return error_set(e, EINVAL, "unknown object '%s': it is one of %s, help", object, choices);
}

static bool key_is_known(const struct command *command, const char *key) {
	for (const char *const *k = command->keys; k != NULL && *k != NULL; k++) {
		if (strcmp(*k, key) == 0)
			return true;
	}
	return false;
}

static int unknown_key(const struct command *command, const char *key, struct error *e) {
	char choices[256] = "", name[COMMAND_NAME_SIZE];
	const char *operand = command_operand_text(command->operand);

	if (command->keys == NULL)
		return error_set(
			e, EINVAL, "'%s' is one word too many: 'vdpactl %s%s%s' is all", key,
			command_name(command, name), operand[0] != '\0' ? " " : "", operand
		);
	for (const char *const *k = command->keys; *k != NULL; k++)
		list_word(choices, sizeof(choices), *k);
	if (command == command_find("port", "set") &&
	    key_is_known(command_find("port", "add"), key))
		return error_set(
			e, EINVAL,
			"key '%s' is for the port's life, delete the port and add it again: what "
			"can "
			"change is %s",
			key, choices
		);
	if (strchr(key, '=') != NULL)
		return error_set(
			e, EINVAL,
			"unknown key '%s': a key and its value are two words, without '='", key
		);
	return error_set(e, EINVAL, "unknown key '%s': it is one of %s", key, choices);
}

static int add_pair(struct request *request, const char *key, const char *value, struct error *e) {
	if (!key_is_known(request->command, key))
		return unknown_key(request->command, key, e);
	if (request_value(request, key) != NULL)
		return error_set(e, EINVAL, "key '%s' is given twice", key);
	if (value == NULL)
		return error_set(
			e, EINVAL, "key '%s' needs a value: %s", key, command_key_help(key)
		);
	if (request->n_pairs == COMMAND_MAX_PAIRS)
		return error_set(e, EINVAL, "too many keys");
	request->pairs[request->n_pairs++] = (struct pair){key, value};
	return 0;
}

static int check_port_name(const char *name, struct error *e) {
	if (port_name_is_valid(name))
		return 0;
	return error_set(
		e, EINVAL,
		"'%s' is no port name: 1 to %d of a-z 0-9 . _ -, beginning with a letter or digit",
		name, PORT_NAME_SIZE - 1
	);
}

// Whether the first name of the list @rest stands in the @len characters before it, each followed by a comma.
static bool is_repeated(const char *names, size_t len, const char *rest) {
	size_t name_len = strcspn(rest, ",");

	for (const char *p = names; p < names + len; p += strcspn(p, ",") + 1) {
		if (strcspn(p, ",") == name_len && memcmp(p, rest, name_len) == 0)
			return true;
	}
	return false;
}

// Each name of "a,b,c".
static int check_port_names(const char *list, struct error *e) {
	const char *names = list;

	while (true) {
		size_t len = strcspn(names, ",");
		char name[PORT_NAME_SIZE + 1];
		int r;

		// One character more than is allowed is enough to be refused.
		memcpy(name, names, len < PORT_NAME_SIZE ? len : PORT_NAME_SIZE);
		name[len < PORT_NAME_SIZE ? len : PORT_NAME_SIZE] = '\0';
		r = check_port_name(name, e);
		if (r < 0)
			return r;
		if (is_repeated(list, (size_t)(names - list), names))
			return error_set(e, EINVAL, "port '%s' is named twice", name);
		if (names[len] == '\0')
			return 0;
		names += len + 1;
	}
}

static int check_pool_name(const char *name, struct error *e) {
	if (pool_name_is_valid(name))
		return 0;
	return error_set(
		e, EINVAL, "'%s' is no pool name: 1 to %d of A-Z a-z 0-9 . _ -", name,
		POOL_NAME_SIZE - 1
	);
}

static const char *missing_operand(enum operand operand) {
	if (operand == OPERAND_NETWORK)
		return "the network";
	return operand == OPERAND_POOL ? "the pool" : "the port's name";
}

static int check_operand(const struct command *command, const char *operand, struct error *e) {
	char name[COMMAND_NAME_SIZE];

	switch (command->operand) {
	case OPERAND_NONE:
		return 0;
	case OPERAND_NEW_PORT:
		// `vdpactl port show help` could never show it.
		if (operand != NULL && strcmp(operand, "help") == 0)
			return error_set(e, EINVAL, "a port cannot be named 'help'");
		break;
	case OPERAND_ANY_PORT:
	case OPERAND_ANY_NETWORK:
	case OPERAND_ANY_POOL:
		if (operand == NULL)
			return 0;
		break;
	case OPERAND_ANY_MGMTDEV:
	case OPERAND_ANY_DEVICE:
		return 0; // others give them their names
	case OPERAND_POOL:
	case OPERAND_PORT:
	case OPERAND_PORTS:
	case OPERAND_NETWORK:
		break;
	}
	if (operand == NULL)
		return error_set(
			e, EINVAL, "%s is missing: try 'vdpactl %s help'",
			missing_operand(command->operand), command_name(command, name)
		);
	if (command->operand == OPERAND_PORTS)
		return check_port_names(operand, e);
	if (command->operand == OPERAND_POOL || command->operand == OPERAND_ANY_POOL)
		return check_pool_name(operand, e);
	if (command->operand != OPERAND_NETWORK && command->operand != OPERAND_ANY_NETWORK)
		return check_port_name(operand, e);
	if (!network_name_is_valid(operand))
		return error_set(
			e, EINVAL, "'%s' is no network name: 1 to %d of A-Z a-z 0-9 . _ -", operand,
			NETWORK_NAME_SIZE - 1
		);
	return 0;
}

// `help` asks for help in the place of the object, of the verb, before it, or as the only word after
// both.
static void take_help_word(struct words *words) {
	size_t last = words->n - 1;

	if (words->n == 0)
		return;
	if (strcmp(words->list[0], "help") == 0) {
		words->has_help = true;
		memmove(&words->list[0], &words->list[1], last * sizeof(words->list[0]));
		words->n--;
	} else if (words->n == 3 && strcmp(words->list[1], "help") == 0) {
		words->has_help = true;
		words->list[1] = words->list[2];
		words->n--;
	} else if (last >= 1 && last <= 2 && strcmp(words->list[last], "help") == 0) {
		words->has_help = true;
		words->n--;
	}
}

static int parse_help(const struct words *words, struct request *request, struct error *e) {
	const struct command *command;

	request->options |= OPTION_HELP;
	if (words->n == 0)
		return 0;
	request->help_object = words->list[0];
	if (!command_object_exists(words->list[0]))
		return unknown_command(words->list[0], NULL, e);
	if (words->n == 1)
		return 0;
	command = command_find(words->list[0], words->list[1]);
	if (command == NULL)
		return unknown_command(words->list[0], words->list[1], e);
	request->help_verb = command->verb;
	return 0;
}

static int check_options(const struct request *request, struct error *e) {
	const struct command *command = request->command;
	unsigned int foreign = request->options & ~(OPTIONS_GLOBAL | command->options);
	char name[COMMAND_NAME_SIZE];

	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		if ((foreign & o->bit) != 0)
			return error_set(
				e, EINVAL, "'vdpactl %s' takes no option '%s'",
				command_name(command, name), o->word
			);
	}
	return 0;
}

int command_parse(int argc, char **argv, struct request *ret_request, struct error *e) {
	struct request request = {0};
	struct words words = {.n = 0};
	const struct command *command;
	size_t next;
	int r;

	r = read_options(argc, argv, &request, &words, e);
	if (r < 0)
		return r;
	take_help_word(&words);
	if ((request.options & OPTION_VERSION) != 0)
		words.n = 0;
	if (words.has_help || (request.options & (OPTION_HELP | OPTION_VERSION)) != 0) {
		r = parse_help(&words, &request, e);
		if (r < 0)
			return r;
		*ret_request = request;
		return 0;
	}
	if (words.n == 0)
		return error_set(e, EINVAL, "say what to do: try 'vdpactl help'");

	command = command_find(words.list[0], words.n > 1 ? words.list[1] : NULL);
	if (command == NULL)
		return unknown_command(words.list[0], words.n > 1 ? words.list[1] : "", e);
	request.command = command;
	r = check_options(&request, e);
	if (r < 0)
		return r;

	next = command->verb != NULL && words.n > 1 ? 2 : 1;
	if (command->operand != OPERAND_NONE && next < words.n)
		request.operand = words.list[next++];
	r = check_operand(command, request.operand, e);
	if (r < 0)
		return r;
	if (command->operand == OPERAND_NETWORK) // the operand is a key that has its own place
		request.pairs[request.n_pairs++] = (struct pair){"network", request.operand};
	for (; next < words.n; next += 2) {
		const char *value = next + 1 < words.n ? words.list[next + 1] : NULL;

		r = add_pair(&request, words.list[next], value, e);
		if (r < 0)
			return r;
	}
	*ret_request = request;
	return 0;
}
