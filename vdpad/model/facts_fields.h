// SPDX-License-Identifier: GPL-2.0-or-later
// What facts_json.c has tables of: the members of an object, to JSON and back. Private to the two.

#pragma once

#include <stddef.h>

#include "vdpad/model/facts.h"

enum kind {
	KIND_TEXT,
	KIND_BOOL,
	KIND_U32,
	KIND_U64,
	KIND_BITS, // uint64_t, as text "0x30043bbab": JSON's integers end before bit 63
};

struct fact {
	const char *group; // object that holds the key; NULL: the object itself
	const char *key;
	enum kind kind;
	size_t offset;
	size_t size;
};

#define FACT_OF(type, group, key, kind, member) \
	{ group, key, kind, offsetof(type, member), sizeof(((type *)0)->member) }

// Set the @n keys of @table in @json from @object.
void fact_object_to_json(json_t *json, const struct fact *table, size_t n, const void *object);

// The reverse. Keys that are not there leave their member alone: the snapshot is an older one's.
// Returns 0, or -EINVAL with a sentence that names the key.
int fact_object_from_json(
	const json_t *json, const struct fact *table, size_t n, void *object, struct error *e
);
