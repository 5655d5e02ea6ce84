// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/util/clock.h"

#include <time.h>

static uint64_t fake_ms = UINT64_MAX;

uint64_t clock_now_ms(void) {
	struct timespec ts;

	if (fake_ms != UINT64_MAX)
		return fake_ms;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void clock_fake_ms(uint64_t now_ms) {
	fake_ms = now_ms;
}
