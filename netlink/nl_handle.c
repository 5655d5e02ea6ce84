// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nl_handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int nl_handle_parse(const char *text, struct nl_handle *ret_handle) {
	const char *slash = strchr(text, '/');
	struct nl_handle handle = {0};

	if (text[0] == 0 || slash == text || (slash != NULL && slash[1] == 0))
		return -EINVAL;
	if (slash != NULL)
		handle.bus = strndup(text, (size_t)(slash - text));
	handle.dev = strdup(slash != NULL ? slash + 1 : text);
	if (handle.dev == NULL || (slash != NULL && handle.bus == NULL)) {
		nl_handle_done(&handle);
		return -ENOMEM;
	}
	*ret_handle = handle;
	return 0;
}

void nl_handle_done(struct nl_handle *handle) {
	free(handle->bus);
	free(handle->dev);
	*handle = (struct nl_handle){0};
}

static bool text_equal(const char *a, const char *b) {
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool nl_handle_equal(const struct nl_handle *a, const struct nl_handle *b) {
	return text_equal(a->bus, b->bus) && text_equal(a->dev, b->dev);
}
