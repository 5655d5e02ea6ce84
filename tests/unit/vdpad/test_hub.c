// SPDX-License-Identifier: GPL-2.0-or-later
// The hub against a worker of this process: both ends in one event loop, over real sockets.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vdpad/hub.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"

#define PATIENCE_MS 3000

static char dir[64];
static sd_event *event;
static struct hub *hub;
static int n_ready, n_lost, n_changed;
static int n_answers;
static struct error last_error;

static int on_settings(void *userdata, enum worker worker, sd_bus_message *reply) {
	(void)userdata;
	return worker == WORKER_SWITCH ? ipc_dict_add_s(reply, "cpus", "auto") : 0;
}

static void on_ready(void *userdata, enum worker worker) {
	(void)userdata;
	(void)worker;
	n_ready++;
}

static void on_lost(void *userdata, enum worker worker) {
	(void)userdata;
	(void)worker;
	n_lost++;
}

static void on_port_changed(
	void *userdata, const char *name, uint64_t generation, bool connected, const char *detail
) {
	(void)userdata;
	assert_string_equal(name, "vm1");
	assert_int_equal(generation, 7);
	assert_true(connected);
	assert_string_equal(detail, "driver runs");
	n_changed++;
}

static void on_vdpa_changed(void *userdata) {
	(void)userdata;
}

static const struct hub_handlers handlers = {
	on_settings, on_ready, on_lost, on_port_changed, on_vdpa_changed};

static int start(void **state) {
	struct error e;

	(void)state;
	strcpy(dir, "/tmp/test-hub-XXXXXX");
	n_ready = n_lost = n_changed = n_answers = 0;
	last_error = (struct error){0};
	if (mkdtemp(dir) == NULL || sd_event_new(&event) < 0)
		return -1;
	return hub_new(event, dir, &handlers, NULL, &hub, &e);
}

static int stop(void **state) {
	(void)state;
	hub_free(hub);
	sd_event_unref(event);
	return rmdir(dir); // the hub took its sockets away
}

#define wait_until(condition)                                         \
	do {                                                          \
		uint64_t _end_ms = clock_now_ms() + PATIENCE_MS;      \
		while (!(condition) && clock_now_ms() < _end_ms)      \
			assert_true(sd_event_run(event, 50000) >= 0); \
		assert_true(condition);                               \
	} while (0)

static sd_bus *connect_worker(const char *socket) {
	char path[96];
	sd_bus *link = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir, socket);
	assert_int_equal(link_connect(path, event, &link), 0);
	return link;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	*(int *)userdata = sd_bus_message_is_method_error(m, NULL) ? -1 : 1;
	return 0;
}

// Returns 1 when the hub took it, -1 when it refused or closed the connection.
static int call_hub(sd_bus *link, const char *member, const char *kind) {
	_cleanup_message_ sd_bus_message *m = NULL;
	int answer = 0;

	assert_true(
		sd_bus_message_new_method_call(
			link, &m, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, member
		) >= 0
	);
	if (kind != NULL)
		assert_true(
			sd_bus_message_append(
				m, "sa{sv}", kind, 2, "version", "s", "1", "pid", "u", 5
			) >= 0
		);
	else
		assert_true(sd_bus_message_append(m, "a{sv}", 1, "max_ports", "u", 64) >= 0);
	if (sd_bus_call_async(link, NULL, m, on_answer, &answer, 0) < 0)
		return -1;
	wait_until(answer != 0);
	return answer;
}

static sd_bus *ready_worker(void) {
	sd_bus *link = connect_worker(IPC_SWITCH_LINK);
	int before = n_ready;

	assert_int_equal(call_hub(link, "Register", "switch"), 1);
	assert_int_equal(call_hub(link, "Ready", NULL), 1);
	assert_int_equal(n_ready, before + 1);
	return link;
}

static void note_answer(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)userdata;
	assert_true((reply == NULL) == (e != NULL));
	n_answers++;
	if (e != NULL)
		last_error = *e;
}

static void ask(void) {
	hub_call(hub, WORKER_SWITCH, hub_message(hub, WORKER_SWITCH, "List"), 0, note_answer, NULL);
}

static void worker_registers_and_is_ready(void **state) {
	sd_bus *link = connect_worker(IPC_SWITCH_LINK);

	(void)state;
	assert_int_equal(call_hub(link, "Ready", NULL), -1);         // too early
	assert_int_equal(call_hub(link, "Register", "netlink"), -1); // the wrong socket
	assert_false(hub_info(hub, WORKER_SWITCH)->connected);
	assert_int_equal(call_hub(link, "Register", "switch"), 1);
	assert_true(hub_info(hub, WORKER_SWITCH)->connected);
	assert_false(hub_is_ready(hub, WORKER_SWITCH));
	assert_int_equal(call_hub(link, "Ready", NULL), 1);
	assert_true(hub_is_ready(hub, WORKER_SWITCH));
	assert_int_equal(hub_info(hub, WORKER_SWITCH)->max_ports, 64);
	assert_int_equal(hub_info(hub, WORKER_SWITCH)->pid, 5);
	sd_bus_flush_close_unref(link);
}

static void call_without_worker_fails_at_once(void **state) {
	(void)state;
	ask();
	assert_int_equal(n_answers, 1);
	assert_int_equal(last_error.code, EHOSTDOWN);
	assert_string_equal(last_error.text, "vdpad-switch is not running");
}

static void lost_worker_fails_its_calls_once(void **state) {
	sd_bus *link = ready_worker();

	(void)state;
	sd_bus_detach_event(link); // it does not answer
	ask();
	ask();
	sd_bus_close_unref(link);
	wait_until(n_lost == 1);
	assert_int_equal(n_answers, 2);
	assert_int_equal(last_error.code, EHOSTDOWN);
	assert_false(hub_is_ready(hub, WORKER_SWITCH));
	ask();
	assert_int_equal(n_answers, 3);
}

// Before the event loop has seen that it is dead.
static void calls_to_a_worker_that_just_died_end_with_its_loss(void **state) {
	sd_bus *link = ready_worker();

	(void)state;
	sd_bus_close_unref(link);
	ask();
	ask();
	assert_int_equal(n_answers, 0);
	wait_until(n_lost == 1);
	assert_int_equal(n_answers, 2);
	assert_int_equal(last_error.code, EHOSTDOWN);
	assert_string_equal(last_error.text, "vdpad-switch went away");
	assert_in_range(hub_absent_ms(hub, WORKER_SWITCH), 0, PATIENCE_MS);
}

static void second_live_worker_is_refused(void **state) {
	sd_bus *first = ready_worker();
	sd_bus *second = connect_worker(IPC_SWITCH_LINK);

	(void)state;
	assert_int_equal(call_hub(second, "Register", "switch"), -1);
	assert_true(hub_is_ready(hub, WORKER_SWITCH));
	assert_int_equal(n_lost, 0);
	sd_bus_flush_close_unref(second);
	sd_bus_flush_close_unref(first);
}

static void worker_after_a_dead_one_replaces_it(void **state) {
	sd_bus *first = ready_worker(), *second;

	(void)state;
	sd_bus_close_unref(first); // the hub has not seen it yet
	second = ready_worker();
	assert_int_equal(n_lost, 1);
	assert_true(hub_is_ready(hub, WORKER_SWITCH));
	sd_bus_flush_close_unref(second);
}

static void workers_error_keeps_its_text(void **state) {
	sd_bus *link = ready_worker();

	(void)state;
	ask(); // the worker of this test has no objects
	wait_until(n_answers == 1);
	assert_true(last_error.code != 0);
	assert_non_null(strstr(last_error.text, IPC_SWITCH_PATH));
	sd_bus_flush_close_unref(link);
}

static void signal_reaches_the_daemon_and_a_bad_one_does_not(void **state) {
	sd_bus *link = ready_worker();

	(void)state;
	assert_true(
		sd_bus_emit_signal(
			link, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, "PortChanged", "s", "vm1"
		) >= 0
	);
	assert_true(
		sd_bus_emit_signal(
			link, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, "PortChanged", "stbs", "vm1",
			UINT64_C(7), 1, "driver runs"
		) >= 0
	);
	wait_until(n_changed == 1);
	sd_bus_flush_close_unref(link);
}

static void stale_socket_is_replaced(void **state) {
	struct stat before, after;
	struct hub *again = NULL;
	char path[96];
	struct error e;

	(void)state;
	snprintf(path, sizeof(path), "%s/%s", dir, IPC_SWITCH_LINK);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0660);
	assert_int_equal(hub_new(event, dir, &handlers, NULL, &again, &e), 0);
	assert_int_equal(stat(path, &after), 0);
	hub_free(again);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(worker_registers_and_is_ready, start, stop),
		cmocka_unit_test_setup_teardown(call_without_worker_fails_at_once, start, stop),
		cmocka_unit_test_setup_teardown(lost_worker_fails_its_calls_once, start, stop),
		cmocka_unit_test_setup_teardown(
			calls_to_a_worker_that_just_died_end_with_its_loss, start, stop
		),
		cmocka_unit_test_setup_teardown(second_live_worker_is_refused, start, stop),
		cmocka_unit_test_setup_teardown(worker_after_a_dead_one_replaces_it, start, stop),
		cmocka_unit_test_setup_teardown(workers_error_keeps_its_text, start, stop),
		cmocka_unit_test_setup_teardown(
			signal_reaches_the_daemon_and_a_bad_one_does_not, start, stop
		),
		cmocka_unit_test_setup_teardown(stale_socket_is_replaced, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
