// SPDX-License-Identifier: GPL-2.0-or-later
// Methods of the public API about hardware. All answer at once, from what vdpad-netlink last told.

#pragma once

#include <systemd/sd-bus.h>

int bus_show_pools(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_show_mgmtdevs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_show_devices(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
