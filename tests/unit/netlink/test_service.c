// SPDX-License-Identifier: GPL-2.0-or-later
// The service against a vdpad made of a socket and a hub object, in one event loop.

#include <net/if.h>
#include <sys/ioctl.h>

#include <linux/if_tun.h>

#include "tests/unit/netlink/fake_hub.h"
#include "tests/unit/netlink/netns.h"
#include "tests/unit/unit.h"
#include "vdpad/util/ipc.h"

static int setup(void **state) {
	*state = calloc(1, sizeof(struct fake_hub));
	return *state == NULL ? -1 : fake_hub_init(*state, &nic_host_kernel);
}

static int teardown(void **state) {
	fake_hub_done(*state);
	free(*state);
	return 0;
}

static sd_bus_message *open_tap(struct fake_hub *hub, const char *ifname, const char *mtu_key) {
	sd_bus_message *m = fake_hub_new_call(hub, "OpenTap");

	sd_bus_message_append(
		m, "sa{sv}", ifname, 3, "network", "s", "net0", "bridge", "s", "", mtu_key, "u",
		1500
	);
	return fake_hub_call(hub, m);
}

static void it_waits_for_vdpad_and_comes_back_to_a_new_one(void **state) {
	struct fake_hub *hub = *state;

	sd_event_run(hub->event, 100 * 1000); // nobody listens
	fake_hub_listen(hub);
	fake_hub_run_until(hub, &hub->n_ready, 1);
	assert_int_equal(hub->n_registered, 1);

	fake_hub_stop_listening(hub);
	fake_hub_drop_link(hub);
	fake_hub_listen(hub);
	fake_hub_run_until(hub, &hub->n_ready, 2);
}

static void it_asks_again_when_it_is_refused(void **state) {
	struct fake_hub *hub = *state;

	hub->refuse = true;
	fake_hub_listen(hub);
	fake_hub_run_until(hub, &hub->n_registered, 2);
	assert_int_equal(hub->n_ready, 0);
	hub->refuse = false;
	fake_hub_run_until(hub, &hub->n_ready, 1);
}

static void taps_are_opened_listed_and_deleted(void **state) {
	struct fake_hub *hub = *state;
	struct ifreq request = {0};
	sd_bus_message *m;
	const char *name;
	int fd;

	fake_hub_listen(hub);
	fake_hub_run_until(hub, &hub->n_ready, 1);

	m = open_tap(hub, "vdp-net0", "mtu");
	assert_true(sd_bus_message_read(m, "h", &fd) > 0);
	assert_int_equal(ioctl(fd, TUNGETIFF, &request), 0);
	assert_string_equal(request.ifr_name, "vdp-net0");
	fake_hub_refused(
		open_tap(hub, "vdp-net0", "mtu"), "org.vdpad1.Error.Busy",
		"TAP 'vdp-net0' is still open in another process"
	);
	sd_bus_message_unref(m);

	m = fake_hub_call(hub, fake_hub_new_call(hub, "ListTaps"));
	assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") > 0);
	assert_true(sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0);
	assert_true(sd_bus_message_read(m, "s", &name) > 0);
	assert_string_equal(name, "vdp-net0");
	assert_true(sd_bus_message_skip(m, "a{sv}") > 0);
	assert_true(sd_bus_message_exit_container(m) > 0);
	assert_true(sd_bus_message_at_end(m, false));
	sd_bus_message_unref(m);

	m = fake_hub_new_call(hub, "DelTap");
	sd_bus_message_append(m, "s", "vdp-net0");
	m = fake_hub_call(hub, m);
	assert_false(sd_bus_message_is_method_error(m, NULL));
	sd_bus_message_unref(m);
	assert_false(netns_sh("ip link show vdp-net0 >/dev/null 2>&1"));
}

static void bad_requests_are_refused_with_a_sentence(void **state) {
	struct fake_hub *hub = *state;

	fake_hub_listen(hub);
	fake_hub_run_until(hub, &hub->n_ready, 1);
	fake_hub_refused(
		open_tap(hub, "vdp-net0", "mtus"), "org.vdpad1.Error.Invalid", "unknown key 'mtus'"
	);
	fake_hub_refused(
		open_tap(hub, "a/b", "mtu"), "org.vdpad1.Error.Invalid",
		"interface 'a/b' is not valid: 1 to 15 of A-Z a-z 0-9 . _ -"
	);
	fake_hub_refused(
		open_tap(hub, "lo", "mtu"), "org.vdpad1.Error.Refused",
		"interface 'lo' exists and is not vdpad's (its alias is ''); remove or rename it"
	);
}

static void it_ends_while_vdpad_hangs(void **state) {
	struct fake_hub *hub = *state;

	fake_hub_listen(hub);
	hub->accepting =
		sd_event_source_disable_unref(hub->accepting); // connects, and nobody answers
	assert_true(sd_event_run(hub->event, HUB_DEADLINE_USEC) >= 0);
	alarm(HUB_DEADLINE_USEC / 1000000);
	assert_int_equal(sd_event_exit(hub->event, 0), 0);
	assert_int_equal(sd_event_loop(hub->event), 0);
	service_free(hub->service);
	hub->service = NULL;
	alarm(0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(it_waits_for_vdpad_and_comes_back_to_a_new_one),
		WITH_FIXTURE(it_asks_again_when_it_is_refused),
		WITH_FIXTURE(taps_are_opened_listed_and_deleted),
		WITH_FIXTURE(bad_requests_are_refused_with_a_sentence),
		WITH_FIXTURE(it_ends_while_vdpad_hangs),
	};
	int r = netns_enter();

	return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
