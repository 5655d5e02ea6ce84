// SPDX-License-Identifier: GPL-2.0-or-later
// Signal an eventfd that a stranger shares, without ever waiting for it.
//
// write() to an eventfd waits while its counter is at the top, unless the file is non-blocking, and
// both the counter and that flag are shared with the peer, who can set the one and clear the other
// whenever it likes: a worker that writes can be put to sleep for ever. The kernel's own signal,
// the one that completes an asynchronous request, adds to the counter up to its top and never
// waits. So a notification is an asynchronous read of no bytes from a file of ours, whose
// completion signals the peer's eventfd; the file costs nothing to read, and what is no eventfd is
// refused by the kernel.
// Source: linux/aio_abi.h, IOCB_FLAG_RESFD.

#pragma once

#include <stdbool.h>

#include <linux/aio_abi.h>

// One per thread; owned by it.
struct notifier {
	aio_context_t context;
	int file;
};

// Returns 0 or -errno of io_setup() and memfd_create().
int notifier_init(struct notifier *n);
void notifier_done(struct notifier *n);

// Add one to the eventfd @fd. Returns 0, -EINVAL when @fd is no eventfd, or another -errno of
// io_submit().
int notifier_signal(struct notifier *n, int fd);

// Whether @fd is an eventfd. Other kinds of descriptors may wait for their owner in calls that one
// expects to return at once, poll() included.
bool notify_is_eventfd(int fd);
