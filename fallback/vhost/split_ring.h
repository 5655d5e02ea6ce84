// SPDX-License-Identifier: GPL-2.0-or-later
// The split layout of a virtqueue: descriptor table, available ring, used ring (virtio 1.2, 2.7).

#pragma once

#include "fallback/vhost/ring.h"

extern const struct ring_ops split_ring_ops;
