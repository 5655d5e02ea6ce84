// SPDX-License-Identifier: GPL-2.0-or-later
// The method Stats(): the switch's counters, of the ports and uplinks that vdpad knows.

#pragma once

#include <systemd/sd-bus.h>

int bus_stats(sd_bus_message *m, void *daemon, sd_bus_error *ret_error);
