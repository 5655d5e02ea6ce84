// SPDX-License-Identifier: GPL-2.0-or-later
// explain and facts: the decision, as vdpad would take it now, or replayed from a snapshot.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/config/config.h"
#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/explain.h"
#include "vdpad/ctl/print.h"
#include "vdpad/model/decide.h"
#include "vdpad/model/facts.h"
#include "vdpad/model/network.h"
#include "vdpad/model/pool.h"

static int read_name(const char *name, struct port_spec *spec, struct error *e) {
	if (!port_name_is_valid(name))
		return error_set(e, EINVAL, "'%s' is no port name", name);
	return str_copy(spec->name, sizeof(spec->name), name);
}

static int read_spec(const struct request *request, struct port_spec *spec, struct error *e) {
	int r;

	for (size_t i = 0; i < request->n_pairs; i++) {
		if (strcmp(request->pairs[i].key, "name") == 0) {
			r = read_name(request->pairs[i].value, spec, e);
			if (r < 0)
				return r;
			continue;
		}
		r = port_spec_set(spec, request->pairs[i].key, request->pairs[i].value, e);
		if (r < 0)
			return r;
	}
	return 0;
}

void explain_print(const struct request *request, const json_t *answer) {
	static const struct column columns[] = {
		{"backend", "BACKEND"},   {"pool", "POOL"},     {"accepted", "USABLE"},
		{"resource", "RESOURCE"}, {"reason", "REASON"}, {NULL, NULL},
	};
	_cleanup_free_ char *chosen = NULL;

	if (print_wants_json(request)) {
		print_json(request, answer);
		return;
	}
	print_table(columns, json_object_get(answer, "candidates"));
	chosen = print_text(json_object_get(answer, "chosen"));
	if (strcmp(chosen, "-") == 0)
		printf("\nNothing can serve this port.\n");
	else
		printf("\nThe port would be served by %s.\n", chosen);
}

static bool is_number(const char *key) {
	return strcmp(key, "mtu") == 0 || strcmp(key, "queue_pairs") == 0 ||
		strcmp(key, "vlan") == 0;
}

static json_t *words_of(uint32_t capabilities) {
	json_t *words = json_array();

	for (size_t i = 0; capability_words[i] != NULL; i++) {
		if ((capabilities & (UINT32_C(1) << i)) != 0)
			json_array_append_new(words, json_string(capability_words[i]));
	}
	return words;
}

// The answer of the method Explain, made here. New reference.
static json_t *decision_to_json(const struct port_spec *spec, const struct decision *decision) {
	json_t *answer = json_object(), *candidates = json_array();
	char text[PORT_VALUE_SIZE];

	for (const char *const *k = port_spec_keys; *k != NULL; k++) {
		bool unmade = strcmp(*k, "mac") == 0 && mac_addr_is_zero(&spec->mac);

		if (unmade || port_spec_get(spec, *k, text, sizeof(text)) < 0)
			continue;
		json_object_set_new(
			answer, *k,
			is_number(*k) ? json_integer(strtoll(text, NULL, 10)) : json_string(text)
		);
	}
	json_object_set_new(answer, "trunks", json_string(spec->trunks));
	json_object_set_new(answer, "rate", json_integer((json_int_t)spec->rate_bps));
	for (size_t i = 0; i < decision->n_candidates; i++) {
		const struct candidate *c = &decision->candidates[i];

		json_array_append_new(
			candidates,
			json_pack(
				"{s:s, s:s, s:s, s:b, s:b, s:s, s:o}", "backend",
				backend_name(c->backend), "pool", c->pool, "resource", c->resource,
				"accepted", (int)c->accepted, "against_policy",
				(int)c->is_against_policy, "reason", c->reason, "capabilities",
				words_of(c->capabilities)
			)
		);
	}
	json_object_set_new(
		answer, "chosen",
		json_string(decision->chosen != NULL ? backend_name(decision->chosen->backend) : "")
	);
	json_object_set_new(
		answer, "capabilities",
		words_of(decision->chosen != NULL ? decision->chosen->capabilities : 0)
	);
	json_object_set_new(answer, "candidates", candidates);
	return answer;
}

static int load_facts(const char *path, struct facts *facts, struct error *e) {
	json_error_t where;
	json_t *json;
	int r;

	json = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (json == NULL && where.line < 0)
		return error_set(e, EIO, "%s: %s", path, where.text);
	if (json == NULL)
		return error_set(e, EINVAL, "%s:%d: %s", path, where.line, where.text);
	r = facts_from_json(json, facts, e);
	json_decref(json);
	return r;
}

static int decide_from_facts(
	const struct config *config, const struct facts *facts, struct port_spec *spec,
	json_t **ret_answer, struct error *e
) {
	struct networks networks = {0};
	struct decision decision;
	const struct network *network;
	int r;

	r = networks_resolve(config, facts, &networks, e);
	if (r < 0)
		return r;
	network = networks_find(&networks, spec->network);
	if (network == NULL) {
		r = error_set(e, ENODEV, "the snapshot has no network '%s'", spec->network);
	} else if ((r = network_check(network, e)) == 0) {
		port_spec_fill(spec, &config->defaults);
		if (spec->mtu_bytes == 0)
			spec->mtu_bytes = network->mtu_bytes;
		decide(facts, network, spec, &decision);
		*ret_answer = decision_to_json(spec, &decision);
	}
	networks_done(&networks);
	return r;
}

static int explain_locally(
	const struct request *request, struct port_spec *spec, json_t **ret_answer, struct error *e
) {
	_cleanup_free_ struct facts *facts = calloc(1, sizeof(*facts)); // large for a stack
	struct config *config = NULL;
	int r;

	if (facts == NULL)
		return error_set(e, ENOMEM, "out of memory");
	r = load_facts(request->facts_path, facts, e);
	if (r < 0)
		return r;
	if (request->config_path != NULL) {
		r = config_load(request->config_path, NULL, &config, e);
		if (r < 0)
			return r;
		pools_replace(config, facts);
	} else {
		config = config_new();
		if (config == NULL)
			return error_set(e, ENOMEM, "out of memory");
	}
	r = decide_from_facts(config, facts, spec, ret_answer, e);
	config_free(config);
	return r;
}

int explain_ask(
	const struct request *request, const char *name, json_t **ret_answer, struct error *e
) {
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *call = NULL;
	int r;

	r = client_begin("Explain", &bus, &call, e);
	if (r < 0)
		return r;
	r = client_append_named_pairs(call, name, request);
	if (r < 0)
		return error_set(e, -r, "the request cannot be written: %s", strerror(-r));
	return client_send(bus, call, CLIENT_TIMEOUT_US, ret_answer, e);
}

int cmd_explain(const struct request *request, struct error *e) {
	struct port_spec spec = {0};
	json_t *answer = NULL;
	int r;

	if (request->config_path != NULL && request->facts_path == NULL)
		return error_set(
			e, EINVAL,
			"--config goes with --facts: vdpad has a configuration of its own"
		);
	r = read_spec(request, &spec, e);
	if (r < 0)
		return r;
	if (request->facts_path != NULL)
		r = explain_locally(request, &spec, &answer, e);
	else
		r = explain_ask(request, NULL, &answer, e);
	if (r < 0)
		return r;
	explain_print(request, answer);
	json_decref(answer);
	return 0;
}

int cmd_facts(const struct request *request, struct error *e) {
	json_t *text = NULL, *facts;
	json_error_t where;
	int r;

	r = client_ask("Facts", NULL, &text, e);
	if (r < 0)
		return r;
	facts = json_is_string(text) ? json_loads(json_string_value(text), 0, &where) : NULL;
	json_decref(text);
	if (facts == NULL)
		return error_set(e, EBADMSG, "vdpad's answer is no JSON");
	if (print_wants_json(request)) {
		print_json(request, facts);
	} else {
		struct request indented = {.options = OPTION_JSON | OPTION_PRETTY};

		print_json(&indented, facts);
	}
	json_decref(facts);
	return 0;
}
