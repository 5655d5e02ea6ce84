// SPDX-License-Identifier: GPL-2.0-or-later
// What has gone wrong in other vhost-user back-ends, as a test each. Ways in that do not exist here
// (crypto, VDUSE, regions for buffers in flight, IOMMU) are tested to be absent. Left out is what is in
// drivers of NICs (CVE-2022-28199, 2025-23259, 2026-86856) and in segmentation (2026-100236), which is
// not done here.

#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "tests/fake/vhost_front.h"

#define F(n) (UINT64_C(1) << (n))
#define FULL (F(VIRTIO_NET_F_MRG_RXBUF) | F(VIRTIO_RING_F_INDIRECT_DESC) | F(VIRTIO_NET_F_CSUM))

static struct front a, b;
static struct ring_burst burst;

static int setup(void **state) {
	(void)state;
	front_open(&a, &front_config);
	front_open(&b, &front_config);
	front_start(&a, FULL);
	front_start(&b, FULL);
	return 0;
}

static int teardown(void **state) {
	(void)state;
	front_close(&a);
	front_close(&b);
	return 0;
}

static unsigned int take(struct front *f) {
	struct ring *r = session_ring(f->session, 1);
	unsigned int n = 0;

	while (n += ring_take(r, &burst, RING_BURST), burst.n_taken > 0) {
		ring_give_back(r, &burst);
		ring_flush(r, f->notifier);
	}
	return n;
}

static void cve_2018_1059_range_that_is_mapped_in_part_only(void **state) {
	(void)state;
	front_post(&a, 1, FRONT_MEMORY_SIZE - 64, 128, false);
	assert_int_equal(take(&a), 0);
	assert_int_equal(session_ring(a.session, 1)->stats.malformed, 1);
}

static void cve_2019_14818_surplus_descriptors_and_repeated_vring_num(void **state) {
	unsigned int n_fds = front_count_fds();
	uint32_t num[] = {0, 256};
	uint64_t ring = 0;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(front_ack(&a, MESSAGE_SET_VRING_NUM, num, 8, NULL, 0), 0);
		assert_int_equal(
			front_ack(&a, MESSAGE_SET_VRING_CALL, &ring, 8, &a.rings[0].call_fd, 1), 0
		);
		assert_int_equal(
			front_ack(&a, MESSAGE_SET_VRING_ERR, &ring, 8, &a.rings[0].call_fd, 1), 0
		);
	}
	assert_int_equal(front_count_fds(), n_fds);
	front_send(&a, MESSAGE_SET_VRING_NUM, 0, num, 8, &a.memory_fd, 1);
	assert_int_equal(front_run(&a), -EPROTO);
}

static void cve_2020_10722_log_size_and_offset_overflow(void **state) {
	static const uint64_t bad[][2] = {
		{UINT64_MAX, 1},
		{8, UINT64_MAX - 3},
		{UINT64_MAX - 8, 16},
		{1 << 20, FRONT_MEMORY_SIZE - 4096}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		teardown(NULL);
		setup(NULL);
		front_send(&a, MESSAGE_SET_LOG_BASE, 0, bad[i], 16, &a.memory_fd, 1);
		assert_true(front_run(&a) < 0);
	}
}

static void cve_2020_10723_ring_index_beyond_16_bits(void **state) {
	uint32_t vring[] = {0x10000, 256};
	uint32_t addr[10] = {0x10001};

	(void)state;
	assert_int_equal(front_ack(&a, MESSAGE_SET_VRING_NUM, vring, 8, NULL, 0), 1);
	assert_int_equal(front_ack(&a, MESSAGE_SET_VRING_ENABLE, vring, 8, NULL, 0), 1);
	assert_int_equal(front_ack(&a, MESSAGE_SET_VRING_ADDR, addr, 40, NULL, 0), 1);
}

static void cve_2020_10724_14374_86845_no_crypto_requests(void **state) {
	uint64_t payload[5] = {0};

	(void)state;
	front_send(&a, 26, 0, payload, sizeof(payload), NULL, 0);
	assert_int_equal(front_run(&a), -EOPNOTSUPP);
}

static void cve_2020_10725_descriptor_of_no_bytes_at_a_bad_address(void **state) {
	(void)state;
	front_desc(&a, 1, 0, front_addr(FRONT_DATA), 112, VRING_DESC_F_NEXT, 1);
	front_desc(&a, 1, 1, UINT64_MAX, 0, 0, 0);
	front_avail(&a, 1, 0);
	assert_int_equal(take(&a), 0);
	front_desc(&b, 0, 0, UINT64_MAX, 0, VRING_DESC_F_WRITE, 0);
	front_avail(&b, 0, 0);
	front_post(&a, 1, FRONT_DATA, 112, false);
	assert_int_equal(front_forward(&a, &b), 0);
}

static void cve_2020_10726_2021_3839_2022_0669_86565_no_inflight_region(void **state) {
	unsigned int n_fds = front_count_fds();
	uint64_t payload[3] = {4096, 0, UINT64_MAX};

	(void)state;
	for (uint32_t request = 31; request <= 32; request++) {
		front_send(&a, request, 0, payload, sizeof(payload), &a.memory_fd, 1);
		assert_int_equal(front_run(&a), -EOPNOTSUPP);
		teardown(NULL);
		assert_true(front_count_fds() < n_fds);
		setup(NULL);
		assert_int_equal(front_count_fds(), n_fds);
	}
}

static void cve_2022_2132_chain_shorter_than_the_header(void **state) {
	(void)state;
	for (uint32_t size = 0; size < 12 + RING_MIN_FRAME; size++)
		front_post(&a, 1, FRONT_DATA, size, false);
	assert_int_equal(take(&a), 0);
	assert_int_equal(session_ring(a.session, 1)->stats.malformed, 1);
	assert_int_equal(session_ring(a.session, 1)->stats.runts, 12 + RING_MIN_FRAME - 1);
}

static void cve_2022_2132_header_spread_over_many_descriptors(void **state) {
	(void)state;
	for (uint16_t i = 0; i < 40; i++) {
		a.memory[FRONT_DATA + i] = (uint8_t)i;
		front_desc(
			&a, 1, i, front_addr(FRONT_DATA + i), 1, i < 39 ? VRING_DESC_F_NEXT : 0,
			i + 1
		);
		front_desc(
			&b, 0, i, front_addr(FRONT_DATA + i), 1,
			VRING_DESC_F_WRITE | (i < 39 ? VRING_DESC_F_NEXT : 0), i + 1
		);
	}
	front_avail(&a, 1, 0);
	front_avail(&b, 0, 0);
	assert_int_equal(front_forward(&a, &b), 1);
	assert_memory_equal(b.memory + FRONT_DATA + 12, a.memory + FRONT_DATA + 12, 28);
	assert_int_equal(b.memory[FRONT_DATA + 40], 0);
}

static void cve_2024_11614_offload_header_is_copied_once(void **state) {
	struct ring *r = session_ring(a.session, 1);
	uint16_t csum_start = 34;

	(void)state;
	a.memory[FRONT_DATA] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	memcpy(a.memory + FRONT_DATA + 6, &csum_start, 2);
	front_post(&a, 1, FRONT_DATA, 112, false);
	assert_int_equal(ring_take(r, &burst, 1), 1);
	csum_start = 60000;
	memcpy(a.memory + FRONT_DATA + 6, &csum_start, 2); // after the check, as it were
	assert_int_equal(burst.frames[0].offload.csum_start, 34);
	ring_give_back(r, &burst);
}

static void cve_86561_mapping_size_is_compared_with_the_file(void **state) {
	union message_payload p = {.table = {.n_regions = 1}};

	(void)state;
	p.table.regions[0].size = FRONT_MEMORY_SIZE + 1;
	assert_int_equal(front_ack(&a, MESSAGE_SET_MEM_TABLE, &p, 40, &a.memory_fd, 1), 1);
	p.table.regions[0].size = 4096;
	p.table.regions[0].mmap_offset = FRONT_MEMORY_SIZE - 4095;
	assert_int_equal(front_ack(&a, MESSAGE_SET_MEM_TABLE, &p, 40, &a.memory_fd, 1), 1);
	assert_true(session_is_ready(a.session));
}

static void cve_86563_log_offset_counts_once(void **state) {
	uint64_t payload[] = {4096, 4096};
	union message_payload p = {0};
	struct message_header header;
	int fd = memfd_create("log", MFD_CLOEXEC);
	uint8_t byte = 0;

	(void)state;
	assert_return_code(ftruncate(fd, 8192), errno);
	front_send(&b, MESSAGE_SET_LOG_BASE, 0, payload, 16, &fd, 1);
	assert_int_equal(front_run(&b), 0);
	assert_int_equal(front_receive(&b, &header, &p), 0);
	front_ok(&b, MESSAGE_SET_FEATURES, FULL | F(VIRTIO_F_VERSION_1) | F(30) | F(26));
	front_post(&b, 0, FRONT_DATA, 2048, true);
	front_post(&a, 1, FRONT_DATA, 112, false);
	assert_int_equal(front_forward(&a, &b), 1);
	assert_int_equal(pread(fd, &byte, 1, 4096 + (off_t)(front_addr(FRONT_DATA) / 4096 / 8)), 1);
	assert_int_equal(byte, 1);
	close(fd);
}

static void cve_86565_ring_resized_while_in_use(void **state) {
	struct ring *r = session_ring(a.session, 1);
	uint32_t smaller[] = {1, 2}, larger[] = {1, 32768};

	(void)state;
	for (unsigned int i = 0; i < 8; i++)
		front_post(&a, 1, FRONT_DATA, 112, false);
	assert_int_equal(front_ack(&a, MESSAGE_SET_VRING_NUM, smaller, 8, NULL, 0), 0);
	take(&a);
	assert_int_equal(r->fault, RING_FAULT_INDEX); // eight available in a ring of two
	// At this size the parts still lie in memory, one over the other: for the guest to regret.
	assert_int_equal(front_ack(&a, MESSAGE_SET_VRING_NUM, larger, 8, NULL, 0), 0);
	take(&a);
	assert_int_equal(front_ack(&b, MESSAGE_SET_VRING_NUM, larger, 8, NULL, 0), 0);
}

static void cve_86566_runt_receive_buffers(void **state) {
	uint32_t at = 0;

	(void)state;
	memset(a.memory + FRONT_DATA, 0x77, 112);
	memset(b.memory + FRONT_DATA, 0, 4096);
	// Smaller than the header, each of them, with a gap that must stay untouched.
	for (unsigned int i = 0; i < 40; i++)
		front_post(&b, 0, FRONT_DATA + i * 16, 3, true);
	front_post(&a, 1, FRONT_DATA, 112, false);
	assert_int_equal(front_forward(&a, &b), 1);
	for (unsigned int i = 0; i < 38; i++) {
		for (unsigned int k = 0; k < 16; k++, at += k <= 3) {
			uint8_t byte = b.memory[FRONT_DATA + i * 16 + k];

			if (k >= 3 || i * 3 + k >= 112)
				assert_int_equal(byte, 0);
			else if (i * 3 + k >= 12)
				assert_int_equal(byte, 0x77);
		}
	}
	assert_int_equal(b.memory[FRONT_DATA + 3 * 16 + 1], 38); // num_buffers is bytes 10 and 11
	assert_int_equal(b.rings[0].used->idx, 38);
}

// The same for packed rings.
static void start_packed(struct front *f, unsigned int ring) {
	front_close(f);
	front_open(f, &front_config);
	front_start(f, FULL | F(VIRTIO_F_RING_PACKED));
	front_send_vring(f, MESSAGE_SET_VRING_BASE, 0, ring, 0x8000); // slot 0 of the first round
	assert_int_equal(front_run(f), 0);
}

static void post_packed(
	struct front *f, unsigned int ring, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags
) {
	struct vring_packed_desc *desc = (struct vring_packed_desc *)f->rings[ring].desc + i;

	desc->addr = addr;
	desc->len = len;
	desc->id = i;
	__atomic_store_n(&desc->flags, flags | 1 << VRING_PACKED_DESC_F_AVAIL, __ATOMIC_RELEASE);
}

static void cve_86566_runt_receive_buffers_of_a_packed_ring(void **state) {
	struct vring_packed_desc *used;
	uint32_t sum = 0;

	(void)state;
	start_packed(&b, 0);
	used = (struct vring_packed_desc *)b.rings[0].desc;
	memset(a.memory + FRONT_DATA, 0x77, 112);
	memset(b.memory + FRONT_DATA, 0, 4096);
	for (uint16_t i = 0; i < 40; i++)
		post_packed(&b, 0, i, front_addr(FRONT_DATA + i * 16u), 3, VRING_DESC_F_WRITE);
	front_post(&a, 1, FRONT_DATA, 112, false);
	assert_int_equal(front_forward(&a, &b), 1);
	for (unsigned int i = 0; i < 38; i++) {
		assert_in_range(used[i].len, 1, 3);
		sum += used[i].len;
		for (unsigned int k = 3; k < 16; k++)
			assert_int_equal(b.memory[FRONT_DATA + i * 16 + k], 0);
	}
	assert_int_equal(sum, 112);
}

static void cve_86562_86567_no_iotlb_and_no_control_queue_here(void **state) {
	uint64_t payload[4] = {0};

	(void)state;
	front_send(&a, 22, 0, payload, sizeof(payload), NULL, 0);
	assert_int_equal(front_run(&a), -EOPNOTSUPP);
}

struct flipper {
	struct vring_desc *desc;
	uint32_t len[2];
	bool stop;
};

static void *flip(void *arg) {
	struct flipper *f = arg;

	for (unsigned int i = 0; !__atomic_load_n(&f->stop, __ATOMIC_RELAXED); i++)
		__atomic_store_n(&f->desc->len, f->len[i & 1], __ATOMIC_RELAXED);
	return NULL;
}

// The length says one descriptor or a million, changing all the time. Whatever is read is checked
// and used as one.
static void cve_93683_indirect_table_length_is_read_once(void **state) {
	struct vring_desc *table = (struct vring_desc *)(a.memory + FRONT_MEMORY_SIZE - 16);
	struct flipper f = {.desc = &a.rings[1].desc[0], .len = {16, 16 << 20}};
	pthread_t thread;

	(void)state;
	table[0] = (struct vring_desc){front_addr(FRONT_DATA), 112, VRING_DESC_F_NEXT, 1};
	front_desc(&a, 1, 0, front_addr(FRONT_MEMORY_SIZE - 16), 16, VRING_DESC_F_INDIRECT, 0);
	assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
	for (unsigned int i = 0; i < 20000; i++) {
		front_avail(&a, 1, 0);
		assert_int_equal(take(&a), 0); // index 1 is outside of a table of one
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(session_ring(a.session, 1)->stats.malformed, 20000);
}

static void cve_93683_indirect_table_length_of_a_packed_ring_is_read_once(void **state) {
	struct flipper f = {.len = {16, 16 << 20}};
	struct ring *r;
	pthread_t thread;

	(void)state;
	start_packed(&a, 1);
	r = session_ring(a.session, 1);
	f.desc = &a.rings[1].desc[0];
	// A table of one that lies at the end of the memory: to read on is to fall off.
	((struct vring_packed_desc *)(a.memory + FRONT_MEMORY_SIZE))[-1] =
		(struct vring_packed_desc){front_addr(FRONT_DATA), 112, 0, 0};
	assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		front_send_vring(&a, MESSAGE_SET_VRING_BASE, 0, 1, 0x8000);
		a.now_ms += 2; // so that the messages are not too many
		assert_int_equal(front_run(&a), 0);
		post_packed(
			&a, 1, 0, front_addr(FRONT_MEMORY_SIZE - 16), 16, VRING_DESC_F_INDIRECT
		);
		assert_in_range(ring_take(r, &burst, 1), 0, 1);
		assert_int_equal(burst.n_taken, 1);
		assert_true(burst.n_frames == 0 || burst.frames[0].size == 100);
		ring_give_back(r, &burst);
		ring_flush(r, a.notifier);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static void fix_6ec1778134_loops_of_descriptors_end(void **state) {
	(void)state;
	for (uint16_t i = 0; i < FRONT_RING_SIZE; i++)
		front_desc(&a, 1, i, front_addr(FRONT_DATA), i % 2, VRING_DESC_F_NEXT, i);
	for (uint16_t i = 0; i < FRONT_RING_SIZE; i++)
		front_avail(&a, 1, i);
	assert_int_equal(take(&a), 0);
	assert_int_equal(session_ring(a.session, 1)->stats.malformed, FRONT_RING_SIZE);
}

static void fix_218daf1664_cut_descriptor_lists_leak_nothing(void **state) {
	unsigned int n_fds = front_count_fds();
	union message_payload p = {.table = {.n_regions = 8}};
	int fds[16];

	(void)state;
	for (unsigned int i = 0; i < 16; i++)
		fds[i] = a.memory_fd;
	front_send(&a, MESSAGE_SET_MEM_TABLE, 0, &p, 264, fds, 16);
	assert_int_equal(front_run(&a), -EPROTO);
	teardown(NULL);
	setup(NULL);
	assert_int_equal(front_count_fds(), n_fds);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(cve_2018_1059_range_that_is_mapped_in_part_only),
		T(cve_2019_14818_surplus_descriptors_and_repeated_vring_num),
		T(cve_2020_10722_log_size_and_offset_overflow),
		T(cve_2020_10723_ring_index_beyond_16_bits),
		T(cve_2020_10724_14374_86845_no_crypto_requests),
		T(cve_2020_10725_descriptor_of_no_bytes_at_a_bad_address),
		T(cve_2020_10726_2021_3839_2022_0669_86565_no_inflight_region),
		T(cve_2022_2132_chain_shorter_than_the_header),
		T(cve_2022_2132_header_spread_over_many_descriptors),
		T(cve_2024_11614_offload_header_is_copied_once),
		T(cve_86561_mapping_size_is_compared_with_the_file),
		T(cve_86563_log_offset_counts_once),
		T(cve_86565_ring_resized_while_in_use),
		T(cve_86566_runt_receive_buffers),
		T(cve_86566_runt_receive_buffers_of_a_packed_ring),
		T(cve_86562_86567_no_iotlb_and_no_control_queue_here),
		T(cve_93683_indirect_table_length_is_read_once),
		T(cve_93683_indirect_table_length_of_a_packed_ring_is_read_once),
		T(fix_6ec1778134_loops_of_descriptors_end),
		T(fix_218daf1664_cut_descriptor_lists_leak_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
