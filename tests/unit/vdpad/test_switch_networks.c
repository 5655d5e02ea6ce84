// SPDX-License-Identifier: GPL-2.0-or-later
// With a hub that notes each call and lets the test answer it.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/backend/switch_networks.h"
#include "vdpad/util/cleanup.h"

#define MAX_CALLS 8

static struct {
	char member[16];
	hub_reply_fn done;
	void *userdata;
} calls[MAX_CALLS];
static size_t n_calls;
static char members[128]; // of all calls so far

static int n_ready;
static int ready_code; // of the last answer

sd_bus_message *hub_message(struct hub *hub, enum worker worker, const char *member) {
	(void)hub;
	(void)worker;
	strcpy(calls[n_calls].member, member);
	return NULL;
}

void hub_call(
	struct hub *hub, enum worker worker, sd_bus_message *m, int append_result,
	hub_reply_fn done, void *userdata
) {
	(void)hub;
	(void)worker;
	(void)m;
	(void)append_result;
	snprintf(
		members + strlen(members), sizeof(members) - strlen(members), "%s ",
		calls[n_calls].member
	);
	calls[n_calls].done = done;
	calls[n_calls++].userdata = userdata;
}

void hub_call_name(
	struct hub *hub, enum worker worker, const char *member, const char *name,
	hub_reply_fn done, void *userdata
) {
	(void)name;
	hub_message(hub, worker, member);
	hub_call(hub, worker, NULL, 0, done, userdata);
}

void hub_note_cleanup(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)userdata;
	(void)reply;
	(void)e;
}

// The oldest call that has no answer gets one.
static void answer(int code) {
	hub_reply_fn done = calls[0].done;
	void *userdata = calls[0].userdata;
	struct error e;

	assert_true(n_calls > 0);
	memmove(&calls[0], &calls[1], sizeof(calls[0]) * --n_calls);
	error_set(&e, code, "because");
	done(userdata, NULL, code != 0 ? &e : NULL);
}

static void on_ready(void *userdata, const struct error *e) {
	(void)userdata;
	n_ready++;
	ready_code = e != NULL ? e->code : 0;
}

static const struct network alone = {.name = "alone", .mtu_bytes = 1500};
static const struct network uplinked = {.name = "vmbr0", .tap = "vdp-vmbr0", .mtu_bytes = 1500};

static int start(void **state) {
	struct switch_networks *networks;

	n_calls = 0;
	members[0] = '\0';
	n_ready = 0;
	ready_code = -1;
	if (switch_networks_new(NULL, &networks) < 0)
		return -1;
	switch_networks_synced(networks);
	*state = networks;
	return 0;
}

static int stop(void **state) {
	switch_networks_free(*state);
	return n_calls == 0 ? 0 : -1;
}

static void need_makes_a_network_once_for_all_who_wait(void **state) {
	switch_networks_need(*state, &alone, on_ready, NULL);
	switch_networks_need(*state, &alone, on_ready, NULL);
	assert_int_equal(n_ready, 0);
	answer(0);
	assert_int_equal(n_ready, 2);
	assert_int_equal(ready_code, 0);
	switch_networks_need(*state, &alone, on_ready, NULL); // it is there
	assert_int_equal(n_ready, 3);
	assert_string_equal(members, "SetNetwork ");
}

static void need_waits_until_it_is_known_what_the_switch_has(void **state) {
	switch_networks_lost(*state);
	switch_networks_need(*state, &alone, on_ready, NULL);
	switch_networks_need(*state, &uplinked, on_ready, NULL);
	assert_string_equal(members, "");
	switch_networks_adopt(*state, &uplinked, true);
	switch_networks_synced(*state);
	assert_int_equal(n_ready, 1); // the adopted one is not made again
	assert_string_equal(members, "SetNetwork ");
	answer(0);
	assert_int_equal(n_ready, 2);
}

static void failed_uplink_fails_who_waits_and_takes_the_network_away(void **state) {
	switch_networks_need(*state, &uplinked, on_ready, NULL);
	answer(0);
	answer(EHOSTDOWN); // OpenTap
	assert_int_equal(n_ready, 1);
	assert_int_equal(ready_code, EHOSTDOWN);
	answer(0);
	answer(0);
	assert_string_equal(members, "SetNetwork OpenTap DelNetwork DelTap ");
}

static void tap_stays_while_the_switch_may_have_it(void **state) {
	switch_networks_drop(*state, "vmbr0", "vdp-vmbr0");
	answer(EBUSY);
	assert_string_equal(members, "DelNetwork ");
	switch_networks_drop(*state, "vmbr0", "vdp-vmbr0");
	answer(EHOSTDOWN);
	assert_string_equal(members, "DelNetwork DelNetwork ");
	switch_networks_drop(*state, "vmbr0", "vdp-vmbr0");
	answer(ENOENT);
	answer(0);
	assert_string_equal(members, "DelNetwork DelNetwork DelNetwork DelTap ");
}

static void need_during_deletion_makes_it_again(void **state) {
	switch_networks_adopt(*state, &alone, true);
	switch_networks_release(*state, "alone");
	switch_networks_need(*state, &alone, on_ready, NULL);
	assert_int_equal(n_ready, 0);
	answer(0);
	answer(0);
	assert_int_equal(n_ready, 1);
	assert_string_equal(members, "DelNetwork SetNetwork ");
}

static void pushed_network_without_uplink_stays_and_is_counted(void **state) {
	switch_networks_push(*state, &uplinked, false);
	switch_networks_push_uplink(*state, &uplinked, false);
	answer(0);
	answer(EHOSTDOWN);
	assert_int_equal(switch_networks_n_without_uplink(*state), 1);
	switch_networks_need(*state, &uplinked, on_ready, NULL);
	assert_int_equal(ready_code, 0);
	switch_networks_adopt(*state, &uplinked, true);
	assert_int_equal(switch_networks_n_without_uplink(*state), 0);
}

static void uplink_pushed_while_a_chain_runs_is_pushed_after_it(void **state) {
	switch_networks_adopt(*state, &uplinked, false);
	switch_networks_push_uplink(*state, &uplinked, false);
	switch_networks_push_uplink(*state, &uplinked, false);
	assert_string_equal(members, "OpenTap ");
	answer(EIO);
	assert_string_equal(members, "OpenTap OpenTap ");
	answer(EIO);
	assert_int_equal(n_calls, 0);
}

static void wrong_tap_is_deleted_before_it_is_made_again(void **state) {
	switch_networks_adopt(*state, &uplinked, false);
	switch_networks_push_uplink(*state, &uplinked, true);
	answer(0);
	answer(EIO);
	assert_string_equal(members, "DelTap OpenTap ");
	switch_networks_push_uplink(*state, &uplinked, false);
	answer(EIO);
	assert_string_equal(members, "DelTap OpenTap OpenTap ");
}

static void last_port_leaving_during_a_chain_releases_after_it(void **state) {
	switch_networks_adopt(*state, &uplinked, false);
	switch_networks_push_uplink(*state, &uplinked, false);
	switch_networks_release(*state, "vmbr0");
	answer(EIO);
	answer(0);
	answer(0);
	assert_string_equal(members, "OpenTap DelNetwork DelTap ");
}

static void switch_lost_during_a_chain_forgets_the_network(void **state) {
	switch_networks_adopt(*state, &uplinked, false);
	switch_networks_push_uplink(*state, &uplinked, false);
	switch_networks_lost(*state);
	answer(EHOSTDOWN);
	assert_int_equal(switch_networks_n_without_uplink(*state), 0);
	assert_string_equal(members, "OpenTap ");
}

static void switch_lost_fails_who_waits(void **state) {
	switch_networks_lost(*state);
	switch_networks_need(*state, &alone, on_ready, NULL);
	switch_networks_lost(*state);
	assert_int_equal(n_ready, 1);
	assert_int_equal(ready_code, EHOSTDOWN);
}

static void tap_opened_for_a_switch_that_is_gone_is_not_given_to_the_next_one(void **state) {
	switch_networks_need(*state, &uplinked, on_ready, NULL);
	answer(0);
	switch_networks_lost(*state);
	assert_int_equal(n_ready, 1);
	assert_int_equal(ready_code, EHOSTDOWN);
	switch_networks_need(*state, &uplinked, on_ready, NULL);
	answer(0); // OpenTap
	assert_string_equal(members, "SetNetwork OpenTap ");
	assert_int_equal(n_calls, 0); // it is not known yet what the next one has
	switch_networks_synced(*state);
	assert_string_equal(members, "SetNetwork OpenTap SetNetwork ");
	answer(EIO);
	answer(ENOENT);
	answer(0);
	assert_int_equal(n_ready, 2);
	assert_int_equal(ready_code, EIO);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(need_makes_a_network_once_for_all_who_wait),
		TEST(need_waits_until_it_is_known_what_the_switch_has),
		TEST(failed_uplink_fails_who_waits_and_takes_the_network_away),
		TEST(tap_stays_while_the_switch_may_have_it),
		TEST(need_during_deletion_makes_it_again),
		TEST(pushed_network_without_uplink_stays_and_is_counted),
		TEST(uplink_pushed_while_a_chain_runs_is_pushed_after_it),
		TEST(wrong_tap_is_deleted_before_it_is_made_again),
		TEST(last_port_leaving_during_a_chain_releases_after_it),
		TEST(switch_lost_during_a_chain_forgets_the_network),
		TEST(switch_lost_fails_who_waits),
		TEST(tap_opened_for_a_switch_that_is_gone_is_not_given_to_the_next_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
