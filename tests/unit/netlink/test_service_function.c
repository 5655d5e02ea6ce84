// SPDX-License-Identifier: GPL-2.0-or-later
// The methods about functions over a link; what they do is test_function's and test_sriov's.

#include <errno.h>
#include <string.h>

#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/fake_devlink.h"
#include "tests/unit/netlink/fake_hub.h"
#include "tests/unit/unit.h"
#include "vdpad/util/ipc.h"

struct scene {
	struct fake_hub hub;
	struct fake_devlink d;
};

static int setup(void **state) {
	static struct scene s;

	fake_devlink_init(&s.d);
	*state = &s;
	if (fake_hub_init(&s.hub, &s.d.kernel) < 0)
		return -1;
	fake_hub_connect(&s.hub);
	return 0;
}

static int teardown(void **state) {
	struct scene *s = *state;

	fake_hub_done(&s->hub);
	fake_devlink_done(&s->d);
	return 0;
}

static sd_bus_message *new_vfs(struct fake_hub *hub, uint32_t count, int dry_run) {
	sd_bus_message *m = fake_hub_new_call(hub, "EnsureVfs");

	sd_bus_message_append(m, "sub", FAKE_PF, count, dry_run);
	return m;
}

static sd_bus_message *new_function(struct fake_hub *hub, const char *name, const char *bridge) {
	sd_bus_message *m = fake_hub_new_call(hub, "EnsureFunction");

	sd_bus_message_append(
		m, "ssa{sv}b", FAKE_PF, name, 5, "mac", "s", "52:54:00:01:02:03", "mtu", "u", 1500U,
		"bridge", "s", bridge, "vlan", "u", 0U, "max_bps", "t", UINT64_C(0), 1
	);
	return m;
}

static unsigned int count_steps(sd_bus_message *m) {
	unsigned int n = 0;

	assert_true(sd_bus_message_enter_container(m, 'a', "(ss)") > 0);
	while (sd_bus_message_skip(m, "(ss)") > 0)
		n++;
	sd_bus_message_unref(m);
	return n;
}

static void steps_are_said_in_a_dry_run_and_done_without(void **state) {
	struct scene *s = *state;
	const char *mgmtdev, *representor;
	sd_bus_message *m;

	assert_int_equal(count_steps(fake_hub_call(&s->hub, new_vfs(&s->hub, 2, 1))), 2);
	assert_int_equal(s->d.mode, DEVLINK_MODE_LEGACY);
	assert_int_equal(count_steps(fake_hub_call(&s->hub, new_vfs(&s->hub, 2, 0))), 2);
	assert_int_equal(s->d.mode, DEVLINK_MODE_SWITCHDEV);

	m = fake_hub_call(&s->hub, new_function(&s->hub, "sf1000001", ""));
	assert_true(sd_bus_message_read(m, "ss", &mgmtdev, &representor) > 0);
	assert_string_equal(mgmtdev, "auxiliary/(new)");
	assert_string_equal(representor, "");
	assert_int_equal(count_steps(m), 9);

	m = fake_hub_new_call(&s->hub, "DelFunction");
	sd_bus_message_append(m, "ssb", FAKE_PF, "sf1000001", 0);
	assert_int_equal(count_steps(fake_hub_call(&s->hub, m)), 0);
	m = fake_hub_new_call(&s->hub, "ListFunctions");
	sd_bus_message_append(m, "s", FAKE_PF);
	m = fake_hub_call(&s->hub, m);
	assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") > 0);
	assert_int_equal(sd_bus_message_at_end(m, false), 1);
	sd_bus_message_unref(m);
}

static void bad_requests_are_refused_with_a_sentence(void **state) {
	struct scene *s = *state;

	fake_hub_refused(
		fake_hub_call(&s->hub, new_vfs(&s->hub, 9, 0)), "org.vdpad1.Error.NoRoom",
		FAKE_PF " can have 8 VFs and not 9"
	);
	fake_hub_refused(
		fake_hub_call(&s->hub, new_function(&s->hub, "sf7", "")),
		"org.vdpad1.Error.Refused", "subfunction 7 is not vdpad's"
	);
	fake_hub_refused(
		fake_hub_call(&s->hub, new_function(&s->hub, "sf1000001-and-too-long", "")),
		"org.vdpad1.Error.Invalid", "'sf1000001-and-too-long' is not a function"
	);
	fake_hub_refused(
		fake_hub_call(&s->hub, new_function(&s->hub, "sf1000001", "a/b")),
		"org.vdpad1.Error.Invalid", "bridge 'a/b' is not valid"
	);
}

static void functions_are_refused_while_vdpa_hangs(void **state) {
	struct scene *s = *state;
	struct fake_answer list;

	s->d.v.hang_command = VDPA_CMD_DEV_GET;
	fake_hub_send(&s->hub, fake_hub_new_call(&s->hub, "ListVdpa"), &list);
	fake_hub_run_until(&s->hub, &list.arrived, 1);
	sd_bus_message_unref(list.m);
	fake_hub_refused(
		fake_hub_call(&s->hub, new_vfs(&s->hub, 2, 0)), "org.vdpad1.Error.TimedOut",
		"the kernel hangs: the listing of devices"
	);
	assert_int_equal(s->d.n_changes, 0);
	s->d.v.hang_command = 0;
	sem_post(&s->d.v.gate);
	fake_hub_run_until(&s->hub, &s->hub.n_vdpa_changed, 1);
	assert_int_equal(count_steps(fake_hub_call(&s->hub, new_vfs(&s->hub, 2, 0))), 2);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_SCENE(steps_are_said_in_a_dry_run_and_done_without),
		WITH_SCENE(bad_requests_are_refused_with_a_sentence),
		WITH_SCENE(functions_are_refused_while_vdpa_hangs),
	};

	return cmocka_run_group_tests_name("service_function", tests, NULL, NULL);
}
