// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "vdpad/ctl/client.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

static sd_bus *bus; // goes nowhere; messages need one

static sd_bus_message *new_message(void) {
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_method_call(bus, &m, NULL, "/a", "a.b", "C") >= 0);
	return m;
}

// What @m, which is released, is as JSON text, or "" if it cannot be read.
static const char *to_json(sd_bus_message *m, int *ret_r) {
	static char text[1024];
	json_t *json = NULL;
	char *dumped;

	text[0] = '\0';
	assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
	*ret_r = client_read_json(m, &json);
	sd_bus_message_unref(m);
	if (*ret_r < 0) {
		assert_null(json);
		return text;
	}
	dumped = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	strcpy(text, dumped);
	free(dumped);
	json_decref(json);
	return text;
}

static void dictionaries_become_objects(void **state) {
	sd_bus_message *m = new_message();
	int r;

	(void)state;
	sd_bus_message_append(
		m, "a{sv}", 6, "s", "s", "x", "b", "b", 1, "u", "u", 7, "t", "t", UINT64_MAX, "i",
		"i", -3, "as", "as", 2, "p", "q"
	);
	assert_string_equal(
		to_json(m, &r),
		"{\"s\":\"x\",\"b\":true,\"u\":7,\"t\":9223372036854775807,"
		"\"i\":-3,\"as\":[\"p\",\"q\"]}"
	);
}

static void dictionaries_of_dictionaries_nest(void **state) {
	sd_bus_message *m = new_message();
	int r;

	(void)state;
	sd_bus_message_append(m, "a{sa{sv}}", 2, "a", 1, "k", "u", 1, "b", 0);
	assert_string_equal(to_json(m, &r), "{\"a\":{\"k\":1},\"b\":{}}");
}

static void other_shapes_become_arrays(void **state) {
	sd_bus_message *m = new_message();
	int r;

	(void)state;
	sd_bus_message_append(m, "(sa{us})", "x", 1, 7, "y");
	assert_string_equal(to_json(m, &r), "[\"x\",[[7,\"y\"]]]"); // keys that are no text
	m = new_message();
	sd_bus_message_append(m, "(sab)", "x", 2, 1, 0);
	assert_string_equal(to_json(m, &r), "[\"x\",[true,false]]");
}

static void too_deep_and_empty_are_refused(void **state) {
	sd_bus_message *m = new_message();
	int r;

	(void)state;
	to_json(m, &r);
	assert_int_equal(r, -EBADMSG);
	m = new_message();
	for (size_t i = 0; i < 20; i++)
		assert_true(sd_bus_message_open_container(m, 'v', i < 19 ? "v" : "u") >= 0);
	sd_bus_message_append(m, "u", 1);
	for (size_t i = 0; i < 20; i++)
		sd_bus_message_close_container(m);
	to_json(m, &r);
	assert_int_equal(r, -EBADMSG);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dictionaries_become_objects),
		cmocka_unit_test(dictionaries_of_dictionaries_nest),
		cmocka_unit_test(other_shapes_become_arrays),
		cmocka_unit_test(too_deep_and_empty_are_refused),
	};
	int fds[2], failed;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || sd_bus_new(&bus) < 0 ||
	    sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	sd_bus_close_unref(bus);
	close(fds[1]);
	return failed;
}
