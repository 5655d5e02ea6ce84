// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/model/port.h"
#include "vdpad/util/cleanup.h"

static void refuses(const char *key, const char *value, const char *sentence) {
	struct port_spec spec = {0}, before = spec;
	struct error e;

	assert_int_equal(port_spec_set(&spec, key, value, &e), -EINVAL);
	assert_string_equal(e.text, sentence);
	assert_memory_equal(&spec, &before, sizeof(spec));
}

static void spec_refuses_what_is_wrong_and_says_what_is_right(void **state) {
	(void)state;
	refuses("vlan", "4095", "vlan '4095' is out of range: 1 to 4094, or none");
	refuses("vlan", "0", "vlan '0' is out of range: 1 to 4094, or none");
	refuses("vlan", "-1", "vlan '-1' is not a number: 1 to 4094, or none");
	refuses("vlan", "", "vlan '' is not a number: 1 to 4094, or none");
	refuses("mtu", "0", "mtu '0' is out of range: 68 to 9000");
	refuses("mtu", "67", "mtu '67' is out of range: 68 to 9000");
	refuses("mtu", "9001", "mtu '9001' is out of range: 68 to 9000");
	refuses("queue_pairs", "0", "queue_pairs '0' is out of range: 1 to 256");
	refuses("queue_pairs", "99999999999999999999999",
	        "queue_pairs '99999999999999999999999' is out of range: 1 to 256");
	refuses("mac", "52:54:00:12:34",
	        "mac '52:54:00:12:34' is no MAC address: like "
	        "52:54:00:12:34:56");
	refuses("mac", "01:00:5e:00:00:01",
	        "mac '01:00:5e:00:00:01' is a multicast address: the first octet must be even, as "
	        "in "
	        "52:54:00:12:34:56");
	refuses("mac", "ff:ff:ff:ff:ff:ff",
	        "mac 'ff:ff:ff:ff:ff:ff' is a multicast address: the first octet must be even, as "
	        "in "
	        "52:54:00:12:34:56");
	refuses("mac", "00:00:00:00:00:00",
	        "mac '00:00:00:00:00:00' is all zero: give another one, or none to have one made");
	refuses("network", "a/b",
	        "network 'a/b' is no network name: 1 to 15 of letters, digits, "
	        "'.', '_', '-'");
	refuses("policy", "best",
	        "policy 'best' is unknown: auto, hardware, software, vdpa, dpdk-vdpa, "
	        "switch or external");
	refuses("trunks", "10-5",
	        "trunks '10-5' is no list of VLANs, such as 10,20-29 (1 to 4094), or none");
	refuses("trunks", "1,,2",
	        "trunks '1,,2' is no list of VLANs, such as 10,20-29 (1 to 4094), or none");
	refuses("trunks", "4095",
	        "trunks '4095' is no list of VLANs, such as 10,20-29 (1 to 4094), or none");
	refuses("rate", "10m", "rate '10m' is no rate: bits in a second, such as 10mbit, or none");
	refuses("rate", "0", "rate '0' is out of range: bits in a second, such as 10mbit, or none");
	refuses("rate", "2000tbit",
	        "rate '2000tbit' is out of range: bits in a second, such as 10mbit, or none");
	refuses("socket", "/run/x.sock",
	        "socket '/run/x.sock' is no name of one: 1 to 32 of a-z 0-9 . _ -, the first a "
	        "letter or digit, as in [socket NAME] of the configuration");
	refuses("link", "UP", "link 'UP' is neither up nor down");
	refuses("lifetime", "ever", "lifetime 'ever' is neither runtime nor persistent");
	refuses("colour", "red",
	        "key 'colour' is unknown: network, mac, mtu, queue_pairs, vlan, "
	        "trunks, rate, policy, socket, profile, link or lifetime");
}

static void spec_unknown_profile_names_the_known_ones(void **state) {
	struct port_spec spec = {0};
	struct error e;

	(void)state;
	assert_int_equal(port_spec_set(&spec, "profile", "fast-999", &e), -EINVAL);
	assert_non_null(strstr(e.text, "profile 'fast-999' is unknown: there is "));
	assert_non_null(strstr(e.text, profiles[0].name));
}

static void spec_get_gives_back_what_set_took(void **state) {
	static const char *const values[][2] = {
		{"network", "vmbr0"}, {"mac", "52:54:00:12:34:56"},
		{"mtu", "1400"},      {"queue_pairs", "4"},
		{"vlan", "4094"},     {"trunks", "10,20-29"},
		{"rate", "10mbit"},   {"policy", "external"},
		{"socket", "vpp0"},   {"profile", "fast-1"},
		{"link", "down"},     {"lifetime", "persistent"},
	};
	struct port_spec spec = {.link_up = true};
	char text[PORT_VALUE_SIZE];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		assert_int_equal(port_spec_set(&spec, values[i][0], values[i][1], NULL), 0);
		assert_int_equal(port_spec_get(&spec, values[i][0], text, sizeof(text)), 0);
		assert_string_equal(text, values[i][1]);
		assert_string_equal(port_spec_keys[i], values[i][0]);
		assert_non_null(port_spec_key_help(values[i][0]));
	}
	while (port_spec_keys[n] != NULL)
		n++;
	assert_int_equal(n, ARRAY_LEN(values));
	assert_int_equal(spec.keys, (1 << 12) - 1);
	assert_int_equal(port_spec_get(&spec, "colour", text, sizeof(text)), -EINVAL);
	assert_null(port_spec_key_help("colour"));
	assert_int_equal(port_spec_key_bit("colour"), 0);
}

static void spec_vlan_none_takes_the_vlan_away(void **state) {
	struct port_spec spec = {.vlan = 7};

	(void)state;
	assert_int_equal(port_spec_set(&spec, "vlan", "none", NULL), 0);
	assert_int_equal(spec.vlan, 0);
	assert_int_equal(spec.keys, PORT_KEY_VLAN);
}

static void spec_trunks_and_rate_have_one_form_each(void **state) {
	static const char *const forms[][3] = {
		{"trunks", "30,20-29,21,40", "20-30,40"},
		{"trunks", "4094,1", "1,4094"},
		{"trunks", "none", "none"},
		{"rate", "10000kbit", "10mbit"},
		{"rate", "1500", "1500bit"},
		{"rate", "none", "none"},
	};
	struct port_spec spec = {0};
	char text[PORT_VALUE_SIZE], long_list[1024] = "1";
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		assert_int_equal(port_spec_set(&spec, forms[i][0], forms[i][1], NULL), 0);
		assert_int_equal(port_spec_get(&spec, forms[i][0], text, sizeof(text)), 0);
		assert_string_equal(text, forms[i][2]);
	}
	for (int vlan = 3; vlan < 300; vlan += 2)
		sprintf(long_list + strlen(long_list), ",%d", vlan);
	assert_int_equal(port_spec_set(&spec, "trunks", long_list, &e), -EINVAL);
	assert_non_null(strstr(e.text, "trunks have too many ranges: 1,3,"));
	assert_string_equal(spec.trunks, "");
}

static void spec_socket_asks_for_policy_external(void **state) {
	struct port_spec defaults = {.policy = POLICY_HARDWARE}, spec = {.name = "vm1"};

	(void)state;
	assert_int_equal(port_spec_set(&spec, "socket", "vpp0", NULL), 0);
	port_spec_fill(&spec, &defaults);
	assert_int_equal(spec.policy, POLICY_EXTERNAL);
	assert_int_equal(port_spec_set(&spec, "policy", "switch", NULL), 0);
	port_spec_fill(&spec, &defaults);
	assert_int_equal(spec.policy, POLICY_SWITCH); // said, so that it can be refused
}

static void spec_fill_takes_only_what_was_not_set(void **state) {
	struct port_spec defaults = {
		.queue_pairs = 2,
		.vlan = 5,
		.policy = POLICY_SOFTWARE,
		.profile = "fast-1",
		.link_up = true,
		.keys = PORT_KEY_POLICY};
	struct port_spec spec = {.name = "vm1"};

	(void)state;
	assert_int_equal(port_spec_set(&spec, "vlan", "10", NULL), 0);
	assert_int_equal(port_spec_set(&spec, "link", "down", NULL), 0);
	port_spec_fill(&spec, &defaults);
	assert_string_equal(spec.name, "vm1");
	assert_int_equal(spec.vlan, 10);
	assert_false(spec.link_up);
	assert_int_equal(spec.queue_pairs, 2);
	assert_int_equal(spec.policy, POLICY_SOFTWARE);
	assert_string_equal(spec.profile, "fast-1");
	assert_int_equal(spec.keys, PORT_KEY_VLAN | PORT_KEY_LINK);
}

static void spec_difference_compares_only_what_the_request_sets(void **state) {
	struct port_spec existing = {.network = "vmbr0", .vlan = 10, .mtu_bytes = 1500};
	struct port_spec request = {0};

	(void)state;
	assert_null(port_spec_difference(&request, &existing));
	port_spec_set(&request, "vlan", "10", NULL);
	assert_null(port_spec_difference(&request, &existing));
	port_spec_set(&request, "mtu", "1400", NULL);
	assert_string_equal(port_spec_difference(&request, &existing), "mtu");
	port_spec_set(&request, "network", "vmbr1", NULL);
	assert_string_equal(port_spec_difference(&request, &existing), "network");
}

static void names_of_policies_and_backends_parse_back(void **state) {
	enum backend_kind backend;
	enum policy policy;

	(void)state;
	for (enum policy p = POLICY_AUTO; p <= POLICY_SWITCH; p++) {
		assert_int_equal(policy_parse(policy_name(p), &policy), 0);
		assert_int_equal(policy, p);
	}
	for (enum backend_kind b = BACKEND_NONE; b <= BACKEND_SWITCH; b++) {
		assert_int_equal(backend_parse(backend_name(b), &backend), 0);
		assert_int_equal(backend, b);
	}
	assert_int_equal(policy_parse("none", &policy), -EINVAL);
	assert_int_equal(backend_parse("auto", &backend), -EINVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_refuses_what_is_wrong_and_says_what_is_right),
		cmocka_unit_test(spec_unknown_profile_names_the_known_ones),
		cmocka_unit_test(spec_get_gives_back_what_set_took),
		cmocka_unit_test(spec_vlan_none_takes_the_vlan_away),
		cmocka_unit_test(spec_trunks_and_rate_have_one_form_each),
		cmocka_unit_test(spec_socket_asks_for_policy_external),
		cmocka_unit_test(spec_fill_takes_only_what_was_not_set),
		cmocka_unit_test(spec_difference_compares_only_what_the_request_sets),
		cmocka_unit_test(names_of_policies_and_backends_parse_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
