// SPDX-License-Identifier: GPL-2.0-or-later
// Reading a configuration file in INI format, section by section and key by key, with the number of
// the line for each complaint.
//
// libinih splits a line into key and value. What it leaves out is done by the reader that feeds it:
// counting lines; telling of sections, also of empty ones; indented lines, which libinih would take
// for the rest of the value before; limits, where it would cut in silence; and comments behind '#'.

#pragma once

#include "vdpad/util/cleanup.h"
#include "vdpad/util/error.h"

#define CONF_FILE_MAX_BYTES (1U << 20)
#define CONF_LINE_MAX_CHARS 190 // libinih's buffer is 200, and a cut line would mean something else

struct conf_file {
	// Both return 0, or what conf_file_fail() returned. The texts are borrowed.
	int (*on_section)(struct conf_file *file, const char *title); // what stands between [ and ]
	int (*on_key)(struct conf_file *file, const char *key, const char *value);
	void *user;
	struct error *e;

	const char *name;  // of the file that is being read, and
	unsigned int line; // the line that was read last
	const char *rest;  // private: what is not yet read
	int result;        // private: the first failure; it ends the reading
};

// Read @text as the content of a file called @name. Returns 0, or -errno with @e filled.
int conf_file_parse(struct conf_file *file, const char *name, const char *text);

// Read the file at @path; one that does not exist is empty. Returns as conf_file_parse().
int conf_file_load(struct conf_file *file, const char *path);

// Set the error "NAME:LINE: ..." and return -@code.
int conf_file_fail(struct conf_file *file, int code, const char *fmt, ...) _printf_(3, 4);
