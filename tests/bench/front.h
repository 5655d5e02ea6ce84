// SPDX-License-Identifier: GPL-2.0-or-later
// The front-end's side of one vhost-user connection, as QEMU has it: memory that both sides map,
// negotiated features, and two rings. For the load generator: it trusts the switch that it
// measures, waits for its replies, and ends the program with a sentence when something fails.
//
// Source: QEMU docs/interop/vhost-user.rst.

#pragma once

#include <stddef.h>
#include <stdint.h>

enum { FRONT_RX, FRONT_TX, FRONT_RINGS }; // the guest's words: ring 0 receives, ring 1 sends

struct front {
	const char *path;
	int fd;
	int memory_fd;
	uint8_t *memory; // zeroes at first
	size_t memory_size;
	uint64_t offered; // features of the switch
	uint64_t features;
	int kick_fds[FRONT_RINGS];
	int call_fds[FRONT_RINGS];
};

// Connect to the switch's socket (path borrowed) and read the features it offers. "@PATH": wait for
// the switch to connect to PATH.
void front_open(struct front *f, const char *path);

// Agree on @features, all of them offered, and share @memory_size bytes.
void front_share(struct front *f, uint64_t features, size_t memory_size);

// The guest's address of a byte of the memory.
uint64_t front_address(const struct front *f, const void *at);

// Hand a ring over: its three areas are in the memory, and nothing is posted yet.
void front_start_ring(
	struct front *f, unsigned int index, uint16_t size, const void *desc, const void *driver,
	const void *device
);

// Both rings are there: the switch may use them when this returns.
void front_enable(struct front *f);

void front_close(struct front *f);
