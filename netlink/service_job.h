// SPDX-License-Identifier: GPL-2.0-or-later
// A bus method whose work is done in the kernel thread: its call is kept, and answered when the work has ended
// or is late.

#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "netlink/kernel_thread.h"
#include "netlink/vhost_holder.h"

// Who does the work, and what is known of why it is late.
struct service_jobs {
	struct kernel_thread *thread;
	const struct service_jobs
		*before; // while one of these is late, ours are not begun; NULL for none
	const struct vhost_roots *roots;
	uint64_t explained_usec; // CLOCK_MONOTONIC, of explanation; 0: never
	char explanation[VHOST_HANG_TEXT_SIZE];
};

struct service_job;

struct service_job_kind {
	const char *words; // "deletion of vDPA device"; the name follows, if it has one
	uint32_t deadline_ms;
	int (*run)(struct service_job *job); // in the thread; fills job->error when it fails
	int (*append)(const struct service_job *job, sd_bus_message *reply); // NULL for nothing
	void (*done)(struct service_job *job); // release what follows the head; NULL for nothing
};

// The head of a job; a method's own members follow it.
struct service_job {
	struct kernel_job base; // first, so that a pointer to it is one to this
	const struct service_job_kind *kind;
	struct service_jobs *jobs;
	sd_bus_message *call; // NULL once it is answered
	char *name;           // of what it is about; NULL for nothing
	int result;
	struct error error;
};

// @recovered is called when what was late has ended. @roots are borrowed for as long as the process lasts.
int service_jobs_init(
	struct service_jobs *jobs, sd_event *event, const struct vhost_roots *roots,
	void (*recovered)(void *userdata), void *userdata, struct error *e
);

// Before the link is closed. What hangs is left to itself.
void service_jobs_done(struct service_jobs *jobs);

// A job of @size bytes, its own members zero, about @name (which may be NULL). NULL when out of memory.
void *service_job_new(
	struct service_jobs *jobs, const struct service_job_kind *kind, size_t size,
	sd_bus_message *call, const char *name
);
void service_job_freep(void *job);
#define _cleanup_service_job_ _cleanup_(service_job_freep)

// Consumes @job, which is the head of one. Returns what the method returns.
int service_job_submit(struct service_job *job);
