// SPDX-License-Identifier: GPL-2.0-or-later
// What QEMU must be given for a port: the options of its chardev, netdev and device, and the RAM
// that a vhost-user backend can map. A pure function of the port and QEMU's version.
//
// A port is a vhost-user socket or a vDPA device, and the guest is to see the same NIC. So the device's
// options are the same but for the size of the rings: devices may have no more than 256 descriptors, and
// newer kernels refuse more than that, while short bursts find room in the switch's 1024. A profile that
// is to move between both has 256 everywhere. page-per-vq, which would let a guest ring a vDPA device's
// doorbell without leaving, changes the NIC's BARs and is therefore left off.
//
// host_mtu is given only where the MTU is not 1500. QEMU offers it whether the device has that feature or
// not, and then shows the guest what the device has in that place, which may be 0.
//
// The switch listens and QEMU connects, again and again if need be: `reconnect` counts seconds and
// is gone from newer QEMUs, `reconnect-ms` came with 9.2. On a socket of another switch QEMU may have to
// listen itself; then it waits for nobody.
//
// The number of MSI-X vectors is left to QEMU, which knows to take two for each queue pair and two
// more; a caller can then still set it for all NICs with `-global virtio-net-pci.vectors`.
//
// Several `-machine` options are merged by QEMU, so ours can stand beside the caller's.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vdpad/model/port.h"
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

// A device of vDPA pins all that QEMU maps, each device anew: RAM, and firmware, option ROMs and video
// memory beside it, which is this much at most: 16.3 MiB with QEMU's standard VGA, more with a larger one.
#define QEMU_MEMLOCK_MARGIN_BYTES (UINT64_C(256) << 20)

struct qemu_nic {
	const char *kind;               // "vhost-user", "vhost-vdpa"
	char chardev[QEMU_OPTION_SIZE]; // the value of -chardev, and so on; "" for none
	char netdev[QEMU_OPTION_SIZE];
	char device[QEMU_OPTION_SIZE];
	bool pins_memory;   // against RLIMIT_MEMLOCK
	bool shared_memory; // all guest RAM must be share=on
};

struct qemu_ram {
	char size[32];                  // -m
	char object[QEMU_OPTION_SIZE];  // -object
	char machine[QEMU_OPTION_SIZE]; // -machine
};

// "7.2", "10.0.2", or the line that `qemu-system-x86_64 --version` prints. Returns 0 or -EINVAL.
int qemu_version_parse(const char *text, struct qemu_version *ret_version);

// The port's mtu_bytes, queue_pairs, MAC, profile, backend and path must be final: as vdpad reports
// them. Returns 0, -EOPNOTSUPP for a port without backend or a QEMU that is too old,
// -EINVAL for an unknown profile, or -ENAMETOOLONG; @e says it.
int qemu_nic_init(
	struct qemu_nic *nic, const struct port *port, struct qemu_version version, struct error *e
);

// RAM of @size_bytes; without @shared, object and machine are empty: QEMU's own RAM does.
// Returns 0, or -EINVAL with @e if the size is 0 or not of QEMU_RAM_ALIGNMENT.
int qemu_ram_init(struct qemu_ram *ram, uint64_t size_bytes, bool shared, struct error *e);

// RLIMIT_MEMLOCK that a QEMU with so much RAM needs for @n_nics that pin memory.
uint64_t qemu_memlock_bytes(uint64_t ram_bytes, size_t n_nics);
