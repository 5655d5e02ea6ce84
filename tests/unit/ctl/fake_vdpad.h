// SPDX-License-Identifier: GPL-2.0-or-later
// A bus of our own with something on it that answers as vdpad does, as child processes.
//
// Ports "a" and "vm100-net0" exist. AddPort echoes what it was asked as the port's reason, or fails:
// name "conflict" with EEXIST, "die" by ending the process, "sleep" by not answering.

#pragma once

// Start the bus and make it the system bus of this process. Exits where there is no dbus-daemon.
void fake_bus_start(void);
void fake_bus_stop(void);

// Start and end the service. Start returns when it has its name.
void fake_vdpad_start(void);
void fake_vdpad_stop(void);
