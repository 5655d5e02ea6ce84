// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/mac_addr.h"

static void text_in_either_case_comes_back_in_lower_case(void **state) {
	struct mac_addr mac;
	char text[MAC_TEXT_SIZE];

	(void)state;
	assert_int_equal(mac_addr_parse("52:54:00:Ab:cD:EF", &mac), 0);
	assert_string_equal(mac_addr_format(&mac, text), "52:54:00:ab:cd:ef");
}

static void malformed_text_is_refused_and_leaves_the_result_alone(void **state) {
	static const char *const bad[] = {
		"",
		"52:54:00:12:34",
		"52:54:00:12:34:5",
		"52:54:00:12:34:567",
		"52:54:00:12:34:56:",
		"52:54:00:12:34:56:78",
		"52-54-00-12-34-56",
		"525400123456",
		"52:54:00:12:34:5g",
		"52:54:00:12:34: 6",
		"+2:54:00:12:34:56",
		"52:54:00:12:34\n56",
		"5:254:00:12:34:56",
		"52:54:00:12:34:\xb5\xb6",
		"0x:54:00:12:34:56",
	};
	struct mac_addr mac = {{1, 2, 3, 4, 5, 6}}, before = mac;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(mac_addr_parse(bad[i], &mac), -EINVAL);
	assert_true(mac_addr_equal(&mac, &before));
}

static void multicast_and_zero_are_told_apart(void **state) {
	struct mac_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct mac_addr ipv6_multicast = {{0x33, 0x33, 0, 0, 0, 1}};
	struct mac_addr unicast = {{0x52, 0x54, 0, 0, 0, 1}}, zero = {{0}};

	(void)state;
	assert_true(mac_addr_is_multicast(&broadcast));
	assert_true(mac_addr_is_multicast(&ipv6_multicast));
	assert_false(mac_addr_is_multicast(&unicast));
	assert_false(mac_addr_is_multicast(&zero));
	assert_true(mac_addr_is_zero(&zero));
	assert_false(mac_addr_is_zero(&unicast));
}

static void seeded_address_is_stable_local_and_unicast(void **state) {
	(void)state;
	for (uint32_t seed = 0; seed < 1000; seed++) {
		struct mac_addr a = mac_addr_from_seed(&seed, sizeof(seed));
		struct mac_addr b = mac_addr_from_seed(&seed, sizeof(seed));

		assert_true(mac_addr_equal(&a, &b));
		assert_int_equal(a.octets[0] & 3, 2);
	}
}

static void seeds_that_differ_in_one_character_give_other_addresses(void **state) {
	struct mac_addr a = mac_addr_from_seed("vm100-net0", 10);
	struct mac_addr b = mac_addr_from_seed("vm100-net1", 10);
	struct mac_addr empty = mac_addr_from_seed("", 0);

	(void)state;
	assert_false(mac_addr_equal(&a, &b));
	assert_false(mac_addr_is_zero(&empty));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_in_either_case_comes_back_in_lower_case),
		cmocka_unit_test(malformed_text_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(multicast_and_zero_are_told_apart),
		cmocka_unit_test(seeded_address_is_stable_local_and_unicast),
		cmocka_unit_test(seeds_that_differ_in_one_character_give_other_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
