// SPDX-License-Identifier: GPL-2.0-or-later
// One descriptor of a stranger's memory, mapped: checked before, fenced around, guarded while it
// lasts.
//
// Only shared memory and huge pages are taken (memfd, /dev/shm, hugetlbfs). A file of another kind,
// FUSE above all, may make a page fault wait for its owner, and with it a thread that serves every
// port. Around the memory lies address space that nothing may touch, so that a wrong bound of ours
// is a crash in the same place and not a write into a neighbour.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fallback/vhost/sigbus.h"

#define MAPPING_FENCE_SIZE (128u << 10) // on both sides; more than the largest frame

struct mapping {
	uint8_t *data; // the byte at the asked offset
	void *reserved;
	size_t reserved_size;
	int guard;    // of sigbus.h
	dev_t device; // with inode and offset: what is mapped
	ino_t inode;
	uint64_t offset;
};

// Map @size bytes at @offset of @fd (borrowed), readable and writable.
//
// @sealed_only  refuse what could still shrink (no F_SEAL_SHRINK); else the SIGBUS guard contains
// it
// Returns 0; -EINVAL for an empty or overflowing range or one that ends beyond the file, -ENOTSUP
// for another kind of file, -EPERM if not sealed, -ENOSPC if the guard is full, or -errno of
// fstat() and mmap().
int mapping_open(
	struct mapping *m, int fd, uint64_t offset, uint64_t size, bool sealed_only,
	struct sigbus_report *report
);

// Whether @m shows what is at @offset of @fd (borrowed).
bool mapping_is_of(const struct mapping *m, int fd, uint64_t offset);

// No thread may be using it any more. A mapping that was never opened, all zeroes, is left alone.
void mapping_close(struct mapping *m);
