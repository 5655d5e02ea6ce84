// SPDX-License-Identifier: GPL-2.0-or-later
// Memory that a peer shares may shrink under us, and the next touch raises SIGBUS. The guard turns
// that into the loss of one peer: anonymous memory is mapped over the whole range, the peer is
// marked as faulted, and the thread goes on, reading zeroes and writing where nobody looks.
//
// The table is read by the signal handler without a lock. That is sound because an entry is
// released only when no thread touches its range any more (session.h, quiesce), so no handler can
// be at work on it.

#pragma once

#include <stdatomic.h>
#include <stddef.h>

#define SIGBUS_MAX_RANGES 16384 // of the process: enough for 1,000 ports of 16 regions

// Who is told. Must outlive the guard.
struct sigbus_report {
	atomic_bool faulted;
	int event_fd; // an eventfd of ours that cannot block, or -1; written once per fault
};

// Install the handler of the process, if it is not in place. A SIGBUS elsewhere is passed on to the handler that
// was there before. Returns 0 or -errno.
int sigbus_install(void);

// Guard a range of whole pages. Control thread only. Returns its number for sigbus_release(), or
// -ENOSPC when the table is full.
int sigbus_guard(void *base, size_t size, struct sigbus_report *report);

// No thread may be using the range any more. A negative @number is ignored.
void sigbus_release(int number);
