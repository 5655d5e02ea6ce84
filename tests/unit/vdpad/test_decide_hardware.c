// SPDX-License-Identifier: GPL-2.0-or-later
// Each reason for which hardware serves a port or does not.

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "vdpad/model/capability.h"
#include "vdpad/model/decide.h"
#include "vdpad/util/ipc.h"

#define TAKES_ALL                                                               \
	(IPC_VDPA_TAKES_MAC | IPC_VDPA_TAKES_MTU | IPC_VDPA_TAKES_QUEUE_PAIRS | \
	 IPC_VDPA_TAKES_FEATURES)
#define ALL_FEATURES (UINT64_C(1) << 33 | profile_find("fast-1")->features)

static struct facts facts;
static struct network network;
static struct port_spec spec;
static struct decision decision;

static void add_mgmtdev(const char *name, uint32_t n_devices) {
	struct mgmtdev_facts *dev = &facts.mgmtdevs[facts.n_mgmtdevs++];

	*dev = (struct mgmtdev_facts){
		.driver = "mlx5_core",
		.takes = TAKES_ALL,
		.one_device = true,
		.features = ALL_FEATURES,
		.max_vqs = 17,
		.n_devices = n_devices,
	};
	strcpy(dev->name, name);
}

static struct pool_facts *add_pool(const char *name, enum pool_kind kind, const char *members) {
	struct pool_facts *pool = &facts.pools[facts.n_pools++];

	*pool = (struct pool_facts){.config = {.kind = kind, .networks = "other fast0"}};
	strcpy(pool->config.name, name);
	strcpy(pool->config.members, members);
	return pool;
}

// A node with three VFs as management devices, one of them in use, and a pool of them.
static int setup(void **state) {
	(void)state;
	memset(&facts, 0, sizeof(facts));
	strcpy(facts.kernel, "6.12.0");
	facts.vdpa.bus = facts.vdpa.module = facts.vdpa.vhost_vdpa = facts.vdpa.asked = true;
	facts.netlink_connected = true;
	facts.fallback.connected = true;
	facts.fallback.max_queue_pairs = 8;
	facts.fallback.max_mtu_bytes = 9000;
	facts.fallback.max_ports = 512;
	facts.fallback.n_workers = 1;
	strcpy(facts.fallback.capabilities, CAPABILITY_OLD_SWITCH);
	add_mgmtdev("pci/0000:3b:00.2", 1);
	add_mgmtdev("pci/0000:3b:00.3", 0);
	add_mgmtdev("pci/0000:3b:00.4", 0);
	add_pool("nic", POOL_MGMTDEVS, "pci/0000:3b:*");
	network = (struct network){.name = "fast0", .mtu_bytes = 1500};
	spec = (struct port_spec){
		.name = "vm1",
		.network = "fast0",
		.mac = {{0x52, 0x54, 0, 0, 0, 1}},
		.mtu_bytes = 1500,
		.queue_pairs = 1,
		.profile = "fast-1",
		.link_up = true,
	};
	return 0;
}

// The first candidate of @backend.
static const struct candidate *candidate(enum backend_kind backend) {
	decide(&facts, &network, &spec, &decision);
	for (size_t i = 0; i < decision.n_candidates; i++) {
		if (decision.candidates[i].backend == backend)
			return &decision.candidates[i];
	}
	fail_msg("backend %s was not considered", backend_name(backend));
	return NULL;
}

static void refuses(const char *reason) {
	const struct candidate *c = candidate(BACKEND_VDPA);

	assert_string_equal(c->reason, reason);
	assert_false(c->accepted);
	assert_int_equal(decision.chosen->backend, BACKEND_SWITCH); // policy auto goes on
}

static void accepts(const char *resource, const char *reason) {
	const struct candidate *c = candidate(BACKEND_VDPA);

	assert_string_equal(c->reason, reason);
	assert_true(c->accepted);
	assert_string_equal(c->resource, resource);
	assert_ptr_equal(decision.chosen, c);
}

static void the_first_free_device_is_taken(void **state) {
	(void)state;
	accepts("pci/0000:3b:00.3", "vDPA device on pci/0000:3b:00.3, pool 'nic'");
	assert_string_equal(decision.chosen->pool, "nic");
	assert_int_equal(
		decision.chosen->features, // one queue pair, and an MTU of 1500
		ALL_FEATURES & ~(UINT64_C(1) << 22) & ~(UINT64_C(1) << 3)
	);
	facts.mgmtdevs[0].n_devices = 0;
	accepts("pci/0000:3b:00.2", "vDPA device on pci/0000:3b:00.2, pool 'nic'");
}

static void the_next_free_device_is_taken_where_the_first_does_not_fit(void **state) {
	(void)state;
	spec.queue_pairs = 4;
	facts.mgmtdevs[1].max_vqs = 3;
	accepts("pci/0000:3b:00.4", "vDPA device on pci/0000:3b:00.4, pool 'nic'");
	facts.mgmtdevs[2].max_vqs = 5;
	refuses("pci/0000:3b:00.3 (driver mlx5_core) has 1 queue pair, not 4"); // the first one
}

static void the_kernel_must_have_vdpa(void **state) {
	(void)state;
	facts.vdpa.vhost_vdpa = false;
	refuses("no virtual machine can have a vDPA device here: modprobe vhost_vdpa");
	facts.vdpa.bus = false;
	refuses("this kernel (6.12.0) has vDPA support, but it is not loaded: modprobe vhost_vdpa "
	        "and the NIC's vDPA module");
	facts.vdpa.module = false;
	refuses("this kernel (6.12.0) has no vDPA support: module vdpa is not there; Debian 12's "
	        "standard kernel is built without it, its backports kernel and Proxmox VE's have "
	        "it");
}

static void the_worker_must_be_there_and_have_told(void **state) {
	(void)state;
	facts.vdpa.asked = false;
	refuses("vdpad-netlink has not yet said what hardware there is: ask again in a moment");
	strcpy(facts.vdpa.wedged, "deleting 'x', which process 7 (qemu) has open, hangs");
	refuses("the kernel's vDPA does not answer: deleting 'x', which process 7 (qemu) has open, "
	        "hangs");
	facts.netlink_connected = false;
	refuses("vdpad-netlink, which makes devices, is not running: see `systemctl status "
	        "vdpad-netlink`");
}

static void without_a_pool_one_is_suggested(void **state) {
	(void)state;
	strcpy(facts.pools[0].config.networks, "other");
	refuses("no pool has network 'fast0': write [pool NAME] networks = fast0 mgmtdevs = "
	        "pci/0000:3b:00.2 pci/0000:3b:00.3 pci/0000:3b:00.4");
	add_mgmtdev("vdpasim_net", 0);
	refuses("no pool has network 'fast0': write [pool NAME] networks = fast0 mgmtdevs = "
	        "pci/0000:3b:00.2 pci/0000:3b:00.3 pci/0000:3b:00.4 ...");
	facts.n_mgmtdevs = 0;
	refuses("no pool has network 'fast0', and this node has no vDPA management device that one "
	        "could name: load the NIC's vDPA module, or give a [pool] its PF (vdpad.conf(5))");
}

static void a_pool_without_hardware_says_what_it_lacks(void **state) {
	(void)state;
	strcpy(facts.pools[0].config.members, "pci/0000:5e:*");
	refuses("this node has no management device pci/0000:5e:*: 'vdpactl mgmtdev show' lists "
	        "those it has");
	facts.pools[0].config.kind = POOL_VF;
	strcpy(facts.pools[0].config.pf, "0000:5e:00.0");
	refuses("this node has no PCI device 0000:5e:00.0, the PF of pool 'nic'");
	facts.pools[0].pf_is_there = true;
	refuses("no VF of 0000:5e:00.0 is a management device yet: they are made when vdpad starts "
	        "or reloads, and need the NIC's vDPA module ('vdpactl pool show nic')");
}

static void the_pools_limit_is_kept(void **state) {
	(void)state;
	facts.pools[0].config.limit = 1;
	facts.pools[0].n_ports = 1;
	refuses("pool 'nic' has the 1 port that its limit allows");
	facts.pools[0].config.limit = 2;
	accepts("pci/0000:3b:00.3", "vDPA device on pci/0000:3b:00.3, pool 'nic'");
	facts.pools[0].n_ports = 2;
	refuses("pool 'nic' has the 2 ports that its limit allows");
}

static void all_in_use_is_told_and_one_that_is_free_again_is_taken(void **state) {
	(void)state;
	facts.mgmtdevs[1].n_devices = facts.mgmtdevs[2].n_devices = 1;
	refuses("pool 'nic' has nothing free: 3 of 3 management devices in use");
	facts.mgmtdevs[2].n_devices = 0;
	accepts("pci/0000:3b:00.4", "vDPA device on pci/0000:3b:00.4, pool 'nic'");
	strcpy(facts.pools[0].config.members, "pci/0000:3b:00.2");
	refuses("pool 'nic' has nothing free: 1 of 1 management device in use");
}

static void a_device_of_many_is_free_up_to_the_limit(void **state) {
	(void)state;
	facts.mgmtdevs[0].one_device = false;
	facts.mgmtdevs[0].n_devices = 7;
	accepts("pci/0000:3b:00.2", "vDPA device on pci/0000:3b:00.2, pool 'nic'");
	strcpy(facts.pools[0].config.members, "pci/0000:3b:00.2");
	facts.pools[0].config.limit = 7; // others made them
	refuses("pool 'nic' has nothing free: 1 of 1 management device in use");
}

static void what_the_hardware_cannot_do_is_refused(void **state) {
	(void)state;
	spec.vlan = 10;
	refuses("pool 'nic' cannot put the port on VLAN 10: its devices have no representor, as "
	        "functions of a PF (pf = ...) have");
	spec.vlan = 0;
	spec.link_up = false;
	refuses("a vDPA device of pool 'nic' cannot have its link down");
}

static void a_vf_is_taken_with_vlan_and_any_mac(void **state) {
	(void)state;
	facts.pools[0] = (struct pool_facts){
		.config =
			{.name = "vfs", .kind = POOL_VF, .networks = "fast0", .pf = "0000:3b:00.0"},
		.pf_is_there = true,
	};
	strcpy(facts.mgmtdevs[2].pf, "0000:3b:00.0");
	strcpy(facts.mgmtdevs[2].function, "vf2");
	facts.mgmtdevs[2].takes &= ~IPC_VDPA_TAKES_MAC;
	spec.keys = PORT_KEY_MAC;
	spec.vlan = 10;
	accepts("pci/0000:3b:00.4", "vDPA device on pci/0000:3b:00.4, pool 'vfs'");
}

static void a_subfunction_is_made_for_the_port(void **state) {
	(void)state;
	facts.n_mgmtdevs = 0;
	facts.pools[0] = (struct pool_facts){
		.config =
			{.name = "sfs", .kind = POOL_SF, .networks = "fast0", .pf = "0000:3b:00.0"},
		.pf_is_there = true,
	};
	spec.vlan = 10;
	accepts("0000:3b:00.0", "vDPA device on a new subfunction of 0000:3b:00.0, pool 'sfs'");
	assert_int_equal(decision.chosen->features, 0);
}

static void what_the_profile_lacks_is_told_or_refused(void **state) {
	(void)state;
	facts.mgmtdevs[1].features = profile_find("portable-1")->features | UINT64_C(1) << 33;
	accepts("pci/0000:3b:00.3",
	        "vDPA device on pci/0000:3b:00.3, pool 'nic'; without CTRL_RX, CTRL_VLAN, "
	        "CTRL_RX_EXTRA, GUEST_ANNOUNCE, CTRL_MAC_ADDR, INDIRECT_DESC and 1 more of profile "
	        "fast-1");
	strcpy(spec.profile, "portable-1");
	accepts("pci/0000:3b:00.3", "vDPA device on pci/0000:3b:00.3, pool 'nic'");
	facts.mgmtdevs[1].features &= ~(UINT64_C(1) << 15);
	strcpy(facts.pools[0].config.members, "pci/0000:3b:00.3");
	refuses("pci/0000:3b:00.3 (driver mlx5_core) lacks MRG_RXBUF of profile portable-1, which "
	        "is exact");
}

static void each_pool_is_a_candidate_in_the_order_of_the_file(void **state) {
	(void)state;
	add_pool("second", POOL_MGMTDEVS, "*");
	facts.pools[0].config.limit = 1;
	facts.pools[0].n_ports = 1;
	add_pool("elsewhere", POOL_MGMTDEVS, "*");
	strcpy(facts.pools[2].config.networks, "other");
	decide(&facts, &network, &spec, &decision);
	assert_int_equal(decision.n_candidates, 4);
	assert_string_equal(decision.candidates[0].pool, "nic");
	assert_string_equal(decision.candidates[1].pool, "second");
	assert_ptr_equal(decision.chosen, &decision.candidates[1]);
	assert_int_equal(decision.candidates[2].backend, BACKEND_DPDK_VDPA);
	assert_int_equal(decision.candidates[3].backend, BACKEND_SWITCH);
	assert_true(decision.candidates[3].accepted); // for when the kernel refuses
}

static void policy_hardware_has_nothing_when_all_is_in_use(void **state) {
	(void)state;
	spec.policy = POLICY_HARDWARE;
	facts.mgmtdevs[1].n_devices = facts.mgmtdevs[2].n_devices = 1;
	decide(&facts, &network, &spec, &decision);
	assert_null(decision.chosen);
}

static void the_most_pools_fit_in_a_decision(void **state) {
	(void)state;
	while (facts.n_pools < POOLS_MAX)
		add_pool("more", facts.n_pools % 2 ? POOL_DPDK : POOL_MGMTDEVS, "pci/none");
	decide(&facts, &network, &spec, &decision);
	assert_int_equal(decision.n_candidates, POOLS_MAX + 1);
	assert_int_equal(decision.chosen->backend, BACKEND_VDPA);
}

// DPDK

static struct dpdk_vdpa_facts *add_dpdk(const char *pci) {
	struct dpdk_vdpa_facts *dev = &facts.dpdk_vdpa[facts.n_dpdk_vdpa++];

	*dev = (struct dpdk_vdpa_facts
	){.driver = "mlx5_vdpa", .features = ALL_FEATURES, .max_queue_pairs = 4};
	strcpy(dev->pci, pci);
	return dev;
}

static int setup_dpdk(void **state) {
	setup(state);
	facts.n_pools = 0;
	add_pool("dpdk", POOL_DPDK, "0000:5e:00.2 0000:5e:00.3");
	add_dpdk("0000:5e:00.2");
	add_dpdk("0000:5e:00.3");
	return 0;
}

static void dpdk_refuses(const char *reason) {
	const struct candidate *c = candidate(BACKEND_DPDK_VDPA);

	assert_string_equal(c->reason, reason);
	assert_false(c->accepted);
}

static void dpdk_accepts(const char *pci, const char *reason) {
	const struct candidate *c = candidate(BACKEND_DPDK_VDPA);

	assert_string_equal(c->reason, reason);
	assert_true(c->accepted);
	assert_string_equal(c->resource, pci);
	assert_string_equal(c->pool, "dpdk");
}

static void a_free_dpdk_device_is_taken(void **state) {
	(void)state;
	dpdk_accepts(
		"0000:5e:00.2",
		"vDPA device 0000:5e:00.2 by DPDK (mlx5_vdpa), whose function must "
		"receive for 52:54:00:00:00:01"
	);
	facts.dpdk_vdpa[0].in_use = true;
	dpdk_accepts(
		"0000:5e:00.3",
		"vDPA device 0000:5e:00.3 by DPDK (mlx5_vdpa), whose function must "
		"receive for 52:54:00:00:00:01"
	);
	facts.dpdk_vdpa[1].in_use = true;
	dpdk_refuses("pool 'dpdk' has nothing free: 2 of 2 devices in use");
}

static void dpdk_needs_the_switch_and_a_device(void **state) {
	(void)state;
	facts.n_dpdk_vdpa = 0;
	dpdk_refuses("this node has no PCI device 0000:5e:00.2 0000:5e:00.3 that vdpad-switch can "
	             "reach");
	facts.fallback.connected = false;
	dpdk_refuses("vdpad-switch, which drives such devices, is not running: see `systemctl "
	             "status vdpad-switch`");
	facts.n_pools = 0;
	dpdk_refuses("no pool with class = vdpa has network 'fast0'");
}

static void a_dpdk_device_must_fit(void **state) {
	(void)state;
	facts.n_dpdk_vdpa = 1;
	spec.queue_pairs = 5;
	dpdk_refuses("0000:5e:00.2 has 4 queue pairs, not 5");
	spec.queue_pairs = 1;
	spec.vlan = 10;
	dpdk_refuses("pool 'dpdk' cannot put the port on VLAN 10: its devices have no representor, "
	             "as functions of a PF (pf = ...) have");
	spec.vlan = 0;
	spec.mtu_bytes = 9000;
	facts.dpdk_vdpa[0].features &= ~(UINT64_C(1) << 3);
	dpdk_refuses("0000:5e:00.2 takes no MTU: it has 1500, not 9000");
	spec.mtu_bytes = 1500;
	strcpy(spec.profile, "portable-1");
	facts.dpdk_vdpa[0].features &= ~(UINT64_C(1) << 15);
	dpdk_refuses("0000:5e:00.2 lacks MRG_RXBUF of profile portable-1, which is exact");
	facts.dpdk_vdpa[0].driver[0] = '\0';
	strcpy(facts.dpdk_vdpa[0].reason, "0000:5e:00.2 is not bound to vfio-pci");
	dpdk_refuses("0000:5e:00.2 is not bound to vfio-pci");
	facts.dpdk_vdpa[0].reason[0] = '\0';
	dpdk_refuses("no vDPA driver of DPDK takes 0000:5e:00.2: install its librte-vdpa package "
	             "and bind the device to vfio-pci");
}

static void control_commands_are_qemus_own_on_a_socket(void **state) {
	(void)state;
	facts.dpdk_vdpa[0].features &= ~(UINT64_C(1) << 17 | UINT64_C(1) << 18 | UINT64_C(1) << 5);
	dpdk_accepts(
		"0000:5e:00.2",
		"vDPA device 0000:5e:00.2 by DPDK (mlx5_vdpa), whose function must "
		"receive for 52:54:00:00:00:01"
	);
	facts.dpdk_vdpa[0].features &= ~(UINT64_C(1) << 29);
	dpdk_accepts(
		"0000:5e:00.2",
		"vDPA device 0000:5e:00.2 by DPDK (mlx5_vdpa), whose function must "
		"receive for 52:54:00:00:00:01; without EVENT_IDX of profile fast-1"
	);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_free_device_is_taken, setup),
		cmocka_unit_test_setup(
			the_next_free_device_is_taken_where_the_first_does_not_fit, setup
		),
		cmocka_unit_test_setup(the_kernel_must_have_vdpa, setup),
		cmocka_unit_test_setup(the_worker_must_be_there_and_have_told, setup),
		cmocka_unit_test_setup(without_a_pool_one_is_suggested, setup),
		cmocka_unit_test_setup(a_pool_without_hardware_says_what_it_lacks, setup),
		cmocka_unit_test_setup(the_pools_limit_is_kept, setup),
		cmocka_unit_test_setup(
			all_in_use_is_told_and_one_that_is_free_again_is_taken, setup
		),
		cmocka_unit_test_setup(a_device_of_many_is_free_up_to_the_limit, setup),
		cmocka_unit_test_setup(what_the_hardware_cannot_do_is_refused, setup),
		cmocka_unit_test_setup(a_vf_is_taken_with_vlan_and_any_mac, setup),
		cmocka_unit_test_setup(a_subfunction_is_made_for_the_port, setup),
		cmocka_unit_test_setup(what_the_profile_lacks_is_told_or_refused, setup),
		cmocka_unit_test_setup(each_pool_is_a_candidate_in_the_order_of_the_file, setup),
		cmocka_unit_test_setup(policy_hardware_has_nothing_when_all_is_in_use, setup),
		cmocka_unit_test_setup(the_most_pools_fit_in_a_decision, setup),
		cmocka_unit_test_setup(a_free_dpdk_device_is_taken, setup_dpdk),
		cmocka_unit_test_setup(dpdk_needs_the_switch_and_a_device, setup_dpdk),
		cmocka_unit_test_setup(a_dpdk_device_must_fit, setup_dpdk),
		cmocka_unit_test_setup(control_commands_are_qemus_own_on_a_socket, setup_dpdk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
