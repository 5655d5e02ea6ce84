// SPDX-License-Identifier: GPL-2.0-or-later
// The decision about a port, asked of vdpad and printed.

#pragma once

#include <jansson.h>

#include "vdpad/ctl/command.h"

// Ask about a port with @request's pairs, called @name unless that is NULL. Returns 0 and the answer,
// owned by the caller.
int explain_ask(
	const struct request *request, const char *name, json_t **ret_answer, struct error *e
);

void explain_print(const struct request *request, const json_t *answer);
