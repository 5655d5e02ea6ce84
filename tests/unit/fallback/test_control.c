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

#include "tests/unit/fallback/control_case.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/ipc.h"

#define FEATURES (UINT64_C(1) << 32 | 1 << 15 | 1 << 0 | 1 << 1)

static char directory[32];

static int setup(void **state) {
	(void)state;
	strcpy(directory, "/tmp/vdpad-switch-XXXXXX");
	if (mkdtemp(directory) == NULL || control_case_open(directory) < 0)
		return -1;
	switch_set_socket_owner(control_case.control.sw, (gid_t)-1, 0640);
	return 0;
}

static int teardown(void **state) {
	(void)state;
	control_case_close();
	unlink(control_case.path);
	return rmdir(directory); // fails when a socket was left
}

static sd_bus_message *set_network(const char *name, uint32_t mtu, uint32_t ageing_s) {
	sd_bus_message *m = control_case_new_named("SetNetwork", name);

	sd_bus_message_append(m, "a{sv}", 2, "mtu", "u", mtu, "ageing_s", "u", ageing_s);
	return m;
}

static struct guest_port_spec good_spec(void) {
	return (struct guest_port_spec){
		.network = "net0",
		.path = control_case.path,
		.mtu_bytes = 1500,
		.queue_pairs = 1,
		.link_up = true,
		.features = FEATURES,
		.generation = 7,
	};
}

static sd_bus_message *set_port(const char *name, const struct guest_port_spec *spec) {
	sd_bus_message *m = control_case_new_named("SetPort", name);

	sd_bus_message_append(
		m, "a{sv}", 8, "network", "s", spec->network, "path", "s", spec->path, "mtu", "u",
		spec->mtu_bytes, "queue_pairs", "u", spec->queue_pairs, "vlan", "u", spec->vlan,
		"link_up", "b", (int)spec->link_up, "features", "t", spec->features, "generation",
		"t", spec->generation
	);
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
	struct guest_port_spec spec = good_spec();
	struct stat st;
	int fd;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	assert_int_equal(stat(control_case.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	fd = connect_to(control_case.path);
	close(fd);
	expect_success(control_case_new_named("DelPort", "p1"));
	assert_int_equal(access(control_case.path, F_OK), -1);
	expect_success(control_case_new_named("DelPort", "p1")); // no such port is success
}

static void same_port_again_is_success_and_another_is_refused(void **state) {
	struct guest_port_spec spec = good_spec();

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
	expect_error(set_port("p2", &spec), EADDRINUSE, control_case.path); // two ports, one socket
}

static void port_moves_between_networks_and_keeps_its_peer(void **state) {
	struct guest_port_spec spec = good_spec();
	struct switch_port_view port;
	char byte;
	int fd;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_network("net1", 1500, 300));
	expect_success(set_port("p1", &spec));
	fd = connect_to(control_case.path);
	spec.network = "net1";
	spec.vlan = 10;
	expect_success(set_port("p1", &spec));
	assert_true(switch_view_port(control_case.control.sw, 0, &port));
	assert_string_equal(port.spec.network, "net1");
	assert_int_equal(port.spec.vlan, 10);
	expect_success(control_case_new_named("DelNetwork", "net0"));
	expect_error(control_case_new_named("DelNetwork", "net1"), EBUSY, "p1");
	spec.network = "net2";
	expect_error(set_port("p1", &spec), ENODEV, "net2");
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1); // neither closed nor spoken to
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

static void bad_specification_is_refused_by_name(void **state) {
	struct guest_port_spec spec;

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
	m = control_case_new("SetNetwork");
	sd_bus_message_append(m, "sa{sv}", "net0", 2, "mtu", "u", 1500, "colour", "s", "red");
	expect_error(m, EINVAL, "colour");
	m = control_case_new("SetNetwork");
	sd_bus_message_append(m, "sa{sv}", "net0", 1, "mtu", "u", 1500);
	expect_error(m, EINVAL, "ageing_s");
	m = control_case_new("SetNetwork");
	sd_bus_message_append(m, "sa{sv}", "net0", 2, "mtu", "s", "1500", "ageing_s", "u", 300);
	expect_error(m, EINVAL, "mtu");
	assert_false(
		switch_view_network(control_case.control.sw, 0, &(struct switch_network_view){0})
	);
}

static void network_with_ports_cannot_be_deleted(void **state) {
	struct guest_port_spec spec = good_spec();

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	expect_error(control_case_new_named("DelNetwork", "net0"), EBUSY, "p1");
	expect_success(control_case_new_named("DelPort", "p1"));
	expect_success(control_case_new_named("DelNetwork", "net0"));
	expect_success(control_case_new_named("DelNetwork", "net0"));
}

static void stale_socket_is_replaced_and_nothing_else_is(void **state) {
	struct guest_port_spec spec = good_spec();
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *f;

	(void)state;
	expect_success(set_network("net0", 1500, 300));

	// Somebody has it.
	strcpy(addr.sun_path, control_case.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	expect_error(set_port("p1", &spec), EADDRINUSE, control_case.path);
	assert_int_equal(access(control_case.path, F_OK), 0);

	close(fd); // somebody had it
	expect_success(set_port("p1", &spec));
	expect_success(control_case_new_named("DelPort", "p1"));

	f = fopen(control_case.path, "w");
	fclose(f);
	expect_error(set_port("p1", &spec), EEXIST, "no socket");
	assert_int_equal(access(control_case.path, F_OK), 0);
}

static void list_and_stats_show_what_was_set(void **state) {
	struct guest_port_spec spec = good_spec();
	struct switch_counters_view counters;
	struct switch_port_view port;
	sd_bus_message *answer;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	answer = control_case_call(control_case_new("List"));
	assert_true(sd_bus_message_has_signature(answer, "a{sa{sv}}a{sa{sv}}"));
	expect_entry(answer, "net0", "ageing_s", "300");
	expect_entry(answer, "p1", "mtu", "1500");
	sd_bus_message_unref(answer);
	answer = control_case_call(control_case_new("Stats"));
	assert_true(sd_bus_message_has_signature(answer, "a{sa{sv}}"));
	sd_bus_message_unref(answer);

	assert_true(switch_view_port(control_case.control.sw, 0, &port));
	assert_string_equal(port.spec.network, "net0");
	assert_string_equal(port.status.detail, "no VM is attached");
	assert_false(port.status.connected);
	assert_false(switch_view_port(control_case.control.sw, 1, &port));
	assert_true(switch_view_counters(control_case.control.sw, 0, &counters));
	assert_string_equal(counters.name, "p1");
	assert_false(switch_view_counters(control_case.control.sw, 1, &counters));
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
	control_announce_changes(control_case.link, &control_case.control);
	return 0;
}

static void wait_for_detail(const char *detail, const char *expected) {
	while (strcmp(detail, expected) != 0)
		assert_true(sd_event_run(control_case.event, UINT64_MAX) >= 0);
}

static void peer_that_comes_and_goes_is_announced_and_a_second_one_is_refused(void **state) {
	struct guest_port_spec spec = good_spec();
	char detail[VHOST_PORT_DETAIL_SIZE] = "";
	struct switch_counters_view counters;
	int first, second;
	char byte;

	(void)state;
	expect_success(set_network("net0", 1500, 300));
	expect_success(set_port("p1", &spec));
	assert_true(
		sd_bus_match_signal(
			control_case.caller, NULL, NULL, NULL, IPC_SWITCH_IFACE, "PortChanged",
			on_port_changed, detail
		) >= 0
	);
	assert_true(
		sd_event_add_io(
			control_case.event, NULL, switch_changed_fd(control_case.control.sw),
			EPOLLIN, on_switch_changed, NULL
		) >= 0
	);
	first = connect_to(control_case.path);
	wait_for_detail(detail, "peer connected, guest driver not ready");
	second = connect_to(control_case.path);
	while (recv(second, &byte, 1, MSG_DONTWAIT) != 0) // until it is closed
		assert_true(sd_event_run(control_case.event, UINT64_MAX) >= 0);
	close(second);
	close(first);
	wait_for_detail(detail, "no VM is attached");
	assert_true(switch_view_counters(control_case.control.sw, 0, &counters));
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
	sd_bus_message *m = control_case_new("SetUplink");

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
	assert_true(switch_view_network(control_case.control.sw, 0, &network));
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

	return cmocka_run_group_tests(tests, test_workers_setup, test_workers_teardown);
}
