// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel with the vdpa family that does what it is asked for: devices come and go in netlink and in a
// node of its own. It can refuse, and it can hang.

#pragma once

#include <semaphore.h>

#include "netlink/vdpa_device.h"
#include "tests/unit/netlink/fake_netlink.h"
#include "tests/unit/netlink/fake_sysfs.h"

#define FAKE_VDPA_MAX 8

struct fake_vdpa_dev {
	char name[80], bus[16], dev[32]; // "" for no device here
	uint64_t features, negotiated;
	uint32_t mtu_bytes, queue_pairs;
	bool has_mac;
	uint8_t mac[6];
	unsigned int node;
	struct fake_terminal terminal; // of the char device vhost-vdpa-@node
};

struct fake_vdpa {
	struct fake_sysfs sysfs;
	struct vdpa_kernel kernel; // opens a socket to it
	struct fake_vdpa_dev devs[FAKE_VDPA_MAX];
	const char *driver;     // that a new device is bound to; "" for none
	uint8_t refuse_command; // 0: none
	int refuse_error;
	const char *refuse_text;
	size_t n_extra; // management devices beside vdpasim_net, vdpasim_blk and pci/0000:00:10.0
	struct {
		char bus[16], dev[32];
	} extra[4];
	uint8_t left_out;     // a dump passes over this many devices
	bool absent;          // the module is not loaded
	uint8_t hang_command; // 0: none; waits until the gate is posted
	sem_t gate, hanging;
	unsigned int n_sent[16]; // requests by command
};

void fake_vdpa_init(struct fake_vdpa *v);
void fake_vdpa_done(struct fake_vdpa *v);

struct fake_vdpa_dev *fake_vdpa_add(
	struct fake_vdpa *v, const char *bus, const char *dev, const char *name
);
struct fake_vdpa_dev *fake_vdpa_find(struct fake_vdpa *v, const char *name); // NULL when absent
