// SPDX-License-Identifier: GPL-2.0-or-later
// Functions of the PFs that pools name: VFs are made ahead, and subfunctions that nobody wants any more go.
// A subfunction is vdpad's by its number (PORT_SF_BASE and the generation of its port). One is left behind
// when a process ended between the steps of making or deleting a port. Its device goes first, which
// proves that nobody has it open: to delete a function under a device that is open would hang the kernel.

#pragma once

struct daemon;

// Look within a moment, with a vdpad-netlink that is there: when it came, after the configuration was read again,
// after something was not undone.
void vdpa_functions_look(struct daemon *d);

// vdpa_restore.c's: there is a fresh view. Does nothing unless vdpa_functions_look() was called.
void vdpa_functions_run(struct daemon *d);
