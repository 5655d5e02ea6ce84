// SPDX-License-Identifier: GPL-2.0-or-later
// The client of fake_node.h: each request runs the event loop until it is answered.

#include "tests/unit/vdpad/fake_node.h"

#include "tests/unit/unit.h"

#include <string.h>

#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct answer *answer = userdata;
	struct error e;

	(void)ret_error;
	if (error != NULL) {
		error_from_bus(&e, -sd_bus_error_get_errno(error), error);
		memcpy(answer->text, e.text, sizeof(answer->text));
		answer->code = e.code;
		return 0;
	}
	answer->code = 0;
	if (sd_bus_message_is_empty(m) == 0) {
		const char *key, *state;

		sd_bus_message_enter_container(m, 'a', "{sv}");
		while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
			sd_bus_message_read_basic(m, 's', &key);
			if (strcmp(key, "state") == 0) {
				assert_true(sd_bus_message_read(m, "v", "s", &state) > 0);
				strcpy(answer->state, state);
			} else {
				sd_bus_message_skip(m, "v");
			}
			sd_bus_message_exit_container(m);
		}
	}
	return 0;
}

static sd_bus_message *new_call(struct node *node, const char *method) {
	sd_bus_message *m;

	assert_true(
		sd_bus_message_new_method_call(
			node->client, &m, IPC_BUS_NAME, IPC_PATH, IPC_MANAGER_IFACE, method
		) >= 0
	);
	return m;
}

static void send(struct node *node, sd_bus_message *call, struct answer *ret) {
	*ret = (struct answer){.code = -1};
	assert_true(sd_bus_call_async(node->client, NULL, call, on_answer, ret, 0) >= 0);
	sd_bus_message_unref(call);
}

void node_add(
	struct node *node, const char *port, const char *network, bool may_exist, struct answer *ret
) {
	sd_bus_message *m = new_call(node, "AddPort");

	assert_true(
		sd_bus_message_append(
			m, "sa{sv}b", port, 1, "network", "s", network, (int)may_exist
		) >= 0
	);
	send(node, m, ret);
}

void node_add_with(
	struct node *node, const char *port, const char *network, const char *key,
	const char *value, struct answer *ret
) {
	sd_bus_message *m = new_call(node, "AddPort");

	assert_true(
		sd_bus_message_append(
			m, "sa{sv}b", port, 2, "network", "s", network, key, "s", value, 0
		) >= 0
	);
	send(node, m, ret);
}

struct managed_port *node_add_port(struct node *node, const char *port, const char *network) {
	struct answer answer;

	node_add(node, port, network, false, &answer);
	node_wait(node, answer.code != -1);
	if (answer.code != 0)
		fail_msg("%s", answer.text);
	return port_set_find(&node->d->ports, port);
}

void node_set_vlan(struct node *node, const char *port, const char *vlan, struct answer *ret) {
	sd_bus_message *m = new_call(node, "SetPort");

	assert_true(sd_bus_message_append(m, "sa{sv}", port, 1, "vlan", "s", vlan) >= 0);
	send(node, m, ret);
}

void node_ask(
	struct node *node, const char *method, const char *port, const char *const *pairs,
	struct answer *ret
) {
	sd_bus_message *m = new_call(node, method);

	sd_bus_message_append(m, "s", port);
	sd_bus_message_open_container(m, 'a', "{sv}");
	for (; *pairs != NULL; pairs += 2)
		sd_bus_message_append(m, "{sv}", pairs[0], "s", pairs[1]);
	assert_true(sd_bus_message_close_container(m) >= 0);
	if (strcmp(method, "AddPort") == 0)
		sd_bus_message_append(m, "b", 0);
	send(node, m, ret);
}

void node_del(struct node *node, const char *port, struct answer *ret) {
	sd_bus_message *m = new_call(node, "DelPort");

	assert_true(sd_bus_message_append(m, "sb", port, 0) >= 0);
	send(node, m, ret);
}

static int on_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct stats_answer *answer = userdata;
	const char *port, *key, *type;

	(void)ret_error;
	answer->code = error != NULL ? sd_bus_error_get_errno(error) : 0;
	if (error != NULL)
		return 0;
	sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
	while (sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0) {
		sd_bus_message_read_basic(m, 's', &port);
		sd_bus_message_enter_container(m, 'a', "{sv}");
		while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
			sd_bus_message_read_basic(m, 's', &key);
			sd_bus_message_peek_type(m, NULL, &type);
			if (strcmp(key, answer->counter) == 0 && strcmp(type, "t") == 0)
				sd_bus_message_read(m, "v", "t", &answer->value);
			else
				sd_bus_message_skip(m, "v");
			sd_bus_message_exit_container(m);
		}
		sd_bus_message_exit_container(m);
		sd_bus_message_exit_container(m);
	}
	return 0;
}

void node_stats(
	struct node *node, const char *port, const char *counter, struct stats_answer *ret
) {
	sd_bus_message *m = new_call(node, "Stats");

	assert_true(sd_bus_message_append(m, "s", port) >= 0);
	*ret = (struct stats_answer){.code = -1, .counter = counter};
	assert_true(sd_bus_call_async(node->client, NULL, m, on_stats, ret, 0) >= 0);
	sd_bus_message_unref(m);
}
