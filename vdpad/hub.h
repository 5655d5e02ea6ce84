// SPDX-License-Identifier: GPL-2.0-or-later
// The private links to the two workers. vdpad listens on a socket for each; a worker connects,
// registers and says when it is ready (ipc.h). At most one live worker of a kind is served: another
// one is refused, and one that comes after a dead one replaces it.
//
// Calls to workers never block: hub_call() ends in exactly one call of its function, with the answer
// or with an error: the worker's own, -EHOSTDOWN when it is not there or goes away, or when it did
// not answer in time, which is LINK_CALL_TIMEOUT_MS unless the caller says otherwise.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "vdpad/util/error.h"

enum worker {
	WORKER_SWITCH,
	WORKER_NETLINK,
};
#define N_WORKERS 2

struct worker_info {
	bool connected; // registered
	bool ready;
	char version[32];
	uint32_t pid;
	// What the switch said with Ready(); zero for the other one.
	bool hugepages;
	uint32_t n_workers;
	uint32_t max_queue_pairs;
	uint32_t max_mtu_bytes;
	uint32_t max_ports;
	uint32_t capabilities; // CAPABILITY_*
};

struct hub_handlers {
	// Fill the open a{sv} that Register() answers. Result as of sd_bus_message_append().
	int (*settings)(void *userdata, enum worker worker, sd_bus_message *reply);
	void (*ready)(void *userdata, enum worker worker);
	void (*lost
	)(void *userdata, enum worker worker); // it had been ready; its calls have failed
	void (*port_changed
	)(void *userdata, const char *name, uint64_t generation, bool connected,
	  const char *detail);
	void (*vdpa_changed)(void *userdata); // vdpad-netlink: look again
};

struct hub;

// Listen in @run_dir. Stale sockets there are replaced: the caller holds the directory's lock.
int hub_new(
	sd_event *event, const char *run_dir, const struct hub_handlers *handlers, void *userdata,
	struct hub **ret_hub, struct error *e
);
void hub_free(struct hub *hub);

const char *worker_name(enum worker worker); // "vdpad-switch", "vdpad-netlink"
const struct worker_info *hub_info(const struct hub *hub, enum worker worker);
bool hub_is_ready(const struct hub *hub, enum worker worker);

// How long it is not there: since it was lost, or since the hub began. 0 when it is ready.
uint64_t hub_absent_ms(const struct hub *hub, enum worker worker);

// A call of @member on @worker's object, to be filled. NULL when the worker is not there (hub_call()
// then says so) or memory is short.
sd_bus_message *hub_message(struct hub *hub, enum worker worker, const char *member);

// @reply is NULL on failure, then @e says why. Both are borrowed.
typedef void (*hub_reply_fn)(void *userdata, sd_bus_message *reply, const struct error *e);

// Send @m, which is consumed and may be NULL. @append_result is what filling it came to: a negative
// one fails the call. @done is called once; at once if the call cannot be sent.
void hub_call(
	struct hub *hub, enum worker worker, sd_bus_message *m, int append_result,
	hub_reply_fn done, void *userdata
);

// The same for one that may take longer, or must not take as long: @timeout_ms.
void hub_call_within(
	struct hub *hub, enum worker worker, sd_bus_message *m, int append_result,
	uint32_t timeout_ms, hub_reply_fn done, void *userdata
);

// The same for a call whose only argument is a name.
void hub_call_name(
	struct hub *hub, enum worker worker, const char *member, const char *name,
	hub_reply_fn done, void *userdata
);

// For calls that clean up: a failure is logged, what is left is found by reconcile.
void hub_note_cleanup(void *userdata, sd_bus_message *reply, const struct error *e);
