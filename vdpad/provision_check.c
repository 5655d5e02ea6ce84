// SPDX-License-Identifier: GPL-2.0-or-later
// Everything that is checked before a port is made or changed.

#include "vdpad/provision_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/daemon.h"
#include "vdpad/provision.h"

#define CHANGEABLE "network, vlan, trunks, rate, link or lifetime"
#define FACTS_MAX_AGE_MS 1000 // so that a series of requests does not walk sysfs for each

// Always the same for a name on this node, so that a guest's NIC keeps its address.
static struct mac_addr make_mac(const struct daemon *d, const char *name) {
	char seed[SD_ID128_STRING_MAX + PORT_NAME_SIZE];

	sd_id128_to_string(d->machine_id, seed);
	strcat(seed, name);
	return mac_addr_from_seed(seed, strlen(seed));
}

static int check_network(
	struct daemon *d, const struct port_spec *spec, struct network *ret_network, struct error *e
) {
	const struct network *network;

	if (spec->network[0] == '\0')
		return error_set(e, EINVAL, "key 'network' is missing: the network to join");
	network = daemon_find_network(d, spec->network);
	if (network == NULL)
		return networks_refuse(&d->networks, spec->network, e);
	*ret_network = *network;
	return network_check(network, e);
}

// What the request says about a socket, by itself. Whether it can serve now is decide()'s to say.
static int check_socket(struct daemon *d, const struct port_spec *spec, struct error *e) {
	const struct socket_config *socket = config_find_socket(d->config, spec->socket);

	if (spec->socket[0] == '\0')
		return 0;
	if (spec->policy != POLICY_EXTERNAL)
		return error_set(
			e, EINVAL, "a port with socket '%s' has policy external, not %s",
			spec->socket, policy_name(spec->policy)
		);
	if (socket == NULL)
		return error_set(
			e, ENOTSOCK,
			"there is no socket '%s': the configuration has no [socket %s]",
			spec->socket, spec->socket
		);
	if (strcmp(socket->network, spec->network) != 0)
		return error_set(
			e, EEXIST, "socket '%s' is of network '%s', not of '%s'", spec->socket,
			socket->network, spec->network
		);
	return 0;
}

int provision_check(
	struct daemon *d, const struct port_spec *request, struct port_spec *ret_spec,
	struct network *ret_network, struct decision *ret_decision, struct error *e
) {
	struct port_spec spec = *request;
	struct network network;
	int r;

	port_spec_fill(&spec, &d->config->defaults);
	r = check_network(d, &spec, &network, e);
	if (r < 0)
		return r;
	if (spec.mtu_bytes == 0)
		spec.mtu_bytes = network.mtu_bytes;
	if (spec.mtu_bytes > network.mtu_bytes)
		return error_set(
			e, EINVAL, "mtu %u is more than the %u of network '%s'", spec.mtu_bytes,
			network.mtu_bytes, network.name
		);
	if (spec.queue_pairs > d->config->limits.queue_pairs)
		return error_set(
			e, EPERM, "queue_pairs %u is more than the %u that this node allows",
			spec.queue_pairs, d->config->limits.queue_pairs
		);
	r = check_socket(d, &spec, e);
	if (r < 0)
		return r;
	if (mac_addr_is_zero(&spec.mac))
		spec.mac = make_mac(d, spec.name);
	decide(daemon_facts(d, FACTS_MAX_AGE_MS), &network, &spec, ret_decision);
	*ret_spec = spec;
	*ret_network = network;
	return 0;
}

int provision_check_new(struct daemon *d, const struct port_spec *spec, struct error *e) {
	const struct managed_port *other;
	char mac[MAC_TEXT_SIZE];

	if (d->ports.n >= d->config->limits.ports)
		return error_set(
			e, EPERM,
			"this node has its %u ports, the limit that its configuration sets",
			d->config->limits.ports
		);
	other = port_set_find_mac(&d->ports, spec->network, &spec->mac);
	if (other != NULL)
		return error_set(
			e, EEXIST, "mac '%s' is in use on network '%s' by port '%s'",
			mac_addr_format(&spec->mac, mac), spec->network, other->port.spec.name
		);
	other = spec->socket[0] != '\0' ? port_set_find_socket(&d->ports, spec->socket) : NULL;
	if (other != NULL)
		return error_set(
			e, EEXIST, "socket '%s' is in use by port '%s'", spec->socket,
			other->port.spec.name
		);
	return 0;
}

int provision_refuse(
	struct daemon *d, const struct port_spec *spec, const struct decision *decision,
	struct error *e
) {
	bool wants_switch = spec->policy == POLICY_AUTO || spec->policy == POLICY_SOFTWARE ||
		spec->policy == POLICY_SWITCH;
	size_t len;

	if (wants_switch && !hub_is_ready(d->hub, WORKER_SWITCH))
		return error_set(
			e, EHOSTDOWN,
			"vdpad-switch is not running, and no hardware can serve the port"
		);
	error_set(
		e, EPERM, "no backend can serve the port with policy %s", policy_name(spec->policy)
	);
	for (size_t i = 0; i < decision->n_candidates; i++) {
		const struct candidate *c = &decision->candidates[i];

		if (c->is_against_policy)
			continue;
		len = strlen(e->text);
		snprintf(
			e->text + len, sizeof(e->text) - len, "; %s: %s", backend_name(c->backend),
			c->reason
		);
	}
	return -EPERM;
}

bool provision_must_act(const struct port_spec *a, const struct port_spec *b) {
	return strcmp(a->network, b->network) != 0 || a->vlan != b->vlan ||
		strcmp(a->trunks, b->trunks) != 0 || a->rate_bps != b->rate_bps ||
		a->link_up != b->link_up;
}

// What the backend says now that it can do for the port.
static uint32_t capabilities_of(struct daemon *d, const struct port *port) {
	if (port->backend == BACKEND_SWITCH && !hub_is_ready(d->hub, WORKER_SWITCH))
		return UINT32_MAX; // asking it will fail, and say why
	if (port->backend == BACKEND_SWITCH)
		return capability_parse(daemon_facts(d, FACTS_MAX_AGE_MS)->fallback.capabilities);
	// A function has a representor, whose port of the bridge is on the VLAN.
	return port->backend == BACKEND_VDPA && port->function[0] != '\0' ? CAPABILITY_VLAN : 0;
}

// The network that a port in use is to join must be able to carry what its guest was told.
static int check_move(
	struct daemon *d, const char *name, const struct port_spec *spec,
	struct network *ret_network, struct error *e
) {
	const struct managed_port *other;
	struct port_spec moved = *spec;
	char mac[MAC_TEXT_SIZE];
	int r;

	str_copy(moved.network, sizeof(moved.network), name);
	r = check_network(d, &moved, ret_network, e);
	if (r < 0)
		return r;
	if (spec->mtu_bytes > ret_network->mtu_bytes)
		return error_set(
			e, EPERM,
			"mtu %u, which the port's VM was told, is more than the %u of network '%s'",
			spec->mtu_bytes, ret_network->mtu_bytes, name
		);
	other = port_set_find_mac(&d->ports, name, &spec->mac);
	if (other != NULL)
		return error_set(
			e, EEXIST, "mac '%s' is in use on network '%s' by port '%s'",
			mac_addr_format(&spec->mac, mac), name, other->port.spec.name
		);
	return 0;
}

int provision_check_changes(
	struct daemon *d, const struct port_spec *changes, const struct managed_port *port,
	struct network *ret_network, bool *ret_moves, struct error *e
) {
	const struct port_spec *spec = &port->port.spec;
	uint32_t differing = 0;
	const char *problem;

	if (changes->keys == 0)
		return error_set(e, EINVAL, "nothing to change: " CHANGEABLE " can be set");
	for (size_t i = 0; port_spec_keys[i] != NULL; i++) {
		uint32_t bit = port_spec_key_bit(port_spec_keys[i]);
		struct port_spec one = *changes;

		if ((changes->keys & bit) != 0 && (bit & PORT_KEYS_CHANGEABLE) == 0)
			return error_set(
				e, EINVAL,
				"%s of port '%s' cannot be changed: delete the port and add it "
				"again (" CHANGEABLE " can)",
				port_spec_keys[i], spec->name
			);
		one.keys = changes->keys & bit;
		if (port_spec_difference(&one, spec) != NULL)
			differing |= bit;
	}
	problem =
		capability_problem(capability_of_keys(differing), capabilities_of(d, &port->port));
	if (problem != NULL && capability_of_keys(differing) != 0)
		return error_set(
			e, EPERM, "port '%s' is on backend %s: %s", spec->name,
			backend_name(port->port.backend), problem
		);
	*ret_moves = (differing & PORT_KEY_NETWORK) != 0;
	return *ret_moves ? check_move(d, changes->network, spec, ret_network, e) : 0;
}
