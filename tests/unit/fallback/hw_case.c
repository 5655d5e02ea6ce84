// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include "tests/unit/fallback/hw_case.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/fallback/fake_hw.h"

struct hw_case hw_case;

int hw_case_setup(void **state) {
	(void)state;
	if (fake_hw_setup() < 0 || sd_event_new(&hw_case.event) < 0)
		return -1;
	snprintf(hw_case.path, sizeof(hw_case.path), "%s/p1.sock", fake_hw.directory);
	hw_case.hw = fake_hw_new(hw_case.event, true);
	return hw_case.hw == NULL ? -1 : 0;
}

int hw_case_teardown(void **state) {
	(void)state;
	hw_vdpa_free(hw_case.hw);
	sd_event_unref(hw_case.event);
	return fake_hw_teardown();
}

struct guest_port_spec hw_case_good_spec(void) {
	return (struct guest_port_spec){
		.device = FAKE_HW_DEVICE,
		.network = "net0",
		.path = hw_case.path,
		.mtu_bytes = 1500,
		.queue_pairs = 2,
		.link_up = true,
		.features = FAKE_HW_MQ | 1,
		.generation = 7,
	};
}

void hw_case_add_port(void) {
	struct guest_port_spec spec = hw_case_good_spec();
	struct error e;

	if (hw_vdpa_set_port(hw_case.hw, "p1", &spec, &e) < 0)
		fail_msg("%s", e.text);
	fake_hw.log[0] = '\0';
}

void hw_case_expect_refusal(
	const char *name, const struct guest_port_spec *spec, int code, const char *word
) {
	struct error e = {0};

	assert_int_equal(hw_vdpa_set_port(hw_case.hw, name, spec, &e), -code);
	if (strstr(e.text, word) == NULL)
		fail_msg("'%s' lacks '%s'", e.text, word);
}

void hw_case_expect_status(bool connected, const char *detail) {
	struct hw_port_view view;

	assert_true(hw_vdpa_view_port(hw_case.hw, 0, &view));
	assert_int_equal(view.connected, connected);
	if (strstr(view.detail, detail) == NULL)
		fail_msg("'%s' lacks '%s'", view.detail, detail);
}

bool hw_case_is_woken(void) {
	struct pollfd p = {.fd = hw_vdpa_changed_fd(hw_case.hw), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

void hw_case_expect_one_change(void) {
	struct hw_port_view view;

	assert_true(hw_case_is_woken());
	assert_true(hw_vdpa_next_changed_port(hw_case.hw, &view));
	assert_string_equal(view.name, "p1");
	assert_false(hw_vdpa_next_changed_port(hw_case.hw, &view));
	assert_false(hw_case_is_woken());
}
