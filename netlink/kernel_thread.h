// SPDX-License-Identifier: GPL-2.0-or-later
// A thread for what may hang in the kernel, so that the event loop never does.
//
// Jobs run one after the other, in the order in which they came. Each has a deadline that counts from its
// start. When it passes, the job is late: it is answered without its result, which is dropped when it
// comes. So is each job that waits or comes until the late one has ended, at once: they would wait in the
// kernel for the same. Such a job has not started and has changed nothing.
//
// A late thread cannot be stopped, not even by SIGKILL. kernel_thread_free() leaves it to itself.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "vdpad/util/error.h"

#define KERNEL_JOB_WORDS_SIZE 160

// To be embedded as the first member. What run() refers to must last as long as the process, or be the
// job's own.
struct kernel_job {
	// In the thread.
	void (*run)(struct kernel_job *job);
	// In the event loop, once. @late is NULL after run() has returned. Otherwise it is the job that is
	// late (or that kernel_thread_free() leaves behind), this one or another; run() may be at work on
	// this one still, or never begin.
	void (*answer)(struct kernel_job *job, const struct kernel_job *late);
	// After that, when nobody needs it any more, in either thread.
	void (*free)(struct kernel_job *job);
	uint32_t deadline_ms;
	char words[KERNEL_JOB_WORDS_SIZE]; // what it does: "deletion of device 'vdpad-1'"
	uint64_t started_usec;             // CLOCK_MONOTONIC; set by the thread's owner
	struct kernel_job *next;           // of those that wait
};

struct kernel_thread;

// @recovered is called when a late job has ended. Returns 0 and a thread owned by the caller, or -errno
// with @e filled.
int kernel_thread_new(
	sd_event *event, void (*recovered)(void *userdata), void *userdata,
	struct kernel_thread **ret_thread, struct error *e
);
void kernel_thread_free(struct kernel_thread *thread);

// Consumes @job.
void kernel_thread_submit(struct kernel_thread *thread, struct kernel_job *job);

// The job that is late; NULL for none.
const struct kernel_job *kernel_thread_late(const struct kernel_thread *thread);
