// SPDX-License-Identifier: GPL-2.0-or-later

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "vdpad/model/decide.h"

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
				.capabilities = "vlan,link,network",
			},
	};
	network = (struct network){.name = "fast0", .mtu_bytes = 1500};
	spec = (struct port_spec
	){.name = "vm1", .network = "fast0", .mtu_bytes = 1500, .queue_pairs = 1, .link_up = true};
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

static void what_a_backend_does_not_say_it_can_it_is_not_asked_for(void **state) {
	(void)state;
	assert_int_equal(
		candidate(BACKEND_SWITCH)->capabilities,
		CAPABILITY_VLAN | CAPABILITY_LINK | CAPABILITY_NETWORK
	);
	assert_int_equal(candidate(BACKEND_VDPA)->capabilities, 0);
	spec.vlan = 10;
	spec.link_up = false;
	assert_true(candidate(BACKEND_SWITCH)->accepted);
	strcpy(spec.trunks, "10-20");
	refuses(BACKEND_SWITCH, "it offers no trunks: leave key 'trunks' out, or set it to none");
	spec.trunks[0] = '\0';
	spec.rate_bps = 1000;
	refuses(BACKEND_SWITCH,
	        "it offers no limit of the rate: leave key 'rate' out, or set it to none");
	strcpy(facts.fallback.capabilities, "vlan,trunks,rate,link");
	assert_true(candidate(BACKEND_SWITCH)->accepted);
	facts.fallback.capabilities[0] = '\0';
	refuses(BACKEND_SWITCH, "it offers no VLANs: leave key 'vlan' out, or set it to none");
}

static void add_socket(const char *name, const char *path, bool qemu_listens) {
	struct socket_facts *socket = &facts.sockets[facts.n_sockets++];

	*socket = (struct socket_facts){.qemu_listens = qemu_listens, .listening = true};
	strcpy(socket->name, name);
	strcpy(socket->network, "fast0");
	strcpy(socket->path, path);
}

static void sockets_are_for_ports_that_name_them(void **state) {
	(void)state;
	add_socket("vpp0", "/run/vpp/0", false);
	add_socket("vpp1", "/run/vpp/1", true);
	strcpy(facts.sockets[1].port, "vm7");
	refuses(BACKEND_EXTERNAL,
	        "policy auto takes no socket of another switch; `socket NAME` asks for one");
	assert_int_equal(decision.chosen->backend, BACKEND_SWITCH);
	spec.policy = POLICY_EXTERNAL;
	refuses(BACKEND_EXTERNAL, "`socket NAME` must say which; free are: vpp0");
	refuses(BACKEND_SWITCH, "policy external asks for a socket of another switch");
	strcpy(spec.socket, "vpp0");
	assert_true(candidate(BACKEND_EXTERNAL)->accepted);
	assert_string_equal(
		candidate(BACKEND_EXTERNAL)->reason, "somebody else's switch listens on /run/vpp/0"
	);
	assert_string_equal(candidate(BACKEND_EXTERNAL)->resource, "vpp0");
	assert_ptr_equal(decision.chosen, &decision.candidates[3]);
	facts.sockets[0].listening = false;
	refuses(BACKEND_EXTERNAL,
	        "nobody listens on /run/vpp/0: is the switch running that socket 'vpp0' is of?");
	strcpy(spec.socket, "vpp1");
	refuses(BACKEND_EXTERNAL, "socket 'vpp1' is in use by port 'vm7'");
	strcpy(spec.name, "vm7");
	facts.sockets[1].listening = false;
	assert_true(candidate(BACKEND_EXTERNAL)->accepted);
	spec.vlan = 10; // is the other switch's matter
	assert_false(candidate(BACKEND_EXTERNAL)->accepted);
}

static void a_socket_that_somebody_else_is_connected_to_is_refused(void **state) {
	(void)state;
	add_socket("vpp0", "/run/vpp/0", false);
	add_socket("vpp1", "/run/vpp/1", true);
	facts.sockets[0].connected = facts.sockets[1].connected = true;
	spec.policy = POLICY_EXTERNAL;
	refuses(BACKEND_EXTERNAL, "`socket NAME` must say which; free are: vpp1");
	strcpy(spec.socket, "vpp0");
	refuses(BACKEND_EXTERNAL,
	        "somebody who is no port of vdpad is connected to /run/vpp/0 already, which serves "
	        "one peer: end that VM or program, or use another [socket]");
	strcpy(spec.name, "vm7");
	strcpy(facts.sockets[0].port, "vm7"); // whose own VM it is
	assert_true(candidate(BACKEND_EXTERNAL)->accepted);
	strcpy(spec.socket, "vpp1"); // whose path QEMU takes over
	assert_true(candidate(BACKEND_EXTERNAL)->accepted);
	assert_string_equal(
		candidate(BACKEND_EXTERNAL)->reason,
		"QEMU is to listen on /run/vpp/1, where somebody who is no port of vdpad listens "
		"now"
	);
}

static void a_network_without_sockets_does_not_speak_of_them(void **state) {
	(void)state;
	add_socket("vpp0", "/run/vpp/0", false);
	strcpy(facts.sockets[0].network, "slow0");
	candidate(BACKEND_SWITCH);
	assert_int_equal(decision.n_candidates, 3);
	spec.policy = POLICY_EXTERNAL;
	refuses(BACKEND_EXTERNAL, "network 'fast0' has no free [socket] in the configuration");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(auto_takes_the_switch_and_says_why_not_hardware, setup),
		cmocka_unit_test_setup(software_policies_ask_for_no_hardware, setup),
		cmocka_unit_test_setup(hardware_policies_leave_nothing_here, setup),
		cmocka_unit_test_setup(a_switch_that_is_away_serves_nobody, setup),
		cmocka_unit_test_setup(the_switchs_limits_are_kept, setup),
		cmocka_unit_test_setup(
			what_a_backend_does_not_say_it_can_it_is_not_asked_for, setup
		),
		cmocka_unit_test_setup(sockets_are_for_ports_that_name_them, setup),
		cmocka_unit_test_setup(
			a_socket_that_somebody_else_is_connected_to_is_refused, setup
		),
		cmocka_unit_test_setup(a_network_without_sockets_does_not_speak_of_them, setup),
		cmocka_unit_test_setup(workers_and_huge_pages_are_told, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
