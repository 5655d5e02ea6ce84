// SPDX-License-Identifier: GPL-2.0-or-later
// Help and completion, without a bus: names are not offered then.

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/ctl/capture.h"
#include "vdpad/ctl/help.h"
#include "vdpad/util/cleanup.h"

static bool expects_file;

// What completion offers behind these words, the last of which is being typed ("" if none is).
static const char *offered(size_t n, const char *const *words) {
	capture_start();
	expects_file = !complete_print(words, n);
	return capture_stop();
}
#define OFFERED(...) \
	offered(ARRAY_LEN(((const char *const[]){__VA_ARGS__})), (const char *const[]){__VA_ARGS__})

static void the_overview_has_each_command(void **state) {
	struct request request = {.options = OPTION_HELP};
	const char *text;

	(void)state;
	capture_start();
	help_print(&request);
	text = capture_stop();
	for (const struct command *c = commands; c->object != NULL; c++)
		assert_non_null(strstr(text, c->summary));
	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		if ((o->bit & OPTIONS_GLOBAL) != 0)
			assert_non_null(strstr(text, o->help));
	}
}

static void each_command_explains_its_keys_and_options(void **state) {
	(void)state;
	for (const struct command *c = commands; c->object != NULL; c++) {
		struct request request = {.help_object = c->object, .help_verb = c->verb};
		const char *text;

		capture_start();
		help_print(&request);
		text = capture_stop();
		assert_non_null(strstr(text, c->summary));
		for (const struct option_word *o = option_words; o->word != NULL; o++) {
			if ((o->bit & c->options) != 0)
				assert_non_null(strstr(text, o->help));
		}
		for (const char *const *k = c->keys; k != NULL && *k != NULL; k++) {
			if (c->operand != OPERAND_NETWORK || strcmp(*k, "network") != 0)
				assert_non_null(strstr(text, command_key_help(*k)));
		}
	}
}

static void an_object_shows_its_verbs_only(void **state) {
	struct request request = {.help_object = "port"};
	const char *text;

	(void)state;
	capture_start();
	help_print(&request);
	text = capture_stop();
	assert_non_null(strstr(text, "port qemu"));
	assert_null(strstr(text, "doctor "));
}

static void objects_and_verbs_complete(void **state) {
	(void)state;
	assert_string_equal(OFFERED("p"), "port\npool\n");
	assert_string_equal(OFFERED("-j", "p"), "port\npool\n");
	assert_non_null(strstr(OFFERED(""), "doctor\n"));
	assert_non_null(strstr(OFFERED(""), "help\n"));
	assert_string_equal(OFFERED("port", "s"), "set\nshow\n");
	assert_string_equal(OFFERED("port", ""), "add\nset\ndel\nshow\nqemu\nhelp\n");
	assert_string_equal(OFFERED("pool", ""), "show\nplan\nhelp\n");
	assert_string_equal(OFFERED("mgmtdev", ""), "show\nhelp\n");
	assert_string_equal(OFFERED("dev", "s"), "show\n");
	assert_string_equal(OFFERED("frob", "", "x"), "");
}

static void keys_complete_once(void **state) {
	(void)state;
	assert_string_equal(
		OFFERED("port", "set", "vm1", ""), "network\nvlan\ntrunks\nrate\nlink\nlifetime\n"
	);
	assert_string_equal(OFFERED("port", "set", "vm1", "link", "up", "l"), "lifetime\n");
	assert_string_equal(OFFERED("port", "add", "vm1", "m"), "mac\nmtu\n");
	assert_null(strstr(OFFERED("explain", "vmbr0", ""), "network\n"));
	assert_non_null(strstr(OFFERED("explain", "vmbr0", ""), "policy\n"));
}

static void values_complete(void **state) {
	(void)state;
	assert_string_equal(OFFERED("port", "set", "vm1", "link", ""), "up\ndown\n");
	assert_string_equal(OFFERED("port", "add", "vm1", "lifetime", "p"), "persistent\n");
	assert_string_equal(OFFERED("port", "add", "vm1", "policy", "h"), "hardware\n");
	assert_string_equal(OFFERED("explain", "vmbr0", "profile", "fast"), "fast-1\n");
	assert_string_equal(OFFERED("port", "qemu", "a,b", "format", ""), "shell\nlines\n");
	assert_string_equal(OFFERED("port", "add", "vm1", "mtu", ""), "");
}

static void options_complete_where_they_are_taken(void **state) {
	(void)state;
	assert_non_null(strstr(OFFERED("--"), "--json\n"));
	assert_null(strstr(OFFERED("--"), "--may-exist\n"));
	assert_string_equal(OFFERED("port", "add", "--may"), "--may-exist\n");
	assert_string_equal(OFFERED("port", "del", "vm1", "--may"), "--may-not-exist\n");
	assert_false(expects_file);
	assert_string_equal(OFFERED("explain", "--facts", ""), "");
	assert_true(expects_file);
	assert_non_null(strstr(OFFERED("explain", "--facts", "f", "vmbr0", ""), "mtu\n"));
}

static void no_words_and_too_many_words_do_no_harm(void **state) {
	const char *words[200] = {NULL};

	(void)state;
	assert_non_null(strstr(offered(0, words), "port\n"));
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		words[i] = i == 0 ? "port" : "add";
	offered(ARRAY_LEN(words), words);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_overview_has_each_command),
		cmocka_unit_test(each_command_explains_its_keys_and_options),
		cmocka_unit_test(an_object_shows_its_verbs_only),
		cmocka_unit_test(objects_and_verbs_complete),
		cmocka_unit_test(keys_complete_once),
		cmocka_unit_test(values_complete),
		cmocka_unit_test(options_complete_where_they_are_taken),
		cmocka_unit_test(no_words_and_too_many_words_do_no_harm),
	};

	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
