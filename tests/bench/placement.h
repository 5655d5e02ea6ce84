// SPDX-License-Identifier: GPL-2.0-or-later
// What the machine does to a measurement: how far apart its two CPUs are, and who else uses them.
//
// A hypervisor may move the virtual CPUs of this machine between cores that share a cache and cores
// that do not, every few seconds. That changes each switch by a factor of two, so it is measured.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// Let this thread run on @cpu alone.
void placement_pin(int cpu);

// Let a thread (0: this one) run before all others (SCHED_FIFO), or like them. Without the right to,
// results are only noisier.
void placement_prefer(pid_t tid, bool preferred);

// Start the partner of placement_one_way_cycles() on @cpu. It sleeps while it is not asked.
void placement_start(int cpu);

// Cycles that a cache line takes from this thread to @cpu: the median of several tries. Takes 0.1 ms
// of both CPUs; nobody else should be using them.
uint32_t placement_one_way_cycles(void);

// /proc/PID/task/TID/schedstat, to be kept open.
int placement_open_schedstat(pid_t pid, pid_t tid);

// For how long the thread has wanted a CPU and had none, since it began.
uint64_t placement_waited_ns(int schedstat_fd);

// Cycles of the time-stamp counter in a second.
double placement_tsc_hz(void);
