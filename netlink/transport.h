// SPDX-License-Identifier: GPL-2.0-or-later
// What carries netlink messages: the kernel's socket in life, a script in a test.

#pragma once

#include <stddef.h>
#include <sys/types.h>

#define NL_REPLY_TIMEOUT_MS 5000 // silence after which a request has failed

struct nl_transport {
	// One whole message. 0 or -errno.
	int (*send)(struct nl_transport *t, const void *data, size_t size);
	// One datagram from the kernel. Its full size, even where that is more than @size, or -errno;
	// -ETIMEDOUT after NL_REPLY_TIMEOUT_MS without one.
	ssize_t (*receive)(struct nl_transport *t, void *data, size_t size);
	// The owner's hand-back; frees @t.
	void (*close)(struct nl_transport *t);
};

// The kernel's own, for @protocol (NETLINK_GENERIC), with its extended acknowledgements, strict checking
// and short refusals switched on as far as this kernel has them. Closed on exec.
// Messages that another process sent to the socket are passed over.
int nl_transport_open(int protocol, struct nl_transport **ret_transport);

// Are we in the first network namespace, the only one that some families (vdpa) exist in?
// Returns 1 yes, 0 no, or -errno.
int nl_in_initial_netns(void);
