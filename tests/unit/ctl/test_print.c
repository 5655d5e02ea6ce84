// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <string.h>

#include "tests/unit/ctl/capture.h"
#include "vdpad/ctl/print.h"

static const struct column columns[] = {
	{"name", "NAME"}, {"mtu", "MTU"}, {"ready", "READY"}, {"reason", "REASON"}, {NULL, NULL},
};

static json_t *read_json(const char *text) {
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

static void columns_align_and_numbers_stand_to_the_right(void **state) {
	json_t *rows =
		read_json("[{\"name\": \"a\", \"mtu\": 1500, \"ready\": true, \"reason\": \"\"},"
	                  " {\"name\": \"long-name\", \"mtu\": 68, \"ready\": false,"
	                  "  \"reason\": \"no one\"}]");

	(void)state;
	capture_start();
	print_table(columns, rows);
	assert_string_equal(
		capture_stop(),
		"NAME        MTU  READY  REASON\n"
		"a          1500  yes    -\n"
		"long-name    68  no     no one\n"
	);
	json_decref(rows);
}

static void an_empty_table_is_its_header(void **state) {
	json_t *rows = json_array();

	(void)state;
	capture_start();
	print_table(columns, rows);
	assert_string_equal(capture_stop(), "NAME  MTU  READY  REASON\n");
	json_decref(rows);
}

static void missing_values_are_dashes(void **state) {
	json_t *rows = read_json("[{\"name\": \"a\"}]");

	(void)state;
	capture_start();
	print_table(columns, rows);
	assert_string_equal(capture_stop(), "NAME  MTU  READY  REASON\na       -      -       -\n");
	json_decref(rows);
}

static void text_cannot_steer_the_terminal(void **state) {
	json_t *rows = read_json("[{\"name\": \"a\", \"reason\": \"x\\u001b[2J\\ny\\u007f\"}]");

	(void)state;
	capture_start();
	print_table(columns, rows);
	assert_null(strchr(capture_stop(), '\x1b'));
	json_decref(rows);
}

static void rows_are_sorted_and_named(void **state) {
	json_t *rows = print_rows(read_json("{\"b\": {\"mtu\": 2}, \"a\": {\"mtu\": 1}}"));

	(void)state;
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(rows, 0), "name")), "a"
	);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 1), "mtu")), 2);
	json_decref(rows);
}

static void an_answer_of_another_shape_gives_no_rows(void **state) {
	json_t *rows = print_rows(read_json("[1, 2]"));

	(void)state;
	assert_int_equal(json_array_size(rows), 0);
	json_decref(rows);
}

static void an_object_shows_the_listed_keys_first(void **state) {
	static const char *const keys[] = {"state", "absent", NULL};
	json_t *object = read_json("{\"mtu\": 1500, \"state\": \"ready\"}");

	(void)state;
	capture_start();
	print_object(keys, object);
	assert_string_equal(capture_stop(), "state  ready\nmtu    1500\n");
	json_decref(object);
}

static void json_is_one_line_unless_pretty(void **state) {
	struct request request = {.options = OPTION_JSON};
	json_t *json = read_json("{\"a\": [1, 2]}");

	(void)state;
	assert_true(print_wants_json(&request));
	capture_start();
	print_json(&request, json);
	assert_string_equal(capture_stop(), "{\"a\":[1,2]}\n");
	request.options = OPTION_PRETTY;
	assert_true(print_wants_json(&request));
	capture_start();
	print_json(&request, json);
	assert_non_null(strstr(capture_stop(), "\n    \"a\": ["));
	json_decref(json);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_align_and_numbers_stand_to_the_right),
		cmocka_unit_test(an_empty_table_is_its_header),
		cmocka_unit_test(missing_values_are_dashes),
		cmocka_unit_test(text_cannot_steer_the_terminal),
		cmocka_unit_test(rows_are_sorted_and_named),
		cmocka_unit_test(an_answer_of_another_shape_gives_no_rows),
		cmocka_unit_test(an_object_shows_the_listed_keys_first),
		cmocka_unit_test(json_is_one_line_unless_pretty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
