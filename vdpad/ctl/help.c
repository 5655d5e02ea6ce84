// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/ctl/help.h"

#include <stdio.h>
#include <string.h>

static void print_options(unsigned int wanted) {
	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		char letter[] = "-X,";

		if ((o->bit & wanted) == 0)
			continue;
		letter[1] = o->letter;
		printf("  %3s %s%s%-*s  %s\n", o->letter != 0 ? letter : "", o->word,
		       o->argument != NULL ? " " : "",
		       20 - (int)strlen(o->word) - (o->argument != NULL ? 1 : 0),
		       o->argument != NULL ? o->argument : "", o->help);
	}
}

static void print_usage(const struct command *c) {
	const char *operand = command_operand_text(c->operand);
	char name[COMMAND_NAME_SIZE];

	printf("vdpactl %s", command_name(c, name));
	if (operand[0] != '\0')
		printf(" %s", operand);
	if (c->keys != NULL)
		printf(" [KEY VALUE ...]");
	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		if ((o->bit & c->options) != 0)
			printf(" [%s%s%s]", o->word, o->argument != NULL ? " " : "",
			       o->argument != NULL ? o->argument : "");
	}
	putchar('\n');
}

static void print_keys(const struct command *c) {
	for (const char *const *k = c->keys; *k != NULL; k++) {
		const char *const *values = command_key_values(*k);

		// An operand that is a key has been said already.
		if (c->operand == OPERAND_NETWORK && strcmp(*k, "network") == 0)
			continue;
		printf("  %-14s %s", *k, command_key_help(*k));
		if (values != NULL && strstr(command_key_help(*k), values[0]) == NULL) {
			for (const char *const *v = values; *v != NULL; v++)
				printf("%s%s", v == values ? ": " : ", ", *v);
		}
		putchar('\n');
	}
}

static void print_command(const struct command *c) {
	print_usage(c);
	printf("\n%s\n", c->summary);
	if (c->keys != NULL) {
		printf("\nKeys:\n");
		print_keys(c);
	}
	printf("\nOptions:\n");
	print_options(c->options | OPTION_JSON | OPTION_PRETTY);
}

// The commands of @object, or all of them if it is NULL.
static void print_list(const char *object) {
	for (const struct command *c = commands; c->object != NULL; c++) {
		char name[COMMAND_NAME_SIZE];
		const char *operand = command_operand_text(c->operand);

		if (object != NULL && strcmp(c->object, object) != 0)
			continue;
		command_name(c, name);
		printf("  %s %-*s %s\n", name, 26 - (int)strlen(name) - 1, operand, c->summary);
	}
}

void help_print(const struct request *request) {
	const struct command *c = NULL;

	if (request->help_object != NULL) {
		c = command_find(request->help_object, request->help_verb);
		if (c != NULL && c->verb != NULL && request->help_verb == NULL)
			c = NULL; // the object was asked about, not its `show`
	}
	if (c != NULL) {
		print_command(c);
		return;
	}
	printf("vdpactl [OPTIONS] OBJECT VERB [NAME] [KEY VALUE ...]\n\nCommands:\n");
	print_list(request->help_object);
	printf("\nOptions:\n");
	print_options(OPTIONS_GLOBAL);
	printf("\n'vdpactl OBJECT VERB help' shows the keys of a command; vdpactl(8) has "
	       "examples.\n");
}
