// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon as its client and its workers see it.

#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/unit/private_bus.h"
#include "tests/unit/vdpad/fake_node.h"
#include "vdpad/request.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"

#define LAB "[networks]\nbridges = no\n[network lab]\n"
#define A_MOMENT_MS 100

static struct node *new_node(const char *config) {
	struct node *node = calloc(1, sizeof(*node));

	node_init(node, config);
	node_start_vdpad(node);
	return node;
}

static int setup(void **state) {
	*state = new_node(LAB);
	return 0;
}

static int teardown(void **state) {
	clock_fake_ms(UINT64_MAX);
	return node_teardown(state);
}

static bool is_served(struct node *node, const char *name) {
	const struct managed_port *port = port_set_find(&node->d->ports, name);

	return port != NULL && port->port.state == PORT_READY && port->act == PORT_IDLE;
}

// Grace

static void a_request_waits_for_workers_that_are_just_starting(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_add(node, "vm1", "lab", false, &answer);
	node_run(node, A_MOMENT_MS);
	assert_int_equal(answer.code, -1);
	node_switch_comes(node);
	node_run(node, A_MOMENT_MS);
	assert_int_equal(answer.code, -1); // its uplink needs the other one
	node_netlink_comes(node);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	assert_string_equal(answer.state, "ready");
	assert_int_equal(node->n_ports, 1);
}

static void a_request_waits_no_longer_than_its_grace(void **state) {
	struct node *node = *state;
	uint64_t start_ms = clock_now_ms();
	struct answer answer;

	node_add(node, "vm1", "lab", false, &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EHOSTDOWN);
	assert_in_range(clock_now_ms() - start_ms, REQUEST_GRACE_MS - 10, REQUEST_GRACE_MS + 1000);
	assert_int_equal(node->d->ports.n, 0);
}

// Answers that come without any waiting need only some turns of the event loop.
static void run_turns(struct node *node, const struct answer *answer) {
	for (int i = 0; i < 100 && answer->code == -1; i++)
		sd_event_run(node->d->event, 10000);
}

static void nobody_waits_for_a_worker_that_is_long_gone(void **state) {
	struct node *node = *state;
	struct answer answer;

	clock_fake_ms(clock_now_ms() + REQUEST_GRACE_MS + 1);
	node_add(node, "vm1", "lab", false, &answer);
	run_turns(node, &answer);
	assert_int_equal(answer.code, EHOSTDOWN);
	assert_non_null(strstr(answer.text, "vdpad-switch is not running"));
}

static void a_request_whose_switch_dies_under_it_is_done_by_the_next_one(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_workers_are_known(node);
	node->mute = true;
	node_add(node, "vm1", "lab", false, &answer);
	node_wait(node, node->n_networks == 1);
	node_switch_goes(node);
	node_wait(node, !hub_is_ready(node->d->hub, WORKER_SWITCH));
	node->mute = false;
	node_switch_comes(node);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	assert_true(is_served(node, "vm1"));
}

static void a_change_whose_switch_dies_under_it_is_done_by_the_next_one(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_workers_come(node);
	node_add_port(node, "vm1", "lab");
	node->mute = true;
	node_set_vlan(node, "vm1", "7", &answer);
	node_wait(node, node->n_set_port == 2);
	node_switch_goes(node);
	node_wait(node, !hub_is_ready(node->d->hub, WORKER_SWITCH));
	node->mute = false;
	node_switch_comes(node);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	assert_int_equal(port_set_find(&node->d->ports, "vm1")->port.spec.vlan, 7);
	assert_true(is_served(node, "vm1"));
}

static void a_request_that_kills_two_switches_fails(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_workers_are_known(node);
	node_add(node, "vm1", "lab", false, &answer);
	for (int i = 0; i < 2; i++) {
		if (node->fallback == NULL)
			node_switch_comes(node);
		node->mute = true;
		node_wait(node, node->n_networks == 1);
		assert_int_equal(answer.code, -1);
		node_switch_goes(node);
		node_wait(node, !hub_is_ready(node->d->hub, WORKER_SWITCH));
	}
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EHOSTDOWN);
	assert_int_equal(node->d->ports.n, 0);
}

static void requests_for_one_port_keep_their_order(void **state) {
	struct node *node = *state;
	struct answer add, set, del, again, other;

	node_add(node, "vm1", "lab", false, &add);
	node_set_vlan(node, "vm1", "7", &set);
	node_del(node, "vm1", &del);
	node_add(node, "vm1", "lab", false, &again);
	node_add(node, "vm2", "lab", false, &other);
	node_run(node, A_MOMENT_MS);
	assert_int_equal(add.code, -1);
	node_workers_come(node);
	node_wait(node, again.code != -1 && other.code != -1);
	assert_int_equal(add.code, 0);
	assert_int_equal(set.code, 0);
	assert_int_equal(del.code, 0);
	assert_int_equal(again.code, 0);
	assert_int_equal(other.code, 0);
	assert_int_equal(port_set_find(&node->d->ports, "vm1")->port.spec.vlan, 0);
	assert_int_equal(node->n_ports, 2);
}

static void a_mistake_is_refused_at_once(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_set_vlan(node, "vm1", "4095", &answer);
	node_run(node, A_MOMENT_MS);
	assert_int_equal(answer.code, EINVAL);
}

static void a_port_that_exists_is_waited_for_after_a_restart_of_vdpad(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_workers_come(node);
	node_add_port(node, "vm1", "lab");
	node_stop_vdpad(node);
	node_start_vdpad(node);
	node_add(node, "vm1", "lab", true, &answer);
	node_run(node, A_MOMENT_MS);
	assert_int_equal(answer.code, -1);
	node_workers_come(node);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	assert_string_equal(answer.state, "ready");
	assert_int_equal(node->n_set_port, 1); // it was adopted
}

static void a_port_that_exists_is_waited_for_after_a_restart_of_the_switch(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_workers_come(node);
	node_add_port(node, "vm1", "lab");
	node_switch_goes(node);
	node_wait(node, !hub_is_ready(node->d->hub, WORKER_SWITCH));
	node_add(node, "vm1", "lab", true, &answer);
	node_run(node, A_MOMENT_MS);
	assert_int_equal(answer.code, -1);
	node_switch_comes(node);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, 0);
	assert_string_equal(answer.state, "ready");
}

// vdpad was killed while the switch had network lab, and its store knows of no port on it.
static void leave_network_behind(struct node *node) {
	node_workers_are_known(node);
	node_wait(node, store_is_trusted(node->d->store));
	node_stop_vdpad(node);
	strcpy(node->networks[0], "lab");
	strcpy(node->uplinks[0], "vdp-lab");
	strcpy(node->taps[0], "vdp-lab");
	node->n_networks = node->n_taps = 1;
	node_start_vdpad(node);
}

static void a_network_left_on_the_switch_is_taken_by_the_first_who_asks(void **state) {
	struct node *node = *state;
	struct answer answer;

	leave_network_behind(node);
	node_add(node, "vm1", "lab", false, &answer);
	node_netlink_comes(node);
	node_run(node, A_MOMENT_MS);
	node_switch_comes(node); // the request goes on before the switch has said what it has
	node_wait(node, answer.code != -1);
	assert_string_equal(answer.text, "");
	assert_int_equal(answer.code, 0);
	node_del(node, "vm1", &answer);
	node_wait(node, answer.code != -1);
	node_wait(node, node->n_networks == 0 && node->n_taps == 0);
}

static void who_waits_is_answered_when_vdpad_stops(void **state) {
	struct node *node = *state;
	struct answer answer;
	sd_bus *client = node->client;

	node_add(node, "vm1", "lab", false, &answer);
	node_run(node, A_MOMENT_MS);
	node->client = NULL;
	sd_bus_detach_event(client);
	node_stop_vdpad(node);
	for (int i = 0; i < 100 && answer.code == -1; i++) {
		if (sd_bus_process(client, NULL) == 0)
			sd_bus_wait(client, 50000);
	}
	assert_int_equal(answer.code, EHOSTDOWN);
	assert_string_equal(answer.text, "vdpad is being stopped");
	sd_bus_flush_close_unref(client);
}

// Loss

static void a_port_deleted_without_a_switch_is_gone_with_it(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_workers_come(node);
	node_add_port(node, "vm1", "lab");
	node_switch_goes(node);
	node_wait(node, !hub_is_ready(node->d->hub, WORKER_SWITCH));
	clock_fake_ms(clock_now_ms() + REQUEST_GRACE_MS + 1);
	node_del(node, "vm1", &answer);
	run_turns(node, &answer);
	clock_fake_ms(UINT64_MAX);
	assert_int_equal(answer.code, 0);
	assert_int_equal(node->d->ports.n, 0);
	node_switch_comes(node);
	node_run(node, A_MOMENT_MS);
	assert_int_equal(node->n_ports, 0);
	node_wait(node, node->n_taps == 0);
}

static void ports_whose_push_is_cut_off_are_degraded_and_not_failed(void **state) {
	struct node *node = *state;
	const struct managed_port *port;

	node_workers_come(node);
	node_add_port(node, "vm1", "lab");
	node_switch_goes(node);
	node_wait(node, !hub_is_ready(node->d->hub, WORKER_SWITCH));
	node_switch_comes(node);
	port = port_set_find(&node->d->ports, "vm1");
	node_wait(node, port->act == PORT_ACT_RESTORE);
	sd_bus_detach_event(node->fallback); // it answers nothing any more
	node_switch_goes(node);
	node_wait(node, port->act == PORT_IDLE);
	assert_int_equal(port->port.state, PORT_DEGRADED);
	node_switch_comes(node);
	node_wait(node, is_served(node, "vm1"));
}

static void a_refused_port_leaves_nothing(void **state) {
	struct node *node = *state;
	struct answer answer;

	node_workers_come(node);
	node->refuse = ENOENT; // of some file
	node_add(node, "vm1", "lab", false, &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, EIO); // not "no such port"
	assert_int_equal(node->d->ports.n, 0);
	node_wait(node, node->n_networks == 0 && node->n_taps == 0);
}

// Networks

static void a_missing_bridge_takes_no_new_ports_and_keeps_the_others(void **state) {
	struct node *node = *state;
	struct answer answer;
	FILE *file;

	node_workers_come(node);
	node_add_port(node, "vm1", "lab");
	node_stop_vdpad(node);
	node_switch_goes(node);
	file = fopen(node->config, "w");
	assert_non_null(file);
	fputs("[network lab]\nbridge = nobridge0\n", file);
	assert_int_equal(fclose(file), 0);

	node_start_vdpad(node);
	node_workers_come(node);
	node_wait(node, is_served(node, "vm1"));
	node_add(node, "vm2", "lab", false, &answer);
	node_wait(node, answer.code != -1);
	assert_int_equal(answer.code, ENODEV);
	assert_string_equal(
		answer.text,
		"network 'lab' is not available: there is no Linux bridge 'nobridge0' on this node"
	);
}

// What the bus sees

static struct { int added, removed, properties, changed; } seen;

static int count(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	assert_true(sd_bus_message_get_errno(m) == 0);
	(*(int *)userdata)++;
	return 0;
}

static void watch(sd_bus *bus, const char *interface, const char *member, int *counter) {
	assert_true(
		sd_bus_match_signal_async(
			bus, NULL, IPC_BUS_NAME, NULL, interface, member, count, NULL, counter
		) >= 0
	);
}

static void each_change_is_signalled(void **state) {
	struct node *node = *state;
	struct answer answer;

	watch(node->client, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", &seen.added);
	watch(node->client, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved",
	      &seen.removed);
	watch(node->client, "org.freedesktop.DBus.Properties", "PropertiesChanged",
	      &seen.properties);
	watch(node->client, IPC_MANAGER_IFACE, "PortChanged", &seen.changed);
	node_workers_come(node);
	node_add_port(node, "vm1", "lab");
	node_wait(node, seen.added == 1 && seen.properties == 1 && seen.changed == 2);
	node_set_vlan(node, "vm1", "7", &answer);
	node_wait(node, seen.properties == 2 && seen.changed == 3);
	node_del(node, "vm1", &answer);
	node_wait(node, seen.removed == 1);
	assert_int_equal(seen.added, 1);
	assert_int_equal(seen.properties, 3); // deleting
	assert_int_equal(seen.changed, 4);
}

// What systemd sees

static void run_as_service(const char *notify_path) {
	struct node *node;

	setenv("NOTIFY_SOCKET", notify_path, 1);
	setenv("WATCHDOG_USEC", "200000", 1);
	unsetenv("WATCHDOG_PID");
	node = new_node(LAB);
	node->client = sd_bus_flush_close_unref(node->client);
	daemon_run(node->d);
	node_done(node);
	free(node);
	exit(0);
}

static void systemd_is_told_of_readiness_and_life(void **state) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n_ready = 0, n_alive = 0, status;
	char path[] = "/tmp/test-notify-XXXXXX", text[1024];
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	pid = fork();
	if (pid == 0)
		run_as_service(addr.sun_path);
	while ((n_ready == 0 || n_alive < 2) && (n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
		text[n] = '\0';
		n_ready += strstr(text, "READY=1") != NULL;
		n_alive += strstr(text, "WATCHDOG=1") != NULL;
	}
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	close(fd);
	unlink(addr.sun_path);
	rmdir(path);
	assert_int_equal(n_ready, 1);
	assert_int_equal(n_alive, 2);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
#define WITH_NODE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(systemd_is_told_of_readiness_and_life),
		WITH_NODE(a_request_waits_for_workers_that_are_just_starting),
		WITH_NODE(a_request_waits_no_longer_than_its_grace),
		WITH_NODE(nobody_waits_for_a_worker_that_is_long_gone),
		WITH_NODE(a_request_whose_switch_dies_under_it_is_done_by_the_next_one),
		WITH_NODE(a_change_whose_switch_dies_under_it_is_done_by_the_next_one),
		WITH_NODE(a_request_that_kills_two_switches_fails),
		WITH_NODE(requests_for_one_port_keep_their_order),
		WITH_NODE(a_mistake_is_refused_at_once),
		WITH_NODE(a_port_that_exists_is_waited_for_after_a_restart_of_vdpad),
		WITH_NODE(a_port_that_exists_is_waited_for_after_a_restart_of_the_switch),
		WITH_NODE(a_network_left_on_the_switch_is_taken_by_the_first_who_asks),
		WITH_NODE(who_waits_is_answered_when_vdpad_stops),
		WITH_NODE(a_port_deleted_without_a_switch_is_gone_with_it),
		WITH_NODE(ports_whose_push_is_cut_off_are_degraded_and_not_failed),
		WITH_NODE(a_refused_port_leaves_nothing),
		WITH_NODE(a_missing_bridge_takes_no_new_ports_and_keeps_the_others),
		WITH_NODE(each_change_is_signalled),
	};

	return cmocka_run_group_tests(tests, private_bus_setup, private_bus_teardown);
}
