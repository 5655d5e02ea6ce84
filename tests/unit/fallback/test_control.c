// SPDX-License-Identifier: GPL-2.0-or-later
// The switch behind its bus interface: real workers, real sockets in a temporary directory, a
// caller at the other end of the link.

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_eal.h>

#include "fallback/control.h"
#include "fallback/switch.h"
#include "tests/unit/fallback/fake_hw.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

#define FEATURES (UINT64_C(1) << 32 | 1 << 15 | 1 << 0 | 1 << 1)

static struct {
	sd_event *event;
	struct workers *workers;
	struct network_switch *sw;
	struct control control;
	sd_bus *link;   // of the switch
	sd_bus *caller; // vdpad's
	char directory[32];
	char path[64]; // of port p1
} t;

static int group_setup(void **state) {
	const int cpus[] = {-1, -1};
	int r = frames_setup(state);

	if (r < 0)
		return r;
	return workers_new(cpus, ARRAY_LEN(cpus), &t.workers, NULL);
}

static int group_teardown(void **state) {
	(void)state;
	workers_free(t.workers);
	return 0;
}

// Two ends of a link in one thread: none may wait for the other while it starts.
static int setup(void **state) {
	int pair[2];

	(void)state;
	strcpy(t.directory, "/tmp/vdpad-switch-XXXXXX");
	if (mkdtemp(t.directory) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	snprintf(t.path, sizeof(t.path), "%s/p1.sock", t.directory);
	if (sd_event_new(&t.event) < 0 || switch_new(t.workers, t.event, &t.sw, NULL) < 0)
		return -1;
	switch_set_socket_owner(t.sw, (gid_t)-1, 0640);
	if (link_accept(pair[1], t.event, &t.caller) < 0 || sd_bus_new(&t.link) < 0 ||
	    sd_bus_set_fd(t.link, pair[0], pair[0]) < 0 || sd_bus_negotiate_fds(t.link, true) < 0 ||
	    sd_bus_start(t.link) < 0 || sd_bus_attach_event(t.link, t.event, 0) < 0)
		return -1;
	// A call that comes together with the last word of the handshake would not be seen at once.
	while (sd_bus_is_ready(t.link) == 0) {
		if (sd_event_run(t.event, UINT64_MAX) < 0)
			return -1;
	}
	t.control = (struct control){t.sw, fake_hw_new(t.event, true)};
	return t.control.hw == NULL || control_attach(t.link, &t.control) < 0 ? -1 : 0;
}

static int teardown(void **state) {
	(void)state;
	sd_bus_flush_close_unref(t.caller);
	sd_bus_flush_close_unref(t.link);
	hw_vdpa_free(t.control.hw);
	switch_free(t.sw);
	sd_event_unref(t.event);
	unlink(t.path);
	return rmdir(t.directory); // fails when a socket was left
}

struct answer {
	sd_bus_message *m;
	bool done;
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct answer *answer = userdata;

	(void)ret_error;
	answer->m = sd_bus_message_ref(m);
	answer->done = true;
	return 0;
}

// Send @m (consumed) and run both ends until the answer is there.
static sd_bus_message *call(sd_bus_message *m) {
	struct answer answer = {0};

	assert_true(sd_bus_call_async(t.caller, NULL, m, on_answer, &answer, 10000000) >= 0);
	while (!answer.done)
		assert_true(sd_event_run(t.event, UINT64_MAX) >= 0);
	sd_bus_message_unref(m);
	return answer.m;
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

static void expect_success(sd_bus_message *m) {
	sd_bus_message *answer = call(m);

	if (sd_bus_message_is_method_error(answer, NULL))
		fail_msg("%s", sd_bus_message_get_error(answer)->message);
	sd_bus_message_unref(answer);
}

// The error's name is that of @code and its text contains @word.
static void expect_error(sd_bus_message *m, int code, const char *word) {
	sd_bus_message *answer = call(m);

	assert_true(sd_bus_message_is_method_error(answer, NULL));
	assert_string_equal(sd_bus_message_get_error(answer)->name, error_dbus_name(code));
	if (strstr(sd_bus_message_get_error(answer)->message, word) == NULL)
		fail_msg("'%s' lacks '%s'", sd_bus_message_get_error(answer)->message, word);
	sd_bus_message_unref(answer);
}

static sd_bus_message *set_network(const char *name, uint32_t mtu, uint32_t ageing_s) {
	sd_bus_message *m = request("SetNetwork");

	sd_bus_message_append(m, "s", name);
	sd_bus_message_append(m, "a{sv}", 2, "mtu", "u", mtu, "ageing_s", "u", ageing_s);
	return m;
}

static struct port_spec good_spec(void) {
	return (struct port_spec){
		.network = "net0",
		.path = t.path,
		.mtu_bytes = 1500,
		.queue_pairs = 1,
		.link_up = true,
		.features = FEATURES,
		.generation = 7,
	};
}

static sd_bus_message *set_port(const char *name, const struct port_spec *spec) {
	sd_bus_message *m = request("SetPort");

	sd_bus_message_append(m, "s", name);
	sd_bus_message_append(
		m, "a{sv}", 8, "network", "s", spec->network, "path", "s", spec->path, "mtu", "u",
		spec->mtu_bytes, "queue_pairs", "u", spec->queue_pairs, "vlan", "u", spec->vlan,
		"link_up", "b", (int)spec->link_up, "features", "t", spec->features, "generation",
		"t", spec->generation
	);
	return m;
}

static sd_bus_message *with_name(const char *method, const char *name) {
	sd_bus_message *m = request(method);

	sd_bus_message_append(m, "s", name);
	return m;
}

static int connect_to(const char *path) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void port_listens_when_set_port_returns(void **state) {
	struct port_spec spec = good_spec();
	struct stat st;
	int fd;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	fd = connect_to(t.path);
	close(fd);
	expect_success(with_name("DelPort", "p1"));
	assert_int_equal(access(t.path, F_OK), -1);
	expect_success(with_name("DelPort", "p1")); // no such port is success
}

static void same_port_again_is_success_and_another_is_refused(void **state) {
	struct port_spec spec = good_spec();

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	expect_success(set_port("p1", &spec));
	spec.vlan = 10;
	spec.link_up = false;
	expect_success(set_port("p1", &spec));
	spec.generation++;
	expect_error(set_port("p1", &spec), EEXIST, "generation");
	spec = good_spec();
	spec.features |= 1 << 5;
	expect_error(set_port("p1", &spec), EEXIST, "features");
	spec = good_spec();
	spec.mtu_bytes = 1400;
	expect_error(set_port("p1", &spec), EEXIST, "mtu");
	spec = good_spec();
	expect_error(set_port("p2", &spec), EADDRINUSE, t.path); // two ports, one socket
}

static void port_moves_between_networks_and_keeps_its_peer(void **state) {
	struct port_spec spec = good_spec();
	struct switch_port_view port;
	char byte;
	int fd;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_network("net1", 1500, 300));
	expect_success(set_port("p1", &spec));
	fd = connect_to(t.path);
	spec.network = "net1";
	spec.vlan = 10;
	expect_success(set_port("p1", &spec));
	assert_true(switch_view_port(t.sw, 0, &port));
	assert_string_equal(port.spec.network, "net1");
	assert_int_equal(port.spec.vlan, 10);
	expect_success(with_name("DelNetwork", "net0"));
	expect_error(with_name("DelNetwork", "net1"), EBUSY, "p1");
	spec.network = "net2";
	expect_error(set_port("p1", &spec), ENODEV, "net2");
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1); // neither closed nor spoken to
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

static void bad_specification_is_refused_by_name(void **state) {
	struct port_spec spec;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
#define REFUSED(member, value, code, word)                       \
	do {                                                     \
		spec = good_spec();                              \
		spec.member = value;                             \
		expect_error(set_port("p1", &spec), code, word); \
	} while (0)
	REFUSED(network, "net1", ENODEV, "net1");
	REFUSED(path, "p1.sock", EINVAL, "absolute");
	REFUSED(mtu_bytes, 67, EINVAL, "mtu");
	REFUSED(mtu_bytes, 9001, EINVAL, "mtu");
	REFUSED(queue_pairs, 0, EINVAL, "queue_pairs");
	REFUSED(queue_pairs, 65, EINVAL, "queue_pairs");
	REFUSED(vlan, 4095, EINVAL, "vlan");
#undef REFUSED
	spec = good_spec();
	expect_error(set_port("Bad/Name", &spec), EINVAL, "Bad/Name");
	expect_error(set_network("net1", 9001, 300), EINVAL, "mtu");
	expect_error(set_network("net1", 1500, 0), EINVAL, "ageing_s");
	expect_error(set_network("a/b", 1500, 300), EINVAL, "a/b");
}

static void unknown_missing_and_mistyped_keys_are_named(void **state) {
	sd_bus_message *m;

	(void)state;
	m = request("SetNetwork");
	sd_bus_message_append(m, "sa{sv}", "net0", 2, "mtu", "u", 1500, "colour", "s", "red");
	expect_error(m, EINVAL, "colour");
	m = request("SetNetwork");
	sd_bus_message_append(m, "sa{sv}", "net0", 1, "mtu", "u", 1500);
	expect_error(m, EINVAL, "ageing_s");
	m = request("SetNetwork");
	sd_bus_message_append(m, "sa{sv}", "net0", 2, "mtu", "s", "1500", "ageing_s", "u", 300);
	expect_error(m, EINVAL, "mtu");
	assert_false(switch_view_network(t.sw, 0, &(struct switch_network_view){0}));
}

static void network_with_ports_cannot_be_deleted(void **state) {
	struct port_spec spec = good_spec();

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	expect_error(with_name("DelNetwork", "net0"), EBUSY, "p1");
	expect_success(with_name("DelPort", "p1"));
	expect_success(with_name("DelNetwork", "net0"));
	expect_success(with_name("DelNetwork", "net0"));
}

static void stale_socket_is_replaced_and_nothing_else_is(void **state) {
	struct port_spec spec = good_spec();
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *f;

	(void)state;
	expect_success(set_network("net0", 1500, 300));

	// Somebody has it.
	strcpy(addr.sun_path, t.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	expect_error(set_port("p1", &spec), EADDRINUSE, t.path);
	assert_int_equal(access(t.path, F_OK), 0);

	close(fd); // somebody had it
	expect_success(set_port("p1", &spec));
	expect_success(with_name("DelPort", "p1"));

	f = fopen(t.path, "w");
	fclose(f);
	expect_error(set_port("p1", &spec), EEXIST, "no socket");
	assert_int_equal(access(t.path, F_OK), 0);
}

// The next dictionary of @answer has one entry, @name, in which @key is the number @value.
static void expect_entry(
	sd_bus_message *answer, const char *name, const char *key, uint32_t value
) {
	const char *got;
	uint32_t number = ~value;

	assert_true(sd_bus_message_enter_container(answer, 'a', "{sa{sv}}") > 0);
	assert_true(sd_bus_message_enter_container(answer, 'e', "sa{sv}") > 0);
	assert_true(sd_bus_message_read(answer, "s", &got) > 0);
	assert_string_equal(got, name);
	assert_true(sd_bus_message_enter_container(answer, 'a', "{sv}") > 0);
	while (sd_bus_message_enter_container(answer, 'e', "sv") > 0) {
		assert_true(sd_bus_message_read(answer, "s", &got) > 0);
		if (strcmp(got, key) == 0)
			assert_true(sd_bus_message_read(answer, "v", "u", &number) > 0);
		else
			assert_true(sd_bus_message_skip(answer, "v") > 0);
		sd_bus_message_exit_container(answer);
	}
	assert_int_equal(number, value);
	for (int i = 0; i < 3; i++)
		assert_true(sd_bus_message_exit_container(answer) > 0);
}

static void list_and_stats_show_what_was_set(void **state) {
	struct port_spec spec = good_spec();
	struct switch_counters_view counters;
	struct switch_port_view port;
	sd_bus_message *answer;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	answer = call(request("List"));
	assert_true(sd_bus_message_has_signature(answer, "a{sa{sv}}a{sa{sv}}"));
	expect_entry(answer, "net0", "ageing_s", 300);
	expect_entry(answer, "p1", "mtu", 1500);
	sd_bus_message_unref(answer);
	answer = call(request("Stats"));
	assert_true(sd_bus_message_has_signature(answer, "a{sa{sv}}"));
	sd_bus_message_unref(answer);

	assert_true(switch_view_port(t.sw, 0, &port));
	assert_string_equal(port.spec.network, "net0");
	assert_string_equal(port.status.detail, "no VM is attached");
	assert_false(port.status.connected);
	assert_false(switch_view_port(t.sw, 1, &port));
	assert_true(switch_view_counters(t.sw, 0, &counters));
	assert_string_equal(counters.name, "p1");
	assert_false(switch_view_counters(t.sw, 1, &counters));
}

static int on_port_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const char *name, *detail;
	uint64_t generation;
	int connected;

	(void)ret_error;
	assert_true(sd_bus_message_read(m, "stbs", &name, &generation, &connected, &detail) >= 0);
	assert_string_equal(name, "p1");
	assert_int_equal(generation, 7);
	assert_false(connected);
	strcpy(userdata, detail);
	return 0;
}

static int on_switch_changed(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	(void)source, (void)fd, (void)revents, (void)userdata;
	control_announce_changes(t.link, &t.control);
	return 0;
}

static void wait_for_detail(const char *detail, const char *expected) {
	while (strcmp(detail, expected) != 0)
		assert_true(sd_event_run(t.event, UINT64_MAX) >= 0);
}

static void peer_that_comes_and_goes_is_announced_and_a_second_one_is_refused(void **state) {
	struct port_spec spec = good_spec();
	char detail[VHOST_PORT_DETAIL_SIZE] = "";
	struct switch_counters_view counters;
	int first, second;
	char byte;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	assert_true(
		sd_bus_match_signal(
			t.caller, NULL, NULL, NULL, IPC_SWITCH_IFACE, "PortChanged",
			on_port_changed, detail
		) >= 0
	);
	assert_true(
		sd_event_add_io(
			t.event, NULL, switch_changed_fd(t.sw), EPOLLIN, on_switch_changed, NULL
		) >= 0
	);
	first = connect_to(t.path);
	wait_for_detail(detail, "peer connected, guest driver not ready");
	second = connect_to(t.path);
	while (recv(second, &byte, 1, MSG_DONTWAIT) != 0) // until it is closed
		assert_true(sd_event_run(t.event, UINT64_MAX) >= 0);
	close(second);
	close(first);
	wait_for_detail(detail, "no VM is attached");
	assert_true(switch_view_counters(t.sw, 0, &counters));
	assert_int_equal(counters.connects, 1);
}

static int count_fds(void) {
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static sd_bus_message *set_uplink(const char *network, const char *ifname, int fd) {
	sd_bus_message *m = request("SetUplink");

	sd_bus_message_append(m, "ssh", network, ifname, fd);
	return m;
}

static void refused_uplink_leaves_no_descriptor(void **state) {
	struct switch_network_view network;
	int n_fds;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	n_fds = count_fds();
	expect_error(set_uplink("net1", "tap0", STDIN_FILENO), ENODEV, "net1");
	expect_error(set_uplink("net0", "a/b", STDIN_FILENO), EINVAL, "a/b");
	expect_error(set_uplink("net0", "tap0", STDIN_FILENO), EINVAL, "no TAP");
	assert_int_equal(count_fds(), n_fds);
	assert_true(switch_view_network(t.sw, 0, &network));
	assert_string_equal(network.uplink, "");
}

#define CONTROL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		CONTROL_TEST(port_listens_when_set_port_returns),
		CONTROL_TEST(same_port_again_is_success_and_another_is_refused),
		CONTROL_TEST(port_moves_between_networks_and_keeps_its_peer),
		CONTROL_TEST(bad_specification_is_refused_by_name),
		CONTROL_TEST(unknown_missing_and_mistyped_keys_are_named),
		CONTROL_TEST(network_with_ports_cannot_be_deleted),
		CONTROL_TEST(stale_socket_is_replaced_and_nothing_else_is),
		CONTROL_TEST(list_and_stats_show_what_was_set),
		CONTROL_TEST(peer_that_comes_and_goes_is_announced_and_a_second_one_is_refused),
		CONTROL_TEST(refused_uplink_leaves_no_descriptor),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
