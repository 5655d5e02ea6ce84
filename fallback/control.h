// SPDX-License-Identifier: GPL-2.0-or-later
// The switch's end of the private link: interface org.vdpad1.Switch (vdpad/util/ipc.h).

#pragma once

#include <systemd/sd-bus.h>

#include "fallback/hw_vdpa.h"
#include "fallback/switch.h"

// What the interface speaks for.
struct control {
	struct network_switch *sw;
	struct hw_vdpa *hw;
};

// Serve @control on @link for as long as the link lives. Returns 0 or -errno.
int control_attach(sd_bus *link, struct control *control);

// Send PortChanged for each port whose status changed; @link may be NULL: nobody listens.
void control_announce_changes(sd_bus *link, struct control *control);
