// SPDX-License-Identifier: GPL-2.0-or-later
// Profiles: named, versioned sets of virtio-net features. A port keeps its profile for life, so that
// the guest sees the same NIC whatever backend serves it, today and after an upgrade. A profile that
// was released never changes; a better one gets a new number.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROFILE_NAME_SIZE 16
#define PROFILE_RING_SIZE_DEVICE 256 // descriptors that the rings of every vDPA device have

// QEMU's version as one number that orders.
#define PROFILE_QEMU(major, minor) ((major)*1000U + (minor))

// One property of -device virtio-net-pci. QEMU refuses to start with one that it does not know, and
// an older QEMU that does not know it does not have the feature either.
struct profile_property {
	const char *text; // "packed=off"
	unsigned int
		since; // PROFILE_QEMU() of the first QEMU that knows it; 0: every supported one (7.2)
};

struct profile {
	const char *name;
	const char *summary; // one sentence for help and man page
	uint64_t features;   // virtio feature bits that a backend may offer, VERSION_1 included
	const struct profile_property *qemu_properties; // ends with a text of NULL
	bool exact; // hardware that lacks a feature is refused, so that a VM may move to it and from it
	unsigned int ring_size; // descriptors of a ring on a socket; a device has 256 at most
};

// NULL when there is none of that name.
const struct profile *profile_find(const char *name);

// All of them, in the order of help, ending with a name of NULL.
extern const struct profile profiles[];

// The properties that QEMU of version @qemu (PROFILE_QEMU()) must be given, comma separated, into
// @text. Returns 0, or -ENOBUFS when they do not fit (@text is then empty).
int profile_qemu_properties(
	const struct profile *profile, unsigned int qemu, char *text, size_t size
);

// "HOST_TSO4" for a bit of include/uapi/linux/virtio_net.h or virtio_ring.h or virtio_config.h; NULL if unnamed.
const char *feature_name(unsigned int bit);
