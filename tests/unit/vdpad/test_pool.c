// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "vdpad/model/pool.h"

static void only_whole_pci_addresses_are_valid(void **state) {
	static const char *const wrong[] = {
		"",
		"3b:00.0",
		"0000:3b:00.8",
		"0000:3b:00",
		"000:3b:00.0",
		"0000:3b:00.00",
		"0000:3g:00.0",
		"0000-3b:00.0",
		"0000:3B:00.0",
	};

	(void)state;
	assert_true(pci_address_is_valid("0000:3b:00.0"));
	assert_true(pci_address_is_valid("ffff:ff:1f.7"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(pci_address_is_valid(wrong[i]));
}

static void pool_names_are_short_and_plain(void **state) {
	(void)state;
	assert_true(pool_name_is_valid("Fast.1_a-b"));
	assert_true(pool_name_is_valid("1234567890123456789012345678901"));
	assert_false(pool_name_is_valid("12345678901234567890123456789012"));
	assert_false(pool_name_is_valid(""));
	assert_false(pool_name_is_valid("a b"));
}

static void a_list_is_read_word_by_word(void **state) {
	const char *rest = "  a,b \t ccc";
	char word[3];

	(void)state;
	assert_true(pool_next_word(&rest, word, sizeof(word)));
	assert_string_equal(word, "a");
	assert_true(pool_next_word(&rest, word, sizeof(word)));
	assert_string_equal(word, "b");
	assert_true(pool_next_word(&rest, word, sizeof(word)));
	assert_string_equal(word, "cc"); // cut
	assert_false(pool_next_word(&rest, word, sizeof(word)));
	assert_true(pool_list_has("ab abc", "abc"));
	assert_false(pool_list_has("ab abc", "a"));
	assert_false(pool_list_has("", ""));
}

static void a_pool_has_what_its_patterns_match(void **state) {
	struct pool_config pool = {
		.kind = POOL_MGMTDEVS,
		.members = "pci/0000:3b:00.2 auxiliary/mlx5_core.sf.* sim[0-9]"};

	(void)state;
	assert_true(pool_has_mgmtdev(&pool, &(struct mgmtdev_facts){.name = "pci/0000:3b:00.2"}));
	assert_true(
		pool_has_mgmtdev(&pool, &(struct mgmtdev_facts){.name = "auxiliary/mlx5_core.sf.4"})
	);
	assert_true(pool_has_mgmtdev(&pool, &(struct mgmtdev_facts){.name = "sim7"}));
	assert_false(pool_has_mgmtdev(&pool, &(struct mgmtdev_facts){.name = "pci/0000:3b:00.3"}));
	assert_false(pool_has_mgmtdev(&pool, &(struct mgmtdev_facts){.name = "simx"}));
}

static void a_pool_of_functions_has_those_of_its_pf(void **state) {
	struct mgmtdev_facts vf = {
		.name = "pci/0000:3b:00.2", .pf = "0000:3b:00.0", .function = "vf0"};
	struct mgmtdev_facts sf = {
		.name = "auxiliary/mlx5_core.sf.4", .pf = "0000:3b:00.0", .function = "sf1000000"};
	struct mgmtdev_facts alone = {.name = "vdpasim_net"};
	struct pool_config pool = {.kind = POOL_VF, .pf = "0000:3b:00.0"};

	(void)state;
	assert_true(pool_has_mgmtdev(&pool, &vf));
	assert_false(pool_has_mgmtdev(&pool, &sf));
	assert_false(pool_has_mgmtdev(&pool, &alone));
	pool.kind = POOL_SF;
	assert_true(pool_has_mgmtdev(&pool, &sf));
	assert_false(pool_has_mgmtdev(&pool, &vf));
	strcpy(pool.pf, "0000:3b:00.1");
	assert_false(pool_has_mgmtdev(&pool, &sf));
	pool.kind = POOL_DPDK;
	assert_false(pool_has_mgmtdev(&pool, &vf));
}

static void facts_tell_of_pools_their_pfs_and_ports(void **state) {
	static struct facts facts;
	struct pool_config pools[] = {
		{.name = "a", .kind = POOL_SF, .pf = "0000:3b:00.0"},
		{.name = "b", .kind = POOL_VF, .pf = "0000:3b:00.1"},
		{.name = "c", .kind = POOL_MGMTDEVS},
	};
	const struct config config = {.pools = pools, .n_pools = 3};
	char root[] = "/tmp/test_pool.XXXXXX", command[128];

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(command, sizeof(command), "mkdir -p %s/sys/bus/pci/devices/0000:3b:00.0", root);
	assert_int_equal(system(command), 0);
	pools_collect(root, &config, &facts);
	pools_collect(root, &config, &facts); // again is not more
	assert_int_equal(facts.n_pools, 3);
	assert_true(facts.pools[0].pf_is_there);
	assert_false(facts.pools[1].pf_is_there);
	assert_string_equal(facts.pools[2].config.name, "c");
	pools_count_port(&facts, "b");
	pools_count_port(&facts, "b");
	pools_count_port(&facts, "gone");
	assert_int_equal(facts.pools[0].n_ports, 0);
	assert_int_equal(facts.pools[1].n_ports, 2);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

static void a_replay_takes_the_pools_of_another_configuration(void **state) {
	static struct facts facts;
	struct pool_config old[] = {
		{.name = "a", .kind = POOL_MGMTDEVS}, {.name = "b", .kind = POOL_SF, .pf = "gone"}};
	struct pool_config new[] = {
		{.name = "c", .kind = POOL_VF, .pf = "gone"},
		{.name = "a", .kind = POOL_SF, .pf = "unknown"},
	};

	(void)state;
	pools_collect("/nonexistent", &(struct config){.pools = old, .n_pools = 2}, &facts);
	pools_count_port(&facts, "a");
	pools_replace(&(struct config){.pools = new, .n_pools = 2}, &facts);
	assert_int_equal(facts.n_pools, 2);
	assert_string_equal(facts.pools[0].config.name, "c");
	assert_false(facts.pools[0].pf_is_there);
	assert_true(facts.pools[1].pf_is_there);
	assert_int_equal(facts.pools[1].n_ports, 1);
}

static void kinds_have_names(void **state) {
	enum pool_kind kind;

	(void)state;
	for (enum pool_kind k = POOL_MGMTDEVS; k <= POOL_DPDK; k++) {
		assert_int_equal(pool_kind_parse(pool_kind_name(k), &kind), 0);
		assert_int_equal(kind, k);
	}
	assert_int_equal(pool_kind_parse("pf", &kind), -EINVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_whole_pci_addresses_are_valid),
		cmocka_unit_test(pool_names_are_short_and_plain),
		cmocka_unit_test(a_list_is_read_word_by_word),
		cmocka_unit_test(a_pool_has_what_its_patterns_match),
		cmocka_unit_test(a_pool_of_functions_has_those_of_its_pf),
		cmocka_unit_test(facts_tell_of_pools_their_pfs_and_ports),
		cmocka_unit_test(a_replay_takes_the_pools_of_another_configuration),
		cmocka_unit_test(kinds_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
