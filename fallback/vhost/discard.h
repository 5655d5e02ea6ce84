// SPDX-License-Identifier: GPL-2.0-or-later
// Give back what a stranger has given, without waiting for it.
//
// close() and munmap() return when the kernel is done, and how long that takes may be the stranger's
// to say:
//   - to close a file of a FUSE file system waits for the answer of its server, to close a TCP
//     connection that lingers waits for its peer: for ever, if they like;
//   - to close a socket closes, in the closing thread, all descriptors that were sent to it and not
//     read, so a socket that a stranger may send to is no better;
//   - who lets go of memory last, be it a descriptor or a map, frees it: a third of a second for a
//     gigabyte, and who of QEMU and us is the last is a race whenever a virtual machine is killed.
// So the control thread does none of it. Memory goes to one thread, in order, for it takes long but
// not for ever. Everything else gets a thread of its own, which may hang; how many may hang for the
// same owner is limited.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DISCARD_MAX_HANGING 4 // sets of descriptors of one owner

// Close @n descriptors. @owner, whatever it points to, is who answers for their close to return.
void discard_fds(const int *fds, unsigned int n, const void *owner);

// Close a socket, negative for none. Its peer sees the end at once.
void discard_socket(int fd, const void *owner);

// Unmap whole pages, which no thread may be using any more.
void discard_map(void *base, size_t size);

// Whether so much of @owner hangs that it must not be given the chance to add more.
bool discard_is_hung(const void *owner);

// Wait until everything is given back. For tests.
void discard_wait(void);
