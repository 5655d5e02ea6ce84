// SPDX-License-Identifier: GPL-2.0-or-later
// Methods of the public API that say what would be done, step by step, and do nothing: the answers a(ss)
// are in words and as the message or write behind them. What vdpad-netlink would do, it says itself.

#pragma once

#include <systemd/sd-bus.h>

int plan_pool(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int plan_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
