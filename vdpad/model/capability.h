// SPDX-License-Identifier: GPL-2.0-or-later
// What a backend can do for a port beyond carrying its frames. A backend says it itself, and what it
// does not say it cannot do: a port that asks for more is refused.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vdpad/model/port.h"

enum {
	CAPABILITY_VLAN = 1 << 0,    // access port of a VLAN
	CAPABILITY_TRUNKS = 1 << 1,  // tagged frames of some VLANs
	CAPABILITY_RATE = 1 << 2,    // limit in bit/s, each way
	CAPABILITY_LINK = 1 << 3,    // hold the link down
	CAPABILITY_NETWORK = 1 << 4, // move to another network while in use
};

#define CAPABILITY_OLD_SWITCH "vlan,link" // of a switch that does not say it
#define CAPABILITY_TEXT_SIZE 64           // of all words with commas between them

// Their words, in the order of the bits; NULL behind the last one.
extern const char *const capability_words[];

// "vlan,link" <-> bits. Words that are not known, of a newer worker, are ignored.
uint32_t capability_parse(const char *text);
void capability_format(uint32_t capabilities, char text[static CAPABILITY_TEXT_SIZE]);

// What serving @spec takes.
uint32_t capability_needed(const struct port_spec *spec);

// What changing @keys (PORT_KEY_*) of a port in use takes.
uint32_t capability_of_keys(uint32_t keys);

// Why a backend with @offered is not enough for @needed, as a sentence; NULL if it is.
const char *capability_problem(uint32_t needed, uint32_t offered);
