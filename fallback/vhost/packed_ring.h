// SPDX-License-Identifier: GPL-2.0-or-later
// The packed layout of a virtqueue: one ring of descriptors and two event structures (virtio 1.2, 2.8).

#pragma once

#include "fallback/vhost/ring.h"

extern const struct ring_ops packed_ring_ops;
