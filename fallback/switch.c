// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/switch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "fallback/frame.h"
#include "fallback/switch_state.h"
#include "fallback/tap_port.h"
#include "fallback/vhost/sigbus.h"
#include "vdpad/util/cleanup.h"

#define MAX_VLAN 4094
#define MAX_AGEING_S 1000000 // as IEEE 802.1Q

// The workers' view

static uint32_t max_frame_bytes(uint32_t mtu_bytes) {
	return mtu_bytes + FRAME_HEADER_BYTES + FRAME_TAG_BYTES; // a guest may see inner tags
}

// Publish what is configured now. The old table is gone afterwards.
static int publish(struct network_switch *sw, struct error *e) {
	struct forward_table *table = forward_table_new((uint16_t)sw->n_networks);

	if (table == NULL)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t n = 0; n < sw->n_networks; n++) {
		const struct network *network = sw->networks[n];

		table->networks[n].fdb = network->fdb;
		if (network->uplink.io != NULL)
			forward_table_add(
				table, (uint16_t)n,
				&(struct forward_port){
					.io = network->uplink.io,
					.id = network->uplink.id,
					.worker = network->uplink.worker,
					.trunk = true,
					.link_up = true,
					.max_frame_bytes = max_frame_bytes(network->spec.mtu_bytes),
				}
			);
		for (size_t i = 0; i < sw->n_ports; i++) {
			const struct port *port = sw->ports[i];

			if (port->network != network)
				continue;
			forward_table_add(
				table, (uint16_t)n,
				&(struct forward_port){
					.io = port->guest.io,
					.id = port->guest.id,
					.worker = port->guest.worker,
					.vlan = (uint16_t)port->spec.vlan,
					.link_up = port->spec.link_up,
					.max_frame_bytes = max_frame_bytes(port->spec.mtu_bytes),
				}
			);
		}
	}
	workers_publish(sw->workers, table);
	return 0;
}

// A free id and the least busy worker. There are as many ids as ports and networks may exist.
static struct attachment reserve(struct network_switch *sw) {
	struct attachment place = {0};

	while (sw->id_used[place.id])
		place.id++;
	for (uint16_t i = 1; i < workers_count(sw->workers); i++) {
		if (sw->n_polled[i] < sw->n_polled[place.worker])
			place.worker = i;
	}
	sw->id_used[place.id] = true;
	sw->n_polled[place.worker]++;
	workers_clear_counters(sw->workers, place.id);
	return place;
}

// End a port that no table has any more, and give its place back.
static void release(struct network_switch *sw, struct network *network, struct attachment *place) {
	if (place->io != NULL)
		place->io->ops->stop(place->io);
	fdb_flush_port(network->fdb, place->id);
	sw->id_used[place->id] = false;
	sw->n_polled[place->worker]--;
	place->io = NULL;
}

// Life

int switch_new(
	struct workers *workers, sd_event *event, struct network_switch **ret_sw, struct error *e
) {
	struct network_switch *sw = calloc(1, sizeof(*sw));
	int r;

	if (sw == NULL)
		return error_set(e, ENOMEM, "out of memory");
	sw->workers = workers;
	sw->event = event;
	sw->socket_group = (gid_t)-1;
	sw->socket_mode = 0600;
	sw->changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = sw->changed_fd < 0 ? -errno : sigbus_install();
	if (r >= 0)
		r = notifier_init(&sw->notifier);
	if (r < 0) {
		close_keep_errno(sw->changed_fd);
		free(sw);
		return error_set(e, -r, "cannot set up the switch: %s", strerror(-r));
	}
	*ret_sw = sw;
	return 0;
}

static void network_free(struct network *network) {
	fdb_free(network->fdb);
	free(network);
}

void switch_free(struct network_switch *sw) {
	struct forward_table *nothing;

	if (sw == NULL)
		return;
	nothing = forward_table_new(0);
	if (nothing == NULL)
		return; // the workers keep what they have until the process ends
	workers_publish(sw->workers, nothing);
	for (size_t i = 0; i < sw->n_ports; i++) {
		release(sw, sw->ports[i]->network, &sw->ports[i]->guest);
		free(sw->ports[i]);
	}
	for (size_t i = 0; i < sw->n_networks; i++) {
		if (sw->networks[i]->uplink.io != NULL)
			release(sw, sw->networks[i], &sw->networks[i]->uplink);
		network_free(sw->networks[i]);
	}
	notifier_done(&sw->notifier);
	close_keep_errno(sw->changed_fd);
	free(sw);
}

void switch_set_socket_owner(struct network_switch *sw, gid_t group, mode_t mode) {
	sw->socket_group = group;
	sw->socket_mode = mode;
}

// Networks

static struct network *find_network(const struct network_switch *sw, const char *name) {
	for (size_t i = 0; i < sw->n_networks; i++) {
		if (strcmp(sw->networks[i]->name, name) == 0)
			return sw->networks[i];
	}
	return NULL;
}

static int check_mtu(uint32_t mtu_bytes, struct error *e) {
	if (mtu_bytes < SWITCH_MIN_MTU || mtu_bytes > SWITCH_MAX_MTU)
		return error_set(
			e, EINVAL, "mtu %u is not within %d to %d", mtu_bytes, SWITCH_MIN_MTU,
			SWITCH_MAX_MTU
		);
	return 0;
}

static int new_network(
	struct network_switch *sw, const char *name, const struct switch_network_spec *spec,
	struct error *e
) {
	struct network *network;
	uint64_t seed;

	if (!network_name_is_valid(name))
		return error_set(e, EINVAL, "'%s' is no network name", name);
	if (sw->n_networks == SWITCH_MAX_NETWORKS)
		return error_set(
			e, EPERM, "the switch has %d networks already", SWITCH_MAX_NETWORKS
		);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return error_set(e, EIO, "no random numbers");
	network = calloc(1, sizeof(*network));
	if (network == NULL)
		return error_set(e, ENOMEM, "out of memory");
	network->fdb = fdb_new(seed, spec->ageing_s);
	if (network->fdb == NULL) {
		free(network);
		return error_set(e, ENOMEM, "out of memory");
	}
	str_copy(network->name, sizeof(network->name), name);
	network->spec = *spec;
	sw->networks[sw->n_networks++] = network;
	return 0; // no worker needs to know it before it has ports
}

int switch_set_network(
	struct network_switch *sw, const char *name, const struct switch_network_spec *spec,
	struct error *e
) {
	struct network *network = find_network(sw, name);
	struct switch_network_spec old;
	int r;

	r = check_mtu(spec->mtu_bytes, e);
	if (r < 0)
		return r;
	if (spec->ageing_s == 0 || spec->ageing_s > MAX_AGEING_S)
		return error_set(
			e, EINVAL, "ageing_s %u is not within 1 to %d", spec->ageing_s, MAX_AGEING_S
		);
	if (network == NULL)
		return new_network(sw, name, spec, e);
	old = network->spec;
	network->spec = *spec;
	r = publish(sw, e);
	if (r < 0) {
		network->spec = old;
		return r;
	}
	fdb_set_ageing(network->fdb, spec->ageing_s);
	return 0;
}

int switch_set_uplink(
	struct network_switch *sw, const char *network_name, const char *ifname, int fd,
	struct error *e
) {
	struct network *network = find_network(sw, network_name);
	struct attachment old, new;
	int r;

	if (network == NULL || !network_name_is_valid(ifname)) {
		close_keep_errno(fd);
		if (network == NULL)
			return error_set(e, ENODEV, "the switch has no network '%s'", network_name);
		return error_set(e, EINVAL, "'%s' is no interface name", ifname);
	}
	// The old one first: both queues of one TAP must not be read at once.
	old = network->uplink;
	network->uplink = (struct attachment){0};
	network->uplink_name[0] = '\0';
	if (old.io != NULL) {
		r = publish(sw, e);
		if (r < 0) {
			network->uplink = old;
			close_keep_errno(fd);
			return r;
		}
		release(sw, network, &old);
	}

	new = reserve(sw);
	r = tap_port_new(fd, workers_epoll_fd(sw->workers, new.worker), &new.io, e);
	if (r >= 0) {
		network->uplink = new;
		r = publish(sw, e);
	}
	if (r < 0) {
		network->uplink = (struct attachment){0};
		release(sw, network, &new);
		return r;
	}
	str_copy(network->uplink_name, sizeof(network->uplink_name), ifname);
	return 0;
}

int switch_del_network(struct network_switch *sw, const char *name, struct error *e) {
	struct network *network = find_network(sw, name);
	struct attachment uplink;
	size_t index = 0;
	int r;

	if (network == NULL)
		return 0;
	for (size_t i = 0; i < sw->n_ports; i++) {
		if (sw->ports[i]->network == network)
			return error_set(
				e, EBUSY, "network '%s' still has ports, for example '%s'", name,
				sw->ports[i]->name
			);
	}
	while (sw->networks[index] != network)
		index++;
	uplink = network->uplink;
	sw->networks[index] = sw->networks[--sw->n_networks];
	r = publish(sw, e);
	if (r < 0) {
		sw->networks[sw->n_networks++] = sw->networks[index];
		sw->networks[index] = network;
		return r;
	}
	if (uplink.io != NULL)
		release(sw, network, &uplink);
	network_free(network);
	return 0;
}

// Ports

static struct port *find_port(const struct network_switch *sw, const char *name) {
	for (size_t i = 0; i < sw->n_ports; i++) {
		if (strcmp(sw->ports[i]->name, name) == 0)
			return sw->ports[i];
	}
	return NULL;
}

static int check_port_spec(const struct guest_port_spec *spec, struct error *e) {
	if (spec->vlan > MAX_VLAN)
		return error_set(e, EINVAL, "vlan %u is not within 0 to %d", spec->vlan, MAX_VLAN);
	if (spec->queue_pairs == 0 || spec->queue_pairs > VHOST_PORT_MAX_QUEUE_PAIRS)
		return error_set(
			e, EINVAL, "queue_pairs %u is not within 1 to %d", spec->queue_pairs,
			VHOST_PORT_MAX_QUEUE_PAIRS
		);
	if (spec->path[0] != '/')
		return error_set(e, EINVAL, "path '%s' is not absolute", spec->path);
	return check_mtu(spec->mtu_bytes, e);
}

// @network is that of @spec.
static int change_port(
	struct network_switch *sw, struct port *port, struct network *network,
	const struct guest_port_spec *spec, struct error *e
) {
	const char *key = guest_port_spec_fixed_difference(&port->spec, spec);
	const struct guest_port_spec old = port->spec;
	struct network *old_network = port->network;
	int r;

	if (key != NULL)
		return error_set(
			e, EEXIST, "port '%s' exists with another %s; delete it first", port->name,
			key
		);
	if (network == old_network && spec->vlan == old.vlan && spec->link_up == old.link_up)
		return 0;
	port->network = network;
	port->spec.network = network->name;
	port->spec.vlan = spec->vlan;
	port->spec.link_up = spec->link_up;
	r = publish(sw, e);
	if (r < 0) {
		port->network = old_network;
		port->spec = old;
		return r;
	}
	// Every worker has the new table, so nobody learns the port where it was.
	fdb_flush_port(old_network->fdb, port->guest.id);
	return 0;
}

static int start_guest_port(struct network_switch *sw, struct port *port, struct error *e) {
	struct vhost_port_config config = {
		.path = port->path,
		.socket_mode = sw->socket_mode,
		.socket_group = sw->socket_group,
		.features = port->spec.features,
		.queue_pairs = (uint16_t)port->spec.queue_pairs,
		.mtu_bytes = (uint16_t)port->spec.mtu_bytes,
		.workers = sw->workers,
		.event = sw->event,
		.notifier = &sw->notifier,
		.changed_fd = sw->changed_fd,
	};
	int r;

	port->guest = reserve(sw);
	config.worker = port->guest.worker;
	r = vhost_port_new(&config, &port->guest.io, e);
	if (r < 0)
		release(sw, port->network, &port->guest);
	return r;
}

int switch_set_port(
	struct network_switch *sw, const char *name, const struct guest_port_spec *spec,
	struct error *e
) {
	struct port *port = find_port(sw, name);
	struct network *network = find_network(sw, spec->network);
	int r;

	r = check_port_spec(spec, e);
	if (r < 0)
		return r;
	if (network == NULL)
		return error_set(e, ENODEV, "the switch has no network '%s'", spec->network);
	if (port != NULL)
		return change_port(sw, port, network, spec, e);
	if (!port_name_is_valid(name))
		return error_set(e, EINVAL, "'%s' is no port name", name);
	if (sw->n_ports == SWITCH_MAX_PORTS)
		return error_set(e, EPERM, "the switch has %d ports already", SWITCH_MAX_PORTS);

	port = calloc(1, sizeof(*port));
	if (port == NULL)
		return error_set(e, ENOMEM, "out of memory");
	r = str_copy(port->path, sizeof(port->path), spec->path);
	if (r < 0) {
		free(port);
		return error_set(
			e, EINVAL, "socket path '%s' is longer than %d bytes", spec->path,
			SOCKET_PATH_SIZE - 1
		);
	}
	str_copy(port->name, sizeof(port->name), name);
	port->network = network;
	port->spec = *spec;
	port->spec.network = network->name;
	port->spec.path = port->path;
	r = start_guest_port(sw, port, e);
	if (r < 0) {
		free(port);
		return r;
	}
	vhost_port_read_status(port->guest.io, &port->announced);
	sw->ports[sw->n_ports++] = port;
	r = publish(sw, e);
	if (r < 0) {
		sw->n_ports--;
		release(sw, network, &port->guest);
		free(port);
	}
	return r;
}

int switch_del_port(struct network_switch *sw, const char *name, struct error *e) {
	struct port *port = find_port(sw, name);
	size_t index = 0;
	int r;

	if (port == NULL)
		return 0;
	while (sw->ports[index] != port)
		index++;
	sw->ports[index] = sw->ports[--sw->n_ports];
	r = publish(sw, e);
	if (r < 0) {
		sw->ports[sw->n_ports++] = sw->ports[index];
		sw->ports[index] = port;
		return r;
	}
	release(sw, port->network, &port->guest);
	free(port);
	return 0;
}
