// SPDX-License-Identifier: GPL-2.0-or-later

#include "netlink/netif.h"
#include "tests/unit/unit.h"

static void is_entry(const struct bridge_vlan_info *entry, uint16_t vid, uint16_t flags) {
	assert_int_equal(entry->vid, vid);
	assert_int_equal(entry->flags, flags);
}

static void the_untagged_vlan_is_left_as_the_bridge_has_it(void **state) {
	struct bridge_vlan_info entries[NETIF_VLAN_ENTRIES];

	(void)state;
	assert_int_equal(netif_vlan_ranges(1, entries), 2);
	is_entry(&entries[0], 2, BRIDGE_VLAN_INFO_RANGE_BEGIN);
	is_entry(&entries[1], 4094, BRIDGE_VLAN_INFO_RANGE_END);

	assert_int_equal(netif_vlan_ranges(10, entries), 4);
	is_entry(&entries[0], 1, BRIDGE_VLAN_INFO_RANGE_BEGIN);
	is_entry(&entries[1], 9, BRIDGE_VLAN_INFO_RANGE_END);
	is_entry(&entries[2], 11, BRIDGE_VLAN_INFO_RANGE_BEGIN);
	is_entry(&entries[3], 4094, BRIDGE_VLAN_INFO_RANGE_END);
}

static void a_range_of_one_vlan_is_no_range(void **state) {
	struct bridge_vlan_info entries[NETIF_VLAN_ENTRIES];

	(void)state;
	assert_int_equal(netif_vlan_ranges(2, entries), 3);
	is_entry(&entries[0], 1, 0);
	assert_int_equal(netif_vlan_ranges(4093, entries), 3);
	is_entry(&entries[2], 4094, 0);
}

static void the_ends_of_the_vlan_space_are_kept(void **state) {
	struct bridge_vlan_info entries[NETIF_VLAN_ENTRIES];

	(void)state;
	assert_int_equal(netif_vlan_ranges(0, entries), 2);
	is_entry(&entries[0], 1, BRIDGE_VLAN_INFO_RANGE_BEGIN);
	is_entry(&entries[1], 4094, BRIDGE_VLAN_INFO_RANGE_END);
	assert_int_equal(netif_vlan_ranges(4094, entries), 2);
	is_entry(&entries[1], 4093, BRIDGE_VLAN_INFO_RANGE_END);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_untagged_vlan_is_left_as_the_bridge_has_it),
		cmocka_unit_test(a_range_of_one_vlan_is_no_range),
		cmocka_unit_test(the_ends_of_the_vlan_space_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
