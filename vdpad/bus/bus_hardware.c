// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/bus/bus_hardware.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/bus/bus_pool.h"
#include "vdpad/daemon.h"
#include "vdpad/model/pool.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

#define FACTS_MAX_AGE_MS 1000

// "0x30043bbab": JSON's integers end before bit 63.
static void append_features(sd_bus_message *m, uint64_t features) {
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, features);
	ipc_dict_add_s(m, "features", text);
}

static const struct port *port_of_generation(const struct daemon *d, uint64_t generation) {
	for (size_t i = 0; generation != 0 && i < d->ports.n; i++) {
		const struct port *port = &d->ports.list[i]->port;

		if (port->backend == BACKEND_VDPA && port->generation == generation)
			return port;
	}
	return NULL;
}

// Entry by entry of an answer a{sa{sv}}. @wanted is the name that was asked for, "" for all.
struct listing {
	sd_bus_message *reply;
	const char *wanted;
	size_t n;
	int r; // the first failure; nothing is appended after it
};

static bool listing_begin(struct listing *l, const char *name) {
	if (l->r < 0 || (l->wanted[0] != '\0' && strcmp(l->wanted, name) != 0))
		return false;
	l->n++;
	l->r = ipc_entry_open(l->reply, name);
	return l->r >= 0;
}

static void listing_end(struct listing *l) {
	l->r = ipc_entry_close(l->reply);
}

// A pool's own entry is written by bus_pool.c, which knows members.
static void list_pools(struct listing *l, struct daemon *d) {
	const struct facts *facts = daemon_facts(d, FACTS_MAX_AGE_MS);

	for (size_t i = 0; i < facts->n_pools; i++) {
		if (listing_begin(l, facts->pools[i].config.name)) {
			bus_append_pool(l->reply, d, facts, &facts->pools[i]);
			listing_end(l);
		}
	}
}

static void print_takes(uint32_t takes, char *text, size_t size) {
	snprintf(
		text, size, "%s%s%s%s", takes & IPC_VDPA_TAKES_MAC ? " mac" : "",
		takes & IPC_VDPA_TAKES_MTU ? " mtu" : "",
		takes & IPC_VDPA_TAKES_QUEUE_PAIRS ? " queue_pairs" : "",
		takes & IPC_VDPA_TAKES_FEATURES ? " features" : ""
	);
}

static void print_pools_of(
	const struct facts *facts, const struct mgmtdev_facts *dev, char *text, size_t size
) {
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < facts->n_pools && len < size; i++) {
		if (pool_has_mgmtdev(&facts->pools[i].config, dev))
			len += (size_t)snprintf(
				text + len, size - len, "%s%s", len > 0 ? " " : "",
				facts->pools[i].config.name
			);
	}
}

static void append_mgmtdev(
	sd_bus_message *m, const struct facts *facts, const struct mgmtdev_facts *dev
) {
	char takes[64], pools[POOL_MEMBERS_SIZE];

	print_takes(dev->takes, takes, sizeof(takes));
	print_pools_of(facts, dev, pools, sizeof(pools));
	ipc_dict_add_s(m, "driver", dev->driver);
	ipc_dict_add_u(m, "devices", dev->n_devices);
	ipc_dict_add_b(m, "one_device", dev->one_device);
	ipc_dict_add_u(m, "max_queue_pairs", dev->max_vqs / 2);
	ipc_dict_add_s(m, "takes", takes[0] != '\0' ? takes + 1 : "");
	append_features(m, dev->features);
	ipc_dict_add_s(m, "pf", dev->pf);
	ipc_dict_add_s(m, "function", dev->function);
	ipc_dict_add_s(m, "pools", pools);
}

static void list_mgmtdevs(struct listing *l, struct daemon *d) {
	const struct facts *facts = daemon_facts(d, FACTS_MAX_AGE_MS);

	for (size_t i = 0; i < facts->n_mgmtdevs; i++) {
		if (listing_begin(l, facts->mgmtdevs[i].name)) {
			append_mgmtdev(l->reply, facts, &facts->mgmtdevs[i]);
			listing_end(l);
		}
	}
}

// A device of our name that no port has is deleted by reconcile, unless the store is not trusted.
static const char *owner_of(const struct reported_vdpa *device) {
	return device->generation != 0 ? "vdpad" : "";
}

static void append_device(
	sd_bus_message *m, const struct daemon *d, const struct reported_vdpa *device
) {
	const struct port *port = port_of_generation(d, device->generation);
	char mac[MAC_TEXT_SIZE];

	ipc_dict_add_s(m, "mgmtdev", device->mgmtdev);
	ipc_dict_add_s(m, "driver", device->driver);
	ipc_dict_add_s(m, "node", device->node);
	ipc_dict_add_s(m, "owner", owner_of(device));
	ipc_dict_add_s(m, "port", port != NULL ? port->spec.name : "");
	ipc_dict_add_b(m, "active", device->active);
	ipc_dict_add_b(m, "parked", device->parked);
	ipc_dict_add_s(m, "mac", device->has_mac ? mac_addr_format(&device->mac, mac) : "");
	ipc_dict_add_u(m, "mtu", device->mtu_bytes);
	ipc_dict_add_u(m, "queue_pairs", device->queue_pairs);
	ipc_dict_add_u(m, "max_vqs", device->max_vqs);
	append_features(m, device->features);
}

static void list_devices(struct listing *l, struct daemon *d) {
	const struct vdpa_report *report = vdpa_view_report(d->vdpa_view);

	for (size_t i = 0; report != NULL && i < report->n_devices; i++) {
		if (listing_begin(l, report->devices[i].name)) {
			append_device(l->reply, d, &report->devices[i]);
			listing_end(l);
		}
	}
}

// Answer with what @list makes of it; @what is what one is called.
static int show(
	sd_bus_message *m, struct daemon *d, const char *what, bool needs_report,
	void (*list)(struct listing *l, struct daemon *d), sd_bus_error *ret_error
) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct listing l = {0};
	struct error e;

	l.r = sd_bus_message_read_basic(m, 's', &l.wanted);
	if (l.r < 0)
		return l.r;
	if (needs_report && vdpa_view_report(d->vdpa_view) == NULL) {
		error_set(
			&e, EHOSTDOWN,
			"vdpad-netlink has not yet said what vDPA hardware there is: is it "
			"running? (systemctl status vdpad-netlink)"
		);
		return error_to_bus(&e, ret_error);
	}
	l.r = sd_bus_message_new_method_return(m, &reply);
	l.reply = reply;
	if (l.r >= 0)
		l.r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	if (l.r >= 0)
		list(&l, d);
	if (l.r >= 0)
		l.r = sd_bus_message_close_container(reply);
	if (l.r >= 0 && l.n == 0 && l.wanted[0] != '\0') {
		error_set(&e, ENOENT, "there is no %s '%.70s'", what, l.wanted);
		return error_to_bus(&e, ret_error);
	}
	return l.r < 0 ? l.r : sd_bus_message_send(reply);
}

int bus_show_pools(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	return show(m, userdata, "pool", false, list_pools, ret_error);
}

int bus_show_mgmtdevs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	return show(m, userdata, "vDPA management device", true, list_mgmtdevs, ret_error);
}

int bus_show_devices(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	return show(m, userdata, "vDPA device", true, list_devices, ret_error);
}
