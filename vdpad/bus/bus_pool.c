// SPDX-License-Identifier: GPL-2.0-or-later
// What a pool has: its members one by one, with the port that each serves or why it can serve none. A
// pool of subfunctions has those that were made for ports.

#include "vdpad/bus/bus_pool.h"

#include <stdio.h>
#include <string.h>

#include "vdpad/model/pool.h"
#include "vdpad/util/ipc.h"

// Members of a pool so far, and how many could serve a port more.
struct tally {
	sd_bus_message *m;
	uint32_t n;
	uint32_t n_free;
};

static const struct port *port_on(
	const struct daemon *d, enum backend_kind backend, const char *resource
) {
	for (size_t i = 0; i < d->ports.n; i++) {
		const struct port *port = &d->ports.list[i]->port;

		if (port->backend == backend && strcmp(port->resource, resource) == 0)
			return port;
	}
	return NULL;
}

// @port may be NULL; a member with neither port nor reason is free.
static void add_member(
	struct tally *t, const char *name, const char *driver, const struct port *port,
	const char *reason
) {
	t->n++;
	sd_bus_message_append(
		t->m, "a{sv}", 4, "name", "s", name, "driver", "s", driver, "port", "s",
		port != NULL ? port->spec.name : "", "reason", "s", reason
	);
}

static void add_mgmtdevs(
	struct tally *t, const struct daemon *d, const struct facts *facts,
	const struct pool_facts *pool
) {
	for (size_t i = 0; i < facts->n_mgmtdevs; i++) {
		const struct mgmtdev_facts *dev = &facts->mgmtdevs[i];
		const struct port *port = port_on(d, BACKEND_VDPA, dev->name);
		char reason[96] = "";

		if (!pool_has_mgmtdev(&pool->config, dev))
			continue;
		if (!dev->one_device)
			snprintf(
				reason, sizeof(reason), "has %u devices, and room for more",
				dev->n_devices
			);
		else if (dev->n_devices > 0 && port == NULL)
			snprintf(reason, sizeof(reason), "has a device that is not a port's");
		t->n_free += !dev->one_device || dev->n_devices == 0;
		add_member(t, dev->name, dev->driver, port, reason);
	}
}

static void add_subfunctions(
	struct tally *t, const struct daemon *d, const struct pool_facts *pool
) {
	for (size_t i = 0; i < d->ports.n; i++) {
		const struct port *port = &d->ports.list[i]->port;
		bool has_function = port->function[0] != '\0';

		if (strcmp(port->pool, pool->config.name) == 0)
			add_member(t, has_function ? port->function : port->resource, "", port, "");
	}
}

static const struct dpdk_vdpa_facts *find_dpdk(const struct facts *facts, const char *pci) {
	for (size_t i = 0; i < facts->n_dpdk_vdpa; i++) {
		if (strcmp(facts->dpdk_vdpa[i].pci, pci) == 0)
			return &facts->dpdk_vdpa[i];
	}
	return NULL;
}

static void add_dpdk(
	struct tally *t, const struct daemon *d, const struct facts *facts,
	const struct pool_facts *pool
) {
	const char *rest = pool->config.members;
	char pci[PCI_ADDRESS_SIZE];

	while (pool_next_word(&rest, pci, sizeof(pci))) {
		const struct dpdk_vdpa_facts *dev = find_dpdk(facts, pci);
		const char *reason = "";

		if (!facts->fallback.connected)
			reason = "vdpad-switch is not running";
		else if (dev == NULL)
			reason = "vdpad-switch cannot reach such a device";
		else if (dev->reason[0] != '\0')
			reason = dev->reason;
		else if (dev->driver[0] == '\0')
			reason = "no vDPA driver of DPDK takes it";
		t->n_free += dev != NULL && reason[0] == '\0' && !dev->in_use;
		add_member(
			t, pci, dev != NULL ? dev->driver : "", port_on(d, BACKEND_DPDK_VDPA, pci),
			reason
		);
	}
}

static void add_members(
	struct tally *t, const struct daemon *d, const struct facts *facts,
	const struct pool_facts *pool
) {
	switch (pool->config.kind) {
	case POOL_MGMTDEVS:
	case POOL_VF:
		add_mgmtdevs(t, d, facts, pool);
		break;
	case POOL_SF:
		add_subfunctions(t, d, pool);
		break;
	case POOL_DPDK:
		add_dpdk(t, d, facts, pool);
		break;
	}
}

// How many ports more; UINT32_MAX where only the hardware knows.
static uint32_t count_free(
	const struct facts *facts, const struct pool_facts *pool, uint32_t n_free
) {
	uint32_t limit = pool->config.limit;
	uint32_t left =
		limit == 0 ? UINT32_MAX : limit - (pool->n_ports < limit ? pool->n_ports : limit);
	bool is_open = pool->config.kind == POOL_SF && pool->pf_is_there;

	for (size_t i = 0; i < facts->n_mgmtdevs; i++)
		is_open |= !facts->mgmtdevs[i].one_device &&
			pool_has_mgmtdev(&pool->config, &facts->mgmtdevs[i]);
	if (is_open)
		return left;
	return n_free < left ? n_free : left;
}

void bus_append_pool(
	sd_bus_message *m, const struct daemon *d, const struct facts *facts,
	const struct pool_facts *pool
) {
	const struct pool_config *config = &pool->config;
	struct tally t = {.m = m};
	bool has_pf = config->pf[0] != '\0';

	ipc_dict_add_s(m, "kind", pool_kind_name(config->kind));
	ipc_dict_add_s(m, "networks", config->networks);
	ipc_dict_add_s(m, "hardware", has_pf ? config->pf : config->members);
	ipc_dict_add_s(
		m, "reason", has_pf && !pool->pf_is_there ? "this node has no such PCI device" : ""
	);
	ipc_dict_add_u(m, "count", config->count);
	ipc_dict_add_u(m, "limit", config->limit);
	ipc_dict_add_u(m, "ports", pool->n_ports);
	sd_bus_message_open_container(m, 'e', "sv");
	sd_bus_message_append(m, "s", "members");
	sd_bus_message_open_container(m, 'v', "aa{sv}");
	sd_bus_message_open_container(m, 'a', "a{sv}");
	add_members(&t, d, facts, pool);
	for (int i = 0; i < 3; i++)
		sd_bus_message_close_container(m);
	ipc_dict_add_u(m, "n_members", t.n);
	if (count_free(facts, pool, t.n_free) != UINT32_MAX)
		ipc_dict_add_u(m, "free", count_free(facts, pool, t.n_free));
}
