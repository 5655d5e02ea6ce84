// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of ports in hardware begin with and ask each time. The port is p1.

#pragma once

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "fallback/hw_vdpa.h"

#define HW_CASE_OTHER_DEVICE "0000:3b:00.3" // there is none
// What DPDK is asked to do for a port that comes, and for one that goes.
#define HW_CASE_START "probe read_limits watch add_socket attach allow_features listen_to start "
#define HW_CASE_STOP "remove_socket unwatch remove "

struct hw_case {
	sd_event *event;
	struct hw_vdpa *hw;
	char path[64]; // of the port's socket
};

extern struct hw_case hw_case;

int hw_case_setup(void **state);
int hw_case_teardown(void **state);

struct guest_port_spec hw_case_good_spec(void);

// Make it, and begin a new log of calls.
void hw_case_add_port(void);

// Nothing is changed, and @word is in the reason.
void hw_case_expect_refusal(
	const char *name, const struct guest_port_spec *spec, int code, const char *word
);

void hw_case_expect_status(bool connected, const char *detail);

// Exactly one port has changed since the last call; it is p1.
void hw_case_expect_one_change(void);
bool hw_case_is_woken(void);
