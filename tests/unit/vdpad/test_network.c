// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "vdpad/model/network.h"

struct fixture {
	struct config *config;
	struct facts facts;
	struct networks networks;
	struct error e;
};

static int setup(void **state) {
	struct fixture *f = calloc(1, sizeof(*f));

	f->config = config_new();
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;

	networks_done(&f->networks);
	config_free(f->config);
	free(f);
	return 0;
}

static void configure(struct fixture *f, const char *text) {
	config_free(f->config);
	if (config_parse("a.conf", text, &f->config, &f->e) < 0)
		fail_msg("%s", f->e.text);
}

static void add_bridge(struct fixture *f, const char *name, uint32_t mtu_bytes) {
	struct bridge_facts *bridge = &f->facts.bridges[f->facts.n_bridges++];

	str_copy(bridge->name, sizeof(bridge->name), name);
	bridge->mtu_bytes = mtu_bytes;
}

static int resolve(struct fixture *f) {
	networks_done(&f->networks);
	return networks_resolve(f->config, &f->facts, &f->networks, &f->e);
}

static void a_node_without_anything_has_a_default_network(void **state) {
	struct fixture *f = *state;

	assert_int_equal(resolve(f), 0);
	assert_int_equal(f->networks.n, 1);
	assert_string_equal(f->networks.list[0].name, "default");
	assert_string_equal(f->networks.list[0].bridge, "");
	assert_string_equal(f->networks.list[0].tap, "vdp-default");
	assert_int_equal(f->networks.list[0].mtu_bytes, 1500);
	assert_false(f->networks.list[0].configured);
}

static void each_bridge_is_a_network(void **state) {
	struct fixture *f = *state;
	const struct network *network;

	add_bridge(f, "vmbr1", 9000);
	add_bridge(f, "vmbr0", 1500);
	add_bridge(f, "vmbr2", 65521);
	assert_int_equal(resolve(f), 0);
	assert_int_equal(f->networks.n, 3);
	assert_string_equal(f->networks.list[0].name, "vmbr0");
	network = networks_find(&f->networks, "vmbr1");
	assert_string_equal(network->bridge, "vmbr1");
	assert_string_equal(network->tap, "vdp-vmbr1");
	assert_int_equal(network->mtu_bytes, 9000);
	assert_int_equal(networks_find(&f->networks, "vmbr2")->mtu_bytes, MTU_MAX);
	assert_null(networks_find(&f->networks, "default"));
}

static void a_configured_network_takes_its_bridge_from_the_automatic_ones(void **state) {
	struct fixture *f = *state;
	const struct network *network;

	configure(f, "[network fast0]\nbridge = vmbr0\nmtu = 1400\n[network vmbr1]\n");
	add_bridge(f, "vmbr0", 1500);
	add_bridge(f, "vmbr1", 2000);
	add_bridge(f, "vmbr2", 1500);
	assert_int_equal(resolve(f), 0);
	assert_int_equal(f->networks.n, 3);
	network = networks_find(&f->networks, "fast0");
	assert_string_equal(network->bridge, "vmbr0");
	assert_int_equal(network->mtu_bytes, 1400);
	assert_true(network->configured);
	network = networks_find(&f->networks, "vmbr1");
	assert_string_equal(network->bridge, "vmbr1");
	assert_int_equal(network->mtu_bytes, 2000);
	assert_false(networks_find(&f->networks, "vmbr2")->configured);

	assert_int_equal(networks_refuse(&f->networks, "vmbr0", &f->e), -ENODEV);
	assert_non_null(strstr(f->e.text, "the bridge of that name belongs to network 'fast0'"));
	assert_int_equal(networks_refuse(&f->networks, "vmbr9", &f->e), -ENODEV);
	assert_non_null(strstr(f->e.text, "vdpactl network show lists them"));
}

static void bridges_can_be_left_alone(void **state) {
	struct fixture *f = *state;

	configure(f, "[networks]\nbridges = no\n[network fast0]\n");
	add_bridge(f, "vmbr0", 1500);
	assert_int_equal(resolve(f), 0);
	assert_int_equal(f->networks.n, 1);
	assert_string_equal(f->networks.list[0].bridge, "");
	assert_string_equal(f->networks.list[0].tap, "vdp-fast0");
}

static void a_network_without_uplink_has_no_tap(void **state) {
	struct fixture *f = *state;

	configure(f, "[network vmbr0]\nuplink = none\n");
	add_bridge(f, "vmbr0", 1500);
	assert_int_equal(resolve(f), 0);
	assert_string_equal(f->networks.list[0].tap, "");
	assert_string_equal(f->networks.list[0].bridge, "");
}

static void a_missing_bridge_makes_its_network_unavailable_until_it_comes(void **state) {
	struct fixture *f = *state;
	struct networks before;

	configure(f, "[network fast0]\nbridge = vmbr9\n[network lab]\n");
	assert_int_equal(resolve(f), 0);
	assert_string_equal(f->networks.list[0].bridge, "vmbr9");
	assert_int_equal(network_check(&f->networks.list[0], &f->e), -ENODEV);
	assert_string_equal(
		f->e.text,
		"network 'fast0' is not available: there is no Linux bridge 'vmbr9' on this node"
	);
	assert_int_equal(network_check(&f->networks.list[1], &f->e), 0);

	before = f->networks;
	f->networks = (struct networks){0};
	add_bridge(f, "vmbr9", 9000);
	assert_int_equal(resolve(f), 0);
	assert_int_equal(network_check(&f->networks.list[0], &f->e), 0);
	assert_int_equal(f->networks.list[0].mtu_bytes, 9000);
	assert_false(networks_equal(&before, &f->networks));
	networks_done(&before);
}

static void a_bridge_that_was_made_again_is_another_one(void **state) {
	struct fixture *f = *state;
	struct networks before;

	add_bridge(f, "vmbr0", 1500);
	f->facts.bridges[0].index = 7;
	assert_int_equal(resolve(f), 0);
	before = f->networks;
	f->networks = (struct networks){0};
	assert_int_equal(resolve(f), 0);
	assert_true(networks_equal(&before, &f->networks));
	f->facts.bridges[0].index = 8;
	assert_int_equal(resolve(f), 0);
	assert_false(networks_equal(&before, &f->networks));
	networks_done(&before);
}

static void an_mtu_over_the_bridges_is_refused(void **state) {
	struct fixture *f = *state;

	configure(f, "[network vmbr0]\nmtu = 9000\n");
	add_bridge(f, "vmbr0", 1500);
	assert_int_equal(resolve(f), -EINVAL);
	assert_string_equal(
		f->e.text,
		"network 'vmbr0': mtu 9000 is more than the 1500 of its bridge 'vmbr0'; "
		"lower it, or raise the bridge's"
	);
}

static void long_names_get_taps_of_their_own_that_do_not_change(void **state) {
	struct fixture *f = *state;
	char first[NETWORK_NAME_SIZE];

	configure(f, "[network storage-net-01]\n[network storage-net-02]\n");
	assert_int_equal(resolve(f), 0);
	for (size_t i = 0; i < f->networks.n; i++)
		assert_in_range(strlen(f->networks.list[i].tap), 5, NETWORK_NAME_SIZE - 1);
	assert_string_not_equal(f->networks.list[0].tap, f->networks.list[1].tap);
	str_copy(first, sizeof(first), f->networks.list[1].tap);

	configure(f, "[network storage-net-02]\n");
	assert_int_equal(resolve(f), 0);
	assert_string_equal(f->networks.list[0].tap, first);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(a_node_without_anything_has_a_default_network),
		WITH_FIXTURE(each_bridge_is_a_network),
		WITH_FIXTURE(a_configured_network_takes_its_bridge_from_the_automatic_ones),
		WITH_FIXTURE(bridges_can_be_left_alone),
		WITH_FIXTURE(a_network_without_uplink_has_no_tap),
		WITH_FIXTURE(a_missing_bridge_makes_its_network_unavailable_until_it_comes),
		WITH_FIXTURE(a_bridge_that_was_made_again_is_another_one),
		WITH_FIXTURE(an_mtu_over_the_bridges_is_refused),
		WITH_FIXTURE(long_names_get_taps_of_their_own_that_do_not_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
