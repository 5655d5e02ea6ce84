// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define UNTOUCHED 77

static void u64_takes_whole_decimal_numbers(void **state) {
	static const struct {
		const char *text;
		uint64_t value;
	} cases[] = {
		{"0", 0},
		{"9", 9},
		{"010", 10}, // decimal, whatever C makes of it
		{"18446744073709551615", UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t value = UNTOUCHED;

		assert_int_equal(parse_u64(cases[i].text, 0, UINT64_MAX, &value), 0);
		assert_true(value == cases[i].value);
	}
}

static void u64_refuses_all_else_and_leaves_the_result_alone(void **state) {
	static const char *const bad[] = {"",    " ",   " 1", "1 ",  "+1",   "-1", "-0", "0x10",
	                                  "1e3", "1.0", "1k", "1,0", "1\n2", "a",  "²",  "1\xff"};
	static const char *const too_large[] = {
		"18446744073709551616", "18446744073709551619",
		"99999999999999999999999999999999999999999"};
	uint64_t value = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parse_u64(bad[i], 0, UINT64_MAX, &value), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(too_large); i++)
		assert_int_equal(parse_u64(too_large[i], 0, UINT64_MAX, &value), -ERANGE);
	assert_int_equal(value, UNTOUCHED);
}

static void u64_keeps_both_bounds(void **state) {
	uint64_t value = UNTOUCHED;

	(void)state;
	assert_int_equal(parse_u64("0", 1, 4094, &value), -ERANGE);
	assert_int_equal(parse_u64("4095", 1, 4094, &value), -ERANGE);
	assert_int_equal(value, UNTOUCHED);
	assert_int_equal(parse_u64("1", 1, 4094, &value), 0);
	assert_int_equal(parse_u64("4094", 1, 4094, &value), 0);
	assert_int_equal(value, 4094);
}

static void bool_takes_its_eight_words_only(void **state) {
	static const char *const yes[] = {"yes", "on", "true", "1"};
	static const char *const no[] = {"no", "off", "false", "0"};
	static const char *const bad[] = {"", "y", "YES", "yes ", " no", "2", "00", "onn"};
	bool value;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		value = false;
		assert_int_equal(parse_bool(yes[i], &value), 0);
		assert_true(value);
		assert_int_equal(parse_bool(no[i], &value), 0);
		assert_false(value);
	}
	value = true;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parse_bool(bad[i], &value), -EINVAL);
	assert_true(value);
}

static void size_counts_in_binary_units(void **state) {
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{"0", 0},
		{"4096", 4096},
		{"1k", UINT64_C(1) << 10},
		{"256m", UINT64_C(256) << 20},
		{"4G", UINT64_C(4) << 30},
		{"16777215t", UINT64_C(16777215) << 40},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t bytes = UNTOUCHED;

		assert_int_equal(parse_size(cases[i].text, &bytes), 0);
		assert_true(bytes == cases[i].bytes);
	}
}

static void size_refuses_other_suffixes_and_overflow(void **state) {
	static const char *const bad[] = {"",    "k",    "m1",     "1kb", "1 k",   "1p",   "-1k",
	                                  "1K ", "1.5g", "1\x8bk", "1+",  "1\x0b", "1\xeb"};
	uint64_t bytes = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parse_size(bad[i], &bytes), -EINVAL);
	assert_int_equal(parse_size("16777216t", &bytes), -ERANGE);
	assert_int_equal(parse_size("18446744073709551615k", &bytes), -ERANGE);
	assert_int_equal(bytes, UNTOUCHED);
}

static void str_copy_fits_or_leaves_nothing(void **state) {
	char text[4] = "old";

	(void)state;
	assert_int_equal(str_copy(text, sizeof(text), "abc"), 0);
	assert_string_equal(text, "abc");
	assert_int_equal(str_copy(text, sizeof(text), "abcd"), -ENAMETOOLONG);
	assert_string_equal(text, "");
}

static void port_names_are_file_names_without_surprises(void **state) {
	static const char *const good[] = {
		"a", "0", "vm100-net0", "a.b_c-d", "abcdefghijklmnopqrstuvwxyz012345"};
	static const char *const bad[] = {
		"",    ".",   "..",  "-a",    "_a",
		".a",  "A",   "a b", "a/b",   "../a",
		"a\n", "a,b", "ä",   "a\xff", "abcdefghijklmnopqrstuvwxyz0123456"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(port_name_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(port_name_is_valid(bad[i]));
}

static void network_names_are_interface_names(void **state) {
	static const char *const good[] = {"vmbr0", "a", "Z", "fast.10", "...", "a123456789abcde"};
	static const char *const bad[] = {"",  ".",   "..",  "a/b", "a b", "a:1",
	                                  "ü", "a%d", "a\t", "a[",  "`",   "a123456789abcdef"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(network_name_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(network_name_is_valid(bad[i]));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64_takes_whole_decimal_numbers),
		cmocka_unit_test(u64_refuses_all_else_and_leaves_the_result_alone),
		cmocka_unit_test(u64_keeps_both_bounds),
		cmocka_unit_test(bool_takes_its_eight_words_only),
		cmocka_unit_test(size_counts_in_binary_units),
		cmocka_unit_test(size_refuses_other_suffixes_and_overflow),
		cmocka_unit_test(str_copy_fits_or_leaves_nothing),
		cmocka_unit_test(port_names_are_file_names_without_surprises),
		cmocka_unit_test(network_names_are_interface_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
