// SPDX-License-Identifier: GPL-2.0-or-later
// What a function prints.

#pragma once

#include <stdio.h>

// From now on standard output is collected.
void capture_start(void);

// The text since capture_start(); it stays until the next one.
const char *capture_stop(void);
