// SPDX-License-Identifier: GPL-2.0-or-later
// The manual pages say what the programs have, and nothing else. Reads packaging/man.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/config/config.h"
#include "vdpad/ctl/command.h"
#include "vdpad/util/cleanup.h"

#define PAGE_SIZE_MAX 65536
#define N_CONFIG_KEYS 30 // so that no loop passes for having found nothing

static char *read_page(const char *name) {
	char path[512];
	char *text = calloc(1, PAGE_SIZE_MAX);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", MAN_DIR, name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(text, 1, PAGE_SIZE_MAX - 1, file) > 0);
	fclose(file);
	return text;
}

// True if @page has a line that begins with these words, wholly.
static bool has_line(const char *page, const char *words) {
	size_t len = strlen(words);

	for (const char *line = page; line != NULL; line = strchr(line, '\n')) {
		line += line == page ? 0 : 1;
		if (strncmp(line, words, len) == 0 && strchr(" \n", line[len]) != NULL)
			return true;
	}
	return false;
}

static void each_command_key_and_option_is_in_the_page(void **state) {
	_cleanup_free_ char *page = read_page("vdpactl.8");
	char words[128];

	(void)state;
	for (const struct command *c = commands; c->object != NULL; c++) {
		snprintf(
			words, sizeof(words), ".It Ic %s%s%s", c->object,
			c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : ""
		);
		if (!has_line(page, words))
			fail_msg("vdpactl.8 has no '%s'", words);
		for (const char *const *k = c->keys; k != NULL && *k != NULL; k++) {
			snprintf(words, sizeof(words), ".It Cm %s", *k);
			if (!has_line(page, words))
				fail_msg("vdpactl.8 has no '%s'", words);
		}
	}
	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		snprintf(
			words, sizeof(words), "Fl \\-%s%s%s", o->word + 2,
			o->argument != NULL ? " Ar " : "", o->argument != NULL ? o->argument : ""
		);
		if (strstr(page, words) == NULL)
			fail_msg("vdpactl.8 has no '%s'", words);
	}
}

static bool is_key(const char *word) {
	for (const struct command *c = commands; c->object != NULL; c++) {
		for (const char *const *k = c->keys; k != NULL && *k != NULL; k++) {
			if (strcmp(*k, word) == 0)
				return true;
		}
	}
	return false;
}

static bool is_option(const char *word) {
	for (const struct option_word *o = option_words; o->word != NULL; o++) {
		if (strcmp(o->word + 2, word) == 0)
			return true;
	}
	return false;
}

static void the_page_has_no_other_command_key_or_option(void **state) {
	_cleanup_free_ char *page = read_page("vdpactl.8");
	char *rest = NULL;

	(void)state;
	for (char *line = strtok_r(page, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char first[64] = "", second[64] = "";
		const char *option = strstr(line, "Fl \\-");

		if (sscanf(line, ".It Ic %63s %63s", first, second) >= 1 &&
		    command_find(first, second) == NULL)
			fail_msg("vdpactl.8 has command '%s %s'", first, second);
		if (sscanf(line, ".It Cm %63s", first) == 1 && !is_key(first))
			fail_msg("vdpactl.8 has key '%s'", first);
		if (option != NULL && sscanf(option, "Fl \\-%63s", first) == 1 && !is_option(first))
			fail_msg("vdpactl.8 has option '--%s'", first);
	}
}

// The page's sections are .Ss [name] or .Ss [network NAME], its keys .It Cm key. @section gets the
// title, and @key the key, of each key in turn; returns false at the end.
static bool next_key(char **page, char section[static 64], char key[static 64]) {
	char *line;

	while ((line = strsep(page, "\n")) != NULL) {
		sscanf(line, ".Ss [%63[^]]", section);
		if (sscanf(line, ".It Cm %63s", key) == 1)
			return true;
	}
	return false;
}

// A file with one key, in a section of the page, whose NAME stands for one in small letters.
static void write_config(char text[static 256], const char *section, const char *key) {
	char title[64];
	size_t i = 0;

	for (; section[i] != '\0' && i + 1 < sizeof(title); i++)
		title[i] = section[i] >= 'A' && section[i] <= 'Z' ? (char)(section[i] | 0x20)
								  : section[i];
	title[i] = '\0';
	snprintf(text, 256, "[%s]\n%s = ?\n", title, key);
}

static void each_key_of_the_configuration_page_is_known(void **state) {
	_cleanup_free_ char *page = read_page("vdpad.conf.5");
	char section[64] = "", key[64], *rest = page;
	size_t n = 0;

	(void)state;
	for (; next_key(&rest, section, key); n++) {
		struct config *config = NULL;
		struct error e = {0};
		char text[256];

		write_config(text, section, key);
		assert_int_equal(config_parse("page", text, &config, &e), -EINVAL);
		if (strstr(e.text, "unknown key") != NULL || strstr(e.text, "no name") != NULL)
			fail_msg("vdpad.conf.5: %s", e.text);
	}
	assert_int_equal(n, N_CONFIG_KEYS);
}

static bool is_documented(const char *wanted_section, const char *wanted_key) {
	_cleanup_free_ char *page = read_page("vdpad.conf.5");
	char section[64] = "", key[64], *rest = page;

	while (next_key(&rest, section, key)) {
		if (strcmp(section, wanted_section) == 0 && strcmp(key, wanted_key) == 0)
			return true;
	}
	return false;
}

static bool is_connective(const char *word) {
	static const char *const words[] = {"it", "must", "be", "or", "and", "have", "defaults"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], word) == 0)
			return true;
	}
	return false;
}

// An unknown key is answered with the ones that there are, "it must be a, b or c".
static void each_key_of_the_configuration_is_in_its_page(void **state) {
	static const char *const sections[] = {"defaults",  "limits",     "switch",
	                                       "devices",   "networks",   "network NAME",
	                                       "pool NAME", "socket NAME"};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		char text[256], *words, *rest = NULL;
		struct config *config = NULL;
		struct error e = {0};

		write_config(text, sections[i], "frobnicate");
		assert_int_equal(config_parse("file", text, &config, &e), -EINVAL);
		words = strstr(e.text, "'frobnicate': ");
		assert_non_null(words);
		words += strlen("'frobnicate': ");
		for (char *w = strtok_r(words, " ,", &rest); w; w = strtok_r(NULL, " ,", &rest)) {
			if (is_connective(w))
				continue;
			n++;
			if (!is_documented(sections[i], w))
				fail_msg("vdpad.conf.5 has no '%s' in [%s]", w, sections[i]);
		}
	}
	assert_int_equal(n, N_CONFIG_KEYS);
}

static void the_example_configuration_is_valid(void **state) {
	_cleanup_free_ char *page = read_page("vdpad.conf.5");
	char *start = strstr(page, ".Bd -literal\n"), *end;
	struct config *config = NULL;
	struct error e;

	(void)state;
	assert_non_null(start);
	start += strlen(".Bd -literal\n");
	end = strstr(start, ".Ed\n");
	assert_non_null(end);
	*end = '\0';
	if (config_parse("example", start, &config, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(config->defaults.queue_pairs, 2);
	assert_int_equal(config->n_networks, 2);
	assert_int_equal(config->networks[0].mtu_bytes, 9000);
	config_free(config);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_key_and_option_is_in_the_page),
		cmocka_unit_test(the_page_has_no_other_command_key_or_option),
		cmocka_unit_test(each_key_of_the_configuration_page_is_known),
		cmocka_unit_test(each_key_of_the_configuration_is_in_its_page),
		cmocka_unit_test(the_example_configuration_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
