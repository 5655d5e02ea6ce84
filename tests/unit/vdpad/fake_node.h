// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon, its workers and a client on a private bus, all in the daemon's event loop. The workers
// remember what they are told, as the real ones do, and can be told to be mute, to refuse, to go.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vdpad/daemon.h"

#define PATIENCE_MS 5000
#define NODE_MAX_THINGS 32

struct fake_port {
	char name[PORT_NAME_SIZE];
	sd_bus_message *spec; // SetPort's, owned
};

struct node {
	char dir[64];
	char config[96], run_dir[96], state_dir[96];
	struct daemon *d;
	sd_bus *client;

	sd_bus *fallback, *netlink; // the links of the workers; NULL when they are away
	bool mute;                  // the switch does what it is told and does not say so
	int refuse;                 // errno with which the switch answers SetPort
	struct fake_port ports[NODE_MAX_THINGS];
	size_t n_ports;
	char networks[NODE_MAX_THINGS][NETWORK_NAME_SIZE];
	char uplinks[NODE_MAX_THINGS][NETWORK_NAME_SIZE];
	size_t n_networks;
	char taps[NODE_MAX_THINGS][NETWORK_NAME_SIZE];
	size_t n_taps;
	int n_set_port;          // calls so far
	const char *dpdk_device; // that the switch lists; NULL for none
	const char *dpdk_reason; // why it cannot be used; NULL if it can
	char kernel[96];         // of vDPA: see tests/fake/vdpa_kernel.h
	char root[96];           // the node's /sys; "" for the real one
};

// @config is the text of vdpad.conf. Nothing runs yet.
void node_init(struct node *node, const char *config);
void node_done(struct node *node);

// For cmocka: *state is a node from calloc().
int node_teardown(void **state);

// The node has a kernel with vDPA. Before vdpad is started.
void node_have_vdpa(struct node *node);

// vdpad comes and goes; goes as by SIGTERM. What the workers have stays.
void node_start_vdpad(struct node *node);
void node_stop_vdpad(struct node *node);

// A worker connects, registers and is ready, all of it later in the event loop. One that goes is
// seen by vdpad as one that was killed; the switch forgets what it had.
void node_switch_comes(struct node *node);
void node_switch_goes(struct node *node);
void node_netlink_comes(struct node *node);
void node_netlink_goes(struct node *node);

// Both come; and then vdpad knows what they have.
void node_workers_come(struct node *node);
void node_workers_are_known(struct node *node);

// What the switch was last told about the port's device for DPDK; "" for none.
const char *node_device_of(const struct node *node, const char *port);

#define node_wait(node, condition)                                               \
	do {                                                                     \
		uint64_t _end_ms = clock_now_ms() + PATIENCE_MS;                 \
		while (!(condition) && clock_now_ms() < _end_ms)                 \
			assert_true(sd_event_run((node)->d->event, 50000) >= 0); \
		assert_true(condition);                                          \
	} while (0)

// The event loop runs for this time.
void node_run(struct node *node, uint64_t ms);

// A call of the client's, under way: @code is -1 until its answer came, 0 for success, else the errno.
struct answer {
	int code;
	char text[ERROR_TEXT_SIZE];
	char state[16]; // of the port in the answer
};
void node_add(
	struct node *node, const char *port, const char *network, bool may_exist, struct answer *ret
);
// The same with one more key of a specification.
void node_add_with(
	struct node *node, const char *port, const char *network, const char *key,
	const char *value, struct answer *ret
);
// Have it made, whatever serves it, before this returns.
struct managed_port *node_add_port(struct node *node, const char *port, const char *network);
void node_set_vlan(struct node *node, const char *port, const char *vlan, struct answer *ret);
// AddPort or SetPort with these keys and values, ending with NULL.
void node_ask(
	struct node *node, const char *method, const char *port, const char *const *pairs,
	struct answer *ret
);
void node_del(struct node *node, const char *port, struct answer *ret);

// One counter of the answer of Stats(), 0 when it is not in it.
struct stats_answer {
	int code; // as of struct answer
	const char *counter;
	uint64_t value;
};
void node_stats(struct node *node, const char *port, const char *counter, struct stats_answer *ret);
