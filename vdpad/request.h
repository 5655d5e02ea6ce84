// SPDX-License-Identifier: GPL-2.0-or-later
// AddPort, SetPort and DelPort, from the message to its answer.
//
// A request with a mistake in it is refused at once. The others wait at one door while
//   - a worker that they need is not there and was lost, or vdpad was started, a moment ago;
//   - an act runs on their port, such as being restored after a restart;
//   - an earlier request for the same port waits.
// So a restart of a part of vdpad costs a request some time and not its success. A request whose
// worker is lost under it is undone by provision and comes back to the door, once. Nobody waits
// longer than REQUEST_GRACE_MS: then the request goes on as things are, and fails if they are bad.
// Requests for other ports pass those that wait.

#pragma once

#include <systemd/sd-bus.h>

#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

#define REQUEST_GRACE_MS 3000 // ten times what a worker needs to be back
#define REQUESTS_MAX 512      // that wait; more are not made to wait

struct daemon;
struct requests;

// @d is borrowed. Returns 0 or -errno.
int requests_new(struct daemon *d, struct requests **ret_requests);
void requests_free(struct requests *requests); // who still waits gets an error

// A worker came, or an act on a port ended: look again, soon. @requests may be NULL.
void requests_wake(struct requests *requests);

// Handlers of methods, whose userdata is the daemon.
int request_add_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int request_set_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int request_del_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

// The name that such a request begins with, into @spec. Returns 0, or -EINVAL with @e filled.
int request_read_name(sd_bus_message *m, struct port_spec *spec, struct error *e);
