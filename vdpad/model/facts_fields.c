// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/facts_fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *value_to_json(const struct fact *fact, const void *object) {
	const char *member = (const char *)object + fact->offset;
	char bits[24];

	switch (fact->kind) {
	case KIND_TEXT:
		return json_string(member);
	case KIND_BOOL:
		return json_boolean(*(const bool *)member);
	case KIND_U32:
		return json_integer(*(const uint32_t *)member);
	case KIND_U64:
		return json_integer((json_int_t) * (const uint64_t *)member);
	case KIND_BITS:
		snprintf(bits, sizeof(bits), "0x%" PRIx64, *(const uint64_t *)member);
		return json_string(bits);
	}
	return NULL;
}

void fact_object_to_json(json_t *json, const struct fact *table, size_t n, const void *object) {
	for (const struct fact *fact = table; fact < table + n; fact++) {
		json_t *holder = json;

		if (fact->group != NULL) {
			holder = json_object_get(json, fact->group);
			if (holder == NULL) {
				json_object_set_new(json, fact->group, json_object());
				holder = json_object_get(json, fact->group);
			}
		}
		json_object_set_new(holder, fact->key, value_to_json(fact, object));
	}
}

static int bits_parse(const char *text, uint64_t *ret_bits) {
	static const char digits[] = "0123456789abcdef";
	size_t len = text != NULL ? strlen(text) : 0;

	if (len < 3 || len > 18 || strncmp(text, "0x", 2) != 0 ||
	    strspn(text + 2, digits) != len - 2)
		return -EINVAL;
	*ret_bits = strtoull(text + 2, NULL, 16);
	return 0;
}

static int value_from_json(
	const struct fact *fact, const json_t *value, void *object, struct error *e
) {
	char *member = (char *)object + fact->offset;
	const char *group = fact->group != NULL ? fact->group : "";
	const char *dot = fact->group != NULL ? "." : "";
	uint64_t max = fact->kind == KIND_U32 ? UINT32_MAX : INT64_MAX;

	switch (fact->kind) {
	case KIND_TEXT:
		if (!json_is_string(value) ||
		    str_copy(member, fact->size, json_string_value(value)) < 0)
			return error_set(
				e, EINVAL,
				"facts: '%s%s%s' must be a text of at most %zu characters", group,
				dot, fact->key, fact->size - 1
			);
		return 0;
	case KIND_BOOL:
		if (!json_is_boolean(value))
			return error_set(
				e, EINVAL, "facts: '%s%s%s' must be true or false", group, dot,
				fact->key
			);
		*(bool *)member = json_is_true(value);
		return 0;
	case KIND_U32:
	case KIND_U64:
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    (uint64_t)json_integer_value(value) > max)
			return error_set(
				e, EINVAL, "facts: '%s%s%s' must be a number from 0 to %llu", group,
				dot, fact->key, (unsigned long long)max
			);
		if (fact->kind == KIND_U32)
			*(uint32_t *)member = (uint32_t)json_integer_value(value);
		else
			*(uint64_t *)member = (uint64_t)json_integer_value(value);
		return 0;
	case KIND_BITS:
		if (bits_parse(json_string_value(value), (uint64_t *)member) < 0)
			return error_set(
				e, EINVAL, "facts: '%s%s%s' must be a text such as \"0x1f\"", group,
				dot, fact->key
			);
		return 0;
	}
	return 0;
}

int fact_object_from_json(
	const json_t *json, const struct fact *table, size_t n, void *object, struct error *e
) {
	for (const struct fact *fact = table; fact < table + n; fact++) {
		const json_t *holder = json;
		const json_t *value;
		int r;

		if (fact->group != NULL)
			holder = json_object_get(json, fact->group);
		value = json_object_get(holder, fact->key);
		if (value == NULL)
			continue; // a snapshot of an older version
		r = value_from_json(fact, value, object, e);
		if (r < 0)
			return r;
	}
	return 0;
}
