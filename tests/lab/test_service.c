// SPDX-License-Identifier: GPL-2.0-or-later
// vdpad-netlink's methods about vDPA on a real kernel, over a link.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lab/lab.h"
#include "tests/unit/netlink/fake_hub.h"
#include "vdpad/util/ipc.h"

#define NAME "vdpad-7"
#define USER 64055
#define AT_ONCE_USEC (1500 * 1000) // not after another deadline

static int setup(void **state) {
	static struct fake_hub hub;

	*state = &hub;
	if (fake_hub_init(&hub, &nic_host_kernel) < 0)
		return -1;
	fake_hub_connect(&hub);
	return 0;
}

static int teardown(void **state) {
	fake_hub_done(*state);
	return 0;
}

static sd_bus_message *new_add(struct fake_hub *hub, const char *name) {
	sd_bus_message *m = fake_hub_new_call(hub, "AddVdpa");

	sd_bus_message_append(
		m, "sa{sv}", name, 6, "mgmtdev", "s", "vdpasim_net", "mac", "s",
		"52:54:00:01:02:03", "mtu", "u", 1400U, "features", "t",
		LAB_FEATURE_MAC | LAB_FEATURE_MTU | LAB_FEATURE_VERSION_1 |
			LAB_FEATURE_ACCESS_PLATFORM,
		"uid", "u", USER, "gid", "u", USER
	);
	return m;
}

static sd_bus_message *call_named(struct fake_hub *hub, const char *method, const char *name) {
	sd_bus_message *m = fake_hub_new_call(hub, method);

	sd_bus_message_append(m, "s", name);
	return fake_hub_call(hub, m);
}

static void succeeds(sd_bus_message *m) {
	const sd_bus_error *error = sd_bus_message_get_error(m);

	if (error != NULL)
		fail_msg("refused: %s", error->message);
	sd_bus_message_unref(m);
}

static void device_is_made_for_its_user_and_signalled(void **state) {
	struct fake_hub *hub = *state;
	struct stat st;

	succeeds(fake_hub_call(hub, new_add(hub, NAME)));
	succeeds(fake_hub_call(hub, new_add(hub, NAME)));
	fake_hub_run_until(hub, &hub->n_vdpa_changed, 1);
	assert_int_equal(stat("/dev/vhost-vdpa-0", &st), 0);
	assert_int_equal(st.st_uid, USER);
	assert_int_equal(st.st_mode & 07777, 0600);

	// What was bound to another driver, as where virtio_vdpa came first.
	assert_int_equal(
		lab_shell("echo " NAME " >/sys/bus/vdpa/drivers/vhost_vdpa/unbind", 1000), 0
	);
	assert_int_equal(stat("/dev/vhost-vdpa-0", &st), -1);
	succeeds(fake_hub_call(hub, new_add(hub, NAME)));
	assert_int_equal(stat("/dev/vhost-vdpa-0", &st), 0);
	assert_int_equal(st.st_uid, USER);
	succeeds(call_named(hub, "DelVdpa", NAME));
	succeeds(call_named(hub, "DelVdpa", NAME));
	assert_int_equal(stat("/dev/vhost-vdpa-0", &st), -1);
}

static void device_in_use_is_parked_and_given_back(void **state) {
	struct fake_hub *hub = *state;
	pid_t holder;

	succeeds(fake_hub_call(hub, new_add(hub, NAME)));
	holder = lab_start_holder(NAME);
	fake_hub_refused(call_named(hub, "DelVdpa", NAME), "org.vdpad1.Error.Busy", "process ");
	assert_int_equal(access("/dev/.vdpad-vhost-vdpa-0", F_OK), 0);
	succeeds(call_named(hub, "KeepVdpa", NAME));
	assert_int_equal(access("/dev/vhost-vdpa-0", F_OK), 0);
	lab_kill(holder);
	succeeds(call_named(hub, "DelVdpa", NAME));
}

static void counters_are_there_while_a_guest_is(void **state) {
	struct fake_hub *hub = *state;
	const char *name;
	uint64_t value;
	sd_bus_message *m;
	int fd, n = 0;

	succeeds(fake_hub_call(hub, new_add(hub, NAME)));
	fd = lab_open_chardev(NAME);
	assert_true(fd >= 0);
	lab_negotiate(fd, LAB_FEATURE_VERSION_1 | LAB_FEATURE_ACCESS_PLATFORM);
	m = call_named(hub, "VdpaStats", NAME);
	assert_true(sd_bus_message_enter_container(m, 'a', "{st}") > 0);
	while (sd_bus_message_read(m, "{st}", &name, &value) > 0) {
		assert_true(strncmp(name, "rx0_", 4) == 0 || strncmp(name, "tx0_", 4) == 0);
		n++;
	}
	assert_true(n > 2);
	sd_bus_message_unref(m);
	close(fd);
	succeeds(call_named(hub, "VdpaStats", NAME));
	succeeds(call_named(hub, "DelVdpa", NAME));
}

// Another program deletes a device in use: we say who does and who holds it, at once after the first.
static void freeze_by_another_program_is_explained(void **state) {
	struct fake_hub *hub = *state;
	struct nl_socket *nl = lab_open();
	struct fake_answer answer;
	char expected[256];
	pid_t holder, tool;
	uint64_t start;

	lab_add(nl, "held");
	holder = lab_start_holder("held");
	tool = lab_start("exec vdpa dev del held");
	for (int i = 0; i < 100 && access("/dev/vhost-vdpa-0", F_OK) == 0; i++)
		usleep(100 * 1000);
	assert_int_equal(lab_reap(tool, 500), -ETIMEDOUT); // now it waits for the holder

	fake_hub_send(hub, fake_hub_new_call(hub, "ListVdpa"), &answer);
	fake_hub_run_until(hub, &answer.arrived, 1);
	snprintf(
		expected, sizeof(expected),
		"process %d (vdpa dev del held) deletes a device that process %d (", (int)tool,
		(int)holder
	);
	assert_true(sd_bus_message_is_method_error(answer.m, "org.vdpad1.Error.TimedOut"));
	assert_non_null(strstr(sd_bus_message_get_error(answer.m)->message, expected));
	printf("# %s\n", sd_bus_message_get_error(answer.m)->message);
	fake_hub_refused(answer.m, "org.vdpad1.Error.TimedOut", "the kernel hangs: the listing");

	sd_event_now(hub->event, CLOCK_MONOTONIC, &start);
	fake_hub_send(hub, new_add(hub, NAME), &answer);
	fake_hub_run_until(hub, &answer.arrived, 1);
	assert_in_range(answer.usec - start, 0, AT_ONCE_USEC);
	fake_hub_refused(answer.m, "org.vdpad1.Error.TimedOut", "the kernel hangs: the listing");
	succeeds(fake_hub_call(hub, fake_hub_new_call(hub, "ListTaps")));

	hub->n_vdpa_changed = 0;
	lab_kill(holder);
	assert_int_equal(lab_reap(tool, 2000), 0);
	fake_hub_run_until(hub, &hub->n_vdpa_changed, 1);
	succeeds(fake_hub_call(hub, new_add(hub, NAME)));
	succeeds(call_named(hub, "DelVdpa", NAME));
	nl_socket_close(nl);
}

#define WITH_HUB(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_HUB(device_is_made_for_its_user_and_signalled),
		WITH_HUB(device_in_use_is_parked_and_given_back),
		WITH_HUB(counters_are_there_while_a_guest_is),
		WITH_HUB(freeze_by_another_program_is_explained),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
