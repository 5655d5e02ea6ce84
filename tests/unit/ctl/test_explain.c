// SPDX-License-Identifier: GPL-2.0-or-later
// explain --facts: the decision replayed from a file, with no vdpad and no bus.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "tests/unit/ctl/capture.h"
#include "vdpad/ctl/command.h"
#include "vdpad/model/facts.h"

static char facts_path[] = "/tmp/test-explain.XXXXXX";

static void write_file(const char *text) {
	FILE *file = fopen(facts_path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

// A node with bridge vmbr1 of MTU 9000 and a switch that is ready.
static void write_snapshot(void) {
	struct facts *facts = calloc(1, sizeof(*facts));
	json_t *json;

	strcpy(facts->kernel, "6.1.0");
	facts->fallback.connected = true;
	facts->fallback.max_queue_pairs = 8;
	facts->fallback.max_mtu_bytes = 9000;
	facts->fallback.max_ports = 512;
	facts->fallback.n_workers = 1;
	facts->n_bridges = 1;
	strcpy(facts->bridges[0].name, "vmbr1");
	facts->bridges[0].mtu_bytes = 9000;
	json = facts_to_json(facts);
	assert_int_equal(json_dump_file(json, facts_path, 0), 0);
	json_decref(json);
	free(facts);
}

// Returns what explain printed, as JSON, or NULL with @e.
static json_t *explain(const char *network, const char *key, const char *value, struct error *e) {
	const char *argv[] = {"vdpactl", "-j",       "explain", network,
	                      "--facts", facts_path, key,       value};
	struct request request;
	const char *text;
	int r;

	r = command_parse(key != NULL ? 8 : 6, (char **)argv, &request, e);
	if (r < 0)
		return NULL;
	capture_start();
	r = request.command->run(&request, e);
	text = capture_stop();
	if (r >= 0)
		return json_loads(text, 0, NULL);
	assert_string_equal(text, "");
	return NULL;
}

static const char *chosen(const json_t *answer) {
	return json_string_value(json_object_get(answer, "chosen"));
}

static void the_snapshot_decides(void **state) {
	struct error e;
	json_t *answer;

	(void)state;
	write_snapshot();
	answer = explain("vmbr1", NULL, NULL, &e);
	assert_non_null(answer);
	assert_string_equal(chosen(answer), "switch");
	assert_int_equal(json_integer_value(json_object_get(answer, "mtu")), 9000);
	assert_string_equal(json_string_value(json_object_get(answer, "profile")), "fast-1");
	assert_true(json_array_size(json_object_get(answer, "candidates")) > 1);
	assert_null(json_object_get(answer, "mac")); // only the node could make it
	json_decref(answer);
}

static void keys_count_as_for_a_port(void **state) {
	struct error e;
	json_t *answer;

	(void)state;
	write_snapshot();
	answer = explain("vmbr1", "policy", "hardware", &e);
	assert_string_equal(chosen(answer), "");
	json_decref(answer);
	answer = explain("vmbr1", "queue_pairs", "9", &e);
	assert_string_equal(chosen(answer), "");
	json_decref(answer);
}

static void a_network_that_the_snapshot_lacks_is_told(void **state) {
	struct error e;

	(void)state;
	write_snapshot();
	assert_null(explain("vmbr0", NULL, NULL, &e));
	assert_int_equal(e.code, ENODEV);
	assert_non_null(strstr(e.text, "vmbr0"));
}

static void what_is_no_snapshot_is_refused(void **state) {
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{}",
		"null",
		"{\"kernel\": 6}",
		"{\"kernel\":\"a\",\"kernel\":\"b\"}",
		"\xff",
		"{\"kernel\": \"6.1\", \"bridges\": 7}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error e = {0};

		write_file(texts[i]);
		assert_null(explain("vmbr1", NULL, NULL, &e));
		assert_int_equal(e.code, EINVAL);
		assert_string_not_equal(e.text, "");
	}
}

static void a_file_that_is_not_there_is_named(void **state) {
	struct error e;

	(void)state;
	unlink(facts_path);
	assert_null(explain("vmbr1", NULL, NULL, &e));
	assert_non_null(strstr(e.text, facts_path));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_snapshot_decides),
		cmocka_unit_test(keys_count_as_for_a_port),
		cmocka_unit_test(a_network_that_the_snapshot_lacks_is_told),
		cmocka_unit_test(what_is_no_snapshot_is_refused),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	close(mkstemp(facts_path));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
