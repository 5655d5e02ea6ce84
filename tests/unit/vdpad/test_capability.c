// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <string.h>

#include "vdpad/model/capability.h"

static void words_are_read_as_they_are_written(void **state) {
	char text[CAPABILITY_TEXT_SIZE];
	uint32_t all = 0;

	(void)state;
	for (size_t i = 0; capability_words[i] != NULL; i++)
		all |= UINT32_C(1) << i;
	capability_format(all, text);
	assert_string_equal(text, "vlan,trunks,rate,link,network");
	assert_int_equal(capability_parse(text), all);
	capability_format(0, text);
	assert_string_equal(text, "");
	assert_int_equal(capability_parse(""), 0);
	assert_int_equal(
		capability_parse("link,storm,vlans,vlan"), CAPABILITY_LINK | CAPABILITY_VLAN
	);
}

static void each_thing_a_port_asks_for_is_needed_by_its_name(void **state) {
	struct port_spec spec = {.link_up = true};

	(void)state;
	assert_int_equal(capability_needed(&spec), 0);
	spec.vlan = 1;
	strcpy(spec.trunks, "2");
	spec.rate_bps = 1;
	spec.link_up = false;
	assert_int_equal(
		capability_needed(&spec),
		CAPABILITY_VLAN | CAPABILITY_TRUNKS | CAPABILITY_RATE | CAPABILITY_LINK
	);
	assert_int_equal(
		capability_of_keys(PORT_KEY_NETWORK | PORT_KEY_LINK | PORT_KEY_LIFETIME),
		CAPABILITY_NETWORK | CAPABILITY_LINK
	);
}

static void what_is_missing_is_said_and_nothing_else(void **state) {
	(void)state;
	assert_null(capability_problem(CAPABILITY_VLAN, CAPABILITY_VLAN | CAPABILITY_RATE));
	assert_null(capability_problem(0, 0));
	for (size_t i = 0; capability_words[i] != NULL; i++)
		assert_non_null(
			strstr(capability_problem(UINT32_C(1) << i, ~(UINT32_C(1) << i)),
		               i == 0 ? "VLAN" : capability_words[i])
		);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_read_as_they_are_written),
		cmocka_unit_test(each_thing_a_port_asks_for_is_needed_by_its_name),
		cmocka_unit_test(what_is_missing_is_said_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
