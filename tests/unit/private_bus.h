// SPDX-License-Identifier: GPL-2.0-or-later
// A message bus for one test program, as a child process.

#pragma once

#include <sys/types.h>

// Around a group of cmocka's tests: the bus is the system bus of this process. Exits where there is no
// dbus-daemon.
int private_bus_setup(void **state);
int private_bus_teardown(void **state);

// A child that dies with its parent. Returns when it has written a byte to @ready_fd; exits if it
// ended before.
pid_t child_start(void (*child)(int ready_fd));
void child_stop(pid_t pid);
