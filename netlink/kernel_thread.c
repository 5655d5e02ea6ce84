// SPDX-License-Identifier: GPL-2.0-or-later
// The two threads share one slot: a job to do goes in, a done one comes out. Everything else belongs to the
// event loop's thread. The slot has two owners and goes with the last of them.

#include "netlink/kernel_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define USEC_PER_MS 1000
#define ACCURACY_USEC (10 * USEC_PER_MS)
#define N_OWNERS 2

struct slot {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int done_fd; // an eventfd: done is set
	unsigned int n_owners;
	bool ending;
	struct kernel_job *todo, *done;
};

struct kernel_thread {
	sd_event *event; // borrowed
	sd_event_source *on_done, *on_deadline;
	struct slot *slot;
	struct kernel_job *running;
	bool is_late;                     // running is, and has been answered
	struct kernel_job *first, **last; // that wait
	void (*recovered)(void *userdata);
	void *userdata;
};

static void slot_unref(struct slot *slot) {
	unsigned int left;

	pthread_mutex_lock(&slot->lock);
	left = --slot->n_owners;
	pthread_mutex_unlock(&slot->lock);
	if (left > 0)
		return;
	if (slot->done != NULL)
		slot->done->free(slot->done);
	if (slot->todo != NULL)
		slot->todo->free(slot->todo);
	pthread_cond_destroy(&slot->changed);
	pthread_mutex_destroy(&slot->lock);
	close(slot->done_fd);
	free(slot);
}

static struct slot *slot_new(void) {
	struct slot *slot = calloc(1, sizeof(*slot));

	if (slot == NULL)
		return NULL;
	slot->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (slot->done_fd < 0) {
		free(slot);
		return NULL;
	}
	pthread_mutex_init(&slot->lock, NULL);
	pthread_cond_init(&slot->changed, NULL);
	slot->n_owners = N_OWNERS;
	return slot;
}

static struct kernel_job *wait_for_job(struct slot *slot) {
	struct kernel_job *job;

	pthread_mutex_lock(&slot->lock);
	while (slot->todo == NULL && !slot->ending)
		pthread_cond_wait(&slot->changed, &slot->lock);
	job = slot->ending ? NULL : slot->todo;
	if (job != NULL)
		slot->todo = NULL;
	pthread_mutex_unlock(&slot->lock);
	return job;
}

static void *work(void *arg) {
	struct slot *slot = arg;
	struct kernel_job *job;

	while ((job = wait_for_job(slot)) != NULL) {
		job->run(job);
		pthread_mutex_lock(&slot->lock);
		slot->done = job;
		pthread_mutex_unlock(&slot->lock);
		eventfd_write(slot->done_fd, 1);
	}
	slot_unref(slot);
	return NULL;
}

static void start(struct kernel_thread *thread, struct kernel_job *job) {
	sd_event_now(thread->event, CLOCK_MONOTONIC, &job->started_usec);
	thread->running = job;
	sd_event_source_set_time_relative(
		thread->on_deadline, (uint64_t)job->deadline_ms * USEC_PER_MS
	);
	sd_event_source_set_enabled(thread->on_deadline, SD_EVENT_ONESHOT);
	pthread_mutex_lock(&thread->slot->lock);
	thread->slot->todo = job;
	pthread_cond_signal(&thread->slot->changed);
	pthread_mutex_unlock(&thread->slot->lock);
}

static struct kernel_job *take_waiting(struct kernel_thread *thread) {
	struct kernel_job *job = thread->first;

	if (job != NULL)
		thread->first = job->next;
	if (thread->first == NULL)
		thread->last = &thread->first;
	return job;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	struct kernel_thread *thread = userdata;
	struct kernel_job *job;
	eventfd_t count;

	(void)source;
	(void)revents;
	eventfd_read(fd, &count);
	pthread_mutex_lock(&thread->slot->lock);
	job = TAKE_PTR(thread->slot->done);
	pthread_mutex_unlock(&thread->slot->lock);
	if (job == NULL)
		return 0;

	bool was_late = thread->is_late;
	struct kernel_job *next = take_waiting(thread);

	sd_event_source_set_enabled(thread->on_deadline, SD_EVENT_OFF);
	thread->running = NULL;
	thread->is_late = false;
	if (next != NULL)
		start(thread, next);
	if (!was_late)
		job->answer(job, NULL);
	job->free(job);
	if (was_late)
		thread->recovered(thread->userdata);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
	struct kernel_thread *thread = userdata;
	struct kernel_job *waiting;

	(void)source;
	(void)usec;
	if (thread->running == NULL || thread->is_late)
		return 0;
	thread->is_late = true;
	thread->running->answer(thread->running, thread->running);
	while ((waiting = take_waiting(thread)) != NULL) {
		waiting->answer(waiting, thread->running);
		waiting->free(waiting);
	}
	return 0;
}

void kernel_thread_submit(struct kernel_thread *thread, struct kernel_job *job) {
	job->next = NULL;
	if (thread->is_late) {
		job->answer(job, thread->running);
		job->free(job);
	} else if (thread->running != NULL) {
		*thread->last = job;
		thread->last = &job->next;
	} else {
		start(thread, job);
	}
}

const struct kernel_job *kernel_thread_late(const struct kernel_thread *thread) {
	return thread->is_late ? thread->running : NULL;
}

// Detached and without signals, which are the event loop's.
static int start_thread(struct slot *slot) {
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t id;
	int error;

	error = pthread_attr_init(&attr);
	if (error != 0)
		return -error;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&id, &attr, work, slot);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -error;
}

int kernel_thread_new(
	sd_event *event, void (*recovered)(void *userdata), void *userdata,
	struct kernel_thread **ret_thread, struct error *e
) {
	struct kernel_thread *thread = calloc(1, sizeof(*thread));
	int r = -ENOMEM;

	if (thread == NULL)
		return error_set(e, ENOMEM, "out of memory");
	thread->event = event;
	thread->recovered = recovered;
	thread->userdata = userdata;
	thread->last = &thread->first;
	thread->slot = slot_new();
	if (thread->slot == NULL)
		goto fail;
	r = sd_event_add_io(
		event, &thread->on_done, thread->slot->done_fd, EPOLLIN, on_done, thread
	);
	if (r >= 0)
		r = sd_event_add_time_relative(
			event, &thread->on_deadline, CLOCK_MONOTONIC, 0, ACCURACY_USEC, on_deadline,
			thread
		);
	if (r >= 0)
		r = sd_event_source_set_enabled(thread->on_deadline, SD_EVENT_OFF);
	if (r >= 0)
		r = start_thread(thread->slot);
	if (r < 0) {
		slot_unref(thread->slot); // for the thread that is not there
		goto fail;
	}
	*ret_thread = thread;
	return 0;

fail:
	kernel_thread_free(thread);
	return error_set(e, -r, "cannot start a thread: %s", strerror(-r));
}

void kernel_thread_free(struct kernel_thread *thread) {
	struct kernel_job *waiting;

	if (thread == NULL)
		return;
	sd_event_source_disable_unref(thread->on_done);
	sd_event_source_disable_unref(thread->on_deadline);
	if (thread->running != NULL && !thread->is_late)
		thread->running->answer(thread->running, thread->running);
	while ((waiting = take_waiting(thread)) != NULL) {
		waiting->answer(waiting, thread->running);
		waiting->free(waiting);
	}
	if (thread->slot != NULL) {
		pthread_mutex_lock(&thread->slot->lock);
		thread->slot->ending = true;
		pthread_cond_signal(&thread->slot->changed);
		pthread_mutex_unlock(&thread->slot->lock);
		slot_unref(thread->slot);
	}
	free(thread);
}
