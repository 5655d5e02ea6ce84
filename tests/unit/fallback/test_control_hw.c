// SPDX-License-Identifier: GPL-2.0-or-later
// Ports in hardware behind the switch's bus interface, beside ports of the switch: a fake DPDK, a caller
// at the other end of the link.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fallback/control.h"
#include "tests/unit/fallback/fake_hw.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

static struct {
	sd_event *event;
	struct workers *workers;
	struct control control;
	sd_bus *link;   // of the switch
	sd_bus *caller; // vdpad's
	char path[64];  // of port p1
} t;

static int group_setup(void **state) {
	const int cpus[] = {-1};
	int r = frames_setup(state);

	return r < 0 ? r : workers_new(cpus, ARRAY_LEN(cpus), &t.workers, NULL);
}

static int group_teardown(void **state) {
	(void)state;
	workers_free(t.workers);
	return 0;
}

// Two ends of a link in one thread: none may wait for the other while it starts.
static int setup(void **state) {
	const struct switch_network_spec network = {.mtu_bytes = 1500, .ageing_s = 300};
	int pair[2];

	(void)state;
	if (fake_hw_setup() < 0 || sd_event_new(&t.event) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	snprintf(t.path, sizeof(t.path), "%s/p1.sock", fake_hw.directory);
	t.control.hw = fake_hw_new(t.event, true);
	if (t.control.hw == NULL || switch_new(t.workers, t.event, &t.control.sw, NULL) < 0 ||
	    link_accept(pair[1], t.event, &t.caller) < 0 || sd_bus_new(&t.link) < 0 ||
	    sd_bus_set_fd(t.link, pair[0], pair[0]) < 0 || sd_bus_start(t.link) < 0 ||
	    sd_bus_attach_event(t.link, t.event, 0) < 0)
		return -1;
	// A call that comes together with the last word of the handshake would not be seen at once.
	while (sd_bus_is_ready(t.link) == 0) {
		if (sd_event_run(t.event, UINT64_MAX) < 0)
			return -1;
	}
	if (switch_set_network(t.control.sw, "net0", &network, NULL) < 0)
		return -1;
	return control_attach(t.link, &t.control) < 0 ? -1 : 0;
}

static int teardown(void **state) {
	(void)state;
	sd_bus_flush_close_unref(t.caller);
	sd_bus_flush_close_unref(t.link);
	hw_vdpa_free(t.control.hw);
	switch_free(t.control.sw);
	sd_event_unref(t.event);
	return fake_hw_teardown();
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	*(sd_bus_message **)userdata = sd_bus_message_ref(m);
	return 0;
}

// Send @m (consumed) and run both ends until the answer is there.
static sd_bus_message *call(sd_bus_message *m) {
	sd_bus_message *answer = NULL;

	assert_true(sd_bus_call_async(t.caller, NULL, m, on_answer, &answer, 10000000) >= 0);
	while (answer == NULL)
		assert_true(sd_event_run(t.event, UINT64_MAX) >= 0);
	sd_bus_message_unref(m);
	return answer;
}

static sd_bus_message *request(const char *method) {
	sd_bus_message *m = NULL;

	assert_true(
		sd_bus_message_new_method_call(
			t.caller, &m, NULL, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, method
		) >= 0
	);
	return m;
}

// @code 0: success. Else the error's name is that of @code and its text contains @word.
static void expect(sd_bus_message *m, int code, const char *word) {
	sd_bus_message *answer = call(m);
	const sd_bus_error *error = sd_bus_message_get_error(answer);

	if (code == 0 && error != NULL)
		fail_msg("%s", error->message);
	if (code != 0) {
		assert_non_null(error);
		assert_string_equal(error->name, error_dbus_name(code));
		if (strstr(error->message, word) == NULL)
			fail_msg("'%s' lacks '%s'", error->message, word);
	}
	sd_bus_message_unref(answer);
}

// A port of one queue pair on @network; @device may be NULL: without the key.
static sd_bus_message *set_port(
	const char *name, const char *network, const char *path, const char *device
) {
	sd_bus_message *m = request("SetPort");

	sd_bus_message_append(m, "s", name);
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
	sd_bus_message *m = request("DelPort");

	sd_bus_message_append(m, "s", name);
	return m;
}

// The dictionary @answer has one entry, @name, in which @key has the @value, as text.
static void expect_entry(
	sd_bus_message *answer, const char *name, const char *key, const char *value
) {
	const char *got, *type, *text;
	char number[32] = "";
	uint64_t t64;
	uint32_t u32;

	assert_true(sd_bus_message_rewind(answer, true) >= 0);
	assert_true(sd_bus_message_enter_container(answer, 'a', "{sa{sv}}") > 0);
	assert_true(sd_bus_message_enter_container(answer, 'e', "sa{sv}") > 0);
	assert_true(sd_bus_message_read(answer, "s", &got) > 0);
	assert_string_equal(got, name);
	assert_true(sd_bus_message_enter_container(answer, 'a', "{sv}") > 0);
	text = NULL;
	while (sd_bus_message_enter_container(answer, 'e', "sv") > 0) {
		assert_true(sd_bus_message_read(answer, "s", &got) > 0);
		if (strcmp(got, key) != 0) {
			assert_true(sd_bus_message_skip(answer, "v") > 0);
		} else {
			assert_true(sd_bus_message_peek_type(answer, NULL, &type) > 0);
			text = number;
			if (type[0] == 's')
				assert_true(sd_bus_message_read(answer, "v", "s", &text) > 0);
			else if (type[0] == 'u')
				assert_true(sd_bus_message_read(answer, "v", "u", &u32) > 0);
			else
				assert_true(sd_bus_message_read(answer, "v", "t", &t64) > 0);
			if (type[0] == 'u' || type[0] == 't')
				snprintf(
					number, sizeof(number), "%llu",
					(unsigned long long)(type[0] == 'u' ? u32 : t64)
				);
		}
		sd_bus_message_exit_container(answer);
	}
	assert_non_null(text);
	assert_string_equal(text, value);
	for (int i = 0; i < 3; i++)
		assert_true(sd_bus_message_exit_container(answer) > 0);
}

static void port_with_a_device_is_listed_counted_and_deleted(void **state) {
	struct switch_port_view port;
	sd_bus_message *answer;

	(void)state;
	// The switch need not know the network: it forwards nothing there.
	expect(set_port("p1", "net9", t.path, FAKE_HW_DEVICE), 0, "");
	expect(set_port("p1", "net9", t.path, FAKE_HW_DEVICE), 0, "");
	assert_false(switch_view_port(t.control.sw, 0, &port));
	answer = call(request("Stats"));
	expect_entry(answer, "p1", "network", "net9");
	expect_entry(answer, "p1", "connects", "0");
	expect_entry(answer, "p1", "hw_received_descriptors", "300");
	expect_entry(answer, "p1", "hw_received_descriptors_ring1", "200");
	sd_bus_message_unref(answer);
	expect(del_port("p1"), 0, "");
	assert_false(hw_vdpa_has_port(t.control.hw, "p1"));
	expect(del_port("p1"), 0, "");
}

// List() has two dictionaries; only the second one has the device.
static void list_has_the_device_of_ports_in_hardware_only(void **state) {
	char path[80];
	sd_bus_message *answer;
	const char *text;
	int n_with = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s.2", t.path);
	expect(set_port("p1", "net0", t.path, FAKE_HW_DEVICE), 0, "");
	expect(set_port("p2", "net0", path, NULL), 0, "");
	answer = call(request("List"));
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
	expect(set_port("p1", "net0", t.path, ""), 0, "");
	expect(set_port("p1", "net0", t.path, FAKE_HW_DEVICE), EEXIST, "device");
	expect(del_port("p1"), 0, "");
	expect(set_port("p1", "net0", t.path, FAKE_HW_DEVICE), 0, "");
	expect(set_port("p1", "net0", t.path, NULL), EEXIST, "device");
}

static void reason_of_a_refusal_reaches_the_caller(void **state) {
	(void)state;
	fake_hw_unplug(FAKE_HW_DEVICE);
	expect(set_port("p1", "net0", t.path, FAKE_HW_DEVICE), ENXIO, "there is no PCI device");
	expect(set_port("p1", "net0", t.path, "eth0"), EINVAL, "'eth0' is no PCI address");
}

static void devices_are_listed_with_what_they_can_and_who_has_them(void **state) {
	sd_bus_message *answer;

	(void)state;
	assert_int_equal(hw_vdpa_set_devices(t.control.hw, FAKE_HW_DEVICE, NULL), 0);
	answer = call(request("ListHwVdpa"));
	assert_true(sd_bus_message_has_signature(answer, "a{sa{sv}}"));
	expect_entry(answer, FAKE_HW_DEVICE, "driver", "ifc");
	expect_entry(answer, FAKE_HW_DEVICE, "max_queue_pairs", "4");
	expect_entry(answer, FAKE_HW_DEVICE, "features", "4299161603"); // VERSION_1, MQ, 0, 1
	expect_entry(answer, FAKE_HW_DEVICE, "in_use_by", "");
	expect_entry(answer, FAKE_HW_DEVICE, "reason", "");
	sd_bus_message_unref(answer);
	expect(set_port("p1", "net0", t.path, FAKE_HW_DEVICE), 0, "");
	answer = call(request("ListHwVdpa"));
	expect_entry(answer, FAKE_HW_DEVICE, "in_use_by", "p1");
	sd_bus_message_unref(answer);
	expect(set_port("p2", "net0", "/tmp/vdpad-none.sock", FAKE_HW_DEVICE), EEXIST,
	       "in use by port 'p1'");
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
	hw_vdpa_check(t.control.hw, false);
	control_announce_changes(t.link, &t.control);
	return 0;
}

static void wait_for(const char *detail, const char *expected) {
	while (strcmp(detail, expected) != 0)
		assert_true(sd_event_run(t.event, UINT64_MAX) >= 0);
}

static void guest_and_loss_of_the_device_are_announced(void **state) {
	char detail[HW_DETAIL_SIZE] = "";
	sd_event_source *source;

	(void)state;
	sd_bus_match_signal(
		t.caller, NULL, NULL, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, "PortChanged",
		on_port_changed, detail
	);
	sd_event_add_io(
		t.event, &source, hw_vdpa_changed_fd(t.control.hw), EPOLLIN, on_hw_changed, NULL
	);
	expect(set_port("p1", "net0", t.path, FAKE_HW_DEVICE), 0, "");
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

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
