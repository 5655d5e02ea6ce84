// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/bus/bus_dict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

enum {
	FIELD_NAME,
	FIELD_NETWORK,
	FIELD_BACKEND,
	FIELD_STATE,
	FIELD_REASON,
	FIELD_CHOICE,
	FIELD_MAC,
	FIELD_MTU,
	FIELD_QUEUE_PAIRS,
	FIELD_VLAN,
	FIELD_TRUNKS,
	FIELD_RATE,
	FIELD_POLICY,
	FIELD_SOCKET,
	FIELD_PROFILE,
	FIELD_FEATURES,
	FIELD_LINK,
	FIELD_LIFETIME,
	FIELD_POOL,
	FIELD_RESOURCE,
	FIELD_FUNCTION,
	FIELD_PATH,
	FIELD_QEMU_LISTENS,
	FIELD_GENERATION,
};

const struct port_field port_fields[] = {
	[FIELD_NAME] = {"name", "Name", 's'},
	[FIELD_NETWORK] = {"network", "Network", 's'},
	[FIELD_BACKEND] = {"backend", "Backend", 's'},
	[FIELD_STATE] = {"state", "State", 's'},
	[FIELD_REASON] = {"reason", "Reason", 's'},
	[FIELD_CHOICE] = {"choice", "Choice", 's'},
	[FIELD_MAC] = {"mac", "Mac", 's'},
	[FIELD_MTU] = {"mtu", "Mtu", 'u'},
	[FIELD_QUEUE_PAIRS] = {"queue_pairs", "QueuePairs", 'u'},
	[FIELD_VLAN] = {"vlan", "Vlan", 'u'},
	[FIELD_TRUNKS] = {"trunks", "Trunks", 's'},
	[FIELD_RATE] = {"rate", "Rate", 't'},
	[FIELD_POLICY] = {"policy", "Policy", 's'},
	[FIELD_SOCKET] = {"socket", "Socket", 's'},
	[FIELD_PROFILE] = {"profile", "Profile", 's'},
	[FIELD_FEATURES] = {"features", "Features", 't'},
	[FIELD_LINK] = {"link", "Link", 's'},
	[FIELD_LIFETIME] = {"lifetime", "Lifetime", 's'},
	[FIELD_POOL] = {"pool", "Pool", 's'},
	[FIELD_RESOURCE] = {"resource", "Resource", 's'},
	[FIELD_FUNCTION] = {"function", "Function", 's'},
	[FIELD_PATH] = {"path", "Path", 's'},
	[FIELD_QEMU_LISTENS] = {"qemu_listens", "QemuListens", 'b'},
	[FIELD_GENERATION] = {"generation", "Generation", 't'},
};
const size_t n_port_fields = ARRAY_LEN(port_fields);

static uint64_t features_of(const struct port *port) {
	const struct profile *profile = profile_find(port->spec.profile);

	if (port->features != 0)
		return port->features;
	return profile != NULL ? profile->features : 0;
}

int bus_append_port_field(
	sd_bus_message *m, const struct port *port, const struct port_field *field
) {
	const struct port_spec *spec = &port->spec;
	char mac[MAC_TEXT_SIZE];

	switch (field - port_fields) {
	case FIELD_NAME:
		return sd_bus_message_append(m, "s", spec->name);
	case FIELD_NETWORK:
		return sd_bus_message_append(m, "s", spec->network);
	case FIELD_BACKEND:
		return sd_bus_message_append(m, "s", backend_name(port->backend));
	case FIELD_STATE:
		return sd_bus_message_append(m, "s", port_state_name(port->state));
	case FIELD_REASON:
		return sd_bus_message_append(m, "s", port->reason);
	case FIELD_CHOICE:
		return sd_bus_message_append(m, "s", port->choice);
	case FIELD_MAC:
		return sd_bus_message_append(m, "s", mac_addr_format(&spec->mac, mac));
	case FIELD_MTU:
		return sd_bus_message_append(m, "u", spec->mtu_bytes);
	case FIELD_QUEUE_PAIRS:
		return sd_bus_message_append(m, "u", spec->queue_pairs);
	case FIELD_VLAN:
		return sd_bus_message_append(m, "u", spec->vlan);
	case FIELD_TRUNKS:
		return sd_bus_message_append(m, "s", spec->trunks);
	case FIELD_RATE:
		return sd_bus_message_append(m, "t", spec->rate_bps);
	case FIELD_SOCKET:
		return sd_bus_message_append(m, "s", spec->socket);
	case FIELD_POLICY:
		return sd_bus_message_append(m, "s", policy_name(spec->policy));
	case FIELD_PROFILE:
		return sd_bus_message_append(m, "s", spec->profile);
	case FIELD_FEATURES:
		return sd_bus_message_append(m, "t", features_of(port));
	case FIELD_LINK:
		return sd_bus_message_append(m, "s", spec->link_up ? "up" : "down");
	case FIELD_LIFETIME:
		return sd_bus_message_append(m, "s", spec->persistent ? "persistent" : "runtime");
	case FIELD_POOL:
		return sd_bus_message_append(m, "s", port->pool);
	case FIELD_RESOURCE:
		return sd_bus_message_append(m, "s", port->resource);
	case FIELD_FUNCTION:
		return sd_bus_message_append(m, "s", port->function);
	case FIELD_PATH:
		return sd_bus_message_append(m, "s", port->path);
	case FIELD_QEMU_LISTENS:
		return sd_bus_message_append(m, "b", (int)port->qemu_listens);
	case FIELD_GENERATION:
		return sd_bus_message_append(m, "t", port->generation);
	}
	return -EINVAL;
}

int bus_append_port(sd_bus_message *m, const struct port *port) {
	sd_bus_message_open_container(m, 'a', "{sv}");
	for (size_t i = 0; i < n_port_fields; i++) {
		const char signature[] = {port_fields[i].type, '\0'};

		sd_bus_message_open_container(m, 'e', "sv");
		sd_bus_message_append(m, "s", port_fields[i].key);
		sd_bus_message_open_container(m, 'v', signature);
		bus_append_port_field(m, port, &port_fields[i]);
		sd_bus_message_close_container(m);
		sd_bus_message_close_container(m);
	}
	return sd_bus_message_close_container(m);
}

int bus_append_network(sd_bus_message *m, const struct network *network, size_t n_ports) {
	struct error e = {0};
	int available = network_check(network, &e) == 0;

	return sd_bus_message_append(
		m, "a{sv}", 9, "name", "s", network->name, "bridge", "s", network->bridge, "uplink",
		"s", network->tap, "mtu", "u", network->mtu_bytes, "ageing_s", "u",
		network->ageing_s, "ports", "u", (uint32_t)n_ports, "configured", "b",
		(int)network->configured, "available", "b", available, "reason", "s", e.text
	);
}

// The entry "capabilities": a list of words.
static void add_capabilities(sd_bus_message *m, uint32_t capabilities) {
	const char *words[8];
	size_t n = 0;

	for (size_t i = 0; capability_words[i] != NULL; i++) {
		if ((capabilities & (UINT32_C(1) << i)) != 0)
			words[n++] = capability_words[i];
	}
	words[n] = NULL;
	sd_bus_message_open_container(m, 'e', "sv");
	sd_bus_message_append(m, "s", "capabilities");
	sd_bus_message_open_container(m, 'v', "as");
	sd_bus_message_append_strv(m, (char **)words);
	sd_bus_message_close_container(m);
	sd_bus_message_close_container(m);
}

// The entry "candidates".
static void add_candidates(sd_bus_message *m, const struct decision *decision) {
	sd_bus_message_open_container(m, 'e', "sv");
	sd_bus_message_append(m, "s", "candidates");
	sd_bus_message_open_container(m, 'v', "aa{sv}");
	sd_bus_message_open_container(m, 'a', "a{sv}");
	for (size_t i = 0; i < decision->n_candidates; i++) {
		const struct candidate *c = &decision->candidates[i];

		sd_bus_message_open_container(m, 'a', "{sv}");
		ipc_dict_add_s(m, "backend", backend_name(c->backend));
		ipc_dict_add_s(m, "pool", c->pool);
		ipc_dict_add_s(m, "resource", c->resource);
		ipc_dict_add_b(m, "accepted", c->accepted);
		ipc_dict_add_b(m, "against_policy", c->is_against_policy);
		ipc_dict_add_s(m, "reason", c->reason);
		add_capabilities(m, c->capabilities);
		sd_bus_message_close_container(m);
	}
	sd_bus_message_close_container(m);
	sd_bus_message_close_container(m);
	sd_bus_message_close_container(m);
}

int bus_append_explanation(
	sd_bus_message *m, const struct port_spec *spec, const struct decision *decision
) {
	const struct candidate *chosen = decision->chosen;
	char text[PORT_VALUE_SIZE];

	sd_bus_message_open_container(m, 'a', "{sv}");
	if (spec->name[0] != '\0')
		ipc_dict_add_s(m, "name", spec->name);
	for (size_t i = 0; port_spec_keys[i] != NULL; i++) {
		const char *key = port_spec_keys[i];
		int r;

		if (strcmp(key, "mtu") == 0)
			ipc_dict_add_u(m, key, spec->mtu_bytes);
		else if (strcmp(key, "queue_pairs") == 0)
			ipc_dict_add_u(m, key, spec->queue_pairs);
		else if (strcmp(key, "vlan") == 0)
			ipc_dict_add_u(m, key, spec->vlan);
		else if (strcmp(key, "trunks") == 0)
			ipc_dict_add_s(m, key, spec->trunks);
		else if (strcmp(key, "rate") == 0)
			ipc_dict_add_t(m, key, spec->rate_bps);
		else if ((r = port_spec_get(spec, key, text, sizeof(text))) >= 0)
			ipc_dict_add_s(m, key, text);
		else
			return r;
	}
	ipc_dict_add_s(m, "chosen", chosen != NULL ? backend_name(chosen->backend) : "");
	add_capabilities(m, chosen != NULL ? chosen->capabilities : 0);
	add_candidates(m, decision);
	return sd_bus_message_close_container(m);
}

// A value of any basic type as vdpactl would write it.
static int read_text(
	sd_bus_message *m, char type, const char *key, const char **ret_text, char *number,
	size_t size
) {
	union {
		uint8_t y;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		int b;
		const char *s;
	} value;
	int r = sd_bus_message_read_basic(m, type, &value);

	if (r < 0)
		return r;
	*ret_text = number;
	switch (type) {
	case 's':
		*ret_text = value.s;
		return 0;
	case 'b':
		if (strcmp(key, "link") == 0)
			*ret_text = value.b ? "up" : "down";
		else
			*ret_text = value.b ? "yes" : "no";
		return 0;
	case 'y':
		snprintf(number, size, "%u", value.y);
		return 0;
	case 'n':
		snprintf(number, size, "%d", value.n);
		return 0;
	case 'q':
		snprintf(number, size, "%u", value.q);
		return 0;
	case 'i':
		snprintf(number, size, "%" PRIi32, value.i);
		return 0;
	case 'u':
		snprintf(number, size, "%" PRIu32, value.u);
		return 0;
	case 'x':
		snprintf(number, size, "%" PRIi64, value.x);
		return 0;
	case 't':
		snprintf(number, size, "%" PRIu64, value.t);
		return 0;
	}
	return -EINVAL;
}

static int set_key(
	struct port_spec *spec, const char *key, const char *text, bool may_name, struct error *e
) {
	if (may_name && strcmp(key, "name") == 0) {
		if (spec->name[0] != '\0')
			return error_set(e, EINVAL, "key 'name' is given twice");
		if (!port_name_is_valid(text))
			return error_set(e, EINVAL, "port name '%s' is not valid", text);
		return str_copy(spec->name, sizeof(spec->name), text);
	}
	if ((spec->keys & port_spec_key_bit(key)) != 0)
		return error_set(e, EINVAL, "key '%s' is given twice", key);
	return port_spec_set(spec, key, text, e);
}

static int read_entry(sd_bus_message *m, bool may_name, struct port_spec *spec, struct error *e) {
	static const char types[] = "sbynqiuxt";
	const char *key, *text, *signature;
	char number[24];
	char type;
	int r;

	r = sd_bus_message_read_basic(m, 's', &key);
	if (r >= 0)
		r = sd_bus_message_peek_type(m, &type, &signature);
	if (r < 0)
		return error_set(e, EINVAL, "the specification cannot be read");
	if (strlen(signature) != 1 || strchr(types, signature[0]) == NULL)
		return error_set(
			e, EINVAL, "key '%s' has a value of type '%s'; a string is right", key,
			signature
		);
	type = signature[0];
	r = sd_bus_message_enter_container(m, 'v', signature);
	if (r >= 0)
		r = read_text(m, type, key, &text, number, sizeof(number));
	if (r < 0)
		return error_set(e, EINVAL, "key '%s' cannot be read", key);
	r = set_key(spec, key, text, may_name, e);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

int bus_read_spec(sd_bus_message *m, bool may_name, struct port_spec *spec, struct error *e) {
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	if (r < 0)
		return error_set(e, EINVAL, "a dictionary a{sv} was expected");
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = read_entry(m, may_name, spec, e);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			break;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? error_set(e, EINVAL, "the specification cannot be read") : 0;
}
