// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fallback/vhost/discard.h"
#include "tests/fake/vhost_front.h"
#include "vdpad/util/clock.h"

#define HANG_S 2
#define AT_ONCE_MS 500
#define MEMORY_SIZE (UINT64_C(64) << 20)

// The only descriptor of a connection whose close() takes HANG_S, because its peer does not read.
// @ret_sink ends the wait when it is closed.
static int make_slow(int *ret_sink) {
	static const uint8_t bytes[1 << 16];
	const struct linger linger = {.l_onoff = 1, .l_linger = HANG_S};
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int slow = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(bind(listener, (struct sockaddr *)&addr, size), errno);
	assert_return_code(listen(listener, 1), errno);
	assert_return_code(getsockname(listener, (struct sockaddr *)&addr, &size), errno);
	assert_return_code(connect(slow, (struct sockaddr *)&addr, size), errno);
	*ret_sink = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*ret_sink >= 0);
	close(listener);
	while (send(slow, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	assert_return_code(setsockopt(slow, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), errno);
	return slow;
}

static void send_to(int fd, int what) {
	struct iovec iov = {(void *)"x", 1};

	assert_int_equal(front_sendmsg(fd, &iov, 1, &what, 1, 0), 1);
	close(what);
}

static void discard_does_not_wait_for_a_close_that_hangs(void **state) {
	unsigned int n_fds = front_count_fds();
	uint64_t start_ms;
	int sink, fd;

	(void)state;
	fd = make_slow(&sink);
	start_ms = clock_now_ms();
	discard_fds(&fd, 1, NULL);
	assert_true(clock_now_ms() - start_ms < AT_ONCE_MS);
	close(sink);
	assert_int_equal(front_count_fds(), n_fds);
}

static void discard_socket_with_such_a_descriptor_in_it_does_not_wait(void **state) {
	unsigned int n_fds = front_count_fds();
	uint64_t start_ms;
	int sink, pair[2];
	char byte;

	(void)state;
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
	send_to(pair[0], make_slow(&sink));
	start_ms = clock_now_ms();
	discard_socket(pair[1], NULL);
	assert_true(recv(pair[0], &byte, 1, 0) <= 0); // the peer knows at once
	assert_true(clock_now_ms() - start_ms < AT_ONCE_MS);
	close(sink);
	close(pair[0]);
	assert_int_equal(front_count_fds(), n_fds);
}

static void session_with_surplus_descriptors_that_hang_ends_at_once(void **state) {
	unsigned int n_fds;
	uint64_t start_ms;
	struct front f;
	int sink[2];

	(void)state;
	front_open(&f, &front_config); // with what all fronts share
	front_close(&f);
	n_fds = front_count_fds();
	front_open(&f, &front_config);
	send_to(f.fd, make_slow(&sink[0]));
	send_to(f.fd, make_slow(&sink[1])); // stays in the socket
	start_ms = clock_now_ms();
	assert_int_equal(front_run(&f), 0);
	f.now_ms += MESSAGE_DEADLINE_MS;
	assert_int_equal(front_run(&f), -ETIMEDOUT);
	session_free(f.session);
	f.session = NULL;
	assert_true(clock_now_ms() - start_ms < AT_ONCE_MS);
	close(sink[0]);
	close(sink[1]);
	front_close(&f);
	assert_int_equal(front_count_fds(), n_fds);
}

static void session_is_refused_while_too_much_of_its_port_hangs(void **state) {
	static const struct session_ops no_ops;
	struct session_config config = front_config;
	struct session *session = NULL;
	int sinks[DISCARD_MAX_HANGING], pair[2];

	(void)state;
	config.ops = &no_ops;
	config.arg = &config;
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
	for (unsigned int i = 0; i < DISCARD_MAX_HANGING; i++) {
		int fd = make_slow(&sinks[i]);

		assert_false(discard_is_hung(&config));
		discard_fds(&fd, 1, &config);
	}
	assert_int_equal(session_new(&config, pair[0], 0, &session), -EBUSY);
	assert_false(discard_is_hung(&pair)); // others do not pay for it
	for (unsigned int i = 0; i < DISCARD_MAX_HANGING; i++)
		close(sinks[i]);
	discard_wait();
	assert_false(discard_is_hung(&config));
	discard_socket(pair[0], NULL);
	close(pair[1]);
}

static void discard_gives_back_memory_in_the_background(void **state) {
	unsigned int n_fds = front_count_fds(), n_maps = front_count_maps();
	int event = eventfd(0, EFD_CLOEXEC);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		int fd = memfd_create("large", MFD_CLOEXEC);
		uint8_t *map;

		assert_return_code(ftruncate(fd, MEMORY_SIZE), errno);
		map = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		assert_ptr_not_equal(map, MAP_FAILED);
		memset(map, 1, MEMORY_SIZE);
		discard_fds(&fd, 1, NULL);
		discard_map(map, MEMORY_SIZE);
	}
	discard_fds(&event, 1, NULL);
	discard_socket(-1, NULL);
	assert_int_equal(front_count_maps(), n_maps);
	assert_int_equal(front_count_fds(), n_fds);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(discard_does_not_wait_for_a_close_that_hangs),
		cmocka_unit_test(discard_socket_with_such_a_descriptor_in_it_does_not_wait),
		cmocka_unit_test(session_with_surplus_descriptors_that_hang_ends_at_once),
		cmocka_unit_test(session_is_refused_while_too_much_of_its_port_hangs),
		cmocka_unit_test(discard_gives_back_memory_in_the_background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
