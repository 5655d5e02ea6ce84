// SPDX-License-Identifier: GPL-2.0-or-later
// Ports on sockets of another switch, which is this process: it listens, and would see who connects.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/private_bus.h"
#include "tests/unit/vdpad/fake_node.h"
#include "vdpad/util/clock.h"

struct fixture {
	struct node node;
	struct sockaddr_un client, server; // of the sockets s1 and s2
	int listener;                      // on s1
};

static void write_config(struct fixture *f, const char *without) {
	FILE *file = fopen(f->node.config, "w");

	assert_non_null(file);
	fputs("[networks]\nbridges = no\n[network lab]\nuplink = none\n"
	      "[network other]\nuplink = none\n",
	      file);
	if (strcmp(without, "s1") != 0)
		fprintf(file, "[socket s1]\nnetwork = lab\npath = %s\n", f->client.sun_path);
	fprintf(file, "[socket s2]\nnetwork = lab\nmode = server\npath = %s\n", f->server.sun_path);
	assert_int_equal(fclose(file), 0);
}

static int listen_on(const struct sockaddr_un *addr) {
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	unlink(addr->sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int connect_to(const char *path) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static int setup(void **state) {
	struct fixture *f = calloc(1, sizeof(*f));

	f->client.sun_family = f->server.sun_family = AF_UNIX;
	node_init(&f->node, "");
	snprintf(f->client.sun_path, sizeof(f->client.sun_path), "%s/s1", f->node.dir);
	snprintf(f->server.sun_path, sizeof(f->server.sun_path), "%s/s2", f->node.dir);
	write_config(f, "");
	f->listener = listen_on(&f->client);
	node_start_vdpad(&f->node);
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;

	close(f->listener);
	node_done(&f->node);
	free(f);
	return 0;
}

static struct answer ask(struct fixture *f, const char *port, const char *const *pairs) {
	struct answer answer;

	node_ask(&f->node, "AddPort", port, pairs, &answer);
	node_wait(&f->node, answer.code != -1);
	return answer;
}
#define ADD(port, ...) ask(f, port, (const char *const[]){"network", __VA_ARGS__, NULL})

static const struct port *find(struct fixture *f, const char *name) {
	struct managed_port *port = port_set_find(&f->node.d->ports, name);

	return port != NULL ? &port->port : NULL;
}

static void forget_state(const struct fixture *f) {
	static const char *const ends[] = {"", "-wal", "-shm"};
	char path[160];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		snprintf(path, sizeof(path), "%s/state.db%s", f->node.state_dir, ends[i]);
		assert_true(unlink(path) == 0 || errno == ENOENT);
	}
}
#define WAIT_STATE(name, wanted) node_wait(&f->node, find(f, name)->state == (wanted))

static void nobody_has_connected(struct fixture *f) {
	assert_int_equal(accept(f->listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
}

static void read_link(const char *path, char *target, size_t size) {
	ssize_t n = readlink(path, target, size - 1);

	assert_true(n > 0);
	target[n] = '\0';
}

static void a_port_is_a_link_to_a_socket_that_nobody_touches(void **state) {
	struct fixture *f = *state;
	char target[128], path[128];
	struct answer del;
	struct stat st;

	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	strcpy(path, find(f, "vm1")->path);
	read_link(path, target, sizeof(target));
	assert_string_equal(target, f->client.sun_path);
	assert_int_equal(find(f, "vm1")->backend, BACKEND_EXTERNAL);
	assert_int_equal(find(f, "vm1")->state, PORT_READY);
	node_run(&f->node, 1200); // two looks at it
	nobody_has_connected(f);
	node_del(&f->node, "vm1", &del);
	node_wait(&f->node, del.code != -1);
	assert_int_equal(del.code, 0);
	assert_int_equal(lstat(path, &st), -1);
	assert_int_equal(stat(f->client.sun_path, &st), 0);
	nobody_has_connected(f);
}

static void a_socket_is_for_one_port_on_its_network(void **state) {
	struct fixture *f = *state;

	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	assert_int_equal(ADD("vm2", "lab", "socket", "s1").code, EEXIST);
	assert_int_equal(ADD("vm2", "lab", "socket", "s9").code, ENOTSOCK);
	assert_int_equal(ADD("vm2", "other", "socket", "s2").code, EEXIST);
	assert_int_equal(ADD("vm2", "lab", "socket", "s2", "policy", "switch").code, EINVAL);
	assert_int_equal(ADD("vm2", "lab", "socket", "s2", "vlan", "10").code, EPERM);
	assert_int_equal(ADD("vm2", "lab", "policy", "external").code, EPERM);
	assert_int_equal(f->node.d->ports.n, 1);
}

static void somebody_elses_peer_keeps_ports_off_until_it_goes(void **state) {
	struct fixture *f = *state;
	int fd = connect_to(f->client.sun_path), peer = accept(f->listener, NULL, NULL);
	struct answer answer = ADD("vm1", "lab", "socket", "s1");

	assert_int_equal(answer.code, EPERM);
	assert_non_null(strstr(answer.text, "somebody who is no port of vdpad is connected to "));
	assert_int_equal(f->node.d->ports.n, 0);
	close(fd);
	close(peer);
	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	fd = connect_to(find(f, "vm1")->path);
	peer = accept(f->listener, NULL, NULL);
	WAIT_STATE("vm1", PORT_CONNECTED);
	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, EEXIST); // without --may-exist
	node_stop_vdpad(&f->node);
	node_start_vdpad(&f->node);
	WAIT_STATE("vm1", PORT_CONNECTED); // its own VM
	close(fd);
	close(peer);
}

// The other switch closes its end when it gets to it.
static void the_peer_of_a_port_just_deleted_is_in_nobodys_way(void **state) {
	struct fixture *f = *state;
	struct answer del;
	int fd, peer;

	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	fd = connect_to(find(f, "vm1")->path);
	peer = accept(f->listener, NULL, NULL);
	WAIT_STATE("vm1", PORT_CONNECTED);
	close(fd);
	node_del(&f->node, "vm1", &del);
	node_wait(&f->node, del.code == 0);
	assert_int_equal(ADD("vm2", "lab", "socket", "s1").code, 0);
	node_del(&f->node, "vm2", &del);
	node_wait(&f->node, del.code == 0);
	clock_fake_ms(clock_now_ms() + 3000);
	assert_int_equal(ADD("vm2", "lab", "socket", "s1").code, EPERM); // but not for ever
	clock_fake_ms(UINT64_MAX);
	close(peer);
}

// To recover from a damaged state file, ports are added again while their VMs run.
static void a_port_that_was_lost_with_the_state_file_can_be_added_again(void **state) {
	struct fixture *f = *state;
	int fd, peer;

	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	fd = connect_to(find(f, "vm1")->path);
	peer = accept(f->listener, NULL, NULL);
	WAIT_STATE("vm1", PORT_CONNECTED);
	node_stop_vdpad(&f->node);
	forget_state(f);
	node_start_vdpad(&f->node);
	assert_int_equal(f->node.d->ports.n, 0);
	assert_int_equal(ADD("vm2", "lab", "socket", "s1").code, EPERM);
	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	WAIT_STATE("vm1", PORT_CONNECTED);
	close(fd);
	close(peer);
}

static void a_listener_that_goes_and_comes_is_followed(void **state) {
	struct fixture *f = *state;
	int fd, peer;

	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	fd = connect_to(find(f, "vm1")->path); // as QEMU does
	close(accept(f->listener, NULL, NULL));
	close(fd);
	close(f->listener); // its file stays, as after SIGKILL
	WAIT_STATE("vm1", PORT_DEGRADED);
	assert_non_null(strstr(find(f, "vm1")->reason, "nobody listens on "));
	f->listener = listen_on(&f->client);
	WAIT_STATE("vm1", PORT_READY);
	fd = connect_to(find(f, "vm1")->path);
	peer = accept(f->listener, NULL, NULL);
	WAIT_STATE("vm1", PORT_CONNECTED);
	close(fd);
	close(peer);
	WAIT_STATE("vm1", PORT_READY);
}

static void where_qemu_listens_it_is_seen_whether_the_other_switch_came(void **state) {
	struct fixture *f = *state;
	int qemu, fd, peer;

	assert_int_equal(ADD("vm1", "lab", "socket", "s2").code, 0);
	assert_string_equal(find(f, "vm1")->path, f->server.sun_path);
	assert_true(find(f, "vm1")->qemu_listens);
	assert_int_equal(find(f, "vm1")->state, PORT_READY);
	qemu = listen_on(&f->server);
	WAIT_STATE("vm1", PORT_DEGRADED);
	assert_non_null(strstr(find(f, "vm1")->reason, "nobody has connected"));
	fd = connect_to(f->server.sun_path);
	peer = accept(qemu, NULL, NULL);
	WAIT_STATE("vm1", PORT_CONNECTED);
	close(fd);
	close(peer);
	WAIT_STATE("vm1", PORT_DEGRADED);
	close(qemu);
	WAIT_STATE("vm1", PORT_READY);
}

static void a_restart_of_vdpad_finds_ports_and_links_again(void **state) {
	struct fixture *f = *state;
	char path[128], target[128];

	assert_int_equal(ADD("vm1", "lab", "socket", "s1", "queue_pairs", "2").code, 0);
	assert_int_equal(ADD("vm2", "lab", "socket", "s2").code, 0);
	strcpy(path, find(f, "vm1")->path);
	node_stop_vdpad(&f->node);
	assert_int_equal(unlink(path), 0); // as a tidy administrator would
	node_start_vdpad(&f->node);
	WAIT_STATE("vm1", PORT_READY);
	WAIT_STATE("vm2", PORT_READY);
	assert_true(find(f, "vm2")->qemu_listens);
	read_link(path, target, sizeof(target));
	assert_string_equal(target, f->client.sun_path);
	assert_int_equal(find(f, "vm1")->spec.queue_pairs, 2);
	nobody_has_connected(f);
}

static void a_socket_that_left_the_configuration_degrades_its_port(void **state) {
	struct fixture *f = *state;
	struct error e;

	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	write_config(f, "s1");
	assert_int_equal(daemon_reload(f->node.d, &e), 0);
	WAIT_STATE("vm1", PORT_DEGRADED);
	assert_string_equal(
		find(f, "vm1")->reason,
		"socket 's1' is not configured any more: put [socket s1] "
		"back, or delete the port"
	);
	write_config(f, "");
	assert_int_equal(daemon_reload(f->node.d, &e), 0);
	WAIT_STATE("vm1", PORT_READY);
	strcat(f->server.sun_path, "x");
	assert_int_equal(ADD("vm2", "lab", "socket", "s2").code, 0);
	write_config(f, "");
	assert_int_equal(daemon_reload(f->node.d, &e), 0);
	WAIT_STATE("vm2", PORT_DEGRADED);
	assert_non_null(strstr(find(f, "vm2")->reason, "another network, mode or path"));
}

static int preview(struct fixture *f, const char *port, const char *socket) {
	const char *pairs[] = {"network", "lab",  "mac", "02:00:00:00:00:01",
	                       "socket",  socket, NULL};
	struct answer answer;

	node_ask(&f->node, "PreviewPort", port, pairs, &answer);
	node_wait(&f->node, answer.code != -1);
	return answer.code;
}

static void a_preview_makes_nothing_and_fails_as_the_port_would(void **state) {
	struct fixture *f = *state;
	char path[128];
	struct stat st;

	assert_int_equal(preview(f, "vm1", "s1"), 0);
	assert_int_equal(f->node.d->ports.n, 0);
	snprintf(path, sizeof(path), "%s/port/vm1.sock", f->node.run_dir);
	assert_int_equal(lstat(path, &st), -1);
	assert_int_equal(preview(f, "vm1", "s9"), ENOTSOCK);
	assert_int_equal(ADD("vm1", "lab", "socket", "s1", "mac", "02:00:00:00:00:01").code, 0);
	assert_int_equal(preview(f, "vm2", "s1"), EEXIST);
	assert_int_equal(preview(f, "vm2", "s2"), EEXIST); // its MAC
	assert_int_equal(preview(f, "vm1", "s2"), 0);      // in the place of the one that is there
}

// Its VM connects again when the other switch restarts, and must not land somewhere else by that.
static void a_link_does_not_follow_its_socket_into_another_network(void **state) {
	struct fixture *f = *state;
	char target[128];
	struct error e;
	FILE *file;

	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	file = fopen(f->node.config, "w");
	assert_non_null(file);
	fputs("[networks]\nbridges = no\n[network lab]\nuplink = none\n"
	      "[network other]\nuplink = none\n[socket s1]\nnetwork = other\npath = /run/other\n",
	      file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(daemon_reload(f->node.d, &e), 0);
	WAIT_STATE("vm1", PORT_DEGRADED);
	assert_non_null(strstr(find(f, "vm1")->reason, "another network, mode or path"));
	read_link(find(f, "vm1")->path, target, sizeof(target));
	assert_string_equal(target, f->client.sun_path);
}

// vdpad was killed after it made the link and before anybody was told that the port exists, or before
// the link was in its place.
static void a_link_without_a_port_is_swept_away(void **state) {
	struct fixture *f = *state;
	char left[128], new[128], socket[128];
	struct error e;
	struct stat st;

	snprintf(new, sizeof(new), "%s/port/vm9.sock.new", f->node.run_dir);
	snprintf(left, sizeof(left), "%s/port/vm7.sock", f->node.run_dir);
	snprintf(socket, sizeof(socket), "%s/port/vm8.sock", f->node.run_dir);
	assert_int_equal(store_set_trusted(f->node.d->store, &e), 0);
	node_stop_vdpad(&f->node);
	assert_int_equal(symlink(f->client.sun_path, left), 0);
	assert_int_equal(symlink(f->client.sun_path, new), 0);
	strcpy(f->server.sun_path, socket);
	close(listen_on(&f->server)); // of the switch
	node_start_vdpad(&f->node);
	assert_int_equal(lstat(left, &st), -1);
	assert_int_equal(lstat(new, &st), -1);
	assert_int_equal(lstat(socket, &st), 0);
	assert_int_equal(lstat(f->client.sun_path, &st), 0);
}

// One network, ports on both backends: it is on the switch for as long as the switch needs it.
static void the_switch_gives_a_network_up_though_a_socket_stays_on_it(void **state) {
	struct fixture *f = *state;
	struct answer answer;

	node_switch_comes(&f->node);
	node_netlink_comes(&f->node);
	assert_int_equal(ADD("vm1", "lab", "socket", "s1").code, 0);
	assert_int_equal(f->node.n_networks, 0);
	assert_int_equal(ADD("vm2", "lab").code, 0);
	assert_int_equal(f->node.n_networks, 1);
	node_del(&f->node, "vm2", &answer);
	node_wait(&f->node, answer.code == 0 && f->node.n_networks == 0);
	assert_int_equal(find(f, "vm1")->state, PORT_READY);
}

int main(void) {
#define WITH_NODE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_NODE(a_port_is_a_link_to_a_socket_that_nobody_touches),
		WITH_NODE(a_socket_is_for_one_port_on_its_network),
		WITH_NODE(somebody_elses_peer_keeps_ports_off_until_it_goes),
		WITH_NODE(the_peer_of_a_port_just_deleted_is_in_nobodys_way),
		WITH_NODE(a_port_that_was_lost_with_the_state_file_can_be_added_again),
		WITH_NODE(a_listener_that_goes_and_comes_is_followed),
		WITH_NODE(where_qemu_listens_it_is_seen_whether_the_other_switch_came),
		WITH_NODE(a_restart_of_vdpad_finds_ports_and_links_again),
		WITH_NODE(a_socket_that_left_the_configuration_degrades_its_port),
		WITH_NODE(a_preview_makes_nothing_and_fails_as_the_port_would),
		WITH_NODE(a_link_does_not_follow_its_socket_into_another_network),
		WITH_NODE(a_link_without_a_port_is_swept_away),
		WITH_NODE(the_switch_gives_a_network_up_though_a_socket_stays_on_it),
	};

	return cmocka_run_group_tests(tests, private_bus_setup, private_bus_teardown);
}
