// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of the switch's bus interface share: real workers, and a caller at the other end of the link.

#pragma once

#include <systemd/sd-bus.h>

#include "fallback/control.h"

struct control_case {
	sd_event *event;
	struct control control;
	sd_bus *link;   // of the switch
	sd_bus *caller; // vdpad's
	char path[64];  // of port p1
};

extern struct control_case control_case;

// For cmocka's setup and teardown. The sockets of ports are in @directory.
int control_case_open(const char *directory);
void control_case_close(void);

// A call to be filled and given to one of the others, which consume it.
sd_bus_message *control_case_new(const char *method);
sd_bus_message *control_case_new_named(const char *method, const char *name); // its argument

// Run both ends until the answer is there.
sd_bus_message *control_case_call(sd_bus_message *m);

void expect_success(sd_bus_message *m);

// The error's name is that of @code and its text contains @word.
void expect_error(sd_bus_message *m, int code, const char *word);

// The next dictionary of @answer has one entry, @name, in which @key has the @value, as text.
void expect_entry(sd_bus_message *answer, const char *name, const char *key, const char *value);
