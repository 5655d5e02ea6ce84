// SPDX-License-Identifier: GPL-2.0-or-later
// Ports and peers that do not behave: real workers and real sockets.

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "fallback/switch.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"

static struct {
	struct workers *workers;
	struct network_switch *sw;
	char directory[32];
	char path[64]; // of port p1
} t;

static int group_setup(void **state) {
	const int cpus[] = {-1, -1};
	int r = frames_setup(state);

	if (r < 0)
		return r;
	return workers_new(cpus, ARRAY_LEN(cpus), frames_pool(), &t.workers, NULL);
}

static int group_teardown(void **state) {
	workers_free(t.workers);
	return frames_teardown(state);
}

static int setup(void **state) {
	const struct switch_network_spec network = {.mtu_bytes = 1500, .ageing_s = 300};

	(void)state;
	strcpy(t.directory, "/tmp/vdpad-vhost-XXXXXX");
	if (mkdtemp(t.directory) == NULL)
		return -1;
	snprintf(t.path, sizeof(t.path), "%s/p1.sock", t.directory);
	t.sw = switch_new(t.workers, frames_pool());
	return t.sw == NULL ? -1 : switch_set_network(t.sw, "net0", &network, NULL);
}

static int teardown(void **state) {
	(void)state;
	switch_free(t.sw);
	return rmdir(t.directory); // fails when a socket was left
}

static void add_port(const char *name, const char *path) {
	const struct switch_port_spec spec = {
		.network = "net0",
		.path = path,
		.mtu_bytes = 1500,
		.queue_pairs = 1,
		.link_up = true,
		.features = UINT64_C(1) << 32,
	};

	assert_int_equal(switch_set_port(t.sw, name, &spec, NULL), 0);
}

static int connect_to(const char *path) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int count_fds(void) {
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

// Ask with GET_FEATURES whether librte_vhost's thread still answers peers.
static bool is_answered(int fd) {
	static const uint32_t request[] = {1, 1, 0};
	const struct timeval patience = {.tv_sec = 5};
	uint32_t answer[5];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(write(fd, request, sizeof(request)), sizeof(request));
	return recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer);
}

static void half_a_message_of_one_peer_does_not_hold_up_another(void **state) {
	static const uint32_t half[] = {2, 1, 8}; // SET_FEATURES, and to what?
	char other_path[sizeof(t.path) + 2];
	int hostile, other;

	(void)state;
	add_port("p1", t.path);
	snprintf(other_path, sizeof(other_path), "%s.2", t.path);
	add_port("p2", other_path);
	hostile = connect_to(t.path);
	assert_true(is_answered(hostile));
	other = connect_to(other_path);
	assert_int_equal(write(hostile, half, sizeof(half)), sizeof(half));
	assert_true(is_answered(other));
	close(other);
	close(hostile);
	assert_int_equal(switch_del_port(t.sw, "p2", NULL), 0);
}

static void peer_that_reads_no_answers_does_not_hold_up_another(void **state) {
	// SET_VRING_BASE, and an answer to it is wanted.
	static const uint32_t request[] = {10, 1 | 1 << 3, 8, 0, 0};
	char other_path[sizeof(t.path) + 2];
	int hostile, other;

	(void)state;
	add_port("p1", t.path);
	snprintf(other_path, sizeof(other_path), "%s.2", t.path);
	add_port("p2", other_path);
	hostile = connect_to(t.path);
	for (int i = 0; i < 20000; i++) {
		if (send(hostile, request, sizeof(request), MSG_DONTWAIT) < 0)
			break;
	}
	other = connect_to(other_path);
	assert_true(is_answered(other));
	close(other);
	close(hostile);
	assert_int_equal(switch_del_port(t.sw, "p2", NULL), 0);
}

static void port_that_is_deleted_with_its_peer_leaves_no_descriptor(void **state) {
	int n_fds;
	char byte;

	(void)state;
	n_fds = count_fds();
	for (int i = 0; i < 20; i++) {
		int peer;

		add_port("p1", t.path);
		peer = connect_to(t.path);
		if (i % 2 == 0) // else it is deleted while the peer is coming
			assert_true(is_answered(peer));
		assert_int_equal(switch_del_port(t.sw, "p1", NULL), 0);
		assert_true(read(peer, &byte, 1) <= 0);
		close(peer);
	}
	assert_int_equal(count_fds(), n_fds);
}

#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		PORT_TEST(half_a_message_of_one_peer_does_not_hold_up_another),
		PORT_TEST(peer_that_reads_no_answers_does_not_hold_up_another),
		PORT_TEST(port_that_is_deleted_with_its_peer_leaves_no_descriptor),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
