// SPDX-License-Identifier: GPL-2.0-or-later
// A vdpa socket over a scripted kernel of any age.

#pragma once

#include "netlink/vdpa_mgmt.h"
#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/fake_netlink.h"
#include "tests/unit/unit.h"

// The operations that came with each Linux.
#define OPS_5_12 "\2\3\4\5"
#define OPS_5_16 OPS_5_12 "\6"
#define OPS_5_19 OPS_5_16 "\7"
#define OPS_6_12 OPS_5_19 "\x08"

static inline struct fixture *vdpa_open_as(uint32_t max_attr, const char *ops) {
	return fixture_open(&vdpa_family, max_attr, ops);
}

static inline int vdpa_setup(void **state) {
	*state = vdpa_open_as(37, OPS_6_12);
	return 0;
}
