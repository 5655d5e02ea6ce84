// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/util/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/util/cleanup.h"

static const char LOWER_AND_DIGITS[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char NAME_PUNCTUATION[] = "._-";

// Read digits from @text; *ret_end points behind the last one.
static int read_digits(const char *text, uint64_t *ret_value, const char **ret_end) {
	uint64_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	}
	if (p == text)
		return -EINVAL;
	*ret_value = value;
	*ret_end = p;
	return 0;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value) {
	uint64_t value;
	const char *end;
	int r;

	r = read_digits(text, &value, &end);
	if (r < 0)
		return r;
	if (*end != '\0')
		return -EINVAL;
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_bool(const char *text, bool *ret_value) {
	static const char *const yes[] = {"yes", "on", "true", "1"};
	static const char *const no[] = {"no", "off", "false", "0"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*ret_value = strcmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

int parse_size(const char *text, uint64_t *ret_bytes) {
	static const char suffixes[] = "kmgt";
	uint64_t value;
	const char *end;
	int r;

	r = read_digits(text, &value, &end);
	if (r < 0)
		return r;
	if (*end != '\0') {
		const char *suffix = strchr(suffixes, *end | 0x20); // to lower case

		if (suffix == NULL || end[1] != '\0')
			return -EINVAL;
		if (__builtin_mul_overflow(
			    value, UINT64_C(1) << (10 * (suffix - suffixes + 1)), &value
		    ))
			return -ERANGE;
	}
	*ret_bytes = value;
	return 0;
}

// In steps of 1000.
static const char *const rate_units[] = {"bit", "kbit", "mbit", "gbit", "tbit"};

int parse_rate(const char *text, uint64_t *ret_bps) {
	uint64_t value;
	const char *end;
	size_t unit = 0;
	int r;

	r = read_digits(text, &value, &end);
	if (r < 0)
		return r;
	while (*end != '\0' && strcmp(end, rate_units[unit]) != 0) {
		if (++unit == ARRAY_LEN(rate_units))
			return -EINVAL;
		if (__builtin_mul_overflow(value, 1000, &value))
			return -ERANGE;
	}
	if (value == 0 || value > RATE_MAX_BPS)
		return -ERANGE;
	*ret_bps = value;
	return 0;
}

char *format_rate(uint64_t bps, char text[static RATE_TEXT_SIZE]) {
	size_t unit = 0;

	while (unit + 1 < ARRAY_LEN(rate_units) && bps != 0 && bps % 1000 == 0) {
		bps /= 1000;
		unit++;
	}
	snprintf(text, RATE_TEXT_SIZE, "%" PRIu64 "%s", bps, rate_units[unit]);
	return text;
}

int str_copy(char *dst, size_t size, const char *src) {
	size_t len = strlen(src);

	if (len >= size) {
		dst[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(dst, src, len + 1);
	return 0;
}

bool port_name_is_valid(const char *name) {
	size_t head = strspn(name, LOWER_AND_DIGITS);
	size_t len = head;

	if (head == 0)
		return false;
	while (name[len] != '\0' &&
	       (strchr(LOWER_AND_DIGITS, name[len]) != NULL ||
	        strchr(NAME_PUNCTUATION, name[len]) != NULL))
		len++;
	return name[len] == '\0' && len < PORT_NAME_SIZE;
}

bool network_name_is_valid(const char *name) {
	size_t len = strlen(name);

	if (len == 0 || len >= NETWORK_NAME_SIZE || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		char lower = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];

		if (strchr(LOWER_AND_DIGITS, lower) == NULL &&
		    strchr(NAME_PUNCTUATION, lower) == NULL)
			return false;
	}
	return true;
}
