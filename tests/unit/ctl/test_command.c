// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/command.h"
#include "vdpad/model/port.h"

#define MAX_WORDS 80

// Parse a command line written with blanks, without "vdpactl". @line stays until the next call.
static int parse(const char *line, struct request *request, struct error *e) {
	static char text[1024];
	static char program[] = "vdpactl";
	char *argv[MAX_WORDS] = {program};
	char *rest = NULL;
	int argc = 1;

	assert_int_equal(str_copy(text, sizeof(text), line), 0);
	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	return command_parse(argc, argv, request, e);
}

static void each_command_of_the_table_parses(void **state) {
	(void)state;
	for (const struct command *c = commands; c->object != NULL; c++) {
		struct request request;
		char line[64];

		snprintf(
			line, sizeof(line), "%s %s %s", c->object, c->verb != NULL ? c->verb : "",
			c->operand != OPERAND_NONE ? "name0" : ""
		);
		assert_int_equal(parse(line, &request, NULL), 0);
		assert_ptr_equal(request.command, c);
	}
}

static void the_table_is_complete_and_keeps_objects_together(void **state) {
	(void)state;
	for (const struct command *c = commands; c->object != NULL; c++) {
		assert_non_null(c->run);
		assert_non_null(c->summary);
		for (const struct command *other = c + 1; other->object != NULL; other++) {
			if (strcmp(other->object, c->object) == 0)
				assert_string_equal((other - 1)->object, c->object);
		}
		for (const char *const *k = c->keys; k != NULL && *k != NULL; k++)
			assert_non_null(command_key_help(*k));
	}
}

static void set_takes_the_keys_that_can_change(void **state) {
	static const char *const values[] = {"lan", "7", "10-20", "1gbit", "down", "persistent"};
	const struct command *set = command_find("port", "set");
	struct port_spec spec = {0};

	(void)state;
	for (size_t i = 0; set->keys[i] != NULL; i++)
		assert_int_equal(port_spec_set(&spec, set->keys[i], values[i], NULL), 0);
	assert_int_equal(spec.keys, PORT_KEYS_CHANGEABLE);
}

static void values_that_completion_offers_are_accepted(void **state) {
	(void)state;
	for (const char *const *k = port_spec_keys; *k != NULL; k++) {
		const char *const *values = command_key_values(*k);

		for (; values != NULL && *values != NULL; values++) {
			struct port_spec spec = {0};

			assert_int_equal(port_spec_set(&spec, *k, *values, NULL), 0);
		}
	}
}

static void operand_and_pairs_are_taken_apart(void **state) {
	struct request request;

	(void)state;
	assert_int_equal(
		parse("-j port add vm1 network vmbr0 vlan 10 --may-exist", &request, NULL), 0
	);
	assert_string_equal(request.operand, "vm1");
	assert_int_equal(request.n_pairs, 2);
	assert_string_equal(request_value(&request, "network"), "vmbr0");
	assert_string_equal(request_value(&request, "vlan"), "10");
	assert_null(request_value(&request, "mtu"));
	assert_int_equal(request.options, OPTION_JSON | OPTION_MAY_EXIST);
}

static void options_may_stand_anywhere(void **state) {
	static const char *const lines[] = {
		"-jp port show vm1", "port -j show --pretty vm1", "port show vm1 --json -p"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct request request;

		assert_int_equal(parse(lines[i], &request, NULL), 0);
		assert_string_equal(request.operand, "vm1");
		assert_int_equal(request.options, OPTION_JSON | OPTION_PRETTY);
	}
}

static void a_file_follows_its_option(void **state) {
	struct request request;
	struct error e;

	(void)state;
	assert_int_equal(
		parse("explain --facts node.json vmbr0 --config my.conf", &request, NULL), 0
	);
	assert_string_equal(request.facts_path, "node.json");
	assert_string_equal(request.config_path, "my.conf");
	assert_string_equal(request.operand, "vmbr0");
	assert_int_equal(parse("explain vmbr0 --facts", &request, &e), -EINVAL);
	assert_string_equal(e.text, "option '--facts' needs a FILE");
}

static void two_dashes_end_the_options(void **state) {
	struct request request;

	(void)state;
	assert_int_equal(parse("network show -- --help", &request, NULL), 0);
	assert_string_equal(request.operand, "--help");
}

static void an_object_alone_is_shown(void **state) {
	struct request request;

	(void)state;
	assert_int_equal(parse("port", &request, NULL), 0);
	assert_string_equal(request.command->verb, "show");
	assert_null(request.operand);
}

static void the_network_of_explain_is_a_key(void **state) {
	struct request request;
	struct error e;

	(void)state;
	assert_int_equal(parse("explain vmbr0 policy hardware", &request, NULL), 0);
	assert_string_equal(request_value(&request, "network"), "vmbr0");
	assert_int_equal(parse("explain vmbr0 network vmbr1", &request, &e), -EINVAL);
	assert_string_equal(e.text, "key 'network' is given twice");
}

static void wrong_words_are_named_with_what_is_right(void **state) {
	static const struct {
		const char *line;
		const char *wrong;
		const char *right;
	} cases[] = {
		{"", "say what to do", "vdpactl help"},
		{"prot add x", "'prot'", "port"},
		{"po add x", "'po'", "port"}, // no abbreviations
		{"port ad x", "'ad'", "add"},
		{"port show a b", "'b'", "port show [NAME]"},
		{"reload now", "'now'", "reload"},
		{"port add", "name is missing", "port add help"},
		{"explain", "network is missing", "explain help"},
		{"port add vm1 nett x", "'nett'", "network"},
		{"port add vm1 vlan", "'vlan'", "VLAN"},
		{"port add vm1 vlan 1 vlan 2", "'vlan'", "twice"},
		{"port set vm1 mac 52:54:00:00:00:01", "'mac'",
	         "add it again: what can change is network, vlan, trunks, rate, link, lifetime"},
		{"port set vm1 colour red", "'colour'", "one of network"},
		{"port add vm1 network=vmbr0", "'network=vmbr0'", "two words"},
		{"port add VM1 network x", "'VM1'", "a-z"},
		{"port add a/b network x", "'a/b'", "a-z"},
		{"port add abcdefghijklmnopqrstuvwxyz0123456", "no port name", "32"},
		{"port qemu a,,b", "''", "a-z"},
		{"port qemu a,B", "'B'", "a-z"},
		{"port qemu abcdefghijklmnopqrstuvwxyz0123456", "no port name", "32"},
		{"port add help network x", "'help'", ""},
		{"network show a/b", "'a/b'", "A-Z"},
		{"explain interfacename16x", "'interfacename16x'", "15"},
		{"port show --frob", "'--frob'", "help"},
		{"port show -x", "'-x'", "help"},
		{"port show --may-exist", "'--may-exist'", "port show"},
		{"port qemu a,b,a", "'a'", "twice"},
		{"facts now", "'now'", "'vdpactl facts' is all"},
		{"help prot", "'prot'", "port"},
		{"port ad help", "'ad'", "add"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct request request;
		struct error e = {0};

		assert_int_equal(parse(cases[i].line, &request, &e), -EINVAL);
		assert_non_null(strstr(e.text, cases[i].wrong));
		assert_non_null(strstr(e.text, cases[i].right));
	}
}

static void help_is_heard_at_each_level(void **state) {
	static const struct {
		const char *line;
		const char *object;
		const char *verb;
	} cases[] = {
		{"help", NULL, NULL},
		{"--help", NULL, NULL},
		{"help port", "port", NULL},
		{"port help", "port", NULL},
		{"port help add", "port", "add"},
		{"help port add", "port", "add"},
		{"port add help", "port", "add"},
		{"port add vm1 network x --help", "port", "add"},
		{"explain help", "explain", NULL},
		{"-h doctor", "doctor", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct request request;

		assert_int_equal(parse(cases[i].line, &request, NULL), 0);
		assert_null(request.command);
		if (cases[i].object != NULL)
			assert_string_equal(request.help_object, cases[i].object);
		else
			assert_null(request.help_object);
		if (cases[i].verb != NULL)
			assert_string_equal(request.help_verb, cases[i].verb);
		else
			assert_null(request.help_verb);
	}
}

static void too_many_words_are_refused(void **state) {
	struct request request;
	struct error e;
	char line[256] = "port add vm1";

	(void)state;
	for (size_t i = 0; i < 65; i++)
		strcat(line, " x");
	assert_int_equal(parse(line, &request, &e), -EINVAL);
	assert_string_equal(e.text, "too many words");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_of_the_table_parses),
		cmocka_unit_test(the_table_is_complete_and_keeps_objects_together),
		cmocka_unit_test(set_takes_the_keys_that_can_change),
		cmocka_unit_test(values_that_completion_offers_are_accepted),
		cmocka_unit_test(operand_and_pairs_are_taken_apart),
		cmocka_unit_test(options_may_stand_anywhere),
		cmocka_unit_test(a_file_follows_its_option),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(an_object_alone_is_shown),
		cmocka_unit_test(the_network_of_explain_is_a_key),
		cmocka_unit_test(wrong_words_are_named_with_what_is_right),
		cmocka_unit_test(help_is_heard_at_each_level),
		cmocka_unit_test(too_many_words_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
