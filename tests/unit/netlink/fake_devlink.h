// SPDX-License-Identifier: GPL-2.0-or-later
// A PF that answers devlink as mlx5's documentation says, with subfunctions that attach, reload and become
// management devices of a fake_vdpa. It can refuse the Nth change, or that and all after it, as if the caller had
// died there.
//
// Its representors are TAPs of this network namespace.

#pragma once

#include "netlink/devlink.h"
#include "netlink/nic.h"
#include "tests/unit/netlink/fake_vdpa.h"

#define FAKE_PF "0000:3b:00.0"
#define FAKE_PORTS_MAX 4

struct fake_port {
	uint32_t index; // 0 for none
	bool is_vf;
	uint32_t number;
	char netdev[16];
	bool active, has_mac;
	uint8_t mac[6];
	uint64_t rate_octets;
	// Of the auxiliary device.
	bool vnet, eth,
		rdma; // what is set; eth and rdma are on in a new one, so that they must be switched off
	bool is_vdpa; // vnet counted in the last reload
};

struct fake_devlink {
	struct fake_vdpa v;
	struct nic_kernel kernel;
	uint16_t mode;
	bool has_eswitch;
	bool never_attaches;
	bool pf_has_vnet, pf_vnet; // a parameter of the PF that counts at once, as pds_core has it
	struct fake_port ports[FAKE_PORTS_MAX];
	unsigned int n_changes, fail_at; // the Nth change is refused; 0: none
	bool fail_from_there;
};

void fake_devlink_init(struct fake_devlink *d);
void fake_devlink_done(struct fake_devlink *d);

// A VF with its port and representor @netdev, and a management device.
void fake_devlink_add_vf(struct fake_devlink *d, uint32_t vf, const char *netdev);
struct fake_port *fake_devlink_find(struct fake_devlink *d, bool is_vf, uint32_t number); // or NULL
