// SPDX-License-Identifier: GPL-2.0-or-later
// Ports in hardware over a DPDK that fails on request: what is done in which order, what is undone, and
// what becomes of a port whose peer comes and goes.

#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fallback/hw_vdpa.h"
#include "tests/unit/fallback/fake_hw.h"
#include "tests/unit/fallback/hw_case.h"
#include "vdpad/util/cleanup.h"

// Coming and going of a port

static void port_takes_its_device_and_then_listens(void **state) {
	struct guest_port_spec spec = hw_case_good_spec();
	struct hw_port_view view;
	struct stat st;

	(void)state;
	hw_vdpa_set_socket_owner(hw_case.hw, (gid_t)-1, 0640);
	assert_int_equal(hw_vdpa_set_port(hw_case.hw, "p1", &spec, NULL), 0);
	assert_string_equal(fake_hw.log, HW_CASE_START);
	assert_int_equal(stat(hw_case.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(hw_vdpa_has_port(hw_case.hw, "p1"));
	assert_false(hw_vdpa_next_changed_port(hw_case.hw, &view)); // the caller knows already
	assert_true(hw_vdpa_view_port(hw_case.hw, 0, &view));
	assert_string_equal(view.spec.device, FAKE_HW_DEVICE);
	assert_string_equal(view.spec.path, hw_case.path);
	assert_string_equal(view.spec.network, "net0");
	assert_int_equal(view.spec.generation, 7);
	hw_case_expect_status(false, "no VM is attached");
}

static void socket_goes_before_the_device(void **state) {
	(void)state;
	hw_case_add_port();
	assert_int_equal(fake_hw_connect(), 0);
	fake_hw_start_driver();
	hw_vdpa_del_port(hw_case.hw, "p1");
	assert_string_equal(fake_hw.log, HW_CASE_STOP);
	assert_int_equal(access(hw_case.path, F_OK), -1);
	assert_false(hw_vdpa_has_port(hw_case.hw, "p1"));
	hw_vdpa_del_port(hw_case.hw, "p1"); // no such port is success
	assert_string_equal(fake_hw.log, HW_CASE_STOP);
}

static void end_of_the_switch_gives_all_devices_back(void **state) {
	(void)state;
	hw_case_add_port();
	assert_int_equal(fake_hw_connect(), 0);
	hw_vdpa_free(hw_case.hw);
	assert_string_equal(fake_hw.log, HW_CASE_STOP);
	hw_case.hw = fake_hw_new(hw_case.event, true); // another one may follow
	assert_non_null(hw_case.hw);
}

static void each_step_that_fails_undoes_those_before(void **state) {
	static const struct {
		const char *call, *log;
		int code;
	} cases[] = {
		{"probe", "probe ", EIO},
		{"read_limits", "probe read_limits remove ", EIO},
		{"watch", "probe read_limits watch remove ", EIO},
		{"add_socket", "probe read_limits watch add_socket unwatch remove ", EPERM},
		{"attach", "probe read_limits watch add_socket attach " HW_CASE_STOP, EIO},
		{"allow_features",
	         "probe read_limits watch add_socket attach allow_features " HW_CASE_STOP, EIO},
		{"listen_to",
	         "probe read_limits watch add_socket attach allow_features listen_to " HW_CASE_STOP,
	         EIO},
		{"start", HW_CASE_START HW_CASE_STOP, EIO},
	};
	struct guest_port_spec spec = hw_case_good_spec();
	struct hw_port_view view;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fake_hw.log[0] = '\0';
		fake_hw.failing = cases[i].call;
		hw_case_expect_refusal("p1", &spec, cases[i].code, "");
		assert_string_equal(fake_hw.log, cases[i].log);
		assert_false(hw_vdpa_view_port(hw_case.hw, 0, &view));
		assert_int_equal(fake_hw.n_probed, 0);
	}
	fake_hw.failing = NULL;
	assert_int_equal(hw_vdpa_set_port(hw_case.hw, "p1", &spec, NULL), 0);
}

static void somebody_elses_socket_is_left_and_the_device_given_back(void **state) {
	struct guest_port_spec spec = hw_case_good_spec();

	(void)state;
	fake_hw_create("p1.sock"); // no socket
	hw_case_expect_refusal("p1", &spec, EEXIST, "no socket");
	assert_string_equal(fake_hw.log, "probe read_limits watch unwatch remove ");
	assert_int_equal(access(hw_case.path, F_OK), 0);
}

static void socket_that_cannot_be_granted_ends_the_port(void **state) {
	struct guest_port_spec spec = hw_case_good_spec();

	(void)state;
	fake_hw.no_file = true; // somebody removes it at the wrong time
	hw_case_expect_refusal("p1", &spec, ENOENT, hw_case.path);
	assert_string_equal(fake_hw.log, HW_CASE_START HW_CASE_STOP);
}

// What is asked for

static void same_port_again_is_success_and_another_is_refused(void **state) {
	struct guest_port_spec spec = hw_case_good_spec();
	char other_path[80];

	(void)state;
	hw_case_add_port();
	assert_int_equal(hw_vdpa_set_port(hw_case.hw, "p1", &spec, NULL), 0);
	snprintf(other_path, sizeof(other_path), "%s.2", hw_case.path);
#define REFUSED(member, value)                                     \
	do {                                                       \
		spec = hw_case_good_spec();                        \
		spec.member = value;                               \
		hw_case_expect_refusal("p1", &spec, EEXIST, "p1"); \
	} while (0)
	REFUSED(device, HW_CASE_OTHER_DEVICE);
	REFUSED(network, "net1");
	REFUSED(path, other_path);
	REFUSED(mtu_bytes, 1400);
	REFUSED(queue_pairs, 1);
	REFUSED(features, 1);
	REFUSED(generation, 8);
#undef REFUSED
	spec = hw_case_good_spec();
	spec.path = other_path;
	hw_case_expect_refusal("p2", &spec, EEXIST, "in use by port 'p1'");
	assert_string_equal(fake_hw.log, "");
}

static void what_a_device_cannot_do_is_refused(void **state) {
	struct guest_port_spec spec;

	(void)state;
#define REFUSED(member, value, code, word)                       \
	do {                                                     \
		spec = hw_case_good_spec();                      \
		spec.member = value;                             \
		hw_case_expect_refusal("p1", &spec, code, word); \
	} while (0)
	REFUSED(vlan, 10, EOPNOTSUPP, "vf N vlan 10");
	REFUSED(link_up, false, EOPNOTSUPP, "link");
	REFUSED(device, "3b:00.2", EINVAL, "PCI address");
	REFUSED(path, "p1.sock", EINVAL, "absolute");
	REFUSED(mtu_bytes, 67, EINVAL, "mtu");
	REFUSED(queue_pairs, 0, EINVAL, "queue_pairs");
	REFUSED(network, "a/b", EINVAL, "a/b");
	assert_string_equal(fake_hw.log, ""); // all that without touching it
	REFUSED(device, HW_CASE_OTHER_DEVICE, ENXIO, "no PCI device");
	REFUSED(queue_pairs, 5, EOPNOTSUPP, "has 4 queue pairs, 5 are asked for");
	REFUSED(features, 1, EOPNOTSUPP, "MQ"); // two pairs
	fake_hw.limits.protocol_features = 0;
	REFUSED(generation, 7, EOPNOTSUPP, "MQ");
	fake_hw.limits.features &= ~FAKE_HW_VERSION_1;
	REFUSED(queue_pairs, 1, EOPNOTSUPP, "virtio 1.0");
#undef REFUSED
	spec = hw_case_good_spec();
	hw_case_expect_refusal("Bad/Name", &spec, EINVAL, "Bad/Name");
	assert_int_equal(fake_hw.n_probed, 0);
}

static void only_the_features_asked_for_and_the_transport_are_offered(void **state) {
	(void)state;
	hw_case_add_port();
	assert_int_equal(
		fake_hw.allowed_features,
		FAKE_HW_MQ | 1 | FAKE_HW_VERSION_1 | UINT64_C(1) << 26 | UINT64_C(1) << 27 |
			UINT64_C(1) << 30
	);
}

// Peers

static void peers_come_and_go_and_each_change_is_told(void **state) {
	struct hw_port_view view;

	(void)state;
	hw_case_add_port();
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(fake_hw_connect(), 0);
		hw_case_expect_status(false, "guest driver not ready");
		hw_case_expect_one_change();
		fake_hw_start_driver();
		hw_case_expect_status(true, FAKE_HW_DEVICE);
		hw_case_expect_one_change();
		fake_hw_stop_driver();
		hw_case_expect_status(false, "guest driver not ready");
		hw_case_expect_one_change();
		fake_hw_disconnect();
		hw_case_expect_status(false, "no VM is attached");
		hw_case_expect_one_change();
		assert_true(hw_vdpa_view_port(hw_case.hw, 0, &view));
		assert_int_equal(view.connects, i);
	}
	assert_string_equal(fake_hw.log, ""); // the library does the rest
}

static void second_peer_is_turned_away_until_the_first_has_left(void **state) {
	struct hw_port_view view;

	(void)state;
	hw_case_add_port();
	assert_int_equal(fake_hw_connect(), 0);
	assert_int_equal(fake_hw_connect(), -1);
	assert_true(hw_vdpa_view_port(hw_case.hw, 0, &view));
	assert_int_equal(view.connects, 1);
	fake_hw_disconnect();
	assert_int_equal(fake_hw_connect(), 0);
}

static void word_about_an_unknown_socket_or_device_is_ignored(void **state) {
	const struct hw_events *events;
	char path[sizeof(fake_hw.path)];

	(void)state;
	hw_case_add_port();
	events = fake_hw.events;
	strcpy(path, fake_hw.path);
	assert_int_equal(events->peer_came("/nowhere"), -1);
	events->driver_ready("/nowhere");
	events->peer_left("/nowhere");
	events->unplug_requested(HW_CASE_OTHER_DEVICE);
	hw_case_expect_status(false, "no VM is attached");
	hw_vdpa_del_port(hw_case.hw, "p1");
	assert_int_equal(events->peer_came(path), -1); // too late
	hw_vdpa_free(hw_case.hw);
	hw_case.hw = NULL;
	events->driver_ready(path);
	events->unplug_requested(FAKE_HW_DEVICE);
}

static void *be_a_restless_guest(void *userdata) {
	const struct hw_events *events = userdata;

	for (int i = 0; i < 2000; i++) {
		if (events->peer_came(hw_case.path) < 0)
			continue;
		events->driver_ready(hw_case.path);
		events->driver_gone(hw_case.path);
		events->peer_left(hw_case.path);
	}
	return NULL;
}

static void port_comes_and_goes_while_peers_do(void **state) {
	struct guest_port_spec spec = hw_case_good_spec();
	struct hw_port_view view;
	pthread_t thread;

	(void)state;
	hw_case_add_port();
	assert_int_equal(
		pthread_create(&thread, NULL, be_a_restless_guest, (void *)fake_hw.events), 0
	);
	for (int i = 0; i < 200; i++) {
		hw_vdpa_del_port(hw_case.hw, "p1");
		assert_int_equal(hw_vdpa_set_port(hw_case.hw, "p1", &spec, NULL), 0);
		while (hw_vdpa_next_changed_port(hw_case.hw, &view))
			assert_string_equal(view.name, "p1");
	}
	pthread_join(thread, NULL);
	hw_vdpa_del_port(hw_case.hw, "p1");
	assert_false(hw_vdpa_view_port(hw_case.hw, 0, &view));
}

#define HW_TEST(name) cmocka_unit_test_setup_teardown(name, hw_case_setup, hw_case_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		HW_TEST(port_takes_its_device_and_then_listens),
		HW_TEST(socket_goes_before_the_device),
		HW_TEST(end_of_the_switch_gives_all_devices_back),
		HW_TEST(each_step_that_fails_undoes_those_before),
		HW_TEST(somebody_elses_socket_is_left_and_the_device_given_back),
		HW_TEST(socket_that_cannot_be_granted_ends_the_port),
		HW_TEST(same_port_again_is_success_and_another_is_refused),
		HW_TEST(what_a_device_cannot_do_is_refused),
		HW_TEST(only_the_features_asked_for_and_the_transport_are_offered),
		HW_TEST(peers_come_and_go_and_each_change_is_told),
		HW_TEST(second_peer_is_turned_away_until_the_first_has_left),
		HW_TEST(word_about_an_unknown_socket_or_device_is_ignored),
		HW_TEST(port_comes_and_goes_while_peers_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
