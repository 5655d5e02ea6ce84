// SPDX-License-Identifier: GPL-2.0-or-later
// Calls of org.vdpad1.Manager, with failures as sentences for people.

#pragma once

#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "vdpad/ctl/command.h"
#include "vdpad/util/error.h"

// The code of an error when vdpad or its bus cannot be reached; vdpactl's own, for exit status 6.
#define CLIENT_UNREACHABLE EHOSTUNREACH

#define CLIENT_TIMEOUT_US (30 * UINT64_C(1000000)) // a port on hardware may take some seconds

#define CLIENT_PATIENCE_US (3 * UINT64_C(1000000))

// Connect to the system bus. Returns 0 and a bus owned by the caller, or -CLIENT_UNREACHABLE.
int client_open(sd_bus **ret_bus, struct error *e);

// A call to be filled with arguments, owned by the caller.
int client_new_call(sd_bus *bus, const char *method, sd_bus_message **ret_call, struct error *e);

// Both: connect, and begin a call.
int client_begin(const char *method, sd_bus **ret_bus, sd_bus_message **ret_call, struct error *e);

// Send @call and turn the first argument of its answer into JSON (NULL if it has none), owned by the
// caller. @ret_json may be NULL. Returns 0 or -errno with @e filled: see error.h, and
// -CLIENT_UNREACHABLE.
int client_send(
	sd_bus *bus, sd_bus_message *call, uint64_t timeout_us, json_t **ret_json, struct error *e
);

// The same for a request that changes something. A vdpad that is not on the bus is waited for a moment,
// as it may just be started again, which costs ports nothing and should cost no script its request.
int client_send_change(sd_bus *bus, sd_bus_message *call, json_t **ret_json, struct error *e);

// Connect, call @method with one string, or none if @argument is NULL, and return its answer.
int client_ask(const char *method, const char *argument, json_t **ret_json, struct error *e);

// The same with @request's operand and its pairs.
int client_ask_spec(
	const char *method, const struct request *request, json_t **ret_json, struct error *e
);

// Append @request's pairs as an a{sv} of strings.
int client_append_pairs(sd_bus_message *call, const struct request *request);

// The same with key "name" before them, unless @name is NULL.
int client_append_named_pairs(
	sd_bus_message *call, const char *name, const struct request *request
);

// The JSON form of the next argument of @m: dictionaries with string keys become objects, the rest
// what is natural. Returns 0 and a new reference owned by the caller, or -errno.
int client_read_json(sd_bus_message *m, json_t **ret_json);
