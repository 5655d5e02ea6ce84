// SPDX-License-Identifier: GPL-2.0-or-later
// Ports that move to another network while they are in use.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/private_bus.h"
#include "tests/unit/vdpad/fake_node.h"
#include "vdpad/util/clock.h"

#define TWO                                                                       \
	"[networks]\nbridges = no\n[network one]\n[network two]\nuplink = none\n" \
	"[network small]\nuplink = none\nmtu = 1400\n[network away]\nbridge = vdno0\n"

static int setup(void **state) {
	struct node *node = calloc(1, sizeof(*node));

	node_init(node, TWO);
	node_start_vdpad(node);
	node_workers_are_known(node);
	*state = node;
	return 0;
}

static int ask(struct node *node, const char *method, const char *const *pairs, char *text) {
	struct answer answer;

	node_ask(node, method, "vm1", pairs, &answer);
	node_wait(node, answer.code != -1);
	if (text != NULL)
		strcpy(text, answer.text);
	return answer.code;
}
#define ADD(...) ask(node, "AddPort", (const char *const[]){__VA_ARGS__, NULL}, NULL)
#define SET(...) ask(node, "SetPort", (const char *const[]){__VA_ARGS__, NULL}, NULL)
#define SET_SAYS(text, ...) ask(node, "SetPort", (const char *const[]){__VA_ARGS__, NULL}, text)

static const struct port *vm1(struct node *node) {
	return &port_set_find(&node->d->ports, "vm1")->port;
}

static bool switch_has_network(const struct node *node, const char *name) {
	for (size_t i = 0; i < node->n_networks; i++) {
		if (strcmp(node->networks[i], name) == 0)
			return true;
	}
	return false;
}

static void a_port_moves_with_its_lease_and_the_old_network_goes(void **state) {
	struct node *node = *state;
	struct network network;
	uint64_t generation;

	assert_int_equal(ADD("network", "one", "vlan", "10"), 0);
	generation = vm1(node)->generation;
	assert_int_equal(SET("network", "two"), 0);
	assert_string_equal(vm1(node)->spec.network, "two");
	assert_int_equal(vm1(node)->spec.vlan, 10);
	assert_int_equal(vm1(node)->generation, generation);
	assert_int_equal(vm1(node)->state, PORT_READY);
	assert_int_equal(node->n_ports, 1);
	assert_int_equal(node->n_set_port, 2); // never deleted
	node_wait(node, !switch_has_network(node, "one") && node->n_taps == 0);
	assert_true(switch_has_network(node, "two"));
	assert_int_equal(store_find_network(node->d->store, "two", &network, NULL), 0);
	assert_int_equal(store_find_network(node->d->store, "one", &network, NULL), -ENOENT);
}

static void a_network_that_does_not_fit_is_refused_before_anything(void **state) {
	struct node *node = *state;
	char text[ERROR_TEXT_SIZE];

	assert_int_equal(ADD("network", "one"), 0);
	assert_int_equal(SET_SAYS(text, "network", "small"), EPERM);
	assert_non_null(
		strstr(text, "mtu 1500, which the port's VM was told, is more than the 1400")
	);
	assert_int_equal(SET_SAYS(text, "network", "nowhere"), ENODEV);
	assert_int_equal(SET_SAYS(text, "network", "away"), ENODEV);
	assert_non_null(strstr(text, "no Linux bridge 'vdno0'"));
	assert_int_equal(SET_SAYS(text, "rate", "10mbit"), EPERM);
	assert_string_equal(
		text,
		"port 'vm1' is on backend switch: it offers no limit of the rate: leave key "
		"'rate' out, or set it to none"
	);
	assert_int_equal(SET("network", "one"), 0); // where it is
	assert_int_equal(node->n_set_port, 1);
	assert_string_equal(vm1(node)->spec.network, "one");
}

static void a_mac_in_use_there_is_a_conflict(void **state) {
	static const char *const other[] = {"network", "two", "mac", "52:54:00:00:00:01", NULL};
	struct node *node = *state;
	struct answer answer;

	assert_int_equal(ADD("network", "one", "mac", "52:54:00:00:00:01"), 0);
	node_ask(node, "AddPort", "vm2", other, &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(SET("network", "two"), EEXIST);
	assert_string_equal(vm1(node)->spec.network, "one");
}

static void a_move_that_the_switch_refuses_leaves_the_port_where_it_was(void **state) {
	struct node *node = *state;
	struct network network;

	assert_int_equal(ADD("network", "one"), 0);
	node->refuse = ENOMEM;
	assert_int_not_equal(SET("network", "two"), 0);
	node->refuse = 0;
	assert_string_equal(vm1(node)->spec.network, "one");
	node_wait(node, !switch_has_network(node, "two"));
	assert_true(switch_has_network(node, "one"));
	assert_int_equal(store_find_network(node->d->store, "one", &network, NULL), 0);
	assert_int_equal(store_find_network(node->d->store, "two", &network, NULL), -ENOENT);
	assert_int_equal(SET("network", "two"), 0);
}

static int intend(void *userdata, const struct port *port, enum store_intent intent) {
	struct port moved = *port;
	struct network two = {.name = "two", .mtu_bytes = 1500, .ageing_s = 300};
	struct error e;

	(void)intent;
	strcpy(moved.spec.network, "two");
	return store_intend(userdata, STORE_CHANGE, &moved, &two, &e);
}

// vdpad is killed between the intent and the act.
static void a_move_that_was_cut_off_is_completed_by_the_next_vdpad(void **state) {
	struct node *node = *state;
	char boot_id[SD_ID128_STRING_MAX];
	struct store *store;
	struct error e;
	sd_id128_t id;

	assert_int_equal(ADD("network", "one"), 0);
	node_stop_vdpad(node);
	assert_int_equal(sd_id128_get_boot(&id), 0);
	sd_id128_to_string(id, boot_id);
	assert_int_equal(store_open(node->state_dir, boot_id, &store, &e), 0);
	assert_int_equal(store_each_port(store, intend, store, &e), 0);
	store_close(store);
	node->n_set_port = 0;
	node_start_vdpad(node);
	node_workers_come(node);
	node_wait(node, vm1(node)->state == PORT_READY);
	assert_string_equal(vm1(node)->spec.network, "two");
	assert_true(switch_has_network(node, "two"));
	node_wait(node, !switch_has_network(node, "one"));
	assert_int_equal(node->n_ports, 1);
	assert_int_equal(node->n_set_port, 1);
}

int main(void) {
#define WITH_NODE(fn) cmocka_unit_test_setup_teardown(fn, setup, node_teardown)
	const struct CMUnitTest tests[] = {
		WITH_NODE(a_port_moves_with_its_lease_and_the_old_network_goes),
		WITH_NODE(a_network_that_does_not_fit_is_refused_before_anything),
		WITH_NODE(a_mac_in_use_there_is_a_conflict),
		WITH_NODE(a_move_that_the_switch_refuses_leaves_the_port_where_it_was),
		WITH_NODE(a_move_that_was_cut_off_is_completed_by_the_next_vdpad),
	};

	return cmocka_run_group_tests(tests, private_bus_setup, private_bus_teardown);
}
