// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/service_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "netlink/vdpa_mgmt.h"

#define USEC_PER_MS 1000
#define USEC_PER_SEC 1000000
#define EXPLANATION_USEC USEC_PER_SEC // an explanation is good for this long

// Why nothing goes on. To find it means to look at every process.
static const char *explain(struct service_jobs *jobs, uint64_t now_usec) {
	if (jobs->explained_usec == 0 || now_usec - jobs->explained_usec > EXPLANATION_USEC) {
		vhost_hang_explain(jobs->roots, jobs->explanation);
		jobs->explained_usec = now_usec;
	}
	return jobs->explanation;
}

static void say_late(
	struct service_jobs *jobs, const struct kernel_job *late, struct error *ret_error
) {
	struct timespec now;
	uint64_t now_usec;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_usec = (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
	error_set(
		ret_error, ETIMEDOUT, "the kernel hangs: the %s has not ended for %u ms: %s",
		late->words, (unsigned int)((now_usec - late->started_usec) / USEC_PER_MS),
		explain(jobs, now_usec)
	);
}

static void reply_error(sd_bus_message *call, const struct error *e) {
	_cleanup_bus_error_ sd_bus_error bus_error = SD_BUS_ERROR_NULL;

	error_to_bus(e, &bus_error);
	sd_bus_reply_method_error(call, &bus_error);
}

static void reply_result(const struct service_job *job) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct error e;
	int r = sd_bus_message_new_method_return(job->call, &reply);

	if (r >= 0 && job->kind->append != NULL)
		r = job->kind->append(job, reply);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	if (r >= 0)
		return;
	error_set(&e, EIO, "cannot answer: %s", strerror(-r));
	reply_error(job->call, &e);
}

static void run(struct kernel_job *base) {
	struct service_job *job = (struct service_job *)base;

	job->result = job->kind->run(job);
}

// A caller whose link is gone gets nothing, and asks again.
static void answer(struct kernel_job *base, const struct kernel_job *late) {
	struct service_job *job = (struct service_job *)base;
	struct error e;

	if (late != NULL) {
		say_late(job->jobs, late, &e);
		reply_error(job->call, &e);
	} else if (job->result < 0) {
		reply_error(job->call, &job->error);
	} else {
		reply_result(job);
	}
	job->call = sd_bus_message_unref(job->call);
}

static void job_free(struct kernel_job *base) {
	struct service_job *job = (struct service_job *)base;

	if (job->kind->done != NULL)
		job->kind->done(job);
	sd_bus_message_unref(job->call);
	free(job->name);
	free(job);
}

void *service_job_new(
	struct service_jobs *jobs, const struct service_job_kind *kind, size_t size,
	sd_bus_message *call, const char *name
) {
	struct service_job *job = calloc(1, size);
	char printed[VDPA_PRINTED_NAME_SIZE];

	if (job == NULL)
		return NULL;
	job->base.run = run;
	job->base.answer = answer;
	job->base.free = job_free;
	job->base.deadline_ms = kind->deadline_ms;
	job->kind = kind;
	job->jobs = jobs;
	snprintf(job->base.words, sizeof(job->base.words), "%s", kind->words);
	if (name != NULL) {
		job->name = strdup(name);
		if (job->name == NULL) {
			free(job);
			return NULL;
		}
		snprintf(
			job->base.words, sizeof(job->base.words), "%s '%s'", kind->words,
			vdpa_name_print(name, printed)
		);
	}
	job->call = sd_bus_message_ref(call);
	return job;
}

void service_job_freep(void *job) {
	struct kernel_job *base = *(struct kernel_job **)job;

	if (base != NULL)
		job_free(base);
}

int service_job_submit(struct service_job *job) {
	const struct service_jobs *before = job->jobs->before;
	const struct kernel_job *late = before == NULL ? NULL : kernel_thread_late(before->thread);

	if (late != NULL) {
		answer(&job->base, late);
		job_free(&job->base);
		return 1;
	}
	kernel_thread_submit(job->jobs->thread, &job->base);
	return 1;
}

int service_jobs_init(
	struct service_jobs *jobs, sd_event *event, const struct vhost_roots *roots,
	void (*recovered)(void *userdata), void *userdata, struct error *e
) {
	*jobs = (struct service_jobs){.roots = roots};
	return kernel_thread_new(event, recovered, userdata, &jobs->thread, e);
}

void service_jobs_done(struct service_jobs *jobs) {
	kernel_thread_free(jobs->thread);
	*jobs = (struct service_jobs){0};
}
