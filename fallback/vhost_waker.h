// SPDX-License-Identifier: GPL-2.0-or-later
// Wakes librte_vhost's message thread. Until DPDK 24.07 it sleeps in poll() for up to a second and
// does not hear of a new listener meanwhile: QEMU's connection would wait that long for an answer,
// after `port add` and after each restart of the switch. A message on a connection that the thread
// already waits for wakes it, so we keep one to ourselves: the library is its vhost-user back-end,
// we are the front-end.

#pragma once

#include <stddef.h>

// Listen on a socket of our own beside a port's at @port_path. Its path goes to @ret_path; whoever
// has connected to it may unlink it. Returns a descriptor, owned by the caller, or -errno.
int vhost_waker_listen(const char *port_path, char *ret_path, size_t size);

// Have the back-end at the other end of @fd answer one message. Returns 0, or -errno when it did
// not within 100 ms.
int vhost_waker_wake(int fd);
