// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/bench/placement.h"

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <x86intrin.h>

#include "vdpad/util/cleanup.h"

#define TRIES 9
#define ROUND_TRIPS 50
#define CALIBRATION_NS 50000000L

// One line that two threads write in turn.
static _Alignas(128) atomic_uint ball;
static sem_t serve;

void placement_pin(int cpu) {
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		err(1, "CPU %d", cpu);
}

void placement_prefer(pid_t tid, bool preferred) {
	struct sched_param param = {.sched_priority = preferred};

	sched_setscheduler(tid, preferred ? SCHED_FIFO : SCHED_OTHER, &param);
}

static void *return_balls(void *arg) {
	placement_pin(*(const int *)arg);
	placement_prefer(0, true);
	for (;;) {
		while (sem_wait(&serve) < 0) {
		}
		for (unsigned int i = 0; i < TRIES * ROUND_TRIPS; i++) {
			while (atomic_load(&ball) != 2 * i + 1) {
			}
			atomic_store(&ball, 2 * i + 2);
		}
	}
	return NULL;
}

void placement_start(int cpu) {
	static int partner_cpu;
	pthread_t thread;

	partner_cpu = cpu;
	if (sem_init(&serve, 0, 0) < 0 || pthread_create(&thread, NULL, return_balls, &partner_cpu))
		err(1, "thread on CPU %d", cpu);
	pthread_detach(thread);
}

static int compare(const void *a, const void *b) {
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t placement_one_way_cycles(void) {
	uint32_t cycles[TRIES];
	unsigned int n = 0;

	atomic_store(&ball, 0);
	sem_post(&serve);
	for (int try = 0; try < TRIES; try++) {
		uint64_t start = __rdtsc();

		for (int i = 0; i < ROUND_TRIPS; i++, n++) {
			atomic_store(&ball, 2 * n + 1);
			while (atomic_load(&ball) != 2 * n + 2) {
			}
		}
		cycles[try] = (uint32_t)((__rdtsc() - start) / (2 * ROUND_TRIPS));
	}
	qsort(cycles, ARRAY_LEN(cycles), sizeof(*cycles), compare);
	return cycles[TRIES / 2];
}

int placement_open_schedstat(pid_t pid, pid_t tid) {
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

uint64_t placement_waited_ns(int schedstat_fd) {
	char text[128];
	ssize_t n = pread(schedstat_fd, text, sizeof(text) - 1, 0);
	uint64_t ran_ns, waited_ns;

	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%lu %lu", &ran_ns, &waited_ns) != 2)
		errx(1, "the thread that is measured has ended");
	return waited_ns;
}

static double now_ns(void) {
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double placement_tsc_hz(void) {
	struct timespec pause = {.tv_nsec = CALIBRATION_NS};
	uint64_t start = __rdtsc();
	double start_ns = now_ns();

	nanosleep(&pause, NULL);
	return (double)(__rdtsc() - start) / (now_ns() - start_ns) * 1e9;
}
