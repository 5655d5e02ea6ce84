// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "vdpad/model/profile.h"

static void names_are_found_and_others_are_not(void **state) {
	(void)state;
	assert_non_null(profile_find("fast-1"));
	assert_non_null(profile_find("portable-1"));
	assert_null(profile_find("fast"));
	assert_null(profile_find(""));
}

// A released profile never changes: these numbers are in the ports of running guests.
static void released_features_never_change(void **state) {
	(void)state;
	assert_int_equal(profile_find("portable-1")->features, 0x30043bbabULL);
	assert_int_equal(profile_find("fast-1")->features, 0x130ffbbabULL);
}

static void each_name_fits_a_port_and_has_a_summary(void **state) {
	(void)state;
	for (const struct profile *p = profiles; p->name != NULL; p++) {
		assert_in_range(strlen(p->name), 1, PROFILE_NAME_SIZE - 1);
		assert_non_null(p->summary);
		assert_true(p->features & (1ULL << 32)); // VERSION_1
	}
}

static void an_older_qemu_is_not_given_what_it_does_not_know(void **state) {
	char text[1024];

	(void)state;
	for (const struct profile *p = profiles; p->name != NULL; p++) {
		assert_int_equal(
			profile_qemu_properties(p, PROFILE_QEMU(7, 2), text, sizeof(text)), 0
		);
		assert_null(strstr(text, "uso"));
		assert_null(strstr(text, "in_order"));
		assert_non_null(strstr(text, "packed=off"));

		assert_int_equal(
			profile_qemu_properties(p, PROFILE_QEMU(10, 0), text, sizeof(text)), 0
		);
		assert_non_null(strstr(text, "host_uso=off"));
		assert_non_null(strstr(text, "in_order=off"));
	}
}

static void portable_switches_off_what_a_vdpa_nic_lacks(void **state) {
	char text[1024];

	(void)state;
	profile_qemu_properties(profile_find("portable-1"), PROFILE_QEMU(7, 2), text, sizeof(text));
	assert_non_null(strstr(text, "indirect_desc=off"));
	assert_non_null(strstr(text, "ctrl_rx=off"));
	profile_qemu_properties(profile_find("fast-1"), PROFILE_QEMU(7, 2), text, sizeof(text));
	assert_null(strstr(text, "indirect_desc"));
}

static void properties_that_do_not_fit_leave_nothing(void **state) {
	char text[20];

	(void)state;
	assert_int_equal(
		profile_qemu_properties(
			profile_find("fast-1"), PROFILE_QEMU(7, 2), text, sizeof(text)
		),
		-ENOBUFS
	);
	assert_string_equal(text, "");
}

static void bits_have_names(void **state) {
	(void)state;
	assert_string_equal(feature_name(0), "CSUM");
	assert_string_equal(feature_name(11), "HOST_TSO4");
	assert_string_equal(feature_name(32), "VERSION_1");
	assert_null(feature_name(4));
	assert_null(feature_name(64));
	assert_null(feature_name(1000));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_and_others_are_not),
		cmocka_unit_test(released_features_never_change),
		cmocka_unit_test(each_name_fits_a_port_and_has_a_summary),
		cmocka_unit_test(an_older_qemu_is_not_given_what_it_does_not_know),
		cmocka_unit_test(portable_switches_off_what_a_vdpa_nic_lacks),
		cmocka_unit_test(properties_that_do_not_fit_leave_nothing),
		cmocka_unit_test(bits_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
