// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/ctl/program.h"
#include "vdpad/util/clock.h"

#define ENOUGH_MS 10000

static int run(const char *script, int timeout_ms, char *line, size_t size) {
	const char *argv[] = {"/bin/sh", "-c", script, NULL};

	return program_first_line(argv, timeout_ms, line, size);
}

static void the_first_line_comes_without_its_newline(void **state) {
	char line[64];

	(void)state;
	assert_int_equal(run("echo one; echo two", ENOUGH_MS, line, sizeof(line)), 0);
	assert_string_equal(line, "one");
}

static void more_than_fits_is_read_and_forgotten(void **state) {
	char line[4];

	(void)state;
	assert_int_equal(run("yes | head -c 200000", ENOUGH_MS, line, sizeof(line)), 0);
	assert_int_equal(run("printf abcdefgh", ENOUGH_MS, line, sizeof(line)), 0);
	assert_string_equal(line, "abc");
}

static void a_program_that_fails_or_says_nothing_is_no_answer(void **state) {
	char line[64];

	(void)state;
	assert_int_equal(run("echo x; exit 1", ENOUGH_MS, line, sizeof(line)), -EIO);
	assert_int_equal(run("exit 0", ENOUGH_MS, line, sizeof(line)), -EIO);
	assert_int_equal(run("echo x; kill -9 $$", ENOUGH_MS, line, sizeof(line)), -EIO);
}

static void a_missing_program_is_told_apart(void **state) {
	const char *argv[] = {"/nonexistent/qemu", "--version", NULL};
	char line[64];

	(void)state;
	assert_int_equal(program_first_line(argv, ENOUGH_MS, line, sizeof(line)), -ENOENT);
}

static void a_program_that_hangs_is_killed_in_time(void **state) {
	uint64_t start_ms = clock_now_ms();
	char line[64];

	(void)state;
	assert_int_equal(run("exec sleep 60", 100, line, sizeof(line)), -ETIMEDOUT);
	assert_int_equal(run("exec >&-; exec sleep 60", 100, line, sizeof(line)), -ETIMEDOUT);
	assert_true(clock_now_ms() - start_ms < ENOUGH_MS);
}

static void the_environment_names_the_qemu(void **state) {
	struct qemu_version version;
	struct error e;
	char line[64];

	(void)state;
	setenv("QEMU", "/nonexistent/qemu", 1);
	assert_int_equal(program_find_qemu(&version, line, sizeof(line), &e), -EIO);
	assert_non_null(strstr(e.text, "/nonexistent/qemu"));
	setenv("QEMU", "/bin/echo", 1); // prints "--version", or its version: none of QEMU's form
	assert_int_equal(program_find_qemu(&version, line, sizeof(line), &e), -EIO);
	unsetenv("QEMU");
	setenv("PATH", "/nonexistent", 1);
	assert_int_equal(program_find_qemu(&version, line, sizeof(line), &e), -ENOENT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_line_comes_without_its_newline),
		cmocka_unit_test(more_than_fits_is_read_and_forgotten),
		cmocka_unit_test(a_program_that_fails_or_says_nothing_is_no_answer),
		cmocka_unit_test(a_missing_program_is_told_apart),
		cmocka_unit_test(a_program_that_hangs_is_killed_in_time),
		cmocka_unit_test(the_environment_names_the_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
