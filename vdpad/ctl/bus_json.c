// SPDX-License-Identifier: GPL-2.0-or-later
// D-Bus values as JSON.

#include <errno.h>
#include <stdint.h>

#include "vdpad/ctl/client.h"

#define MAX_DEPTH 8 // of what vdpad sends; a deeper value is none of ours

static int read_value(sd_bus_message *m, unsigned int depth, json_t **ret_json);

static json_t *integer(uint64_t value) {
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static int read_basic(sd_bus_message *m, char type, json_t **ret_json) {
	union {
		uint8_t y;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
		int b;
		const char *s;
	} value;
	int r = sd_bus_message_read_basic(m, type, &value);

	if (r < 0)
		return r;
	switch (type) {
	case 'y':
		*ret_json = integer(value.y);
		break;
	case 'n':
		*ret_json = json_integer(value.n);
		break;
	case 'q':
		*ret_json = integer(value.q);
		break;
	case 'i':
		*ret_json = json_integer(value.i);
		break;
	case 'u':
		*ret_json = integer(value.u);
		break;
	case 'x':
		*ret_json = json_integer(value.x);
		break;
	case 't':
		*ret_json = integer(value.t);
		break;
	case 'd':
		*ret_json = json_real(value.d);
		break;
	case 'b':
		*ret_json = json_boolean(value.b);
		break;
	case 's':
	case 'o':
	case 'g':
		*ret_json = json_string(value.s);
		break;
	default:
		return -EBADMSG;
	}
	return *ret_json != NULL ? 0 : -ENOMEM;
}

// Read the entries of an open container into the object @json.
static int read_entries(sd_bus_message *m, unsigned int depth, json_t *json) {
	const char *contents, *key;
	char type;
	int r;

	while ((r = sd_bus_message_peek_type(m, &type, &contents)) > 0) {
		json_t *value = NULL;

		r = sd_bus_message_enter_container(m, type, contents);
		if (r < 0)
			return r;
		r = sd_bus_message_read_basic(m, 's', &key);
		if (r < 0)
			return r;
		r = read_value(m, depth + 1, &value);
		if (r < 0)
			return r;
		if (json_object_set_new(json, key, value) < 0)
			return -ENOMEM;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r;
}

// Read the elements of an open array or structure into the array @json.
static int read_elements(sd_bus_message *m, unsigned int depth, json_t *json) {
	int r;

	while ((r = sd_bus_message_at_end(m, false)) == 0) {
		json_t *value = NULL;

		r = read_value(m, depth + 1, &value);
		if (r < 0)
			return r;
		if (json_array_append_new(json, value) < 0)
			return -ENOMEM;
	}
	return r < 0 ? r : 0;
}

static int read_container(
	sd_bus_message *m, char type, const char *contents, unsigned int depth, json_t **ret_json
) {
	bool is_dict = type == 'a' && contents[0] == '{' && contents[1] == 's';
	json_t *json = NULL;
	int r;

	r = sd_bus_message_enter_container(m, type, contents);
	if (r < 0)
		return r;
	if (type == 'v') {
		r = read_value(m, depth + 1, &json);
	} else if (is_dict) {
		json = json_object();
		r = json != NULL ? read_entries(m, depth, json) : -ENOMEM;
	} else {
		json = json_array();
		r = json != NULL ? read_elements(m, depth, json) : -ENOMEM;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		json_decref(json);
		return r;
	}
	*ret_json = json;
	return 0;
}

static int read_value(sd_bus_message *m, unsigned int depth, json_t **ret_json) {
	const char *contents;
	char type;
	int r;

	if (depth > MAX_DEPTH)
		return -EBADMSG;
	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r < 0)
		return r;
	if (r == 0)
		return -EBADMSG;
	if (contents != NULL)
		return read_container(m, type, contents, depth, ret_json);
	return read_basic(m, type, ret_json);
}

int client_read_json(sd_bus_message *m, json_t **ret_json) {
	return read_value(m, 0, ret_json);
}
