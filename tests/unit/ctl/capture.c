// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/ctl/capture.h"

#include <stdlib.h>

static FILE *real_stdout;
static char *text;
static size_t size;

void capture_start(void) {
	fflush(stdout);
	free(text);
	text = NULL;
	real_stdout = stdout;
	stdout = open_memstream(&text, &size);
	if (stdout == NULL)
		abort();
}

const char *capture_stop(void) {
	fclose(stdout);
	stdout = real_stdout;
	return text;
}
