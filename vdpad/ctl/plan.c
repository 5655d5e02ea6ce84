// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/ctl/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/explain.h"
#include "vdpad/ctl/print.h"

json_t *plan_to_objects(json_t *steps) {
	json_t *objects = json_array(), *step;
	size_t i;

	json_array_foreach (steps, i, step) {
		json_t *object = json_object();

		json_object_set(object, "step", json_array_get(step, 0));
		json_object_set(object, "message", json_array_get(step, 1));
		json_array_append_new(objects, object);
	}
	json_decref(steps);
	return objects;
}

void plan_print(const json_t *steps, const char *nothing) {
	json_t *step;
	size_t i;

	if (json_array_size(steps) == 0)
		printf("%s\n", nothing);
	json_array_foreach (steps, i, step) {
		_cleanup_free_ char *words = print_text(json_object_get(step, "step"));
		_cleanup_free_ char *message = print_text(json_object_get(step, "message"));

		printf("%3zu. %s\n     %s\n", i + 1, words, message);
	}
}

// As AddPort would refuse.
static int refuse(const json_t *answer, const char *name, struct error *e) {
	json_t *candidate;
	size_t i;
	int r = error_set(e, EPERM, "no backend can serve port '%s'", name);

	json_array_foreach (json_object_get(answer, "candidates"), i, candidate) {
		_cleanup_free_ char *backend = print_text(json_object_get(candidate, "backend"));
		_cleanup_free_ char *reason = print_text(json_object_get(candidate, "reason"));
		size_t len = strlen(e->text);

		if (json_is_true(json_object_get(candidate, "against_policy")))
			continue;
		snprintf(e->text + len, sizeof(e->text) - len, "; %s: %s", backend, reason);
	}
	return r;
}

static void print_plan(const struct request *request, const json_t *answer, const json_t *steps) {
	explain_print(request, answer);
	if (print_wants_json(request))
		return;
	printf("\nThis would be done:\n");
	plan_print(steps, "Nothing.");
}

int plan_port_print(const struct request *request, struct error *e) {
	json_t *answer = NULL, *steps = NULL;
	int r;

	r = explain_ask(request, request->operand, &answer, e);
	if (r < 0)
		return r;
	if (json_string_length(json_object_get(answer, "chosen")) == 0)
		r = refuse(answer, request->operand, e);
	else
		r = client_ask_spec("PlanPort", request, &steps, e);
	if (r >= 0) {
		steps = plan_to_objects(steps);
		json_object_set(answer, "steps", steps);
		print_plan(request, answer, steps);
	}
	json_decref(steps);
	json_decref(answer);
	return r;
}
