// SPDX-License-Identifier: GPL-2.0-or-later
// What QEMU must be given for a port: the options of its chardev, netdev and device, and the RAM
// that a vhost-user backend can map. A pure function of the port and QEMU's version.
//
// The switch listens and QEMU connects, again and again if need be: `reconnect` counts seconds and
// is gone from newer QEMUs, `reconnect-ms` came with 9.2.
//
// The number of MSI-X vectors is left to QEMU, which knows to take two for each queue pair and two
// more; a caller can then still set it for all NICs with `-global virtio-net-pci.vectors`.
//
// Several `-machine` options are merged by QEMU, so ours can stand beside the caller's.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vdpad/port.h"
#include "vdpad/util/error.h"

#define QEMU_OPTION_SIZE \
	1024 // of one option's value; the profile's properties are the longest part
#define QEMU_RAM_ALIGNMENT \
	(UINT64_C(1) << 20) // sizes are whole MiB: what -m and every page size take

// Time between two attempts to reach the switch, before and from QEMU 9.2.
#define QEMU_RECONNECT_S 1
#define QEMU_RECONNECT_MS 200

// Older ones do not know all properties of the profiles.
#define QEMU_OLDEST_MAJOR 7
#define QEMU_OLDEST_MINOR 2

struct qemu_version {
	unsigned int major;
	unsigned int minor;
};

struct qemu_nic {
	char chardev[QEMU_OPTION_SIZE]; // the value of -chardev, and so on
	char netdev[QEMU_OPTION_SIZE];
	char device[QEMU_OPTION_SIZE];
	uint64_t memlock_bytes; // RLIMIT_MEMLOCK that QEMU needs for this NIC
	bool shared_memory;     // all guest RAM must be share=on
};

struct qemu_ram {
	char size[32];                  // -m
	char object[QEMU_OPTION_SIZE];  // -object
	char machine[QEMU_OPTION_SIZE]; // -machine
};

// "7.2", "10.0.2", or the line that `qemu-system-x86_64 --version` prints. Returns 0 or -EINVAL.
int qemu_version_parse(const char *text, struct qemu_version *ret_version);

// The port's mtu_bytes, queue_pairs, MAC, profile, backend and path must be final: as vdpad reports
// them. Returns 0, -EOPNOTSUPP for a backend that is no vhost-user socket or a QEMU that is too old,
// -EINVAL for an unknown profile, or -ENAMETOOLONG; @e says it.
int qemu_nic_init(
	struct qemu_nic *nic, const struct port *port, struct qemu_version version, struct error *e
);

// Shared RAM of @size_bytes. Returns 0, or -EINVAL with @e if that is 0 or not of QEMU_RAM_ALIGNMENT.
int qemu_ram_init(struct qemu_ram *ram, uint64_t size_bytes, struct error *e);
