// SPDX-License-Identifier: GPL-2.0-or-later
// A configuration of one file, a.conf, that is read or refused.

#pragma once

#include <errno.h>

#include "tests/unit/unit.h"
#include "vdpad/config/config.h"

static inline struct config *parse(const char *text) {
	struct config *config = NULL;
	struct error e = {0};

	if (config_parse("a.conf", text, &config, &e) < 0)
		fail_msg("%s", e.text);
	return config;
}

static inline void refuses(const char *text, const char *sentence) {
	struct config *config = NULL;
	struct error e = {0};

	assert_int_equal(config_parse("a.conf", text, &config, &e), -EINVAL);
	assert_null(config);
	assert_string_equal(e.text, sentence);
}
