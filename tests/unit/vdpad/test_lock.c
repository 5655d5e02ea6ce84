// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vdpad/lock.h"

static void second_holder_is_refused_and_told_who_holds(void **state) {
	char base[] = "/tmp/test-lock-XXXXXX", dir[64], file[80], expected[64];
	int first, second = -1;
	struct error e = {0};

	(void)state;
	assert_non_null(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/run", base); // is made
	snprintf(file, sizeof(file), "%s/lock", dir);
	assert_int_equal(lock_take(dir, &first, &e), 0);
	assert_int_equal(lock_take(dir, &second, &e), -EEXIST);
	assert_int_equal(second, -1);
	snprintf(expected, sizeof(expected), "another vdpad, process %d,", getpid());
	assert_non_null(strstr(e.text, expected));
	close(first);
	assert_int_equal(lock_take(dir, &second, &e), 0);
	close(second);
	unlink(file);
	rmdir(dir);
	rmdir(base);
}

static void missing_parent_is_an_error_with_its_name(void **state) {
	struct error e = {0};
	int fd;

	(void)state;
	assert_int_equal(lock_take("/nonexistent/run", &fd, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/run"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_holder_is_refused_and_told_who_holds),
		cmocka_unit_test(missing_parent_is_an_error_with_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
