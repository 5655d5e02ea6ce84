// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vdpad/config/config_node.h"
#include "vdpad/util/cleanup.h"

// A node with these CPUs, NULL for one that does not say, and a configuration of this text.
static struct config_warnings look(const char *online, const char *text) {
	static const char *const folders[] = {
		"", "/sys", "/sys/devices", "/sys/devices/system", "/sys/devices/system/cpu"};
	char root[] = "/tmp/test-config-node-XXXXXX", path[128];
	struct config_warnings warnings;
	struct config *config;
	struct error e;
	FILE *file;

	assert_non_null(mkdtemp(root));
	for (size_t i = 1; i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/online", root);
	if (online != NULL) {
		file = fopen(path, "w");
		assert_non_null(file);
		fprintf(file, "%s\n", online);
		assert_int_equal(fclose(file), 0);
	}
	assert_int_equal(config_parse("vdpad.conf", text, &config, &e), 0);
	config_check_node(config, root, &warnings);
	config_free(config);
	unlink(path);
	for (size_t i = ARRAY_LEN(folders); i-- > 0;) {
		snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		assert_int_equal(rmdir(path), 0);
	}
	return warnings;
}

// This group is everywhere.
#define SWITCH "[switch]\nsocket_group = root\n"

static void what_is_there_is_not_talked_about(void **state) {
	(void)state;
	assert_int_equal(look("0-1", SWITCH).n, 0);
	assert_int_equal(look("0-1", "[switch]\nsocket_group =\n").n, 0);
	assert_int_equal(look("0-3,6", SWITCH "cpus = 2-3,6\n").n, 0);
	assert_int_equal(look("0", SWITCH "[devices]\nuser = root\n").n, 0);
	assert_int_equal(look(NULL, SWITCH "cpus = 99\n").n, 0); // it cannot be known
}

static void a_cpu_that_is_not_there_is_told(void **state) {
	static const char *const lists[] = {"99", "0,4", "3-5", "1023"};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct config_warnings warnings;

		snprintf(text, sizeof(text), SWITCH "cpus = %s\n", lists[i]);
		warnings = look("0-3", text);
		assert_int_equal(warnings.n, 1);
		assert_non_null(strstr(warnings.list[0], lists[i]));
		assert_non_null(strstr(warnings.list[0], "this node has CPUs 0-3, so "));
		assert_non_null(strstr(warnings.list[0], "then restart vdpad-switch"));
	}
}

static void a_group_and_a_user_that_are_not_there_are_told(void **state) {
	struct config_warnings warnings =
		look("0-3",
	             "[switch]\nsocket_group = no-such-group\n[devices]\nuser = no-such-user\n");

	(void)state;
	assert_int_equal(warnings.n, 2);
	assert_string_equal(
		warnings.list[0],
		"[switch] socket_group 'no-such-group': this node has no such group, so sockets "
		"keep the switch's own: make it or name another, then restart vdpad-switch"
	);
	assert_string_equal(
		warnings.list[1],
		"[devices] user 'no-such-user': this node has no such user, so no port gets a vDPA "
		"device: make it or name another, then 'vdpactl reload'"
	);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_is_not_talked_about),
		cmocka_unit_test(a_cpu_that_is_not_there_is_told),
		cmocka_unit_test(a_group_and_a_user_that_are_not_there_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
