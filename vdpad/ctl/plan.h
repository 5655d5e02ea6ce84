// SPDX-License-Identifier: GPL-2.0-or-later
// Steps that would be done: what, and the message or the write behind it.

#pragma once

#include <jansson.h>

#include "vdpad/ctl/command.h"

// [["words", "message"]] as [{"step": "words", "message": "message"}]. @steps is consumed; the result is
// owned by the caller.
json_t *plan_to_objects(json_t *steps);

// Numbered, for people; @nothing where there is no step.
void plan_print(const json_t *steps, const char *nothing);

// port add --dry-run: the decision about @request's port, and the steps.
int plan_port_print(const struct request *request, struct error *e);
