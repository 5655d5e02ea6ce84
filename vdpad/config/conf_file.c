// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/config/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ini.h>

int conf_file_fail(struct conf_file *file, int code, const char *fmt, ...) {
	char text[ERROR_TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	file->result = error_set(file->e, code, "%s:%u: %s", file->name, file->line, text);
	return file->result;
}

static bool is_blank(char c) {
	return c == ' ' || c == '\t' || c == '\r';
}

// Length of the text at @begin up to its comment and without white space before that. A comment
// begins the text or follows white space.
static size_t content_len(const char *begin, size_t len) {
	size_t i;

	for (i = 0; i < len; i++) {
		if ((begin[i] == '#' || begin[i] == ';') && (i == 0 || is_blank(begin[i - 1])))
			break;
	}
	while (i > 0 && is_blank(begin[i - 1]))
		i--;
	return i;
}

// Take the next line's content into @line. Returns 1, 0 at the file's end, or a negative errno.
static int next_line(struct conf_file *file, char line[static CONF_LINE_MAX_CHARS + 1]) {
	const char *begin = file->rest;
	size_t len = strcspn(begin, "\n");

	if (*begin == '\0')
		return 0;
	file->rest += len + (begin[len] == '\n');
	file->line++;
	for (; len > 0 && is_blank(*begin); len--)
		begin++;
	len = content_len(begin, len);

	if (len > CONF_LINE_MAX_CHARS)
		return conf_file_fail(
			file, EINVAL, "the line is too long: %zu characters, at most %d are read",
			len, CONF_LINE_MAX_CHARS
		);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)begin[i] < ' ' && begin[i] != '\t')
			return conf_file_fail(file, EINVAL, "the line has a control character");
	}
	memcpy(line, begin, len);
	line[len] = '\0';
	return 1;
}

// @line begins with '[', and ']' must end it.
static int take_section(struct conf_file *file, char *line) {
	char *end = strchr(line, ']');

	if (end == NULL)
		return conf_file_fail(file, EINVAL, "'%s' lacks its ']'", line);
	if (end[1] != '\0')
		return conf_file_fail(file, EINVAL, "'%s' must end with its ']'", line);
	*end = '\0';
	return file->on_section(file, line + 1);
}

// For libinih, as fgets(): the next line that has a key. A failure ends the file.
static char *read_for_inih(char *buffer, int size, void *arg) {
	struct conf_file *file = arg;
	char line[CONF_LINE_MAX_CHARS + 1];

	while (file->result == 0 && next_line(file, line) > 0) {
		if (line[0] == '\0')
			continue;
		if (line[0] == '[') {
			file->result = take_section(file, line);
			continue;
		}
		if (strchr("=:", line[0]) != NULL || strpbrk(line, "=:") == NULL) {
			conf_file_fail(
				file, EINVAL, "'%s' is neither [section] nor key = value", line
			);
			break;
		}
		if (snprintf(buffer, (size_t)size, "%s\n", line) >= size) {
			conf_file_fail(file, EINVAL, "the line is too long");
			break;
		}
		return buffer;
	}
	return NULL;
}

// libinih wants 1 for success. It goes on after a failure, so the first one is kept.
static int on_key(void *arg, const char *section, const char *key, const char *value) {
	struct conf_file *file = arg;

	(void)section; // it never sees one
	if (file->result == 0)
		file->result = file->on_key(file, key, value);
	return file->result == 0;
}

int conf_file_parse(struct conf_file *file, const char *name, const char *text) {
	file->name = name;
	file->line = 0;
	file->rest = text;
	file->result = 0;
	if (ini_parse_stream(read_for_inih, file, on_key, file) != 0 && file->result == 0)
		return conf_file_fail(file, EINVAL, "the line cannot be understood");
	return file->result;
}

int conf_file_load(struct conf_file *file, const char *path) {
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_set(file->e, errno, "%s cannot be read: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(file->e, EINVAL, "%s is not a regular file", path);

	text = malloc(CONF_FILE_MAX_BYTES + 1);
	if (text == NULL)
		return error_set(file->e, ENOMEM, "out of memory");
	while ((n = read(fd, text + len, CONF_FILE_MAX_BYTES + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return error_set(file->e, errno, "%s cannot be read: %s", path, strerror(errno));
	if (len > CONF_FILE_MAX_BYTES)
		return error_set(
			file->e, EINVAL, "%s is larger than %u bytes", path, CONF_FILE_MAX_BYTES
		);
	text[len] = '\0';
	if (strlen(text) != len)
		return error_set(file->e, EINVAL, "%s is no text: it has a NUL byte", path);
	return conf_file_parse(file, path, text);
}
