// SPDX-License-Identifier: GPL-2.0-or-later
// Everything that is checked before a new port changes any state.

#include "vdpad/provision_check.h"

#include <errno.h>
#include <string.h>

#include "vdpad/daemon.h"
#include "vdpad/provision.h"

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
		return error_set(
			e, ENODEV,
			"there is no network '%s' on this node (vdpactl network show lists them)",
			spec->network
		);
	*ret_network = *network;
	return network_check(network, e);
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
	return 0;
}
