// SPDX-License-Identifier: GPL-2.0-or-later
// A vdpad made of a socket and a hub object, in one event loop with the service under test.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "netlink/service.h"

#define HUB_DEADLINE_USEC (10 * 1000 * 1000)

struct fake_hub {
	char dir[32];
	char path[64];
	sd_event *event;
	struct service *service;
	int listen_fd;
	sd_event_source *accepting;
	sd_bus *link; // to the service
	int n_registered, n_ready, n_vdpa_changed;
	bool refuse;
};

// A folder, an event loop, and a service that looks for vdpad there. Returns 0 or -1.
int fake_hub_init(struct fake_hub *hub, const struct nic_kernel *kernel);
void fake_hub_done(struct fake_hub *hub);

void fake_hub_listen(struct fake_hub *hub);
void fake_hub_stop_listening(struct fake_hub *hub);
void fake_hub_drop_link(struct fake_hub *hub);

// Run the loop until *@counter is @value; the test fails after HUB_DEADLINE_USEC.
void fake_hub_run_until(struct fake_hub *hub, const int *counter, int value);

// Listen, and wait for the service.
void fake_hub_connect(struct fake_hub *hub);

sd_bus_message *fake_hub_new_call(struct fake_hub *hub, const char *method);

// Send @m, consumed. What arrives is counted in answer->arrived, in the order of arrival in
// answer->rank from 1; answer->m is the caller's.
struct fake_answer {
	int arrived, rank;
	uint64_t usec; // CLOCK_MONOTONIC
	sd_bus_message *m;
};
void fake_hub_send(struct fake_hub *hub, sd_bus_message *m, struct fake_answer *answer);

// The same, and wait for the answer, which is the caller's.
sd_bus_message *fake_hub_call(struct fake_hub *hub, sd_bus_message *m);

// @m (consumed) is the error @name whose sentence is or begins with @text.
void fake_hub_refused(sd_bus_message *m, const char *name, const char *text);
