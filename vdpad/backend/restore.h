// SPDX-License-Identifier: GPL-2.0-or-later
// Bring the workers to what is wanted: ask both for their lists, reconcile(), run the steps. Runs
// when a worker becomes ready, after the configuration was read again, and from time to time while
// something is not as it should be. A run never waits: calls are pipelined.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vdpad/backend/report.h"

struct daemon;

struct restore {
	bool running;
	bool again;      // asked for while one runs
	uint64_t n_acts; // of struct daemon, when it began
	bool have_switch, have_taps;
	struct switch_report on_switch;
	struct tap_report taps;
	uint64_t newest_seen; // generation that the store knows to skip
	bool trouble_logged;  // with a state file that is not trusted
};

// Does nothing while vdpad-switch is not there: its coming starts a run.
void restore_start(struct daemon *d);

// Whether vdpad-switch is there and what it has from before is not known yet. A request that is begun now
// would find in its way what the first run is about to adopt or delete.
bool restore_is_pending(const struct daemon *d);

// Something is not as it should be, and a run may help.
bool restore_is_needed(const struct daemon *d);
