// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/port.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/config/config.h"
#include "vdpad/util/cleanup.h"

#define VLAN_MAX 4094       // IEEE 802.1Q reserves 4095
#define QUEUE_PAIRS_MAX 256 // a sane bound; the configuration and the backend have lower ones

static const char *const policy_names[] = {
	[POLICY_AUTO] = "auto",           [POLICY_HARDWARE] = "hardware",
	[POLICY_SOFTWARE] = "software",   [POLICY_VDPA] = "vdpa",
	[POLICY_DPDK_VDPA] = "dpdk-vdpa", [POLICY_SWITCH] = "switch",
	[POLICY_EXTERNAL] = "external",
};
static const char *const backend_names[] = {
	[BACKEND_NONE] = "none",           [BACKEND_VDPA] = "vdpa",
	[BACKEND_DPDK_VDPA] = "dpdk-vdpa", [BACKEND_SWITCH] = "switch",
	[BACKEND_EXTERNAL] = "external",
};
static const char *const state_names[] = {
	[PORT_CREATING] = "creating", [PORT_READY] = "ready",       [PORT_CONNECTED] = "connected",
	[PORT_DEGRADED] = "degraded", [PORT_DELETING] = "deleting", [PORT_FAILED] = "failed",
};

const char *policy_name(enum policy policy) {
	return policy_names[policy];
}

const char *backend_name(enum backend_kind backend) {
	return backend_names[backend];
}

const char *port_state_name(enum port_state state) {
	return state_names[state];
}

static int find_name(const char *const names[], size_t n, const char *name) {
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return (int)i;
	}
	return -EINVAL;
}

int policy_parse(const char *name, enum policy *ret_policy) {
	int i = find_name(policy_names, ARRAY_LEN(policy_names), name);

	if (i < 0)
		return i;
	*ret_policy = (enum policy)i;
	return 0;
}

int backend_parse(const char *name, enum backend_kind *ret_backend) {
	int i = find_name(backend_names, ARRAY_LEN(backend_names), name);

	if (i < 0)
		return i;
	*ret_backend = (enum backend_kind)i;
	return 0;
}

static int set_network(struct port_spec *spec, const char *value, struct error *e) {
	if (!network_name_is_valid(value))
		return error_set(
			e, EINVAL,
			"network '%s' is no network name: 1 to 15 of letters, digits, '.', '_', "
			"'-'",
			value
		);
	return str_copy(spec->network, sizeof(spec->network), value);
}

static int set_mac(struct port_spec *spec, const char *value, struct error *e) {
	struct mac_addr mac;

	if (mac_addr_parse(value, &mac) < 0)
		return error_set(
			e, EINVAL, "mac '%s' is no MAC address: like 52:54:00:12:34:56", value
		);
	if (mac_addr_is_multicast(&mac))
		return error_set(
			e, EINVAL,
			"mac '%s' is a multicast address: the first octet must be even, as in "
			"52:54:00:12:34:56",
			value
		);
	if (mac_addr_is_zero(&mac))
		return error_set(
			e, EINVAL,
			"mac '%s' is all zero: give another one, or none to have one made", value
		);
	spec->mac = mac;
	return 0;
}

// @also: what is allowed besides numbers, as the end of an error sentence, or "".
static int set_number(
	const char *key, const char *value, uint32_t min, uint32_t max, const char *also,
	uint32_t *ret_number, struct error *e
) {
	uint64_t number;
	int r = parse_u64(value, min, max, &number);

	if (r < 0)
		return error_set(
			e, EINVAL, "%s '%s' is %s: %u to %u%s", key, value,
			r == -ERANGE ? "out of range" : "not a number", min, max, also
		);
	*ret_number = (uint32_t)number;
	return 0;
}

static int set_mtu(struct port_spec *spec, const char *value, struct error *e) {
	return set_number("mtu", value, MTU_MIN, MTU_MAX, "", &spec->mtu_bytes, e);
}

static int set_queue_pairs(struct port_spec *spec, const char *value, struct error *e) {
	return set_number("queue_pairs", value, 1, QUEUE_PAIRS_MAX, "", &spec->queue_pairs, e);
}

static int set_vlan(struct port_spec *spec, const char *value, struct error *e) {
	if (strcmp(value, "none") == 0) {
		spec->vlan = 0;
		return 0;
	}
	return set_number("vlan", value, 1, VLAN_MAX, ", or none", &spec->vlan, e);
}

static int set_policy(struct port_spec *spec, const char *value, struct error *e) {
	if (policy_parse(value, &spec->policy) < 0)
		return error_set(
			e, EINVAL,
			"policy '%s' is unknown: auto, hardware, software, vdpa, dpdk-vdpa, switch "
			"or external",
			value
		);
	return 0;
}

static int set_profile(struct port_spec *spec, const char *value, struct error *e) {
	char known[128] = "";
	size_t len = 0;

	if (profile_find(value) != NULL)
		return str_copy(spec->profile, sizeof(spec->profile), value);
	for (const struct profile *p = profiles; p->name != NULL && len < sizeof(known); p++)
		len += (size_t
		)snprintf(known + len, sizeof(known) - len, "%s%s", len != 0 ? ", " : "", p->name);
	return error_set(e, EINVAL, "profile '%s' is unknown: there is %s", value, known);
}

static int set_link(struct port_spec *spec, const char *value, struct error *e) {
	if (strcmp(value, "up") != 0 && strcmp(value, "down") != 0)
		return error_set(e, EINVAL, "link '%s' is neither up nor down", value);
	spec->link_up = strcmp(value, "up") == 0;
	return 0;
}

static int set_lifetime(struct port_spec *spec, const char *value, struct error *e) {
	if (strcmp(value, "runtime") != 0 && strcmp(value, "persistent") != 0)
		return error_set(
			e, EINVAL, "lifetime '%s' is neither runtime nor persistent", value
		);
	spec->persistent = strcmp(value, "persistent") == 0;
	return 0;
}

static int set_trunks(struct port_spec *spec, const char *value, struct error *e) {
	if (strcmp(value, "none") == 0) {
		spec->trunks[0] = '\0';
		return 0;
	}
	switch (trunks_normalize(value, spec->trunks)) {
	case 0:
		return 0;
	case -ERANGE:
		return error_set(e, EINVAL, "trunks have too many ranges: %s", value);
	}
	return error_set(
		e, EINVAL, "trunks '%s' is no list of VLANs, such as 10,20-29 (1 to %d), or none",
		value, VLAN_MAX
	);
}

static int set_rate(struct port_spec *spec, const char *value, struct error *e) {
	int r;

	if (strcmp(value, "none") == 0) {
		spec->rate_bps = 0;
		return 0;
	}
	r = parse_rate(value, &spec->rate_bps);
	return r == 0
		? 0
		: error_set(
			  e, EINVAL, "rate '%s' is %s: bits in a second, such as 10mbit, or none",
			  value, r == -ERANGE ? "out of range" : "no rate"
		  );
}

static int set_socket(struct port_spec *spec, const char *value, struct error *e) {
	if (!port_name_is_valid(value))
		return error_set(
			e, EINVAL,
			"socket '%s' is no name of one: 1 to 32 of a-z 0-9 . _ -, the first a "
			"letter or digit, as in [socket NAME] of the configuration",
			value
		);
	return str_copy(spec->socket, sizeof(spec->socket), value);
}

// In the order of port_spec_keys.
static const struct {
	const char *name;
	uint32_t bit;
	int (*set)(struct port_spec *spec, const char *value, struct error *e);
	const char *help;
} keys[] = {
	{"network", PORT_KEY_NETWORK, set_network, "the network to join"},
	{"mac", PORT_KEY_MAC, set_mac,
         "MAC address of the NIC; default: made from the node's identity and the port's name"},
	{"mtu", PORT_KEY_MTU, set_mtu, "largest packet in bytes; default: the network's"},
	{"queue_pairs", PORT_KEY_QUEUE_PAIRS, set_queue_pairs,
         "receive and transmit queue pairs, one for each virtual CPU at most"},
	{"vlan", PORT_KEY_VLAN, set_vlan, "VLAN of an access port, 1 to 4094, or none"},
	{"trunks", PORT_KEY_TRUNKS, set_trunks,
         "VLANs whose tagged frames pass, such as 10,20-29, or none"},
	{"rate", PORT_KEY_RATE, set_rate, "limit each way, such as 10mbit or 1gbit, or none"},
	{"policy", PORT_KEY_POLICY, set_policy,
         "backends it may get: auto, hardware, software, vdpa, dpdk-vdpa, switch or external"},
	{"socket", PORT_KEY_SOCKET, set_socket,
         "socket of another switch, by its name in vdpad's configuration"},
	{"profile", PORT_KEY_PROFILE, set_profile, "set of virtio features that the guest sees"},
	{"link", PORT_KEY_LINK, set_link, "up or down, as a cable plugged in or not"},
	{"lifetime", PORT_KEY_LIFETIME, set_lifetime,
         "runtime: gone after a reboot of the node; persistent: made again"},
};

const char *const port_spec_keys[] = {
	"network", "mac",    "mtu",     "queue_pairs", "vlan",     "trunks", "rate",
	"policy",  "socket", "profile", "link",        "lifetime", NULL,
};

static int find_key(const char *key) {
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(keys[i].name, key) == 0)
			return (int)i;
	}
	return -EINVAL;
}

const char *port_spec_key_help(const char *key) {
	int i = find_key(key);

	return i < 0 ? NULL : keys[i].help;
}

uint32_t port_spec_key_bit(const char *key) {
	int i = find_key(key);

	return i < 0 ? 0 : keys[i].bit;
}

int port_spec_set(struct port_spec *spec, const char *key, const char *value, struct error *e) {
	int i = find_key(key);
	int r;

	if (i < 0)
		return error_set(
			e, EINVAL,
			"key '%s' is unknown: network, mac, mtu, queue_pairs, vlan, trunks, rate, "
			"policy, socket, profile, link or lifetime",
			key
		);
	r = keys[i].set(spec, value, e);
	if (r < 0)
		return r;
	spec->keys |= keys[i].bit;
	return 0;
}

int port_spec_get(const struct port_spec *spec, const char *key, char *text, size_t size) {
	char mac[MAC_TEXT_SIZE], rate[RATE_TEXT_SIZE];
	int i = find_key(key);

	if (i < 0)
		return i;
	switch (keys[i].bit) {
	case PORT_KEY_NETWORK:
		return str_copy(text, size, spec->network);
	case PORT_KEY_MAC:
		return str_copy(text, size, mac_addr_format(&spec->mac, mac));
	case PORT_KEY_MTU:
		snprintf(text, size, "%u", spec->mtu_bytes);
		return 0;
	case PORT_KEY_QUEUE_PAIRS:
		snprintf(text, size, "%u", spec->queue_pairs);
		return 0;
	case PORT_KEY_VLAN:
		if (spec->vlan == 0)
			return str_copy(text, size, "none");
		snprintf(text, size, "%u", spec->vlan);
		return 0;
	case PORT_KEY_TRUNKS:
		return str_copy(text, size, spec->trunks[0] != '\0' ? spec->trunks : "none");
	case PORT_KEY_RATE:
		return str_copy(
			text, size, spec->rate_bps != 0 ? format_rate(spec->rate_bps, rate) : "none"
		);
	case PORT_KEY_SOCKET:
		return str_copy(text, size, spec->socket);
	case PORT_KEY_POLICY:
		return str_copy(text, size, policy_name(spec->policy));
	case PORT_KEY_PROFILE:
		return str_copy(text, size, spec->profile);
	case PORT_KEY_LINK:
		return str_copy(text, size, spec->link_up ? "up" : "down");
	case PORT_KEY_LIFETIME:
		return str_copy(text, size, spec->persistent ? "persistent" : "runtime");
	}
	return -EINVAL;
}

void port_spec_fill(struct port_spec *spec, const struct port_spec *defaults) {
	struct port_spec filled = *defaults;

	memcpy(filled.name, spec->name, sizeof(filled.name));
	filled.keys = spec->keys;
	if (spec->keys & PORT_KEY_NETWORK)
		memcpy(filled.network, spec->network, sizeof(filled.network));
	if (spec->keys & PORT_KEY_MAC)
		filled.mac = spec->mac;
	if (spec->keys & PORT_KEY_MTU)
		filled.mtu_bytes = spec->mtu_bytes;
	if (spec->keys & PORT_KEY_QUEUE_PAIRS)
		filled.queue_pairs = spec->queue_pairs;
	if (spec->keys & PORT_KEY_VLAN)
		filled.vlan = spec->vlan;
	if (spec->keys & PORT_KEY_POLICY)
		filled.policy = spec->policy;
	if (spec->keys & PORT_KEY_PROFILE)
		memcpy(filled.profile, spec->profile, sizeof(filled.profile));
	if (spec->keys & PORT_KEY_LINK)
		filled.link_up = spec->link_up;
	if (spec->keys & PORT_KEY_LIFETIME)
		filled.persistent = spec->persistent;
	if (spec->keys & PORT_KEY_TRUNKS)
		memcpy(filled.trunks, spec->trunks, sizeof(filled.trunks));
	if (spec->keys & PORT_KEY_RATE)
		filled.rate_bps = spec->rate_bps;
	if (spec->keys & PORT_KEY_SOCKET)
		memcpy(filled.socket, spec->socket, sizeof(filled.socket));
	if (filled.socket[0] != '\0' && (spec->keys & PORT_KEY_POLICY) == 0)
		filled.policy = POLICY_EXTERNAL;
	*spec = filled;
}

void port_complete(struct port *port) {
	size_t len = strlen(port->function);

	if (len < 3 || strcmp(port->function + len - 3, "/sf") != 0)
		return;
	snprintf(
		port->function + len, sizeof(port->function) - len, "%" PRIu64,
		PORT_SF_BASE + port->generation
	);
}

uint64_t port_features(const struct port *port) {
	const struct profile *profile = profile_find(port->spec.profile);

	if (port->features != 0)
		return port->features;
	return profile != NULL ? profile->features : 0;
}

const char *port_spec_difference(
	const struct port_spec *request, const struct port_spec *existing
) {
	char a[PORT_VALUE_SIZE], b[PORT_VALUE_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if ((request->keys & keys[i].bit) == 0)
			continue;
		if (port_spec_get(request, keys[i].name, a, sizeof(a)) < 0 ||
		    port_spec_get(existing, keys[i].name, b, sizeof(b)) < 0 || strcmp(a, b) != 0)
			return keys[i].name;
	}
	return NULL;
}
