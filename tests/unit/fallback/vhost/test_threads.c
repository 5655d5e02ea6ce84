// SPDX-License-Identifier: GPL-2.0-or-later
// A worker moves frames while the control thread changes everything under it. Meant for a build with
// -Db_sanitize=thread, which says whether the two ever touch the same thing at once; without it the
// frames say whether one was lost.

#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>

#include "tests/fake/vhost_front.h"

#define F(n) (UINT64_C(1) << (n))
#define N_ROUNDS 4000
#define FRAME_SIZE 200
#define PATIENCE 100000000u

static struct front fronts[2];
static atomic_bool published[2];
static atomic_uint_fast64_t rounds;
static atomic_bool stopping;

// As a switch does: hide the port from the worker, then wait until the round that may have seen it is
// over.
static void on_quiet(struct front *f, bool quiet) {
	uint64_t seen;

	atomic_store(&published[f - fronts], !quiet);
	seen = atomic_load(&rounds);
	while (quiet && atomic_load(&rounds) < seen + 2)
		sched_yield();
}

static void move(struct front *from, struct front *to, struct notifier *n) {
	static struct ring_burst burst;
	struct ring *rx = session_ring(from->session, 1), *tx = session_ring(to->session, 0);

	ring_take(rx, &burst, RING_BURST);
	for (uint16_t i = 0; i < burst.n_frames; i++)
		ring_place(tx, &burst.frames[i], &burst.frames[i].offload);
	ring_give_back(rx, &burst);
	ring_flush(rx, n);
	ring_flush(tx, n);
}

static void *work(void *arg) {
	struct notifier notifier;

	(void)arg;
	if (notifier_init(&notifier) < 0)
		abort();
	while (!atomic_load(&stopping)) {
		if (atomic_load(&published[0]) && atomic_load(&published[1])) {
			move(&fronts[0], &fronts[1], &notifier);
			move(&fronts[1], &fronts[0], &notifier);
		}
		// To yield in each round would leave the others nothing to change under it.
		if (atomic_fetch_add(&rounds, 1) % 256 == 0)
			sched_yield();
	}
	notifier_done(&notifier);
	return NULL;
}

static void start(void) {
	for (unsigned int i = 0; i < 2; i++) {
		front_open(&fronts[i], &front_config);
		front_start(&fronts[i], F(VIRTIO_RING_F_EVENT_IDX));
		fronts[i].on_quiet = on_quiet;
		atomic_store(&published[i], true);
	}
}

// Anything that a front-end may say at any time, and that leaves the rings running.
static void disturb(struct front *f, unsigned int how) {
	const uint64_t features = F(VIRTIO_RING_F_EVENT_IDX) | F(VIRTIO_F_VERSION_1) | F(30);
	const uint64_t status[] = {0, 15};

	switch (how) {
	case 0:
		front_set_memory(f);
		break;
	case 1:
		front_set_ring(f, 0, FRONT_RING_SIZE);
		break;
	case 2:
		front_set_ring(f, 1, FRONT_RING_SIZE);
		break;
	case 3:
		front_ok(f, MESSAGE_SET_FEATURES, features | F(VHOST_F_LOG_ALL));
		front_ok(f, MESSAGE_SET_FEATURES, features);
		break;
	case 4:
		front_ok(f, MESSAGE_SET_STATUS, status[0]);
		front_ok(f, MESSAGE_SET_STATUS, status[1]);
		break;
	default:
		front_send_fd(f, MESSAGE_SET_VRING_CALL, 0, 0, f->rings[0].call_fd);
		assert_int_equal(front_run(f), 0);
		break;
	}
}

// Take all that has come back of ring @i. Returns how many.
static unsigned int take_back(struct front *f, unsigned int i) {
	struct vring_used_elem used;
	unsigned int n = 0;

	while (front_used(f, i, &used))
		n++;
	return n;
}

static void threads_change_everything_under_a_worker_and_lose_no_buffer(void **state) {
	unsigned int n_sent[2] = {0}, n_back[2] = {0}, n_received[2] = {0}, patience = 0;
	pthread_t worker;

	(void)state;
	start();
	assert_int_equal(pthread_create(&worker, NULL, work, NULL), 0);
	for (unsigned int k = 0; k < N_ROUNDS; k++) {
		struct front *f = &fronts[k % 2];

		for (unsigned int i = 0; i < 2; i++) {
			n_back[i] += take_back(&fronts[i], 1);
			n_received[i] += take_back(&fronts[i], 0);
			if (n_sent[i] - n_back[i] > FRONT_RING_SIZE - 8)
				continue;
			front_post(&fronts[1 - i], 0, FRONT_DATA + 0x10000, 2048, true);
			front_post(&fronts[i], 1, FRONT_DATA, FRAME_SIZE, false);
			n_sent[i]++;
		}
		f->now_ms += 10; // so that the messages are not too many
		disturb(f, k / 2 % 6);
	}
	for (unsigned int i = 0; i < 2; i++) {
		while (n_back[i] < n_sent[i] && patience++ < PATIENCE)
			n_back[i] += take_back(&fronts[i], 1);
		assert_int_equal(n_back[i], n_sent[i]);
	}
	atomic_store(&stopping, true);
	pthread_join(worker, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		n_received[i] += take_back(&fronts[i], 0);
		// What comes while its receiver's ring rests is dropped: half, or more where the worker starves.
		assert_in_range(n_received[i], n_sent[1 - i] / 8, n_sent[1 - i]);
		fronts[i].on_quiet = NULL;
	}
	front_close(&fronts[0]);
	front_close(&fronts[1]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_change_everything_under_a_worker_and_lose_no_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
