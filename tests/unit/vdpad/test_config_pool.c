// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/vdpad/config_case.h"
#include "vdpad/model/pool.h"

static void each_kind_of_pool_is_read(void **state) {
	struct config *config = parse("[pool there]\n"
	                              "networks = fast0, vmbr1\n"
	                              "mgmtdevs = pci/0000:3b:00.2   auxiliary/mlx5_core.sf.*\n"
	                              "limit = 16\n"
	                              "[pool vfs]\n"
	                              "networks = fast0\n"
	                              "pf = 0000:3b:00.0\n"
	                              "functions = vf\n"
	                              "count = 8\n"
	                              "[pool sfs]\n"
	                              "functions = sf\n"
	                              "pf = 0000:3b:00.1\n"
	                              "networks = nobody-has-it\n"
	                              "[pool A_d.p-k]\n"
	                              "networks = fast0\n"
	                              "pci = 0000:5e:00.2 0000:5e:1f.7\n"
	                              "class = vdpa\n");

	(void)state;
	assert_int_equal(config->n_pools, 4);
	assert_string_equal(config->pools[0].name, "there"); // as written, not sorted
	assert_int_equal(config->pools[0].kind, POOL_MGMTDEVS);
	assert_string_equal(config->pools[0].networks, "fast0 vmbr1");
	assert_string_equal(config->pools[0].members, "pci/0000:3b:00.2 auxiliary/mlx5_core.sf.*");
	assert_int_equal(config->pools[0].limit, 16);
	assert_int_equal(config->pools[1].kind, POOL_VF);
	assert_string_equal(config->pools[1].pf, "0000:3b:00.0");
	assert_int_equal(config->pools[1].count, 8);
	assert_int_equal(config->pools[1].limit, 0);
	assert_int_equal(config->pools[2].kind, POOL_SF);
	assert_string_equal(config->pools[2].networks, "nobody-has-it");
	assert_int_equal(config->pools[3].kind, POOL_DPDK);
	assert_string_equal(config->pools[3].members, "0000:5e:00.2 0000:5e:1f.7");
	config_free(config);
}

static void the_owner_of_devices_is_read(void **state) {
	struct config *config = parse("[devices]\nuser = libvirt-qemu\n");

	(void)state;
	assert_string_equal(config->devices.user, "libvirt-qemu");
	config_free(config);
	config = parse("");
	assert_string_equal(config->devices.user, "root");
	config_free(config);
	refuses("[devices]\nuser =\n",
	        "a.conf:2: [devices] user '' is not valid: the name of a user, such as root");
}

static void kinds_of_hardware_exclude_each_other(void **state) {
	static const char two[] = "a.conf:1: [pool p] has hardware of two kinds: mgmtdevs, pf and "
				  "pci exclude each other, write a pool for each";

	(void)state;
	refuses("[pool p]\nnetworks = a\nmgmtdevs = x\npf = 0000:3b:00.0\nfunctions = sf\n", two);
	refuses("[pool p]\nnetworks = a\nmgmtdevs = x\npci = 0000:3b:00.0\nclass = vdpa\n", two);
	refuses("[pool p]\nnetworks = a\npf = 0000:3b:00.0\npci = 0000:3b:00.0\n", two);
	refuses("[pool p]\nnetworks = a\n",
	        "a.conf:1: [pool p] has no hardware: give mgmtdevs, or pf and functions, or pci "
	        "and "
	        "class");
}

static void what_a_kind_needs_is_asked_for(void **state) {
	(void)state;
	refuses("[pool p]\nmgmtdevs = x\n",
	        "a.conf:1: [pool p] lacks networks: which may use it, as in networks = vmbr0");
	refuses("[pool p]\nnetworks = a\npf = 0000:3b:00.0\n",
	        "a.conf:1: [pool p] lacks functions: what to make of the PF, functions = sf or "
	        "functions = vf");
	refuses("[pool p]\nnetworks = a\npf = 0000:3b:00.0\nfunctions = vf\n",
	        "a.conf:1: [pool p] lacks count: how many VFs to make, as in count = 8");
	refuses("[pool p]\nnetworks = a\npf = 0000:3b:00.0\nfunctions = sf\ncount = 8\n",
	        "a.conf:1: [pool p] has count, which goes with functions = vf; the number of ports "
	        "is limit");
	refuses("[pool p]\nnetworks = a\nmgmtdevs = x\nfunctions = sf\n",
	        "a.conf:1: [pool p] has functions but no pf: whose functions, as in pf = "
	        "0000:3b:00.0");
	refuses("[pool p]\nnetworks = a\npci = 0000:3b:00.0\n",
	        "a.conf:1: [pool p] lacks class: DPDK drives these devices with class = vdpa");
	refuses("[pool p]\nnetworks = a\nmgmtdevs = x\nclass = vdpa\n",
	        "a.conf:1: [pool p] has class, which goes with pci");
}

static void wrong_values_say_what_is_right(void **state) {
	(void)state;
	refuses("[pool p]\nnetworks = a/b\n",
	        "a.conf:2: [pool p] networks 'a/b' is not valid: the names of networks with blanks "
	        "between them, 1 to 15 of A-Z a-z 0-9 . _ - each");
	refuses("[pool p]\nnetworks = a b a\n", "a.conf:2: [pool p] networks has 'a' twice");
	refuses("[pool p]\nnetworks = ,\n",
	        "a.conf:2: [pool p] networks is empty: it must have one word at least");
	refuses("[pool p]\nmgmtdevs = 0000:3b:00.2\n",
	        "a.conf:2: [pool p] mgmtdevs '0000:3b:00.2' is not valid: the management device of "
	        "a PCI function is called pci/ADDRESS");
	refuses("[pool p]\npf = 3b:00.0\n",
	        "a.conf:2: [pool p] pf '3b:00.0' is not valid: a PCI address with domain, such as "
	        "0000:3b:00.0");
	refuses("[pool p]\nfunctions = vfs\n",
	        "a.conf:2: [pool p] functions 'vfs' is not valid: vf or sf");
	refuses("[pool p]\npci = 0000:3B:00.0\n",
	        "a.conf:2: [pool p] pci '0000:3B:00.0' is not valid: PCI addresses with domain, "
	        "such as 0000:5e:00.2");
	refuses("[pool p]\nclass = eth\n", "a.conf:2: [pool p] class 'eth' is not valid: vdpa");
	refuses("[pool p]\nlimit = 0\n", "a.conf:2: [pool p] limit '0' is out of range: 1 to 4096");
	refuses("[pool p]\ncount = many\n",
	        "a.conf:2: [pool p] count 'many' is not a number: 1 to 4096");
	refuses("[pool p]\nvfs = 3\n",
	        "a.conf:2: [pool p] unknown key 'vfs': it must be networks, mgmtdevs, pf, "
	        "functions, count, pci, class or limit");
	refuses("[pool p]\nlimit = 1\nlimit = 1\n",
	        "a.conf:3: [pool p] key 'limit' is given twice");
	refuses("[pool a/b]\n",
	        "a.conf:1: 'a/b' is no pool name: 1 to 31 of A-Z a-z 0-9 . _ -, as in [pool fast]");
	refuses("[pool]\n",
	        "a.conf:1: '' is no pool name: 1 to 31 of A-Z a-z 0-9 . _ -, as in [pool fast]");
}

static void a_pool_and_the_vfs_of_a_pf_are_there_once(void **state) {
	(void)state;
	refuses("[pool p]\nnetworks = a\nmgmtdevs = x\n[pool p]\n",
	        "a.conf:4: [pool p] appears twice: the first is in a.conf:1");
	refuses("[pool p]\nnetworks = a\npf = 0000:3b:00.0\nfunctions = vf\ncount = 2\n"
	        "[pool q]\nnetworks = b\npf = 0000:3b:00.0\nfunctions = vf\ncount = 4\n",
	        "a.conf:6: [pool q] has the VFs of 0000:3b:00.0, which [pool p] has already: give "
	        "one pool more networks");
}

static void there_is_a_limit_to_pools(void **state) {
	char text[(POOLS_MAX + 1) * 64] = "", last[128];
	struct config *config;
	size_t len = 0;

	(void)state;
	for (int i = 0; i < POOLS_MAX; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "[pool p%d]\nnetworks=a\nmgmtdevs=x\n", i
		);
	config = parse(text);
	assert_int_equal(config->n_pools, POOLS_MAX);
	config_free(config);
	snprintf(text + len, sizeof(text) - len, "[pool p%d]\n", POOLS_MAX);
	snprintf(
		last, sizeof(last), "a.conf:%d: there are more than %d pools", 3 * POOLS_MAX + 1,
		POOLS_MAX
	);
	refuses(text, last);
}

static void the_longest_list_fits(void **state) {
	char text[512] = "[pool p]\nnetworks = a\nmgmtdevs = ";
	struct config *config;

	(void)state;
	while (strlen(strrchr(text, '\n') + 1) <= 190 - 8) // characters of a line
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "m%zu ", strlen(text));
	strcat(text, "\n");
	config = parse(text);
	assert_true(strlen(config->pools[0].members) > 160);
	config_free(config);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_pool_is_read),
		cmocka_unit_test(the_owner_of_devices_is_read),
		cmocka_unit_test(kinds_of_hardware_exclude_each_other),
		cmocka_unit_test(what_a_kind_needs_is_asked_for),
		cmocka_unit_test(wrong_values_say_what_is_right),
		cmocka_unit_test(a_pool_and_the_vfs_of_a_pf_are_there_once),
		cmocka_unit_test(there_is_a_limit_to_pools),
		cmocka_unit_test(the_longest_list_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
