// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets of other switches in a snapshot.

#include <errno.h>

#include "vdpad/model/facts_fields.h"
#include "vdpad/util/cleanup.h"

#define SOCKET_FACT(key, kind, member) FACT_OF(struct socket_facts, NULL, key, kind, member)

static const struct fact socket_table[] = {
	SOCKET_FACT("name", KIND_TEXT, name),
	SOCKET_FACT("network", KIND_TEXT, network),
	SOCKET_FACT("path", KIND_TEXT, path),
	SOCKET_FACT("qemu_listens", KIND_BOOL, qemu_listens),
	SOCKET_FACT("listening", KIND_BOOL, listening),
	SOCKET_FACT("connected", KIND_BOOL, connected),
	SOCKET_FACT("port", KIND_TEXT, port),
};

void facts_sockets_to_json(const struct facts *facts, json_t *json) {
	json_t *sockets = json_array();

	for (size_t i = 0; i < facts->n_sockets; i++) {
		json_t *socket = json_object();

		fact_object_to_json(
			socket, socket_table, ARRAY_LEN(socket_table), &facts->sockets[i]
		);
		json_array_append_new(sockets, socket);
	}
	json_object_set_new(json, "sockets", sockets);
}

int facts_sockets_from_json(const json_t *json, struct facts *facts, struct error *e) {
	const json_t *sockets = json_object_get(json, "sockets");
	size_t n = json_array_size(sockets);
	int r;

	if (sockets == NULL)
		return 0; // a snapshot of an older version
	if (!json_is_array(sockets) || n > FACTS_MAX_SOCKETS)
		return error_set(
			e, EINVAL, "facts: 'sockets' must be a list of at most %d sockets",
			FACTS_MAX_SOCKETS
		);
	for (size_t i = 0; i < n; i++) {
		r = fact_object_from_json(
			json_array_get(sockets, i), socket_table, ARRAY_LEN(socket_table),
			&facts->sockets[i], e
		);
		if (r < 0)
			return r;
		if (!port_name_is_valid(facts->sockets[i].name))
			return error_set(e, EINVAL, "facts: socket number %zu has no name", i + 1);
	}
	facts->n_sockets = n;
	return 0;
}
