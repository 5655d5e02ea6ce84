// SPDX-License-Identifier: GPL-2.0-or-later
// Output: JSON for programs, tables for people. What vdpad sent is printed with control characters
// replaced, so that no text can steer the terminal.

#pragma once

#include <stddef.h>

#include <jansson.h>

#include "vdpad/ctl/command.h"

struct column {
	const char *key;
	const char *title; // NULL ends a list of columns
};

// True if @request asks for JSON.
bool print_wants_json(const struct request *request);

// @json in the form that @request asks for.
void print_json(const struct request *request, const json_t *json);

// The array of objects as rows; numbers are aligned to the right, what is empty is "-".
void print_table(const struct column *columns, const json_t *rows);

// One object as lines of key and value, in the order of @keys (ending with NULL), then the rest.
void print_object(const char *const *keys, const json_t *object);

// The text of a value: "-" for an empty string or no value, "yes" and "no". Owned by the caller; never NULL.
char *print_text(const json_t *value);

// {"b": {...}, "a": {...}} as [{"name": "a", ...}, {"name": "b", ...}]. @objects is consumed; the
// result is owned by the caller.
json_t *print_rows(json_t *objects);
