// SPDX-License-Identifier: GPL-2.0-or-later
// A port as SetPort() asks for it and List() shows it: of the switch, or in hardware.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "vdpad/util/error.h"

struct guest_port_spec {
	const char *device;  // PCI address of the hardware that serves it; NULL: the switch does
	const char *network; // no more than a name in hardware
	const char *path;
	uint32_t mtu_bytes;
	uint32_t queue_pairs;
	uint32_t vlan; // 0: untagged
	bool link_up;
	uint64_t features;
	uint64_t generation;
};

// The first key that differs of those that no port can change, or NULL.
const char *guest_port_spec_fixed_difference(
	const struct guest_port_spec *a, const struct guest_port_spec *b
);

// From the dictionary at @m's place; the strings are @m's. -EINVAL with a sentence.
int guest_port_spec_read(sd_bus_message *m, struct guest_port_spec *ret_spec, struct error *e);

// Into the dictionary that is open in @m, whose sending tells of a failure.
void guest_port_spec_append(sd_bus_message *m, const struct guest_port_spec *spec);
