// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "vdpad/util/error.h"

static void set_returns_the_negative_errno_and_formats(void **state) {
	struct error e = {0};

	(void)state;
	assert_int_equal(error_set(&e, EINVAL, "vlan '%s' is no %s", "x", "number"), -EINVAL);
	assert_int_equal(e.code, EINVAL);
	assert_string_equal(e.text, "vlan 'x' is no number");
	assert_int_equal(error_set(NULL, ENOENT, "nobody listens"), -ENOENT);
}

static void text_may_contain_the_earlier_text(void **state) {
	struct error e;

	(void)state;
	error_set(&e, EIO, "inner");
	error_set(&e, EINVAL, "file 7: %s", e.text);
	assert_string_equal(e.text, "file 7: inner");
}

static void long_text_is_cut(void **state) {
	struct error e;
	char text[2 * ERROR_TEXT_SIZE];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&e, EINVAL, "%s", text);
	assert_int_equal(strlen(e.text), ERROR_TEXT_SIZE - 1);
}

static void hostile_bytes_become_one_printable_line(void **state) {
	struct error e;

	(void)state;
	error_set(&e, EINVAL, "key '%s'", "a\nb\x1b[31m\xffz\x7f");
	assert_string_equal(e.text, "key 'a?b?[31m?z?'");
}

static void a_failure_survives_the_bus(void **state) {
	static const int codes[] = {EINVAL,    ENOENT, ENODEV, EEXIST,     EPERM,    EACCES,
	                            EHOSTDOWN, EBUSY,  ENOSPC, EOPNOTSUPP, ETIMEDOUT};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		_cleanup_bus_error_ sd_bus_error bus_error = SD_BUS_ERROR_NULL;
		struct error sent, received;

		error_set(&sent, codes[i], "reason %zu", i);
		assert_int_equal(error_to_bus(&sent, &bus_error), -codes[i]);
		assert_int_equal(error_from_bus(&received, -EIO, &bus_error), -codes[i]);
		assert_string_equal(received.text, sent.text);
	}
}

static void an_error_without_code_still_answers_the_caller(void **state) {
	_cleanup_bus_error_ sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	struct error e = {0};

	(void)state;
	assert_true(error_to_bus(&e, &bus_error) < 0);
	assert_true(sd_bus_error_is_set(&bus_error));
}

static void an_answer_without_error_says_the_errno(void **state) {
	struct error e;

	(void)state;
	assert_int_equal(error_from_bus(&e, -ENOMEM, NULL), -ENOMEM);
	assert_string_equal(e.text, strerror(ENOMEM));
}

static void exit_statuses_are_as_documented(void **state) {
	(void)state;
	assert_int_equal(error_exit_status(error_dbus_name(EINVAL)), 2);
	assert_int_equal(error_exit_status(error_dbus_name(ENOENT)), 3);
	assert_int_equal(error_exit_status(error_dbus_name(ENODEV)), 3);
	assert_int_equal(error_exit_status(error_dbus_name(EEXIST)), 4);
	assert_int_equal(error_exit_status(error_dbus_name(EPERM)), 5);
	assert_int_equal(error_exit_status(error_dbus_name(EACCES)), 5);
	assert_int_equal(error_exit_status(error_dbus_name(EHOSTDOWN)), 1);
	assert_int_equal(error_exit_status(error_dbus_name(ENOSPC)), 1);
	assert_int_equal(error_exit_status(error_dbus_name(0)), 1);
	assert_int_equal(error_exit_status(SD_BUS_ERROR_SERVICE_UNKNOWN), 6);
	assert_int_equal(error_exit_status(SD_BUS_ERROR_NO_REPLY), 6);
	assert_int_equal(error_exit_status("com.example.Other"), 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_returns_the_negative_errno_and_formats),
		cmocka_unit_test(text_may_contain_the_earlier_text),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(hostile_bytes_become_one_printable_line),
		cmocka_unit_test(a_failure_survives_the_bus),
		cmocka_unit_test(an_error_without_code_still_answers_the_caller),
		cmocka_unit_test(an_answer_without_error_says_the_errno),
		cmocka_unit_test(exit_statuses_are_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
