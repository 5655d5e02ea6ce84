// SPDX-License-Identifier: GPL-2.0-or-later
// The vDPA methods over a link, with a kernel that does what it should, or hangs.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/fake_hub.h"
#include "tests/unit/netlink/fake_vdpa.h"
#include "tests/unit/unit.h"
#include "vdpad/util/ipc.h"

#define USEC_PER_MS 1000
#define BUSY_MACHINE_USEC (3000 * USEC_PER_MS)
#define AT_ONCE_USEC ((VDPA_DEADLINE_MS - 500) * USEC_PER_MS) // not after another deadline

struct scene {
	struct fake_hub hub;
	struct fake_vdpa v;
	struct nic_kernel kernel;
};

static int setup(void **state) {
	static struct scene s;

	fake_vdpa_init(&s.v);
	*state = &s;
	s.kernel = nic_host_kernel;
	s.kernel.vdpa = &s.v.kernel;
	if (fake_hub_init(&s.hub, &s.kernel) < 0)
		return -1;
	fake_hub_connect(&s.hub);
	return 0;
}

static int teardown(void **state) {
	struct scene *s = *state;

	fake_hub_done(&s->hub);
	fake_vdpa_done(&s->v);
	return 0;
}

static sd_bus_message *new_add(struct fake_hub *hub, const char *name, const char *mgmtdev) {
	sd_bus_message *m = fake_hub_new_call(hub, "AddVdpa");

	sd_bus_message_append(
		m, "sa{sv}", name, 7, "mgmtdev", "s", mgmtdev, "mac", "s", "52:54:00:01:02:03",
		"mtu", "u", 1400U, "queue_pairs", "u", 0U, "features", "t", UINT64_C(0x300000028),
		"uid", "u", (uint32_t)getuid(), "gid", "u", (uint32_t)getgid()
	);
	return m;
}

static sd_bus_message *new_named(struct fake_hub *hub, const char *method, const char *name) {
	sd_bus_message *m = fake_hub_new_call(hub, method);

	sd_bus_message_append(m, "s", name);
	return m;
}

// The value of @key in the a{sv} that @m is at, as text.
static void check_value(sd_bus_message *m, const char *key, const char *expected) {
	char text[64] = "";
	const char *found;

	assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		const char *contents, *s;
		uint64_t t;
		uint32_t u;
		int b;

		assert_true(sd_bus_message_read(m, "s", &found) > 0);
		assert_true(sd_bus_message_peek_type(m, NULL, &contents) > 0);
		if (strcmp(found, key) != 0)
			assert_true(sd_bus_message_skip(m, "v") > 0);
		else if (contents[0] == 's' && sd_bus_message_read(m, "v", "s", &s) > 0)
			snprintf(text, sizeof(text), "%s", s);
		else if (contents[0] == 'u' && sd_bus_message_read(m, "v", "u", &u) > 0)
			snprintf(text, sizeof(text), "%u", u);
		else if (contents[0] == 't' && sd_bus_message_read(m, "v", "t", &t) > 0)
			snprintf(text, sizeof(text), "%#lx", (unsigned long)t);
		else if (contents[0] == 'b' && sd_bus_message_read(m, "v", "b", &b) > 0)
			snprintf(text, sizeof(text), "%s", b ? "yes" : "no");
		assert_true(sd_bus_message_exit_container(m) > 0);
	}
	assert_true(sd_bus_message_exit_container(m) > 0);
	if (strcmp(text, expected) != 0)
		fail_msg("%s is '%s'", key, text);
	assert_true(sd_bus_message_rewind(m, true) >= 0);
}

static void device_is_made_listed_and_deleted(void **state) {
	struct scene *s = *state;
	sd_bus_message *m = fake_hub_call(&s->hub, new_add(&s->hub, "vdpad-1a", "vdpasim_net"));
	const char *name;

	assert_false(sd_bus_message_is_method_error(m, NULL));
	check_value(m, "mgmtdev", "vdpasim_net");
	check_value(m, "driver", "vhost_vdpa");
	check_value(m, "node", "/dev/vhost-vdpa-0");
	check_value(m, "mac", "52:54:00:01:02:03");
	check_value(m, "mtu", "1400");
	check_value(m, "features", "0x300000028");
	check_value(m, "max_vqs", "3");
	check_value(m, "active", "no");
	check_value(m, "parked", "no");
	sd_bus_message_unref(m);

	m = fake_hub_call(&s->hub, fake_hub_new_call(&s->hub, "ListVdpa"));
	assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") > 0);
	assert_true(sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0);
	assert_true(sd_bus_message_read(m, "s", &name) > 0);
	assert_string_equal(name, "vdpad-1a");
	assert_true(sd_bus_message_skip(m, "a{sv}") > 0);
	assert_true(sd_bus_message_exit_container(m) > 0);
	assert_true(sd_bus_message_at_end(m, false));
	sd_bus_message_unref(m);

	m = fake_hub_call(&s->hub, new_named(&s->hub, "DelVdpa", "vdpad-1a"));
	assert_false(sd_bus_message_is_method_error(m, NULL));
	sd_bus_message_unref(m);
	assert_null(fake_vdpa_find(&s->v, "vdpad-1a"));
}

static void management_devices_say_what_they_take(void **state) {
	struct scene *s = *state;
	sd_bus_message *m = fake_hub_call(&s->hub, fake_hub_new_call(&s->hub, "ListMgmtdevs"));
	const char *name;
	int seen = 0;

	assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0) {
		assert_true(sd_bus_message_read(m, "s", &name) > 0);
		seen += strcmp(name, "vdpasim_net") == 0 || strcmp(name, "pci/0000:00:10.0") == 0;
		assert_true(sd_bus_message_skip(m, "a{sv}") > 0);
		assert_true(sd_bus_message_exit_container(m) > 0);
	}
	assert_int_equal(seen, 2);
	sd_bus_message_unref(m);
}

static void bad_requests_are_refused_with_a_sentence(void **state) {
	struct fake_hub *hub = &((struct scene *)*state)->hub;
	sd_bus_message *m;

	fake_hub_refused(
		fake_hub_call(hub, new_add(hub, "theirs", "vdpasim_net")),
		"org.vdpad1.Error.Refused", "vDPA device 'theirs' is not vdpad's"
	);
	fake_hub_refused(
		fake_hub_call(hub, new_add(hub, "vdpad-1", "")), "org.vdpad1.Error.Invalid",
		"'' is not the name of a management device"
	);
	m = fake_hub_new_call(hub, "AddVdpa");
	sd_bus_message_append(m, "sa{sv}", "vdpad-1", 1, "mgmtdevs", "s", "vdpasim_net");
	fake_hub_refused(
		fake_hub_call(hub, m), "org.vdpad1.Error.Invalid", "unknown key 'mgmtdevs'"
	);
}

static void errors_arrive_as_what_they_are(void **state) {
	struct scene *s = *state;

	s->v.refuse_command = VDPA_CMD_DEV_NEW;
	s->v.refuse_error = ENOSPC;
	fake_hub_refused(
		fake_hub_call(&s->hub, new_add(&s->hub, "vdpad-1", "vdpasim_net")),
		"org.vdpad1.Error.NoRoom", "the kernel does not make a vDPA device on vdpasim_net"
	);
	s->v.refuse_error = EINVAL;
	fake_hub_refused(
		fake_hub_call(&s->hub, new_add(&s->hub, "vdpad-1", "vdpasim_net")),
		"org.vdpad1.Error.NotSupported",
		"the kernel does not make a vDPA device on vdpasim_net"
	);
}

// The promise of the whole design: vdpad hears why within the deadline, hears it at once from then on,
// and the rest of the worker lives.
static void hanging_kernel_is_reported_and_the_link_lives(void **state) {
	struct scene *s = *state;
	struct fake_answer list, add, again, taps;
	uint64_t start;

	s->v.hang_command = VDPA_CMD_DEV_GET;
	sd_event_now(s->hub.event, CLOCK_MONOTONIC, &start);
	fake_hub_send(&s->hub, fake_hub_new_call(&s->hub, "ListVdpa"), &list);
	fake_hub_send(&s->hub, new_add(&s->hub, "vdpad-1", "vdpasim_net"), &add);
	fake_hub_send(&s->hub, fake_hub_new_call(&s->hub, "ListTaps"), &taps);
	fake_hub_run_until(&s->hub, &taps.arrived, 1);
	assert_int_equal(list.arrived + add.arrived, 0);
	sd_bus_message_unref(taps.m);

	fake_hub_run_until(&s->hub, &add.arrived, 1);
	assert_int_equal(list.arrived, 1);
	assert_in_range(
		list.usec - start, VDPA_DEADLINE_MS * USEC_PER_MS,
		VDPA_DEADLINE_MS * USEC_PER_MS + BUSY_MACHINE_USEC
	);
	fake_hub_refused(
		list.m, "org.vdpad1.Error.TimedOut",
		"the kernel hangs: the listing of devices has not ended for "
	);
	fake_hub_refused(
		add.m, "org.vdpad1.Error.TimedOut",
		"the kernel hangs: the listing of devices has not ended for "
	);

	sd_event_now(s->hub.event, CLOCK_MONOTONIC, &start);
	fake_hub_send(&s->hub, new_named(&s->hub, "DelVdpa", "vdpad-1"), &again);
	fake_hub_run_until(&s->hub, &again.arrived, 1);
	assert_in_range(again.usec - start, 0, AT_ONCE_USEC);
	fake_hub_refused(again.m, "org.vdpad1.Error.TimedOut", "the kernel hangs: ");

	// It ends: vdpad is told to look, and everything works.
	s->v.hang_command = 0;
	sem_post(&s->v.gate);
	fake_hub_run_until(&s->hub, &s->hub.n_vdpa_changed, 1);
	sd_bus_message *m = fake_hub_call(&s->hub, new_add(&s->hub, "vdpad-1", "vdpasim_net"));

	assert_false(sd_bus_message_is_method_error(m, NULL));
	assert_int_equal(s->v.n_sent[VDPA_CMD_DEV_NEW], 1);
	sd_bus_message_unref(m);
}

static void it_ends_while_the_kernel_hangs(void **state) {
	struct scene *s = *state;
	struct fake_answer answer;

	s->v.hang_command = VDPA_CMD_DEV_GET;
	fake_hub_send(&s->hub, fake_hub_new_call(&s->hub, "ListVdpa"), &answer);
	while (sem_trywait(&s->v.hanging) < 0)
		assert_true(sd_event_run(s->hub.event, 10 * USEC_PER_MS) >= 0);
	alarm(5);
	service_free(s->hub.service);
	alarm(0);
	s->hub.service = NULL;
	fake_hub_run_until(&s->hub, &answer.arrived, 1);
	sd_bus_message_unref(answer.m);

	// The thread is still at work on the fake kernel, which must outlive it.
	s->v.hang_command = 0;
	sem_post(&s->v.gate);
	usleep(100 * USEC_PER_MS);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_SCENE(device_is_made_listed_and_deleted),
		WITH_SCENE(management_devices_say_what_they_take),
		WITH_SCENE(bad_requests_are_refused_with_a_sentence),
		WITH_SCENE(errors_arrive_as_what_they_are),
		WITH_SCENE(hanging_kernel_is_reported_and_the_link_lives),
		WITH_SCENE(it_ends_while_the_kernel_hangs),
	};

	return cmocka_run_group_tests_name("service_vdpa", tests, NULL, NULL);
}
