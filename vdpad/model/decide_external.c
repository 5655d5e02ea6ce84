// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets of other switches: only a port that names one gets it.

#include <stdio.h>
#include <string.h>

#include "vdpad/model/decide_candidates.h"

// A peer on a socket that no port has: QEMU would wait for ever until it goes, as the socket serves one. Where
// QEMU listens it takes the path over.
static bool is_occupied(const struct socket_facts *socket) {
	return !socket->qemu_listens && socket->connected && socket->port[0] == '\0';
}

// The sockets of a network, for a port that has to name one.
static void name_sockets(
	const struct facts *facts, const char *network, struct candidate *candidate
) {
	char names[160] = "";
	size_t len = 0;

	for (size_t i = 0; i < facts->n_sockets && len < sizeof(names); i++) {
		const struct socket_facts *socket = &facts->sockets[i];

		if (strcmp(socket->network, network) == 0 && socket->port[0] == '\0' &&
		    !is_occupied(socket))
			len += (size_t)snprintf(
				names + len, sizeof(names) - len, "%s%s", len != 0 ? ", " : "",
				socket->name
			);
	}
	if (len == 0)
		decide_refuse(
			candidate, "network '%s' has no free [socket] in the configuration", network
		);
	else
		decide_refuse(candidate, "`socket NAME` must say which; free are: %s", names);
}

static void judge_external(
	const struct facts *facts, const struct port_spec *spec, struct candidate *candidate
) {
	const struct socket_facts *socket = NULL;

	if (spec->socket[0] == '\0') {
		name_sockets(facts, spec->network, candidate);
		return;
	}
	for (size_t i = 0; i < facts->n_sockets; i++) {
		if (strcmp(facts->sockets[i].name, spec->socket) == 0)
			socket = &facts->sockets[i];
	}
	if (socket == NULL || strcmp(socket->network, spec->network) != 0) {
		decide_refuse(
			candidate, "network '%s' has no socket '%s'", spec->network, spec->socket
		);
		return;
	}
	str_copy(candidate->resource, sizeof(candidate->resource), socket->name);
	if (socket->port[0] != '\0' && strcmp(socket->port, spec->name) != 0) {
		decide_refuse(
			candidate, "socket '%s' is in use by port '%s'", socket->name, socket->port
		);
	} else if (!socket->qemu_listens && !socket->listening) {
		decide_refuse(
			candidate,
			"nobody listens on %s: is the switch running that socket '%s' is of?",
			socket->path, socket->name
		);
	} else if (is_occupied(socket)) {
		decide_refuse(
			candidate,
			"somebody who is no port of vdpad is connected to %s already, which serves "
			"one peer: end that VM or program, or use another [socket]",
			socket->path
		);
	} else {
		candidate->accepted = true;
		snprintf(
			candidate->reason, sizeof(candidate->reason), "%s %s%s",
			socket->qemu_listens ? "QEMU is to listen on"
					     : "somebody else's switch listens on",
			socket->path,
			socket->qemu_listens && socket->listening && socket->port[0] == '\0'
				? ", where somebody who is no port of vdpad listens now"
				: ""
		);
	}
}

bool decide_knows_external(const struct decide_input *in) {
	if (in->spec->policy == POLICY_EXTERNAL)
		return true;
	for (size_t i = 0; i < in->facts->n_sockets; i++) {
		if (strcmp(in->facts->sockets[i].network, in->network->name) == 0)
			return true;
	}
	return false;
}

void decide_external(const struct decide_input *in) {
	judge_external(in->facts, in->spec, decide_add(in->decision, BACKEND_EXTERNAL, NULL));
}
