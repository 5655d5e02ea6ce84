// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/kernel_thread.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define DEADLINE_MS 50
#define GENEROUS_MS 1000 // of jobs that must not be late, on a busy machine either
#define JOBS_MAX 8
#define GIVE_UP_USEC (5 * 1000 * 1000)

struct bench {
	sd_event *event;
	struct kernel_thread *thread;
	sem_t hanging, gate; // a job has begun to hang; what it waits for
	sem_t freed;
	int n_run, n_answered, n_recovered;
	int run_order[JOBS_MAX];
	// By id: 0 not answered, -1 in time, else the id of the late one plus 1.
	int late_of[JOBS_MAX];
};

struct job {
	struct kernel_job base;
	struct bench *bench;
	int id;
	bool hangs;
};

static void run(struct kernel_job *base) {
	struct job *job = (struct job *)base;

	if (job->hangs) {
		sem_post(&job->bench->hanging);
		sem_wait(&job->bench->gate);
	}
	job->bench->run_order[job->bench->n_run++] = job->id;
}

static void answer(struct kernel_job *base, const struct kernel_job *late) {
	const struct job *job = (struct job *)base;

	job->bench->late_of[job->id] = late == NULL ? -1 : ((const struct job *)late)->id + 1;
	job->bench->n_answered++;
}

static void job_free(struct kernel_job *base) {
	struct job *job = (struct job *)base;

	sem_post(&job->bench->freed);
	free(job);
}

static void on_recovered(void *userdata) {
	((struct bench *)userdata)->n_recovered++;
}

static int setup(void **state) {
	static struct bench b;
	struct error e;

	b = (struct bench){0};
	sem_init(&b.hanging, 0, 0);
	sem_init(&b.gate, 0, 0);
	sem_init(&b.freed, 0, 0);
	*state = &b;
	if (sd_event_new(&b.event) < 0)
		return -1;
	return kernel_thread_new(b.event, on_recovered, &b, &b.thread, &e);
}

static int teardown(void **state) {
	struct bench *b = *state;

	kernel_thread_free(b->thread);
	sd_event_unref(b->event);
	return 0;
}

static void submit_within(struct bench *b, int id, bool hangs, uint32_t deadline_ms) {
	struct job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->base.run = run;
	job->base.answer = answer;
	job->base.free = job_free;
	job->base.deadline_ms = deadline_ms;
	job->bench = b;
	job->id = id;
	job->hangs = hangs;
	kernel_thread_submit(b->thread, &job->base);
}

static void submit(struct bench *b, int id, bool hangs) {
	submit_within(b, id, hangs, hangs ? DEADLINE_MS : GENEROUS_MS);
}

static void run_until(struct bench *b, const int *counter, int value) {
	uint64_t start, now;

	sd_event_now(b->event, CLOCK_MONOTONIC, &start);
	while (*counter < value) {
		assert_true(sd_event_run(b->event, 10 * 1000) >= 0);
		sd_event_now(b->event, CLOCK_MONOTONIC, &now);
		if (now - start > GIVE_UP_USEC)
			fail_msg("nothing happened for too long");
	}
}

// Nobody touches freed memory: the sanitizers' business; that all is freed is ours.
static void wait_for_freed(struct bench *b, int n) {
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 5;
	for (int i = 0; i < n; i++)
		assert_int_equal(sem_timedwait(&b->freed, &limit), 0);
}

static void jobs_run_in_their_order_and_are_answered(void **state) {
	struct bench *b = *state;

	for (int i = 0; i < 5; i++)
		submit(b, i, false);
	run_until(b, &b->n_answered, 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(b->run_order[i], i);
		assert_int_equal(b->late_of[i], -1);
	}
	wait_for_freed(b, 5);
	assert_null(kernel_thread_late(b->thread));
}

static void late_job_is_answered_and_so_is_each_that_waits_without_being_run(void **state) {
	struct bench *b = *state;

	submit(b, 0, true);
	submit(b, 1, false);
	submit(b, 2, false);
	run_until(b, &b->n_answered, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(b->late_of[i], 0 + 1);
	assert_non_null(kernel_thread_late(b->thread));

	submit(b, 3, false); // at once
	assert_int_equal(b->n_answered, 4);
	assert_int_equal(b->late_of[3], 0 + 1);

	sem_post(&b->gate);
	run_until(b, &b->n_recovered, 1);
	assert_int_equal(b->n_run, 1);
	assert_int_equal(b->n_answered, 4); // the result of the late one is dropped
	wait_for_freed(b, 4);
}

static void thread_works_again_after_a_late_job(void **state) {
	struct bench *b = *state;

	submit(b, 0, true);
	run_until(b, &b->n_answered, 1);
	sem_post(&b->gate);
	run_until(b, &b->n_recovered, 1);
	submit(b, 1, false);
	run_until(b, &b->n_answered, 2);
	assert_int_equal(b->late_of[1], -1);
	wait_for_freed(b, 2);
}

static void deadline_counts_from_the_start_of_each_job(void **state) {
	struct bench *b = *state;

	// Four of a third of a deadline each: none is late.
	for (int i = 0; i < 4; i++)
		submit_within(b, i, true, GENEROUS_MS);
	for (int i = 0; i < 4; i++) {
		usleep(GENEROUS_MS * 1000 / 3);
		sem_post(&b->gate);
		run_until(b, &b->n_answered, i + 1);
		assert_int_equal(b->late_of[i], -1);
	}
	wait_for_freed(b, 4);
}

static void it_ends_while_a_job_hangs(void **state) {
	struct bench *b = *state;

	submit(b, 0, true);
	submit(b, 1, false);
	sem_wait(&b->hanging);
	kernel_thread_free(b->thread);
	b->thread = NULL;
	assert_int_equal(b->n_answered, 2);
	sem_post(&b->gate);
	wait_for_freed(b, 2);
	assert_int_equal(b->n_run, 1);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_BENCH(jobs_run_in_their_order_and_are_answered),
		WITH_BENCH(late_job_is_answered_and_so_is_each_that_waits_without_being_run),
		WITH_BENCH(thread_works_again_after_a_late_job),
		WITH_BENCH(deadline_counts_from_the_start_of_each_job),
		WITH_BENCH(it_ends_while_a_job_hangs),
	};

	return cmocka_run_group_tests_name("kernel_thread", tests, NULL, NULL);
}
