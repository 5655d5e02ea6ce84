// SPDX-License-Identifier: GPL-2.0-or-later

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "vdpad/decide.h"

static struct facts facts;
static struct network network;
static struct port_spec spec;
static struct decision decision;

static int setup(void **state) {
	(void)state;
	facts = (struct facts){
		.kernel = "6.1.0-32-amd64",
		.fallback =
			{
				.connected = true,
				.max_queue_pairs = 8,
				.max_mtu_bytes = 9000,
				.max_ports = 512,
				.n_workers = 1,
			},
	};
	network = (struct network){.name = "fast0", .mtu_bytes = 1500};
	spec = (struct port_spec
	){.name = "vm1", .network = "fast0", .mtu_bytes = 1500, .queue_pairs = 1};
	return 0;
}

static const struct candidate *candidate(enum backend_kind backend) {
	decide(&facts, &network, &spec, &decision);
	for (size_t i = 0; i < decision.n_candidates; i++) {
		if (decision.candidates[i].backend == backend)
			return &decision.candidates[i];
	}
	fail_msg("backend %s was not considered", backend_name(backend));
	return NULL;
}

static void refuses(enum backend_kind backend, const char *reason) {
	assert_false(candidate(backend)->accepted);
	assert_string_equal(candidate(backend)->reason, reason);
	assert_true(decision.chosen == NULL || decision.chosen->backend != backend);
}

static void auto_takes_the_switch_and_says_why_not_hardware(void **state) {
	(void)state;
	assert_true(candidate(BACKEND_SWITCH)->accepted);
	assert_string_equal(candidate(BACKEND_SWITCH)->reason, "software switch, 1 worker");
	assert_string_equal(candidate(BACKEND_SWITCH)->resource, "vdpad-switch");
	assert_ptr_equal(decision.chosen, &decision.candidates[2]);
	assert_int_equal(decision.candidates[0].backend, BACKEND_VDPA);
	refuses(BACKEND_VDPA,
	        "this kernel (6.1.0-32-amd64) has no vDPA support: module vdpa is not there; "
	        "Debian "
	        "12's standard kernel is built without it, its backports kernel and Proxmox VE's "
	        "have "
	        "it");
	refuses(BACKEND_DPDK_VDPA, "no pool with class = vdpa has network 'fast0'");
}

static void software_policies_ask_for_no_hardware(void **state) {
	(void)state;
	spec.policy = POLICY_SOFTWARE;
	refuses(BACKEND_VDPA, "policy software asks for no hardware");
	refuses(BACKEND_DPDK_VDPA, "policy software asks for no hardware");
	assert_true(candidate(BACKEND_SWITCH)->accepted);
	spec.policy = POLICY_SWITCH;
	refuses(BACKEND_VDPA, "policy switch asks for the software switch only");
	assert_true(candidate(BACKEND_SWITCH)->accepted);
}

static void hardware_policies_leave_nothing_here(void **state) {
	(void)state;
	spec.policy = POLICY_HARDWARE;
	refuses(BACKEND_SWITCH, "policy hardware takes no software switch");
	assert_null(decision.chosen);
	spec.policy = POLICY_VDPA;
	refuses(BACKEND_SWITCH, "policy vdpa asks for a kernel vDPA device only");
	refuses(BACKEND_DPDK_VDPA, "policy vdpa asks for a kernel vDPA device only");
	assert_null(decision.chosen);
	spec.policy = POLICY_DPDK_VDPA;
	refuses(BACKEND_VDPA, "policy dpdk-vdpa asks for a DPDK vDPA device only");
	refuses(BACKEND_SWITCH, "policy dpdk-vdpa asks for a DPDK vDPA device only");
	assert_null(decision.chosen);
}

static void a_switch_that_is_away_serves_nobody(void **state) {
	(void)state;
	facts.fallback.connected = false;
	refuses(BACKEND_SWITCH,
	        "the software switch is not running: see `systemctl status vdpad-switch`");
	assert_null(decision.chosen);
}

static void the_switchs_limits_are_kept(void **state) {
	(void)state;
	spec.queue_pairs = 9;
	refuses(BACKEND_SWITCH,
	        "9 queue pairs are more than the 8 that the software switch can serve");
	spec.queue_pairs = 8;
	assert_true(candidate(BACKEND_SWITCH)->accepted);

	spec.mtu_bytes = 9001;
	refuses(BACKEND_SWITCH,
	        "an MTU of 9001 is more than the 9000 that the software switch can carry");
	spec.mtu_bytes = 9000;
	assert_true(candidate(BACKEND_SWITCH)->accepted);

	facts.fallback.n_ports = 512;
	refuses(BACKEND_SWITCH, "the software switch has all of the 512 ports it can have");
}

static void workers_and_huge_pages_are_told(void **state) {
	(void)state;
	facts.fallback.n_workers = 4;
	facts.fallback.hugepages = true;
	assert_string_equal(
		candidate(BACKEND_SWITCH)->reason, "software switch, 4 workers, huge pages"
	);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(auto_takes_the_switch_and_says_why_not_hardware, setup),
		cmocka_unit_test_setup(software_policies_ask_for_no_hardware, setup),
		cmocka_unit_test_setup(hardware_policies_leave_nothing_here, setup),
		cmocka_unit_test_setup(a_switch_that_is_away_serves_nobody, setup),
		cmocka_unit_test_setup(the_switchs_limits_are_kept, setup),
		cmocka_unit_test_setup(workers_and_huge_pages_are_told, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
