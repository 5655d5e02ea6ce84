// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include "tests/unit/fallback/control_case.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/fallback/fake_hw.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/ipc.h"

struct control_case control_case;

// Two ends of a link in one thread: none may wait for the other while it starts.
int control_case_open(const char *directory) {
	struct control_case *c = &control_case;
	int pair[2];

	snprintf(c->path, sizeof(c->path), "%s/p1.sock", directory);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0 ||
	    sd_event_new(&c->event) < 0 ||
	    switch_new(test_workers, c->event, &c->control.sw, NULL) < 0 ||
	    link_accept(pair[1], c->event, &c->caller) < 0 || sd_bus_new(&c->link) < 0 ||
	    sd_bus_set_fd(c->link, pair[0], pair[0]) < 0 ||
	    sd_bus_negotiate_fds(c->link, true) < 0 || sd_bus_start(c->link) < 0 ||
	    sd_bus_attach_event(c->link, c->event, 0) < 0)
		return -1;
	// A call that comes together with the last word of the handshake would not be seen at once.
	while (sd_bus_is_ready(c->link) == 0) {
		if (sd_event_run(c->event, UINT64_MAX) < 0)
			return -1;
	}
	c->control.hw = fake_hw_new(c->event, true);
	return c->control.hw == NULL || control_attach(c->link, &c->control) < 0 ? -1 : 0;
}

void control_case_close(void) {
	sd_bus_flush_close_unref(control_case.caller);
	sd_bus_flush_close_unref(control_case.link);
	hw_vdpa_free(control_case.control.hw);
	switch_free(control_case.control.sw);
	sd_event_unref(control_case.event);
}

sd_bus_message *control_case_new(const char *method) {
	sd_bus_message *m = NULL;

	assert_true(
		sd_bus_message_new_method_call(
			control_case.caller, &m, NULL, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, method
		) >= 0
	);
	return m;
}

sd_bus_message *control_case_new_named(const char *method, const char *name) {
	sd_bus_message *m = control_case_new(method);

	sd_bus_message_append(m, "s", name);
	return m;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	*(sd_bus_message **)userdata = sd_bus_message_ref(m);
	return 0;
}

sd_bus_message *control_case_call(sd_bus_message *m) {
	sd_bus_message *answer = NULL;

	assert_true(
		sd_bus_call_async(control_case.caller, NULL, m, on_answer, &answer, 10000000) >= 0
	);
	while (answer == NULL)
		assert_true(sd_event_run(control_case.event, UINT64_MAX) >= 0);
	sd_bus_message_unref(m);
	return answer;
}

void expect_success(sd_bus_message *m) {
	sd_bus_message *answer = control_case_call(m);

	if (sd_bus_message_is_method_error(answer, NULL))
		fail_msg("%s", sd_bus_message_get_error(answer)->message);
	sd_bus_message_unref(answer);
}

void expect_error(sd_bus_message *m, int code, const char *word) {
	sd_bus_message *answer = control_case_call(m);

	assert_true(sd_bus_message_is_method_error(answer, NULL));
	assert_string_equal(sd_bus_message_get_error(answer)->name, error_dbus_name(code));
	if (strstr(sd_bus_message_get_error(answer)->message, word) == NULL)
		fail_msg("'%s' lacks '%s'", sd_bus_message_get_error(answer)->message, word);
	sd_bus_message_unref(answer);
}

void expect_entry(sd_bus_message *answer, const char *name, const char *key, const char *value) {
	const char *got, *type, *text;
	char number[32] = "";
	uint64_t t64;
	uint32_t u32;

	assert_true(sd_bus_message_enter_container(answer, 'a', "{sa{sv}}") > 0);
	assert_true(sd_bus_message_enter_container(answer, 'e', "sa{sv}") > 0);
	assert_true(sd_bus_message_read(answer, "s", &got) > 0);
	assert_string_equal(got, name);
	assert_true(sd_bus_message_enter_container(answer, 'a', "{sv}") > 0);
	text = NULL;
	while (sd_bus_message_enter_container(answer, 'e', "sv") > 0) {
		assert_true(sd_bus_message_read(answer, "s", &got) > 0);
		if (strcmp(got, key) != 0) {
			assert_true(sd_bus_message_skip(answer, "v") > 0);
		} else {
			assert_true(sd_bus_message_peek_type(answer, NULL, &type) > 0);
			text = number;
			if (type[0] == 's')
				assert_true(sd_bus_message_read(answer, "v", "s", &text) > 0);
			else if (type[0] == 'u')
				assert_true(sd_bus_message_read(answer, "v", "u", &u32) > 0);
			else
				assert_true(sd_bus_message_read(answer, "v", "t", &t64) > 0);
			if (type[0] == 'u' || type[0] == 't')
				snprintf(
					number, sizeof(number), "%llu",
					(unsigned long long)(type[0] == 'u' ? u32 : t64)
				);
		}
		sd_bus_message_exit_container(answer);
	}
	assert_non_null(text);
	assert_string_equal(text, value);
	for (int i = 0; i < 3; i++)
		assert_true(sd_bus_message_exit_container(answer) > 0);
}
