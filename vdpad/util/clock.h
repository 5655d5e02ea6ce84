// SPDX-License-Identifier: GPL-2.0-or-later
// Monotonic time that a test can set, so that ageing and deadlines are tested without waiting.

#pragma once

#include <stdint.h>

// Milliseconds of CLOCK_MONOTONIC, or what clock_fake_ms() was given.
uint64_t clock_now_ms(void);

// From now on clock_now_ms() returns @now_ms. For tests only; UINT64_MAX goes back to the real clock.
void clock_fake_ms(uint64_t now_ms);
