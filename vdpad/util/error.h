// SPDX-License-Identifier: GPL-2.0-or-later
// A failure that reaches a person: an errno that programs act upon and one sentence that says what
// is wrong and what would be right.
//
// The errno decides the D-Bus error name and vdpactl's exit status (error_kinds in error.c):
//   EINVAL     a value or key is wrong                                  exit 2
//   ENOENT     no such port                                             exit 3
//   ENODEV     no such network                                          exit 3
//   ENOTSOCK   no such socket of another switch in the configuration    exit 3
//   EEXIST     it exists with another specification, or is in use       exit 4
//   EPERM      policy, a limit or the backends refuse                   exit 5
//   EACCES     the caller may not do this                               exit 5
//   EHOSTDOWN  a part of vdpad that the request needs is not running    exit 1
//   EBUSY      somebody uses it                                         exit 1
//   ENOSPC     no room for another one                                  exit 1
//   EOPNOTSUPP this kernel, driver or device cannot                     exit 1
//   ETIMEDOUT  it did not end in time, and may yet                      exit 1
//   any other  it failed                                                exit 1

#pragma once

#include <systemd/sd-bus.h>

#include "vdpad/util/cleanup.h"

#define ERROR_TEXT_SIZE 512

struct error {
	int code; // positive errno; 0 when nothing failed
	char text[ERROR_TEXT_SIZE];
};

// Fill @e (which may be NULL) and return -@code, so that `return error_set(...)` reads as one step.
// A later failure overwrites an earlier one, whose text may be an argument. The text is cut to fit,
// gets no final newline, and is one line of printable ASCII: other bytes become '?', so that it may
// quote anything and still go over the bus and to a terminal.
int error_set(struct error *e, int code, const char *fmt, ...) _printf_(3, 4);

// The D-Bus error name for @code, for example "org.vdpad1.Error.NoSuchPort". Static storage.
const char *error_dbus_name(int code);

// vdpactl's exit status for a D-Bus error name, or 1 for a name that is not ours.
// Names of the bus itself are known as well: AccessDenied is 5, ServiceUnknown and friends 6.
int error_exit_status(const char *dbus_name);

// Copy @e into a sd-bus error and return the negative errno that sd-bus wants from a method.
int error_to_bus(const struct error *e, sd_bus_error *ret_error);

// The reverse: the answer of a call that failed with @r, as text and errno.
int error_from_bus(struct error *e, int r, const sd_bus_error *bus_error);
