// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/ctl/client.h"

#include <errno.h>
#include <string.h>

#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"

#define EXIT_UNREACHABLE 6 // of error_exit_status()

int client_open(sd_bus **ret_bus, struct error *e) {
	int r = sd_bus_open_system(ret_bus);

	if (r == -EACCES || r == -EPERM)
		return error_set(e, EACCES, "the system bus refuses this user");
	if (r < 0)
		return error_set(
			e, CLIENT_UNREACHABLE,
			"the system bus does not answer (%s): is dbus.service running?",
			strerror(-r)
		);
	return 0;
}

int client_new_call(sd_bus *bus, const char *method, sd_bus_message **ret_call, struct error *e) {
	int r = sd_bus_message_new_method_call(
		bus, ret_call, IPC_BUS_NAME, IPC_PATH, IPC_MANAGER_IFACE, method
	);

	return r < 0 ? error_set(e, -r, "%s: %s", method, strerror(-r)) : 0;
}

int client_begin(const char *method, sd_bus **ret_bus, sd_bus_message **ret_call, struct error *e) {
	int r = client_open(ret_bus, e);

	return r < 0 ? r : client_new_call(*ret_bus, method, ret_call, e);
}

// The bus itself refused, in words that only its maintainers understand.
static bool is_bus_policy(const sd_bus_error *error) {
	return sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) &&
		(error->message == NULL || strstr(error->message, "Rejected send") != NULL ||
	         strstr(error->message, "not authorized") != NULL);
}

static int explain_failure(int r, const sd_bus_error *error, struct error *e) {
	if (is_bus_policy(error))
		return error_set(
			e, EACCES,
			"permission denied: changes need root, questions need root or group vdpad"
		);
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
		return error_set(
			e, CLIENT_UNREACHABLE,
			"vdpad stopped before it answered: see 'journalctl -u vdpad'"
		);
	if (r == -ETIMEDOUT)
		return error_set(
			e, CLIENT_UNREACHABLE,
			"vdpad did not answer in time: see 'journalctl -u vdpad'"
		);
	if (r == -ECONNRESET || r == -ENOTCONN ||
	    (error->name != NULL && error_exit_status(error->name) == EXIT_UNREACHABLE))
		return error_set(
			e, CLIENT_UNREACHABLE,
			"vdpad does not answer on the system bus: is vdpad.service running? "
			"(systemctl status vdpad)"
		);
	return error_from_bus(e, r, error);
}

static int read_answer(sd_bus_message *answer, json_t **ret_json, struct error *e) {
	json_t *json = NULL;
	int r;

	if (ret_json == NULL)
		return 0;
	r = sd_bus_message_is_empty(answer);
	if (r == 0)
		r = client_read_json(answer, &json);
	if (r < 0)
		return error_set(
			e, -r,
			"vdpad's answer cannot be read (%s): are vdpad and vdpactl of one "
			"version?",
			strerror(-r)
		);
	*ret_json = json;
	return 0;
}

int client_send(
	sd_bus *bus, sd_bus_message *call, uint64_t timeout_us, json_t **ret_json, struct error *e
) {
	_cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *answer = NULL;
	int r;

	r = sd_bus_call(bus, call, timeout_us, &error, &answer);
	return r < 0 ? explain_failure(r, &error, e) : read_answer(answer, ret_json, e);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)m;
	(void)ret_error;
	*(bool *)userdata = true;
	return 0;
}

// Until vdpad has its name, or patience ends.
static void wait_for_vdpad(sd_bus *bus) {
	uint64_t end_ms = clock_now_ms() + CLIENT_PATIENCE_US / 1000, now_ms;
	_cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
	bool came = false;

	if (sd_bus_add_match(
		    bus, &slot,
		    "type='signal',sender='org.freedesktop.DBus',"
		    "member='NameOwnerChanged',arg0='" IPC_BUS_NAME "'",
		    on_owner_changed, &came
	    ) < 0)
		return;
	if (sd_bus_get_name_creds(bus, IPC_BUS_NAME, 0, NULL) >= 0)
		return; // it came before the match did
	while (!came && (now_ms = clock_now_ms()) < end_ms) {
		int r = sd_bus_process(bus, NULL);

		if (r == 0)
			r = sd_bus_wait(bus, (end_ms - now_ms) * 1000);
		if (r < 0)
			return;
	}
}

int client_send_change(sd_bus *bus, sd_bus_message *call, json_t **ret_json, struct error *e) {
	_cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *answer = NULL;
	int r;

	r = sd_bus_call(bus, call, CLIENT_TIMEOUT_US, &error, &answer);
	if (r >= 0)
		return read_answer(answer, ret_json, e);
	// Only then nobody can have begun to act upon it.
	if (!sd_bus_error_has_name(&error, SD_BUS_ERROR_SERVICE_UNKNOWN) &&
	    !sd_bus_error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		return explain_failure(r, &error, e);
	wait_for_vdpad(bus);
	return client_send(bus, call, CLIENT_TIMEOUT_US, ret_json, e);
}

int client_ask(const char *method, const char *argument, json_t **ret_json, struct error *e) {
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *call = NULL;
	int r;

	r = client_begin(method, &bus, &call, e);
	if (r < 0)
		return r;
	if (argument != NULL) {
		r = sd_bus_message_append(call, "s", argument);
		if (r < 0)
			return error_set(e, EINVAL, "'%s' is no valid text", argument);
	}
	return client_send(bus, call, CLIENT_TIMEOUT_US, ret_json, e);
}

int client_ask_spec(
	const char *method, const struct request *request, json_t **ret_json, struct error *e
) {
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *call = NULL;
	int r;

	r = client_begin(method, &bus, &call, e);
	if (r < 0)
		return r;
	r = sd_bus_message_append(call, "s", request->operand);
	if (r >= 0)
		r = client_append_pairs(call, request);
	if (r < 0)
		return error_set(e, -r, "the request cannot be written: %s", strerror(-r));
	return client_send(bus, call, CLIENT_TIMEOUT_US, ret_json, e);
}

int client_append_pairs(sd_bus_message *call, const struct request *request) {
	return client_append_named_pairs(call, NULL, request);
}

int client_append_named_pairs(
	sd_bus_message *call, const char *name, const struct request *request
) {
	sd_bus_message_open_container(call, 'a', "{sv}");
	if (name != NULL)
		ipc_dict_add_s(call, "name", name);
	for (size_t i = 0; i < request->n_pairs; i++)
		ipc_dict_add_s(call, request->pairs[i].key, request->pairs[i].value);
	return sd_bus_message_close_container(call);
}
