// SPDX-License-Identifier: GPL-2.0-or-later
// The kick descriptors of a guest's port in its worker's epoll set. A peer chooses what they are.
//
// The originals belong to librte_vhost, which closes them at will: these are duplicates. They are
// edge-triggered, so nobody has to read them.

#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define KICK_FDS_MAX_PAIRS 64

// Changed by one thread at a time.
struct kick_fds {
	int epoll_fd; // borrowed
	int fds[KICK_FDS_MAX_PAIRS];
	_Atomic uint64_t
		missing; // pairs whose ring was taken and cannot wake the worker; any thread
};

void kick_fds_init(struct kick_fds *kicks, int epoll_fd);
void kick_fds_done(struct kick_fds *kicks);

// Have @fd (borrowed) wake the worker for the ring of @pair, in place of an earlier one. A negative
// one, or one that cannot be waited for, makes the pair one of those missing.
void kick_fds_take(struct kick_fds *kicks, uint16_t pair, int fd);
void kick_fds_drop(struct kick_fds *kicks, uint16_t pair);
