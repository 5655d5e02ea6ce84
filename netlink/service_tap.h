// SPDX-License-Identifier: GPL-2.0-or-later
// The methods about TAPs (OpenTap, DelTap, ListTaps of org.vdpad1.Netlink in vdpad/util/ipc.h), in the
// event loop's thread: rtnetlink does not hang when kernel vDPA does.

#pragma once

#include <systemd/sd-bus.h>

#include "netlink/netif.h"

struct service_tap {
	struct netif_socket *socket; // owned by the service
};

// Handlers of sd-bus methods; @userdata is a struct service_tap.
int service_tap_open(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_tap_del(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int service_tap_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
