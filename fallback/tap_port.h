// SPDX-License-Identifier: GPL-2.0-or-later
// The uplink: a TAP device with virtio-net headers, so that unfinished checksums and unsegmented
// TCP pass between the guests and the kernel untouched. A trunk: VLANs travel as 802.1Q tags.

#pragma once

#include "fallback/port.h"
#include "vdpad/util/error.h"

// Serve the TAP @fd, opened with IFF_VNET_HDR (consumed in any case). @epoll_fd: of the worker that
// polls it. Returns 0 and the port, or -EINVAL with @e if it is no such TAP, or -errno.
int tap_port_new(int fd, int epoll_fd, struct switch_port **ret_port, struct error *e);
