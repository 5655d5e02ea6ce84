// SPDX-License-Identifier: GPL-2.0-or-later
// DPDK's vDPA side and the part of /sys and /dev that leads to a device, in a temporary directory. It
// does what it is told, fails where it is told, and writes down what it was asked.

#pragma once

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "fallback/hw_vdpa.h"

#define FAKE_HW_DEVICE "0000:3b:00.2"
#define FAKE_HW_VERSION_1 (UINT64_C(1) << 32)
#define FAKE_HW_MQ (UINT64_C(1) << 22)

struct fake_hw {
	char directory[40]; // sys, dev, and place for sockets
	char sys_dir[64];
	char dev_dir[64];

	char log[2048];      // names of the calls, with a space behind each
	char devargs[64];    // of the last probe
	const char *failing; // the call that fails; NULL for none
	int error;           // as which
	struct hw_limits limits;
	uint64_t allowed_features; // of the last socket
	bool other_class;          // a driver that is not of class vdpa takes what is probed
	bool no_file;              // the socket's file vanishes at once
	unsigned int n_counters;
	unsigned int n_rings; // that have counters

	unsigned int n_probed;
	bool attached; // a socket has the device
	bool driver_runs;
	bool created; // the socket's file
	char path[SOCKET_PATH_SIZE];
	const struct hw_events *events;
	const struct hw_events *watching;
};

extern struct fake_hw fake_hw;
extern const struct hw_vdpa_ops fake_hw_ops;

// Begin with a device of 4 queue pairs, bound to vfio-pci, at FAKE_HW_DEVICE.
int fake_hw_setup(void);
int fake_hw_teardown(void);

// Make a device, or take it away. @driver and @group may be NULL: it has none.
void fake_hw_plug(
	const char *address, const char *vendor, const char *subsystem_vendor, const char *driver,
	const char *group
);
void fake_hw_unplug(const char *address);

// A file below the directory, gone or with nothing in it.
void fake_hw_remove(const char *file);
void fake_hw_create(const char *file);

struct hw_vdpa *fake_hw_new(sd_event *event, bool pci);

// What QEMU and its guest do.
int fake_hw_connect(void);
void fake_hw_start_driver(void);
void fake_hw_stop_driver(void);
void fake_hw_disconnect(void);
