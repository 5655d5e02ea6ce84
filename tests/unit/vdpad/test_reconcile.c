// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "vdpad/backend/reconcile.h"
#include "vdpad/model/profile.h"
#include "vdpad/util/cleanup.h"

// Wanted: ports a and b on vmbr0. Reported: exactly that. Each test spoils something.
struct fixture {
	struct port ports[2];
	struct wanted_port wanted_ports[2];
	struct network networks[1];
	struct wanted wanted;
	struct reported_port on_switch_ports[3];
	struct reported_network on_switch_networks[2];
	struct switch_report on_switch;
	struct reported_tap tap_list[2];
	struct tap_report taps;
};

static void report_port(struct reported_port *r, const struct port *port) {
	*r = (struct reported_port){
		.mtu_bytes = port->spec.mtu_bytes,
		.queue_pairs = port->spec.queue_pairs,
		.vlan = port->spec.vlan,
		.link_up = port->spec.link_up,
		.features = profile_find(port->spec.profile)->features,
		.generation = port->generation,
	};
	strcpy(r->name, port->spec.name);
	strcpy(r->network, port->spec.network);
	strcpy(r->path, port->path);
}

static struct fixture *make(void) {
	static struct fixture f;
	static const char *const names[] = {"a", "b"};

	f = (struct fixture){
		.networks = {{
			.name = "vmbr0",
			.bridge = "vmbr0",
			.tap = "vdp-vmbr0",
			.mtu_bytes = 1500,
			.ageing_s = 300,
		}},
		.on_switch_networks =
			{
				{.name = "vmbr0",
	                         .uplink = "vdp-vmbr0",
	                         .mtu_bytes = 1500,
	                         .ageing_s = 300},
				{.name = "old",
	                         .uplink = "vdp-old",
	                         .mtu_bytes = 1500,
	                         .ageing_s = 300},
			},
		.tap_list =
			{
				{.name = "vdp-vmbr0",
	                         .network = "vmbr0",
	                         .bridge = "vmbr0",
	                         .mtu_bytes = 1500},
				{.name = "vdp-old", .network = "old", .mtu_bytes = 1500},
			},
	};
	for (size_t i = 0; i < 2; i++) {
		struct port *port = &f.ports[i];

		*port = (struct port){
			.spec = {.mtu_bytes = 1500, .queue_pairs = 1, .link_up = true},
			.generation = i + 1,
		};
		strcpy(port->spec.name, names[i]);
		strcpy(port->spec.network, "vmbr0");
		strcpy(port->spec.profile, profiles[0].name);
		snprintf(port->path, sizeof(port->path), "/run/vdpad/port/%s.sock", names[i]);
		f.wanted_ports[i].port = port;
		report_port(&f.on_switch_ports[i], port);
	}
	f.wanted = (struct wanted){f.wanted_ports, 2, f.networks, 1, true};
	f.on_switch = (struct switch_report){f.on_switch_networks, 1, f.on_switch_ports, 2};
	f.taps = (struct tap_report){f.tap_list, 1};
	return &f;
}

// The switch also has port "x", that nobody wants, on network "old", with its TAP.
static void add_leftovers(struct fixture *f) {
	f->on_switch_ports[2] = f->on_switch_ports[1];
	strcpy(f->on_switch_ports[2].name, "x");
	strcpy(f->on_switch_ports[2].network, "old");
	f->on_switch.n_ports = 3;
	f->on_switch.n_networks = 2;
	f->taps.n = 2;
}

// The plan as text: "adopt-port a; ..."
static const char *plan(
	const struct fixture *f, const struct switch_report *on_switch,
	const struct tap_report *taps
) {
	static const char *const names[] = {
		[STEP_ADOPT_NETWORK] = "adopt-network", [STEP_SET_NETWORK] = "set-network",
		[STEP_SET_UPLINK] = "set-uplink",       [STEP_DEL_PORT] = "del-port",
		[STEP_REPLACE_PORT] = "replace-port",   [STEP_SET_PORT] = "set-port",
		[STEP_ADOPT_PORT] = "adopt-port",       [STEP_PORT_GONE] = "port-gone",
		[STEP_DEL_NETWORK] = "del-network",     [STEP_DEL_TAP] = "del-tap",
	};
	static char text[1024];
	struct plan p;
	size_t len = 0;

	text[0] = '\0';
	assert_int_equal(reconcile(&f->wanted, on_switch, taps, &p), 0);
	for (size_t i = 0; i < p.n; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s%s %s", i > 0 ? "; " : "",
			names[p.steps[i].kind], p.steps[i].name
		);
	if (p.n_unknown > 0)
		snprintf(text + len, sizeof(text) - len, "; %zu unknown", p.n_unknown);
	plan_done(&p);
	return text;
}

static void reconcile_touches_nothing_that_is_right(void **state) {
	struct fixture *f = make();

	(void)state;
	assert_string_equal(
		plan(f, &f->on_switch, &f->taps), "adopt-network vmbr0; adopt-port a; adopt-port b"
	);
}

static void reconcile_pushes_everything_to_an_empty_switch(void **state) {
	struct fixture *f = make();
	struct switch_report empty = {0};

	(void)state;
	assert_string_equal(
		plan(f, &empty, &f->taps),
		"set-network vmbr0; set-uplink vmbr0; set-port a; set-port b"
	);
}

static void reconcile_does_nothing_without_the_switchs_list(void **state) {
	struct fixture *f = make();

	(void)state;
	f->taps.n = 2;
	assert_string_equal(plan(f, NULL, &f->taps), "");
	assert_string_equal(plan(f, NULL, NULL), "");
}

static void reconcile_deletes_what_nobody_wants(void **state) {
	struct fixture *f = make();

	(void)state;
	add_leftovers(f);
	assert_string_equal(
		plan(f, &f->on_switch, &f->taps),
		"adopt-network vmbr0; del-port x; adopt-port a; adopt-port b; del-network old"
	);
	f->on_switch.n_networks = 1; // the TAP alone is left
	assert_non_null(strstr(plan(f, &f->on_switch, &f->taps), "del-tap vdp-old"));
}

static void reconcile_deletes_nothing_when_the_store_was_missing(void **state) {
	struct fixture *f = make();

	(void)state;
	add_leftovers(f);
	f->wanted.may_delete = false;
	assert_string_equal(
		plan(f, &f->on_switch, &f->taps),
		"adopt-network vmbr0; adopt-port a; adopt-port b; 2 unknown"
	);
	f->on_switch.n_networks = 1;
	assert_string_equal(
		plan(f, &f->on_switch, &f->taps),
		"adopt-network vmbr0; adopt-port a; adopt-port b; 2 unknown"
	);
}

static void reconcile_deletes_no_tap_without_its_list(void **state) {
	struct fixture *f = make();

	(void)state;
	f->taps.n = 2;
	assert_null(strstr(plan(f, &f->on_switch, NULL), "del-tap"));
}

static void reconcile_is_complete_only_with_both_lists(void **state) {
	struct fixture *f = make();
	struct plan p;

	(void)state;
	assert_int_equal(reconcile(&f->wanted, &f->on_switch, NULL, &p), 0);
	assert_false(p.complete);
	plan_done(&p);
	assert_int_equal(reconcile(&f->wanted, &f->on_switch, &f->taps, &p), 0);
	assert_true(p.complete);
	plan_done(&p);
}

static void reconcile_replaces_a_port_of_another_lease(void **state) {
	struct fixture *f = make();

	(void)state;
	f->on_switch_ports[0].generation = 99;
	assert_string_equal(
		plan(f, &f->on_switch, &f->taps),
		"adopt-network vmbr0; replace-port a; adopt-port b"
	);
}

static void reconcile_replaces_a_port_whose_fixed_values_differ(void **state) {
	struct fixture *f;

	(void)state;
#define SPOILED(change) \
	f = make();     \
	change;         \
	assert_non_null(strstr(plan(f, &f->on_switch, &f->taps), "replace-port b"))
	SPOILED(f->on_switch_ports[1].mtu_bytes = 9000);
	SPOILED(f->on_switch_ports[1].queue_pairs = 2);
	SPOILED(f->on_switch_ports[1].features = 1);
	SPOILED(strcpy(f->on_switch_ports[1].path, "/other"));
}

// Its guest keeps its connection.
static void reconcile_moves_a_port_that_is_on_another_network(void **state) {
	struct fixture *f = make();

	(void)state;
	strcpy(f->on_switch_ports[1].network, "old");
	assert_non_null(strstr(plan(f, &f->on_switch, &f->taps), "set-port b"));
}

static void reconcile_sets_a_port_whose_vlan_or_link_differs(void **state) {
	struct fixture *f = make();

	(void)state;
	f->on_switch_ports[0].vlan = 10;
	f->on_switch_ports[1].link_up = false;
	assert_string_equal(
		plan(f, &f->on_switch, &f->taps), "adopt-network vmbr0; set-port a; set-port b"
	);
}

static void reconcile_leaves_busy_ports_alone(void **state) {
	struct fixture *f = make();

	(void)state;
	f->wanted_ports[0].busy = true; // it is being deleted: the list still has it
	f->wanted_ports[1].busy = true; // it is being created: the list lacks it
	f->on_switch.n_ports = 1;
	assert_string_equal(plan(f, &f->on_switch, &f->taps), "");
}

static void reconcile_finishes_deletions(void **state) {
	struct fixture *f = make();

	(void)state;
	f->wanted_ports[0].deleting = true;
	f->wanted_ports[1].deleting = true;
	f->on_switch.n_ports = 1; // a is there, b is not
	assert_string_equal(plan(f, &f->on_switch, &f->taps), "del-port a; port-gone b");
	f->wanted.may_delete = false; // that somebody asked for it is known
	assert_string_equal(plan(f, &f->on_switch, &f->taps), "del-port a; port-gone b");
}

static void reconcile_sets_a_network_that_was_changed(void **state) {
	struct fixture *f = make();

	(void)state;
	f->networks[0].ageing_s = 60;
	assert_string_equal(
		plan(f, &f->on_switch, &f->taps), "set-network vmbr0; adopt-port a; adopt-port b"
	);
}

static void reconcile_sets_an_uplink_that_is_missing_or_wrong(void **state) {
	static const char with_uplink[] =
		"adopt-network vmbr0; set-uplink vmbr0; adopt-port a; adopt-port b";
	struct fixture *f = make();

	(void)state;
	f->on_switch_networks[0].uplink[0] = '\0';
	assert_string_equal(plan(f, &f->on_switch, &f->taps), with_uplink);
	f = make();
	strcpy(f->tap_list[0].bridge, "vmbr9"); // somebody moved it
	assert_string_equal(plan(f, &f->on_switch, &f->taps), with_uplink);
	f = make();
	f->tap_list[0].mtu_bytes = 1400;
	assert_string_equal(plan(f, &f->on_switch, &f->taps), with_uplink);
	f = make();
	f->tap_list[0].mtu_bytes = 9000; // its bridge's
	assert_null(strstr(plan(f, &f->on_switch, &f->taps), "set-uplink"));
	f = make();
	f->taps.n = 0; // somebody deleted it
	assert_string_equal(plan(f, &f->on_switch, &f->taps), with_uplink);
	f = make();
	f->taps.n = 0; // not listed for want of a list is not deleted
	assert_null(strstr(plan(f, &f->on_switch, NULL), "set-uplink"));
}

static void reconcile_wants_no_uplink_for_a_network_without(void **state) {
	struct fixture *f = make();

	(void)state;
	f->networks[0].tap[0] = '\0';
	f->on_switch_networks[0].uplink[0] = '\0';
	f->taps.n = 0;
	assert_string_equal(
		plan(f, &f->on_switch, &f->taps), "adopt-network vmbr0; adopt-port a; adopt-port b"
	);
}

static void reconcile_with_nothing_at_all_plans_nothing(void **state) {
	struct fixture f = {.wanted = {.may_delete = true}};

	(void)state;
	assert_string_equal(plan(&f, &f.on_switch, &f.taps), "");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reconcile_touches_nothing_that_is_right),
		cmocka_unit_test(reconcile_pushes_everything_to_an_empty_switch),
		cmocka_unit_test(reconcile_does_nothing_without_the_switchs_list),
		cmocka_unit_test(reconcile_deletes_what_nobody_wants),
		cmocka_unit_test(reconcile_deletes_nothing_when_the_store_was_missing),
		cmocka_unit_test(reconcile_deletes_no_tap_without_its_list),
		cmocka_unit_test(reconcile_is_complete_only_with_both_lists),
		cmocka_unit_test(reconcile_replaces_a_port_of_another_lease),
		cmocka_unit_test(reconcile_replaces_a_port_whose_fixed_values_differ),
		cmocka_unit_test(reconcile_moves_a_port_that_is_on_another_network),
		cmocka_unit_test(reconcile_sets_a_port_whose_vlan_or_link_differs),
		cmocka_unit_test(reconcile_leaves_busy_ports_alone),
		cmocka_unit_test(reconcile_finishes_deletions),
		cmocka_unit_test(reconcile_sets_a_network_that_was_changed),
		cmocka_unit_test(reconcile_sets_an_uplink_that_is_missing_or_wrong),
		cmocka_unit_test(reconcile_wants_no_uplink_for_a_network_without),
		cmocka_unit_test(reconcile_with_nothing_at_all_plans_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
