// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/decide.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Whether @policy lets a port have @backend; if not, @candidate says so.
static bool policy_allows(
	enum policy policy, enum backend_kind backend, struct candidate *candidate
) {
	bool software = backend == BACKEND_SWITCH;
	const char *why = NULL;

	switch (policy) {
	case POLICY_AUTO:
		break;
	case POLICY_HARDWARE:
		why = software ? "takes no software switch" : NULL;
		break;
	case POLICY_SOFTWARE:
		why = software ? NULL : "asks for no hardware";
		break;
	case POLICY_VDPA:
		why = backend == BACKEND_VDPA ? NULL : "asks for a kernel vDPA device only";
		break;
	case POLICY_SWITCH:
		why = software ? NULL : "asks for the software switch only";
		break;
	}
	if (why == NULL)
		return true;
	snprintf(
		candidate->reason, sizeof(candidate->reason), "policy %s %s", policy_name(policy),
		why
	);
	return false;
}

static void refuse(struct candidate *candidate, const char *fmt, ...) _printf_(2, 3);
static void refuse(struct candidate *candidate, const char *fmt, ...) {
	va_list ap;

	candidate->accepted = false;
	va_start(ap, fmt);
	vsnprintf(candidate->reason, sizeof(candidate->reason), fmt, ap);
	va_end(ap);
}

static void judge_vdpa(const struct facts *facts, struct candidate *candidate) {
	if (!facts->vdpa.bus && !facts->vdpa.module)
		refuse(candidate,
		       "this kernel (%s) has no vDPA support: module vdpa is not there; "
		       "Debian 12's standard kernel is built without it, its backports kernel and "
		       "Proxmox VE's have it",
		       facts->kernel);
	else if (!facts->vdpa.bus)
		refuse(candidate,
		       "this kernel (%s) has vDPA support, but it is not loaded: modprobe "
		       "vhost_vdpa "
		       "and the NIC's vDPA module",
		       facts->kernel);
	else if (facts->vdpa.n_devices == 0)
		refuse(candidate,
		       "this node has no vDPA device, and vdpad %s does not create them yet",
		       VDPAD_VERSION);
	else
		refuse(candidate,
		       "vdpad %s does not drive vDPA devices yet; this node has %" PRIu32
		       " of them",
		       VDPAD_VERSION, facts->vdpa.n_devices);
}

static void judge_dpdk_vdpa(struct candidate *candidate) {
	refuse(candidate, "vdpad %s does not drive NICs through DPDK's vDPA drivers yet",
	       VDPAD_VERSION);
}

static void judge_switch(
	const struct facts *facts, const struct network *network, const struct port_spec *spec,
	struct candidate *candidate
) {
	uint32_t mtu_bytes = spec->mtu_bytes != 0 ? spec->mtu_bytes : network->mtu_bytes;
	uint32_t n_workers = facts->fallback.n_workers;

	if (!facts->fallback.connected) {
		refuse(candidate,
		       "the software switch is not running: see `systemctl status vdpad-switch`");
	} else if (spec->queue_pairs > facts->fallback.max_queue_pairs) {
		refuse(candidate,
		       "%" PRIu32 " queue pairs are more than the %" PRIu32
		       " that the software switch can serve",
		       spec->queue_pairs, facts->fallback.max_queue_pairs);
	} else if (mtu_bytes > facts->fallback.max_mtu_bytes) {
		refuse(candidate,
		       "an MTU of %" PRIu32 " is more than the %" PRIu32
		       " that the software switch can carry",
		       mtu_bytes, facts->fallback.max_mtu_bytes);
	} else if (facts->fallback.n_ports >= facts->fallback.max_ports) {
		refuse(candidate,
		       "the software switch has all of the %" PRIu32 " ports it can have",
		       facts->fallback.max_ports);
	} else {
		candidate->accepted = true;
		snprintf(
			candidate->reason, sizeof(candidate->reason),
			"software switch, %" PRIu32 " worker%s%s", n_workers,
			n_workers == 1 ? "" : "s", facts->fallback.hugepages ? ", huge pages" : ""
		);
	}
}

void decide(
	const struct facts *facts, const struct network *network, const struct port_spec *spec,
	struct decision *ret_decision
) {
	static const enum backend_kind preference[] = {
		BACKEND_VDPA, BACKEND_DPDK_VDPA, BACKEND_SWITCH};

	memset(ret_decision, 0, sizeof(*ret_decision));
	for (size_t i = 0; i < ARRAY_LEN(preference); i++) {
		struct candidate *candidate =
			&ret_decision->candidates[ret_decision->n_candidates++];

		candidate->backend = preference[i];
		if (policy_allows(spec->policy, candidate->backend, candidate)) {
			switch (candidate->backend) {
			case BACKEND_VDPA:
				judge_vdpa(facts, candidate);
				break;
			case BACKEND_DPDK_VDPA:
				judge_dpdk_vdpa(candidate);
				break;
			case BACKEND_SWITCH:
				judge_switch(facts, network, spec, candidate);
				break;
			case BACKEND_NONE:
				break;
			}
		}
		if (candidate->backend == BACKEND_SWITCH)
			str_copy(candidate->resource, sizeof(candidate->resource), "vdpad-switch");
		if (candidate->accepted && ret_decision->chosen == NULL)
			ret_decision->chosen = candidate;
	}
}
