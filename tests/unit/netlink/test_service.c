// SPDX-License-Identifier: GPL-2.0-or-later
// The service against a vdpad made of a socket and a hub object, in one event loop.

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <linux/if_tun.h>

#include "netlink/service.h"
#include "tests/unit/netlink/netns.h"
#include "tests/unit/unit.h"
#include "vdpad/util/ipc.h"

#define DEADLINE_USEC (5 * 1000 * 1000)

struct fixture {
	char dir[32];
	char path[64];
	sd_event *event;
	struct service *service;
	int listen_fd;
	sd_event_source *accepting;
	sd_bus *link; // to the service
	int n_registered, n_ready;
	bool refuse;
};

static int on_register(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct fixture *f = userdata;
	const char *kind;

	assert_true(sd_bus_message_read(m, "s", &kind) > 0);
	assert_string_equal(kind, "netlink");
	f->n_registered++;
	if (f->refuse)
		return sd_bus_error_set(ret_error, "org.vdpad1.Error.Refused", "not you");
	return sd_bus_reply_method_return(m, "a{sv}", 0);
}

static int on_ready(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct fixture *f = userdata;

	(void)ret_error;
	f->n_ready++;
	return sd_bus_reply_method_return(m, "");
}

static const sd_bus_vtable hub_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Register", "sa{sv}", "a{sv}", on_register, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Ready", "a{sv}", "", on_ready, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void drop_link(struct fixture *f) {
	if (f->link == NULL)
		return;
	sd_bus_detach_event(f->link);
	f->link = sd_bus_flush_close_unref(f->link);
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	struct fixture *f = userdata;

	(void)source;
	(void)revents;
	drop_link(f);
	fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(link_accept(fd, f->event, &f->link), 0);
	assert_true(
		sd_bus_add_object_vtable(
			f->link, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, hub_vtable, f
		) >= 0
	);
	return 0;
}

static void listen_again(struct fixture *f) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, f->path);
	unlink(f->path);
	f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(f->listen_fd, 4), 0);
	assert_true(
		sd_event_add_io(f->event, &f->accepting, f->listen_fd, EPOLLIN, on_accept, f) >= 0
	);
}

static void stop_listening(struct fixture *f) {
	f->accepting = sd_event_source_disable_unref(f->accepting);
	if (f->listen_fd >= 0)
		close(f->listen_fd);
	f->listen_fd = -EBADF;
}

static void run_until(struct fixture *f, const int *counter, int value) {
	uint64_t start, now;

	sd_event_now(f->event, CLOCK_MONOTONIC, &start);
	while (*counter < value) {
		assert_true(sd_event_run(f->event, 100 * 1000) >= 0);
		sd_event_now(f->event, CLOCK_MONOTONIC, &now);
		if (now - start > DEADLINE_USEC)
			fail_msg("nothing happened for too long");
	}
}

static int setup(void **state) {
	struct fixture *f = calloc(1, sizeof(*f));
	struct error e;

	strcpy(f->dir, "/tmp/test-netlink-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/" IPC_NETLINK_LINK, f->dir);
	f->listen_fd = -EBADF;
	*state = f;
	if (sd_event_new(&f->event) < 0)
		return -1;
	return service_new(f->event, f->dir, &f->service, &e);
}

static int teardown(void **state) {
	struct fixture *f = *state;

	service_free(f->service);
	drop_link(f);
	stop_listening(f);
	sd_event_unref(f->event);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

// ---- Calls: sent, then the loop runs until the answer is there ----------------------------------

struct answer {
	int arrived;
	sd_bus_message *m;
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct answer *answer = userdata;

	(void)ret_error;
	answer->m = sd_bus_message_ref(m);
	answer->arrived = 1;
	return 0;
}

static sd_bus_message *call(struct fixture *f, sd_bus_message *m) {
	struct answer answer = {0};

	assert_true(sd_bus_call_async(f->link, NULL, m, on_answer, &answer, 0) >= 0);
	sd_bus_message_unref(m);
	run_until(f, &answer.arrived, 1);
	return answer.m;
}

static sd_bus_message *new_call(struct fixture *f, const char *method) {
	sd_bus_message *m = NULL;

	assert_true(
		sd_bus_message_new_method_call(
			f->link, &m, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, method
		) >= 0
	);
	return m;
}

static sd_bus_message *open_tap(struct fixture *f, const char *ifname, const char *mtu_key) {
	sd_bus_message *m = new_call(f, "OpenTap");

	sd_bus_message_append(
		m, "sa{sv}", ifname, 3, "network", "s", "net0", "bridge", "s", "", mtu_key, "u",
		1500
	);
	return call(f, m);
}

static void refused(sd_bus_message *m, const char *name, const char *text) {
	const sd_bus_error *error = sd_bus_message_get_error(m);

	assert_non_null(error);
	assert_string_equal(error->name, name);
	assert_string_equal(error->message, text);
	sd_bus_message_unref(m);
}

static void it_waits_for_vdpad_and_comes_back_to_a_new_one(void **state) {
	struct fixture *f = *state;

	sd_event_run(f->event, 100 * 1000); // nobody listens
	listen_again(f);
	run_until(f, &f->n_ready, 1);
	assert_int_equal(f->n_registered, 1);

	stop_listening(f);
	drop_link(f);
	listen_again(f);
	run_until(f, &f->n_ready, 2);
}

static void it_asks_again_when_it_is_refused(void **state) {
	struct fixture *f = *state;

	f->refuse = true;
	listen_again(f);
	run_until(f, &f->n_registered, 2);
	assert_int_equal(f->n_ready, 0);
	f->refuse = false;
	run_until(f, &f->n_ready, 1);
}

static void taps_are_opened_listed_and_deleted(void **state) {
	struct fixture *f = *state;
	struct ifreq request = {0};
	sd_bus_message *m;
	const char *name;
	int fd;

	listen_again(f);
	run_until(f, &f->n_ready, 1);

	m = open_tap(f, "vdp-net0", "mtu");
	assert_true(sd_bus_message_read(m, "h", &fd) > 0);
	assert_int_equal(ioctl(fd, TUNGETIFF, &request), 0);
	assert_string_equal(request.ifr_name, "vdp-net0");
	refused(open_tap(f, "vdp-net0", "mtu"), "org.vdpad1.Error.Busy",
	        "TAP 'vdp-net0' is still open in another process");
	sd_bus_message_unref(m);

	m = call(f, new_call(f, "ListTaps"));
	assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") > 0);
	assert_true(sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0);
	assert_true(sd_bus_message_read(m, "s", &name) > 0);
	assert_string_equal(name, "vdp-net0");
	assert_true(sd_bus_message_skip(m, "a{sv}") > 0);
	assert_true(sd_bus_message_exit_container(m) > 0);
	assert_true(sd_bus_message_at_end(m, false));
	sd_bus_message_unref(m);

	m = new_call(f, "DelTap");
	sd_bus_message_append(m, "s", "vdp-net0");
	m = call(f, m);
	assert_false(sd_bus_message_is_method_error(m, NULL));
	sd_bus_message_unref(m);
	assert_false(netns_sh("ip link show vdp-net0 >/dev/null 2>&1"));
}

static void bad_requests_are_refused_with_a_sentence(void **state) {
	struct fixture *f = *state;

	listen_again(f);
	run_until(f, &f->n_ready, 1);
	refused(open_tap(f, "vdp-net0", "mtus"), "org.vdpad1.Error.Invalid", "unknown key 'mtus'");
	refused(open_tap(f, "a/b", "mtu"), "org.vdpad1.Error.Invalid",
	        "interface 'a/b' is not valid: 1 to 15 of A-Z a-z 0-9 . _ -");
	refused(open_tap(f, "lo", "mtu"), "org.vdpad1.Error.Refused",
	        "interface 'lo' exists and is not vdpad's (its alias is ''); remove or rename it");
}

static void it_ends_while_vdpad_hangs(void **state) {
	struct fixture *f = *state;

	listen_again(f);
	f->accepting = sd_event_source_disable_unref(f->accepting); // connects, and nobody answers
	assert_true(sd_event_run(f->event, DEADLINE_USEC) >= 0);
	alarm(DEADLINE_USEC / 1000000);
	assert_int_equal(sd_event_exit(f->event, 0), 0);
	assert_int_equal(sd_event_loop(f->event), 0);
	service_free(f->service);
	f->service = NULL;
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
