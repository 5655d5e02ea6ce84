// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/decide.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/model/decide_candidates.h"
#include "vdpad/model/vdpa_fit.h"

// Whether @policy lets a port have @backend; if not, @candidate says so.
static bool policy_allows(
	enum policy policy, enum backend_kind backend, struct candidate *candidate
) {
	bool software = backend == BACKEND_SWITCH, external = backend == BACKEND_EXTERNAL;
	const char *why = NULL;

	switch (policy) {
	case POLICY_AUTO:
		why = external ? "takes no socket of another switch; `socket NAME` asks for one"
			       : NULL;
		break;
	case POLICY_HARDWARE:
		why = software || external ? "takes no software switch" : NULL;
		break;
	case POLICY_SOFTWARE:
		why = software     ? NULL
			: external ? "takes no socket of another switch; `socket NAME` asks for one"
				   : "asks for no hardware";
		break;
	case POLICY_VDPA:
		why = backend == BACKEND_VDPA ? NULL : "asks for a kernel vDPA device only";
		break;
	case POLICY_DPDK_VDPA:
		why = backend == BACKEND_DPDK_VDPA ? NULL : "asks for a DPDK vDPA device only";
		break;
	case POLICY_SWITCH:
		why = software ? NULL : "asks for the software switch only";
		break;
	case POLICY_EXTERNAL:
		why = external ? NULL : "asks for a socket of another switch";
		break;
	}
	if (why == NULL)
		return true;
	snprintf(
		candidate->reason, sizeof(candidate->reason), "policy %s %s", policy_name(policy),
		why
	);
	candidate->is_against_policy = true;
	return false;
}

struct candidate *decide_add(
	struct decision *decision, enum backend_kind backend, const struct pool_facts *pool
) {
	struct candidate *candidate = &decision->candidates[decision->n_candidates++];

	*candidate = (struct candidate){.backend = backend};
	if (pool != NULL) {
		str_copy(candidate->pool, sizeof(candidate->pool), pool->config.name);
		// The representor's port of the bridge is what puts it on a VLAN.
		if (pool->config.kind == POOL_VF || pool->config.kind == POOL_SF)
			candidate->capabilities = CAPABILITY_VLAN;
	}
	return candidate;
}

void decide_refuse(struct candidate *candidate, const char *fmt, ...) {
	va_list ap;

	candidate->accepted = false;
	va_start(ap, fmt);
	vsnprintf(candidate->reason, sizeof(candidate->reason), fmt, ap);
	va_end(ap);
}

void decide_accept(struct candidate *candidate, const char *fmt, ...) {
	va_list ap;

	candidate->accepted = true;
	va_start(ap, fmt);
	vsnprintf(candidate->reason, sizeof(candidate->reason), fmt, ap);
	va_end(ap);
}

bool decide_pool_allows(
	const struct decide_input *in, const struct pool_facts *pool, bool has_representor,
	struct candidate *candidate
) {
	if (pool->config.limit != 0 && pool->n_ports >= pool->config.limit)
		decide_refuse(
			candidate, "pool '%s' has the %" PRIu32 " port%s that its limit allows",
			pool->config.name, pool->config.limit, pool->config.limit == 1 ? "" : "s"
		);
	else if (in->spec->vlan != 0 && !has_representor)
		decide_refuse(
			candidate,
			"pool '%s' cannot put the port on VLAN %" PRIu32
			": its devices have no representor, as functions of a PF (pf = ...) have",
			pool->config.name, in->spec->vlan
		);
	else if (!in->spec->link_up)
		decide_refuse(
			candidate, "a vDPA device of pool '%s' cannot have its link down",
			pool->config.name
		);
	else
		return true;
	return false;
}

void decide_print_missing(const struct port_spec *spec, uint64_t missing, char *text, size_t size) {
	char names[128];

	text[0] = '\0';
	if (missing == 0)
		return;
	vdpa_features_print(missing, names, sizeof(names));
	snprintf(text, size, "; without %s of profile %s", names, spec->profile);
}

static void judge_switch(
	const struct facts *facts, const struct network *network, const struct port_spec *spec,
	struct candidate *candidate
) {
	uint32_t mtu_bytes = spec->mtu_bytes != 0 ? spec->mtu_bytes : network->mtu_bytes;
	uint32_t n_workers = facts->fallback.n_workers;

	candidate->capabilities = capability_parse(facts->fallback.capabilities);

	if (!facts->fallback.connected) {
		decide_refuse(
			candidate,
			"the software switch is not running: see `systemctl status vdpad-switch`"
		);
	} else if (spec->queue_pairs > facts->fallback.max_queue_pairs) {
		decide_refuse(
			candidate,
			"%" PRIu32 " queue pairs are more than the %" PRIu32
			" that the software switch can serve",
			spec->queue_pairs, facts->fallback.max_queue_pairs
		);
	} else if (mtu_bytes > facts->fallback.max_mtu_bytes) {
		decide_refuse(
			candidate,
			"an MTU of %" PRIu32 " is more than the %" PRIu32
			" that the software switch can carry",
			mtu_bytes, facts->fallback.max_mtu_bytes
		);
	} else if (facts->fallback.n_ports >= facts->fallback.max_ports) {
		decide_refuse(
			candidate,
			"the software switch has all of the %" PRIu32 " ports it can have",
			facts->fallback.max_ports
		);
	} else {
		candidate->accepted = true;
		snprintf(
			candidate->reason, sizeof(candidate->reason),
			"software switch, %" PRIu32 " worker%s%s", n_workers,
			n_workers == 1 ? "" : "s", facts->fallback.hugepages ? ", huge pages" : ""
		);
	}
}

static void decide_switch(const struct decide_input *in) {
	struct candidate *candidate = decide_add(in->decision, BACKEND_SWITCH, NULL);

	judge_switch(in->facts, in->network, in->spec, candidate);
	str_copy(candidate->resource, sizeof(candidate->resource), "vdpad-switch");
}

// A backend that can do less than the port asks for is not for it.
static void judge_capabilities(const struct port_spec *spec, struct candidate *candidate) {
	const char *problem = capability_problem(capability_needed(spec), candidate->capabilities);

	if (candidate->accepted && problem != NULL)
		decide_refuse(candidate, "%s", problem);
}

void decide(
	const struct facts *facts, const struct network *network, const struct port_spec *spec,
	struct decision *ret_decision
) {
	// In the order of preference.
	static const struct {
		enum backend_kind backend;
		void (*decide)(const struct decide_input *in);
	} backends[] = {
		{BACKEND_VDPA, decide_vdpa},
		{BACKEND_DPDK_VDPA, decide_dpdk_vdpa},
		{BACKEND_SWITCH, decide_switch},
		{BACKEND_EXTERNAL, decide_external},
	};
	const struct decide_input in = {facts, network, spec, ret_decision};
	struct candidate forbidden = {0};

	memset(ret_decision, 0, sizeof(*ret_decision));
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		forbidden.backend = backends[i].backend;
		if (forbidden.backend == BACKEND_EXTERNAL && !decide_knows_external(&in))
			continue;
		if (policy_allows(spec->policy, forbidden.backend, &forbidden))
			backends[i].decide(&in);
		else
			*decide_add(ret_decision, forbidden.backend, NULL) = forbidden;
	}
	for (size_t i = 0; i < ret_decision->n_candidates; i++) {
		struct candidate *candidate = &ret_decision->candidates[i];

		judge_capabilities(spec, candidate);
		if (candidate->accepted && ret_decision->chosen == NULL)
			ret_decision->chosen = candidate;
	}
}
