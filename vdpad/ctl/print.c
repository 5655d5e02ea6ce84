// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/ctl/print.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/util/cleanup.h"

#define GAP 2 // blanks between two columns
#define MAX_COLUMNS 16

bool print_wants_json(const struct request *request) {
	return (request->options & (OPTION_JSON | OPTION_PRETTY)) != 0;
}

void print_json(const struct request *request, const json_t *json) {
	size_t flags = JSON_ENCODE_ANY;

	flags |= (request->options & OPTION_PRETTY) != 0 ? JSON_INDENT(4) : JSON_COMPACT;
	json_dumpf(json, stdout, flags);
	putchar('\n');
}

// An allocation failure leaves nothing that could be printed.
static char *must(char *text) {
	if (text == NULL)
		abort();
	return text;
}

char *print_text(const json_t *value) {
	char *text = NULL;

	switch (value != NULL ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		text = strdup(json_string_length(value) > 0 ? json_string_value(value) : "-");
		break;
	case JSON_TRUE:
		text = strdup("yes");
		break;
	case JSON_FALSE:
		text = strdup("no");
		break;
	case JSON_NULL:
		text = strdup("-");
		break;
	case JSON_INTEGER:
	case JSON_REAL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		break;
	}
	for (char *p = must(text); *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	return text;
}

static void print_cell(const char *text, int width, bool to_the_right, bool is_last) {
	if (to_the_right)
		printf("%*s", width, text);
	else if (is_last)
		printf("%s", text);
	else
		printf("%-*s", width, text);
	printf("%*s", is_last ? 0 : GAP, "");
}

void print_table(const struct column *columns, const json_t *rows) {
	size_t n_rows = json_array_size(rows), n_columns = 0;
	int widths[MAX_COLUMNS];
	bool numeric[MAX_COLUMNS];
	char **cells;

	while (columns[n_columns].title != NULL)
		n_columns++;
	assert(n_columns <= MAX_COLUMNS);
	cells = calloc(n_rows * n_columns + 1, sizeof(*cells));
	if (cells == NULL)
		abort();
	for (size_t c = 0; c < n_columns; c++) {
		widths[c] = (int)strlen(columns[c].title);
		numeric[c] = n_rows > 0;
		for (size_t i = 0; i < n_rows; i++) {
			const json_t *value =
				json_object_get(json_array_get(rows, i), columns[c].key);
			char *text = print_text(value);

			cells[i * n_columns + c] = text;
			if ((int)strlen(text) > widths[c])
				widths[c] = (int)strlen(text);
			numeric[c] &=
				value == NULL || json_is_null(value) || json_is_integer(value);
		}
	}
	for (size_t c = 0; c < n_columns; c++)
		print_cell(columns[c].title, widths[c], numeric[c], c + 1 == n_columns);
	putchar('\n');
	for (size_t i = 0; i < n_rows; i++) {
		for (size_t c = 0; c < n_columns; c++) {
			char *text = cells[i * n_columns + c];

			print_cell(text, widths[c], numeric[c], c + 1 == n_columns);
			free(text);
		}
		putchar('\n');
	}
	free(cells);
}

static void print_line(int width, const char *key, const json_t *value) {
	_cleanup_free_ char *text = print_text(value);

	printf("%-*s%s\n", width + GAP, key, text);
}

static bool is_listed(const char *const *keys, const char *key) {
	for (; *keys != NULL; keys++) {
		if (strcmp(*keys, key) == 0)
			return true;
	}
	return false;
}

void print_object(const char *const *keys, const json_t *object) {
	const char *key;
	json_t *value;
	int width = 0;

	json_object_foreach ((json_t *)object, key, value) {
		if ((int)strlen(key) > width)
			width = (int)strlen(key);
	}
	for (const char *const *k = keys; *k != NULL; k++) {
		if (json_object_get(object, *k) != NULL)
			print_line(width, *k, json_object_get(object, *k));
	}
	json_object_foreach ((json_t *)object, key, value) {
		if (!is_listed(keys, key))
			print_line(width, key, value);
	}
}

static int compare_names(const void *a, const void *b) {
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *print_rows(json_t *objects) {
	size_t n = json_object_size(objects), i = 0;
	const char **names = calloc(n + 1, sizeof(*names));
	json_t *rows = json_array(), *value;
	const char *key;

	if (names == NULL || rows == NULL)
		abort();
	json_object_foreach (objects, key, value)
		names[i++] = key;
	qsort(names, n, sizeof(*names), compare_names);
	for (i = 0; i < n; i++) {
		json_t *row = json_pack("{s:s}", "name", names[i]);

		json_object_update(row, json_object_get(objects, names[i]));
		json_array_append_new(rows, row);
	}
	free(names);
	json_decref(objects);
	return rows;
}
