// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "fallback/worker.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"

static void worker_list_is_parsed_strictly(void **state) {
	const char *const bad[] = {"",    "1,",    "a",  "3-2",   "1-",
	                           "1,1", "0-2,2", "-1", "99999", "0-100"};
	int cpus[WORKERS_MAX];
	struct error e = {0};

	(void)state;
	assert_int_equal(workers_parse_cpus("auto", cpus, &e), 1);
	assert_int_equal(cpus[0], -1);
	assert_int_equal(workers_parse_cpus("2-3,6", cpus, &e), 3);
	assert_int_equal(cpus[0], 2);
	assert_int_equal(cpus[1], 3);
	assert_int_equal(cpus[2], 6);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(workers_parse_cpus(bad[i], cpus, &e), -EINVAL);
}

static void missing_cpu_is_named(void **state) {
	static const int not_pinned[] = {-1}, missing[] = {-1, CPU_SETSIZE - 1};
	struct error e = {0};

	(void)state;
	assert_int_equal(workers_check_cpus(not_pinned, 1, &e), 0);
	assert_int_equal(workers_check_cpus(missing, 2, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no CPU 1023"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worker_list_is_parsed_strictly),
		cmocka_unit_test(missing_cpu_is_named),
	};

	return cmocka_run_group_tests(tests, frames_setup, NULL);
}
