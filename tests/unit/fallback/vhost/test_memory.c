// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fallback/vhost/memory.h"
#include "tests/fake/vhost_front.h"

#define MIB (UINT64_C(1) << 20)

static int make_memfd(uint64_t size, int seals) {
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_return_code(fd, errno);
	assert_return_code(ftruncate(fd, (off_t)size), errno);
	assert_return_code(fcntl(fd, F_ADD_SEALS, seals), errno);
	return fd;
}

static int add(
	struct memory *m, uint64_t guest_addr, uint64_t user_addr, uint64_t size, int fd,
	uint64_t offset
) {
	struct memory_region region;
	int r = memory_region_open(
		&region, guest_addr, user_addr, size, fd, offset, false, &m->report
	);

	if (r < 0)
		return r;
	r = memory_insert(m, &region);
	if (r < 0)
		memory_region_close(&region);
	return r;
}

// Two regions side by side, a gap, and a third.
static void make_memory(struct memory *m, int *ret_fd) {
	*ret_fd = make_memfd(3 * MIB, 0);
	memory_init(m, -1);
	assert_int_equal(add(m, 0x400000, 0x9000000, MIB, *ret_fd, 2 * MIB), 0);
	assert_int_equal(add(m, 0x0, 0x7000000, MIB, *ret_fd, 0), 0);
	assert_int_equal(add(m, MIB, 0x5000000, MIB, *ret_fd, MIB), 0);
}

static void memory_translates_only_what_is_mapped_as_a_whole(void **state) {
	struct segment s[4];
	struct memory m;
	unsigned int hint = 77;
	int fd;

	(void)state;
	make_memory(&m, &fd);
	assert_non_null(memory_at(&m, 0, MIB, &hint));
	assert_null(memory_at(&m, 0, MIB + 1, &hint));
	assert_null(memory_at(&m, 2 * MIB, 1, &hint));
	assert_null(memory_at(&m, UINT64_MAX, 1, &hint));
	assert_null(memory_at(&m, UINT64_MAX, UINT64_MAX, &hint));
	assert_null(memory_at(&m, 0x400000, UINT64_MAX, &hint));
	assert_null(memory_at(&m, 0x400000 + MIB - 1, 2, &hint));
	assert_null(memory_at(&m, 0x400000 - 1, 2, &hint));

	assert_int_equal(memory_split(&m, MIB - 16, 48, &hint, s, 4), 2);
	assert_int_equal(s[0].size, 16);
	assert_int_equal(s[1].size, 32);
	assert_int_equal(s[1].guest_addr, MIB);
	assert_int_equal(memory_split(&m, MIB - 16, 48, &hint, s, 1), -E2BIG);
	assert_int_equal(memory_split(&m, 2 * MIB - 1, 2, &hint, s, 4), -EFAULT);
	assert_int_equal(memory_split(&m, 0x400000, UINT32_MAX, &hint, s, 4), -EFAULT);
	assert_int_equal(memory_split(&m, 0x400000 + MIB, 0, &hint, s, 4), -EFAULT);
	assert_int_equal(memory_split(&m, 0x400000, 0, &hint, s, 4), 0);
	memory_done(&m);
	close(fd);
}

static void memory_ring_addresses_are_found_by_the_front_ends_own(void **state) {
	struct memory m;
	int fd;

	(void)state;
	make_memory(&m, &fd);
	assert_ptr_equal(memory_at_user(&m, 0x5000010, 16), m.regions[1].host + 16);
	assert_null(memory_at_user(&m, 0x5000000 + MIB - 1, 2));
	assert_null(memory_at_user(&m, 0, 1));
	assert_null(memory_at_user(&m, UINT64_MAX, 1));
	memory_done(&m);
	close(fd);
}

static void memory_refuses_overlap_overflow_and_ranges_beyond_the_file(void **state) {
	struct memory m;
	int fd;

	(void)state;
	make_memory(&m, &fd);
	assert_int_equal(add(&m, MIB / 2, 0xa000000, MIB, fd, 0), -EEXIST);
	assert_int_equal(add(&m, 0x3fffff, 0xa000000, 2, fd, 0), -EEXIST);
	assert_int_equal(add(&m, UINT64_MAX - MIB + 1, 0xa000000, MIB, fd, 0), -EINVAL);
	assert_int_equal(add(&m, 0x800000, UINT64_MAX - 10, MIB, fd, 0), -EINVAL);
	assert_int_equal(add(&m, 0x800000, 0xa000000, 0, fd, 0), -EINVAL);
	assert_int_equal(add(&m, 0x800000, 0xa000000, MIB, fd, 2 * MIB + 1), -EINVAL);
	assert_int_equal(add(&m, 0x800000, 0xa000000, MIB, fd, UINT64_MAX - MIB + 1), -EINVAL);
	assert_int_equal(add(&m, 0x800000, 0xa000000, UINT64_MAX / 2, fd, 0), -EINVAL);
	assert_int_equal(m.n_regions, 3);
	memory_done(&m);
	close(fd);
}

static void memory_holds_its_regions_in_order_and_not_more_than_its_slots(void **state) {
	int fd = make_memfd(4096, 0);
	struct memory_region region;
	struct memory m;

	(void)state;
	memory_init(&m, -1);
	for (uint64_t i = 0; i < MEMORY_MAX_REGIONS; i++)
		assert_int_equal(
			add(&m, (i * 37 % MEMORY_MAX_REGIONS) * 4096, i << 32, 4096, fd, 0), 0
		);
	for (unsigned int i = 0; i < MEMORY_MAX_REGIONS; i++)
		assert_int_equal(m.regions[i].guest_addr, i * 4096);
	assert_int_equal(add(&m, UINT64_C(1) << 40, 1, 4096, fd, 0), -ENOSPC);
	assert_int_equal(memory_total(&m), MEMORY_MAX_REGIONS * 4096);
	assert_int_equal(memory_remove(&m, 4096, 1, 4096, &region), -ENOENT);
	assert_int_equal(memory_remove(&m, 0, 0, 4096, &region), 0);
	memory_region_close(&region);
	assert_int_equal(memory_remove(&m, 0, 0, 4096, &region), -ENOENT);
	memory_done(&m);
	close(fd);
}

static void memory_takes_shared_memory_only(void **state) {
	int sealed = make_memfd(MIB, F_SEAL_SHRINK), open_ended = make_memfd(MIB, 0);
	int readonly_seal = make_memfd(MIB, F_SEAL_WRITE);
	struct sigbus_report report = {.event_fd = -1};
	struct mapping m = {0};
	int other[6], pair[2];

	(void)state;
	assert_int_equal(mapping_open(&m, sealed, 0, MIB, true, &report), 0);
	mapping_close(&m);
	assert_int_equal(mapping_open(&m, open_ended, 0, MIB, true, &report), -EPERM);
	assert_int_equal(mapping_open(&m, open_ended, 0, MIB, false, &report), 0);
	mapping_close(&m);
	assert_true(mapping_open(&m, readonly_seal, 0, MIB, false, &report) < 0);

	other[0] = open("/", O_RDONLY | O_CLOEXEC);
	other[1] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	other[2] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	other[3] = eventfd(0, EFD_CLOEXEC);
	assert_return_code(pipe2(pair, O_CLOEXEC), errno);
	other[4] = pair[0];
	close(pair[1]);
	other[5] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (unsigned int i = 0; i < 6; i++) {
		assert_true(mapping_open(&m, other[i], 0, 4096, false, &report) < 0);
		close(other[i]);
	}
	close(sealed);
	close(open_ended);
	close(readonly_seal);
}

static void memory_that_shrinks_marks_the_peer_and_the_thread_goes_on(void **state) {
	int fd = make_memfd(MIB, 0);
	uint64_t news = 0;
	uint8_t bytes[4096];
	struct memory m;

	(void)state;
	assert_int_equal(sigbus_install(), 0);
	memory_init(&m, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	assert_int_equal(add(&m, 0, 0, MIB, fd, 0), 0);
	memset(m.regions[0].host, 0x55, MIB);
	assert_return_code(ftruncate(fd, 0), errno);
	assert_false(atomic_load(&m.report.faulted));
	memory_read(bytes, m.regions[0].host + MIB / 2, sizeof(bytes));
	assert_true(atomic_load(&m.report.faulted));
	assert_int_equal(bytes[0], 0);
	memory_write(&m, m.regions[0].host, false, 0, bytes, sizeof(bytes));
	assert_int_equal(read(m.report.event_fd, &news, sizeof(news)), sizeof(news));
	assert_int_equal(news, 1);
	close(m.report.event_fd);
	memory_done(&m);
	close(fd);
}

static void memory_log_marks_pages_and_nothing_outside(void **state) {
	int fd = make_memfd(8192, 0);
	struct mapping log;
	uint8_t *bits;
	struct memory m;

	(void)state;
	memory_init(&m, -1);
	assert_int_equal(mapping_open(&log, fd, 4096, 16, false, &m.report), 0);
	memory_set_log(&m, &log, 16);
	m.log_enabled = true;
	bits = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(bits, MAP_FAILED);

	memory_log(&m, 4095, 2);
	assert_int_equal(bits[4096], 3);
	memory_log(&m, 9 * 4096, 1);
	assert_int_equal(bits[4097], 2);
	memory_log(&m, 127 * 4096, 2 * 4096);
	assert_int_equal(bits[4096 + 15], 0x80);
	assert_int_equal(bits[4096 + 16], 0);
	memory_log(&m, UINT64_MAX, 1);
	memory_log(&m, UINT64_MAX, 16);
	memory_log(&m, 0, 0);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(bits[i], 0);
	munmap(bits, 8192);
	memory_done(&m);
	close(fd);
}

static void memory_maps_huge_alignment_and_unaligned_offsets(void **state) {
	int fd = make_memfd(8 * MIB, 0);
	struct sigbus_report report = {.event_fd = -1};
	struct mapping m = {0};

	(void)state;
	assert_int_equal(pwrite(fd, "mark", 4, 5000), 4);
	assert_int_equal(mapping_open(&m, fd, 5000, 6 * MIB, false, &report), 0);
	assert_memory_equal(m.data, "mark", 4);
	assert_int_equal((uintptr_t)(m.data - 5000 + 4096) % (2 * MIB), 0);
	mapping_close(&m);
	mapping_close(&m);
	close(fd);
}

static void notifier_signals_eventfds_only_and_never_waits(void **state) {
	int fd = eventfd(0, EFD_CLOEXEC), memfd = make_memfd(4096, 0); // the eventfd may block
	uint64_t top = UINT64_MAX - 1;
	struct notifier n;

	(void)state;
	assert_int_equal(notifier_init(&n), 0);
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(notifier_signal(&n, fd), 0);
	assert_int_equal(read(fd, &top, sizeof(top)), sizeof(top));
	assert_int_equal(top, 1000);
	top = UINT64_MAX - 1;
	assert_int_equal(write(fd, &top, sizeof(top)), sizeof(top));
	assert_int_equal(notifier_signal(&n, fd), 0);
	assert_int_equal(notifier_signal(&n, fd), 0);
	assert_int_equal(notifier_signal(&n, memfd), -EINVAL);
	assert_int_equal(notifier_signal(&n, -1), -EBADF);
	assert_true(notify_is_eventfd(fd));
	assert_false(notify_is_eventfd(memfd));
	assert_false(notify_is_eventfd(-1));
	notifier_done(&n);
	close(fd);
	close(memfd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_translates_only_what_is_mapped_as_a_whole),
		cmocka_unit_test(memory_ring_addresses_are_found_by_the_front_ends_own),
		cmocka_unit_test(memory_refuses_overlap_overflow_and_ranges_beyond_the_file),
		cmocka_unit_test(memory_holds_its_regions_in_order_and_not_more_than_its_slots),
		cmocka_unit_test(memory_takes_shared_memory_only),
		cmocka_unit_test(memory_that_shrinks_marks_the_peer_and_the_thread_goes_on),
		cmocka_unit_test(memory_log_marks_pages_and_nothing_outside),
		cmocka_unit_test(memory_maps_huge_alignment_and_unaligned_offsets),
		cmocka_unit_test(notifier_signals_eventfds_only_and_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
