// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fallback/kick_fds.h"

struct fixture {
	struct kick_fds kicks;
	int epoll_fd;
	int kick;
};

static int setup(void **state) {
	struct fixture *f = calloc(1, sizeof(*f));

	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	f->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	kick_fds_init(&f->kicks, f->epoll_fd);
	*state = f;
	return f->epoll_fd < 0 || f->kick < 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;

	kick_fds_done(&f->kicks);
	close(f->kick);
	close(f->epoll_fd);
	free(f);
	return 0;
}

static int count_wakeups(const struct fixture *f) {
	struct epoll_event events[4];

	return epoll_wait(f->epoll_fd, events, 4, 0);
}

static void each_kick_wakes_once_though_nobody_reads_it(void **state) {
	struct fixture *f = *state;

	kick_fds_take(&f->kicks, 3, f->kick);
	assert_int_equal(f->kicks.missing, 0);
	assert_int_equal(count_wakeups(f), 0);
	for (int i = 0; i < 3; i++) {
		eventfd_write(f->kick, 1);
		assert_int_equal(count_wakeups(f), 1);
		assert_int_equal(count_wakeups(f), 0);
	}
}

static void kick_before_it_is_taken_counts(void **state) {
	struct fixture *f = *state;

	eventfd_write(f->kick, 1);
	kick_fds_take(&f->kicks, 0, f->kick);
	assert_int_equal(count_wakeups(f), 1);
}

// The peer, and librte_vhost, still have the original.
static void dropped_ring_wakes_nobody(void **state) {
	struct fixture *f = *state;
	int duplicate;

	kick_fds_take(&f->kicks, 0, f->kick);
	duplicate = f->kicks.fds[0];
	kick_fds_drop(&f->kicks, 0);
	kick_fds_drop(&f->kicks, 0);
	eventfd_write(f->kick, 1);
	assert_int_equal(count_wakeups(f), 0);
	assert_int_equal(fcntl(duplicate, F_GETFD), -1);
}

static void ring_that_is_taken_again_keeps_one_descriptor(void **state) {
	struct fixture *f = *state;
	int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	kick_fds_take(&f->kicks, 0, f->kick);
	kick_fds_take(&f->kicks, 0, other);
	eventfd_write(f->kick, 1);
	assert_int_equal(count_wakeups(f), 0);
	eventfd_write(other, 1);
	assert_int_equal(count_wakeups(f), 1);
	close(other);
}

static void what_cannot_be_waited_for_is_missing_until_the_ring_is_dropped(void **state) {
	struct fixture *f = *state;
	int plain = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	kick_fds_take(&f->kicks, 63, -1);
	assert_int_equal(f->kicks.missing, UINT64_C(1) << 63);
	kick_fds_take(&f->kicks, 1, plain); // epoll refuses regular files
	assert_int_equal(f->kicks.missing, UINT64_C(1) << 63 | 1 << 1);
	kick_fds_take(&f->kicks, 1, f->kick);
	kick_fds_drop(&f->kicks, 63);
	assert_int_equal(f->kicks.missing, 0);
	close(plain);
}

#define KICK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		KICK_TEST(each_kick_wakes_once_though_nobody_reads_it),
		KICK_TEST(kick_before_it_is_taken_counts),
		KICK_TEST(dropped_ring_wakes_nobody),
		KICK_TEST(ring_that_is_taken_again_keeps_one_descriptor),
		KICK_TEST(what_cannot_be_waited_for_is_missing_until_the_ring_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
