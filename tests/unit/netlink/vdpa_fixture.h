// SPDX-License-Identifier: GPL-2.0-or-later
// A vdpa socket over a scripted kernel of any age.

#pragma once

#include <stdlib.h>

#include "netlink/vdpa_mgmt.h"
#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/fake_netlink.h"
#include "tests/unit/unit.h"

// The operations that came with each Linux.
#define OPS_5_12 "\2\3\4\5"
#define OPS_5_16 OPS_5_12 "\6"
#define OPS_5_19 OPS_5_16 "\7"
#define OPS_6_12 OPS_5_19 "\x08"

struct fixture {
	struct fake_netlink *fake; // owned by nl
	struct nl_socket *nl;
};

static inline struct fixture *vdpa_open_as(uint32_t max_attr, const char *ops) {
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->fake = fake_netlink_new();
	fake_family(x->fake, max_attr, ops);
	assert_int_equal(nl_socket_new(&x->fake->base, &vdpa_family, &x->nl), 0);
	return x;
}

static inline void vdpa_close_it(struct fixture *x) {
	nl_socket_close(x->nl);
	free(x);
}

static inline int vdpa_setup(void **state) {
	*state = vdpa_open_as(37, OPS_6_12);
	return 0;
}

static inline int vdpa_teardown(void **state) {
	vdpa_close_it(*state);
	return 0;
}
