// SPDX-License-Identifier: GPL-2.0-or-later
// What ports in hardware add to interface org.vdpad1.Switch.

#pragma once

#include <systemd/sd-bus.h>

#include "fallback/hw_vdpa.h"

// Their entries of List() and Stats(), appended to an open a{sa{sv}}. Result as of sd_bus_message_append().
int control_hw_append_ports(sd_bus_message *m, const struct hw_vdpa *hw);
int control_hw_append_stats(sd_bus_message *m, const struct hw_vdpa *hw);

// Answer ListHwVdpa().
int control_hw_list(sd_bus_message *m, struct hw_vdpa *hw);
