// SPDX-License-Identifier: GPL-2.0-or-later
// Ports in hardware behind the switch's bus interface, beside ports of the switch: a fake DPDK, a caller
// at the other end of the link.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/fallback/control_case.h"
#include "tests/unit/fallback/fake_hw.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/ipc.h"

static int setup(void **state) {
	const struct switch_network_spec network = {.mtu_bytes = 1500, .ageing_s = 300};

	(void)state;
	if (fake_hw_setup() < 0 || control_case_open(fake_hw.directory) < 0)
		return -1;
	return switch_set_network(control_case.control.sw, "net0", &network, NULL);
}

static int teardown(void **state) {
	(void)state;
	control_case_close();
	return fake_hw_teardown();
}

// A port of one queue pair on @network; @device may be NULL: without the key.
static sd_bus_message *set_port(
	const char *name, const char *network, const char *path, const char *device
) {
	sd_bus_message *m = control_case_new_named("SetPort", name);

	sd_bus_message_open_container(m, 'a', "{sv}");
	ipc_dict_add_s(m, "network", network);
	ipc_dict_add_s(m, "path", path);
	ipc_dict_add_u(m, "mtu", 1500);
	ipc_dict_add_u(m, "queue_pairs", 1);
	ipc_dict_add_u(m, "vlan", 0);
	ipc_dict_add_b(m, "link_up", true);
	ipc_dict_add_t(m, "features", FAKE_HW_VERSION_1);
	ipc_dict_add_t(m, "generation", 7);
	if (device != NULL)
		ipc_dict_add_s(m, "device", device);
	sd_bus_message_close_container(m);
	return m;
}

static sd_bus_message *del_port(const char *name) {
	return control_case_new_named("DelPort", name);
}

// The only dictionary of @answer, which may be asked again.
static void expect_only_entry(
	sd_bus_message *answer, const char *name, const char *key, const char *value
) {
	assert_true(sd_bus_message_rewind(answer, true) >= 0);
	expect_entry(answer, name, key, value);
}

static void port_with_a_device_is_listed_counted_and_deleted(void **state) {
	struct switch_port_view port;
	sd_bus_message *answer;

	(void)state;
	// The switch need not know the network: it forwards nothing there.
	expect_success(set_port("p1", "net9", control_case.path, FAKE_HW_DEVICE));
	expect_success(set_port("p1", "net9", control_case.path, FAKE_HW_DEVICE));
	assert_false(switch_view_port(control_case.control.sw, 0, &port));
	answer = control_case_call(control_case_new("Stats"));
	expect_only_entry(answer, "p1", "network", "net9");
	expect_only_entry(answer, "p1", "connects", "0");
	expect_only_entry(answer, "p1", "hw_received_descriptors", "300");
	expect_only_entry(answer, "p1", "hw_received_descriptors_ring1", "200");
	sd_bus_message_unref(answer);
	expect_success(del_port("p1"));
	assert_false(hw_vdpa_has_port(control_case.control.hw, "p1"));
	expect_success(del_port("p1"));
}

// List() has two dictionaries; only the second one has the device.
static void list_has_the_device_of_ports_in_hardware_only(void **state) {
	char path[80];
	sd_bus_message *answer;
	const char *text;
	int n_with = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s.2", control_case.path);
	expect_success(set_port("p1", "net0", control_case.path, FAKE_HW_DEVICE));
	expect_success(set_port("p2", "net0", path, NULL));
	answer = control_case_call(control_case_new("List"));
	assert_true(sd_bus_message_has_signature(answer, "a{sa{sv}}a{sa{sv}}"));
	assert_true(sd_bus_message_skip(answer, "a{sa{sv}}") > 0);
	assert_true(sd_bus_message_enter_container(answer, 'a', "{sa{sv}}") > 0);
	while (sd_bus_message_enter_container(answer, 'e', "sa{sv}") > 0) {
		const char *name, *key;

		assert_true(sd_bus_message_read(answer, "s", &name) > 0);
		assert_true(sd_bus_message_enter_container(answer, 'a', "{sv}") > 0);
		while (sd_bus_message_enter_container(answer, 'e', "sv") > 0) {
			assert_true(sd_bus_message_read(answer, "s", &key) > 0);
			if (strcmp(key, "device") == 0) {
				assert_string_equal(name, "p1");
				assert_true(sd_bus_message_read(answer, "v", "s", &text) > 0);
				assert_string_equal(text, FAKE_HW_DEVICE);
				n_with++;
			} else {
				assert_true(sd_bus_message_skip(answer, "v") > 0);
			}
			sd_bus_message_exit_container(answer);
		}
		sd_bus_message_exit_container(answer);
		sd_bus_message_exit_container(answer);
	}
	assert_int_equal(n_with, 1);
	sd_bus_message_unref(answer);
}

static void port_cannot_change_between_hardware_and_software(void **state) {
	(void)state;
	expect_success(set_port("p1", "net0", control_case.path, ""));
	expect_error(set_port("p1", "net0", control_case.path, FAKE_HW_DEVICE), EEXIST, "device");
	expect_success(del_port("p1"));
	expect_success(set_port("p1", "net0", control_case.path, FAKE_HW_DEVICE));
	expect_error(set_port("p1", "net0", control_case.path, NULL), EEXIST, "device");
}

static void reason_of_a_refusal_reaches_the_caller(void **state) {
	(void)state;
	fake_hw_unplug(FAKE_HW_DEVICE);
	expect_error(
		set_port("p1", "net0", control_case.path, FAKE_HW_DEVICE), ENXIO,
		"there is no PCI device"
	);
	expect_error(
		set_port("p1", "net0", control_case.path, "eth0"), EINVAL,
		"'eth0' is no PCI address"
	);
}

static void devices_are_listed_with_what_they_can_and_who_has_them(void **state) {
	sd_bus_message *answer;

	(void)state;
	assert_int_equal(hw_vdpa_set_devices(control_case.control.hw, FAKE_HW_DEVICE, NULL), 0);
	answer = control_case_call(control_case_new("ListHwVdpa"));
	assert_true(sd_bus_message_has_signature(answer, "a{sa{sv}}"));
	expect_only_entry(answer, FAKE_HW_DEVICE, "driver", "ifc");
	expect_only_entry(answer, FAKE_HW_DEVICE, "max_queue_pairs", "4");
	expect_only_entry(answer, FAKE_HW_DEVICE, "features", "4299161603"); // VERSION_1, MQ, 0, 1
	expect_only_entry(answer, FAKE_HW_DEVICE, "in_use_by", "");
	expect_only_entry(answer, FAKE_HW_DEVICE, "reason", "");
	sd_bus_message_unref(answer);
	expect_success(set_port("p1", "net0", control_case.path, FAKE_HW_DEVICE));
	answer = control_case_call(control_case_new("ListHwVdpa"));
	expect_only_entry(answer, FAKE_HW_DEVICE, "in_use_by", "p1");
	sd_bus_message_unref(answer);
	expect_error(
		set_port("p2", "net0", "/tmp/vdpad-none.sock", FAKE_HW_DEVICE), EEXIST,
		"in use by port 'p1'"
	);
}

static int on_port_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *name, *detail;
	uint64_t generation;
	int connected;

	(void)ret_error;
	assert_true(sd_bus_message_read(m, "stbs", &name, &generation, &connected, &detail) >= 0);
	assert_string_equal(name, "p1");
	assert_int_equal(generation, 7);
	snprintf(userdata, HW_DETAIL_SIZE, "%s%s", connected ? "connected: " : "", detail);
	return 0;
}

static int on_hw_changed(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	(void)source, (void)fd, (void)revents, (void)userdata;
	hw_vdpa_check(control_case.control.hw, false);
	control_announce_changes(control_case.link, &control_case.control);
	return 0;
}

static void wait_for(const char *detail, const char *expected) {
	while (strcmp(detail, expected) != 0)
		assert_true(sd_event_run(control_case.event, UINT64_MAX) >= 0);
}

static void guest_and_loss_of_the_device_are_announced(void **state) {
	char detail[HW_DETAIL_SIZE] = "";
	sd_event_source *source;

	(void)state;
	sd_bus_match_signal(
		control_case.caller, NULL, NULL, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, "PortChanged",
		on_port_changed, detail
	);
	sd_event_add_io(
		control_case.event, &source, hw_vdpa_changed_fd(control_case.control.hw), EPOLLIN,
		on_hw_changed, NULL
	);
	expect_success(set_port("p1", "net0", control_case.path, FAKE_HW_DEVICE));
	assert_int_equal(fake_hw_connect(), 0);
	wait_for(detail, "peer connected, guest driver not ready");
	fake_hw_start_driver();
	wait_for(detail, "connected: the guest's driver runs on " FAKE_HW_DEVICE);
	fake_hw.watching->unplug_requested(FAKE_HW_DEVICE);
	wait_for(detail, FAKE_HW_DEVICE " was unplugged");
	sd_event_source_unref(source);
}

#define CONTROL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		CONTROL_TEST(port_with_a_device_is_listed_counted_and_deleted),
		CONTROL_TEST(list_has_the_device_of_ports_in_hardware_only),
		CONTROL_TEST(port_cannot_change_between_hardware_and_software),
		CONTROL_TEST(reason_of_a_refusal_reaches_the_caller),
		CONTROL_TEST(devices_are_listed_with_what_they_can_and_who_has_them),
		CONTROL_TEST(guest_and_loss_of_the_device_are_announced),
	};

	return cmocka_run_group_tests(tests, test_workers_setup, test_workers_teardown);
}
