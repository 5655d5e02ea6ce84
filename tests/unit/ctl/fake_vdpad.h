// SPDX-License-Identifier: GPL-2.0-or-later
// Something on a private bus that answers as vdpad does, as a child process.
//
// Ports "a" and "vm100-net0" exist. AddPort echoes what it was asked as the port's reason, or fails:
// name "conflict" with EEXIST, "die" by ending the process, "sleep" by not answering.

#pragma once

// Start and end the service. Start returns when it has its name.
void fake_vdpad_start(void);
void fake_vdpad_stop(void);
