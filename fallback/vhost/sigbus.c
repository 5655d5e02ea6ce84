// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/sigbus.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct range {
	atomic_size_t size; // 0: the entry is free. Written last when set, first when released.
	_Atomic uintptr_t base;
	struct sigbus_report *_Atomic report;
};

static struct range ranges[SIGBUS_MAX_RANGES];
static atomic_uint n_ranges; // entries beyond were never used
static struct sigaction previous;

static bool contain(uintptr_t addr) {
	unsigned int n = atomic_load_explicit(&n_ranges, memory_order_acquire);

	for (unsigned int i = 0; i < n; i++) {
		size_t size = atomic_load_explicit(&ranges[i].size, memory_order_acquire);
		uintptr_t base = atomic_load_explicit(&ranges[i].base, memory_order_relaxed);
		struct sigbus_report *report;
		uint64_t one = 1;

		if (size == 0 || addr < base || addr - base >= size)
			continue;
		if (mmap((void *)base, size, PROT_READ | PROT_WRITE,
		         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		         0) == MAP_FAILED)
			return false;
		report = atomic_load_explicit(&ranges[i].report, memory_order_relaxed);
		atomic_store(&report->faulted, true);
		if (report->event_fd >= 0 && write(report->event_fd, &one, sizeof(one)) < 0)
			return true; // the flag says it as well
		return true;
	}
	return false;
}

static void on_sigbus(int signo, siginfo_t *info, void *context) {
	int saved = errno;

	(void)context;
	// With the previous action back in place the instruction faults again and gets there.
	if (!contain((uintptr_t)info->si_addr))
		sigaction(signo, &previous, NULL);
	errno = saved;
}

int sigbus_install(void) {
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};
	struct sigaction current;

	if (sigaction(SIGBUS, NULL, &current) < 0)
		return -errno;
	if (current.sa_sigaction == on_sigbus)
		return 0;
	previous = current;
	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

int sigbus_guard(void *base, size_t size, struct sigbus_report *report) {
	unsigned int n = atomic_load(&n_ranges);
	unsigned int i = 0;

	while (i < n && atomic_load_explicit(&ranges[i].size, memory_order_relaxed) != 0)
		i++;
	if (i == SIGBUS_MAX_RANGES)
		return -ENOSPC;
	atomic_store_explicit(&ranges[i].base, (uintptr_t)base, memory_order_relaxed);
	atomic_store_explicit(&ranges[i].report, report, memory_order_relaxed);
	atomic_store_explicit(&ranges[i].size, size, memory_order_release);
	if (i == n)
		atomic_store_explicit(&n_ranges, n + 1, memory_order_release);
	return (int)i;
}

void sigbus_release(int number) {
	if (number >= 0)
		atomic_store_explicit(&ranges[number].size, 0, memory_order_release);
}
