// SPDX-License-Identifier: GPL-2.0-or-later
// Completion. The shell's script hands over the words and takes what is printed, so that there is
// one command table and not two.

#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/help.h"

#define COMPLETE_TIMEOUT_US (300 * UINT64_C(1000)) // a person waits with the finger on Tab

static void offer(const char *prefix, const char *word) {
	if (strncmp(word, prefix, strlen(prefix)) == 0)
		puts(word);
}

static void offer_options(const struct command *c, const char *prefix) {
	unsigned int wanted = OPTIONS_GLOBAL | (c != NULL ? c->options : 0);

	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		if ((o->bit & wanted) != 0)
			offer(prefix, o->word);
	}
}

// Objects, or the verbs of @object.
static void offer_commands(const char *object, const char *prefix) {
	for (const struct command *c = commands; c->object != NULL; c++) {
		const char *word = command_word(c, object);

		if (word != NULL)
			offer(prefix, word);
	}
	offer(prefix, "help");
}

// The names that @method lists; none if vdpad does not answer at once.
static void offer_names(const char *method, const char *prefix, const char *before) {
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *call = NULL;
	json_t *found = NULL, *value;
	const char *name;

	if (client_begin(method, &bus, &call, NULL) < 0 ||
	    sd_bus_message_append(call, "s", "") < 0 ||
	    client_send(bus, call, COMPLETE_TIMEOUT_US, &found, NULL) < 0)
		return;
	json_object_foreach (found, name, value) {
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			printf("%s%s\n", before, name);
	}
	json_decref(found);
}

// The last name of "a,b,c": what stands before it stays.
static void offer_name_list(const char *typed) {
	const char *comma = strrchr(typed, ',');
	size_t before_len = comma != NULL ? (size_t)(comma + 1 - typed) : 0;
	char before[256];

	if (before_len >= sizeof(before))
		return;
	memcpy(before, typed, before_len);
	before[before_len] = '\0';
	offer_names("ShowPorts", typed + before_len, before);
}

static void offer_operand(enum operand operand, const char *prefix) {
	switch (operand) {
	case OPERAND_NONE:
	case OPERAND_NEW_PORT:
		return;
	case OPERAND_PORT:
	case OPERAND_ANY_PORT:
		offer_names("ShowPorts", prefix, "");
		return;
	case OPERAND_PORTS:
		offer_name_list(prefix);
		return;
	case OPERAND_NETWORK:
	case OPERAND_ANY_NETWORK:
		offer_names("ShowNetworks", prefix, "");
		return;
	case OPERAND_POOL:
	case OPERAND_ANY_POOL:
		offer_names("ShowPools", prefix, "");
		return;
	case OPERAND_ANY_MGMTDEV:
		offer_names("ShowMgmtdevs", prefix, "");
		return;
	case OPERAND_ANY_DEVICE:
		offer_names("ShowDevices", prefix, "");
		return;
	}
}

static void offer_values(const char *key, const char *prefix) {
	const char *const *values = command_key_values(key);

	if (strcmp(key, "network") == 0)
		offer_names("ShowNetworks", prefix, "");
	for (; values != NULL && *values != NULL; values++)
		offer(prefix, *values);
}

static bool is_given(const char *const *words, size_t n, const char *key) {
	for (size_t i = 0; i < n; i += 2) {
		if (strcmp(words[i], key) == 0)
			return true;
	}
	return false;
}

// @pairs are the @n words behind the operand; @prefix stands behind them.
static void offer_pairs(
	const struct command *c, const char *const *pairs, size_t n, const char *prefix
) {
	if (c->keys == NULL)
		return;
	if (n % 2 == 1) {
		offer_values(pairs[n - 1], prefix);
		return;
	}
	for (const char *const *k = c->keys; *k != NULL; k++) {
		bool is_operand = c->operand == OPERAND_NETWORK && strcmp(*k, "network") == 0;

		if (!is_operand && !is_given(pairs, n, *k))
			offer(prefix, *k);
	}
}

static bool takes_argument(const char *word) {
	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		if (o->argument != NULL && strcmp(o->word, word) == 0)
			return true;
	}
	return false;
}

bool complete_print(const char *const *words, size_t n) {
	const char *prefix = n > 0 ? words[n - 1] : "";
	const char *plain[64]; // the words before @prefix that are no options
	const struct command *c = NULL;
	bool wants_help = false;
	size_t n_plain = 0, next;

	for (size_t i = 0; i + 1 < n && n_plain < ARRAY_LEN(plain); i++) {
		if (takes_argument(words[i])) {
			if (i + 2 == n)
				return false; // the shell knows better
			i++;
		} else if (n_plain == 0 && strcmp(words[i], "help") == 0) {
			wants_help = true; // on the words behind it
		} else if (words[i][0] != '-') {
			plain[n_plain++] = words[i];
		}
	}
	if (n_plain > 0)
		c = command_find(plain[0], n_plain > 1 ? plain[1] : NULL);
	if (prefix[0] == '-') {
		offer_options(c, prefix);
		return true;
	}
	if (n_plain == 0) {
		offer_commands(NULL, prefix);
		return true;
	}
	if (n_plain == 1 && (c == NULL || c->verb != NULL)) {
		offer_commands(plain[0], prefix);
		return true;
	}
	if (c == NULL || wants_help)
		return true;
	next = c->verb != NULL ? 2 : 1;
	if (n_plain == next && c->operand != OPERAND_NONE) {
		offer_operand(c->operand, prefix);
		return true;
	}
	next += c->operand != OPERAND_NONE ? 1 : 0;
	offer_pairs(c, plain + next, n_plain - next, prefix);
	return true;
}
