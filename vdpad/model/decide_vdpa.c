// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel vDPA. What the node lacks altogether is told once; what a pool lacks, once for each.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/model/decide_candidates.h"
#include "vdpad/model/pool.h"
#include "vdpad/model/vdpa_fit.h"

#define NAMES_MAX 3 // of management devices that a sentence bears

// What no pool can change. Returns false with the reason.
static bool node_has_vdpa(const struct facts *facts, struct candidate *candidate) {
	if (!facts->vdpa.bus && !facts->vdpa.module)
		decide_refuse(
			candidate,
			"this kernel (%s) has no vDPA support: module vdpa is not there; "
			"Debian 12's standard kernel is built without it, its backports kernel and "
			"Proxmox VE's have it",
			facts->kernel
		);
	else if (!facts->vdpa.bus)
		decide_refuse(
			candidate,
			"this kernel (%s) has vDPA support, but it is not loaded: modprobe "
			"vhost_vdpa "
			"and the NIC's vDPA module",
			facts->kernel
		);
	else if (!facts->vdpa.vhost_vdpa)
		decide_refuse(
			candidate,
			"no virtual machine can have a vDPA device here: modprobe vhost_vdpa"
		);
	else if (!facts->netlink_connected)
		decide_refuse(
			candidate,
			"vdpad-netlink, which makes devices, is not running: see `systemctl status "
			"vdpad-netlink`"
		);
	else if (facts->vdpa.wedged[0] != '\0')
		decide_refuse(
			candidate, "the kernel's vDPA does not answer: %.180s", facts->vdpa.wedged
		);
	else if (!facts->vdpa.asked)
		decide_refuse(
			candidate,
			"vdpad-netlink has not yet said what hardware there is: ask again in a "
			"moment"
		);
	else
		return true;
	return false;
}

// No pool has the network: what one could be written about.
static void refuse_without_pool(const struct decide_input *in, struct candidate *candidate) {
	const struct facts *facts = in->facts;
	char names[160] = "";
	size_t len = 0;

	for (size_t i = 0; i < facts->n_mgmtdevs && i < NAMES_MAX && len < sizeof(names); i++)
		len += (size_t
		)snprintf(names + len, sizeof(names) - len, " %.40s", facts->mgmtdevs[i].name);
	if (facts->n_mgmtdevs == 0)
		decide_refuse(
			candidate,
			"no pool has network '%s', and this node has no vDPA management device "
			"that one could name: load the NIC's vDPA module, or give a [pool] its PF "
			"(vdpad.conf(5))",
			in->network->name
		);
	else
		decide_refuse(
			candidate,
			"no pool has network '%s': write [pool NAME] networks = %s mgmtdevs =%s%s",
			in->network->name, in->network->name, names,
			facts->n_mgmtdevs > NAMES_MAX ? " ..." : ""
		);
}

static bool is_free(const struct mgmtdev_facts *dev, const struct pool_facts *pool) {
	if (dev->one_device)
		return dev->n_devices == 0;
	return pool->config.limit == 0 || dev->n_devices < pool->config.limit;
}

static void refuse_empty(const struct pool_facts *pool, struct candidate *candidate) {
	if (pool->config.kind == POOL_MGMTDEVS)
		decide_refuse(
			candidate,
			"this node has no management device %.120s: 'vdpactl mgmtdev show' lists "
			"those it has",
			pool->config.members
		);
	else
		decide_refuse(
			candidate,
			"no VF of %s is a management device yet: they are made when vdpad starts "
			"or reloads, and need the NIC's vDPA module ('vdpactl pool show %s')",
			pool->config.pf, pool->config.name
		);
}

// The first management device of the pool, in the order of names, that is free and fits.
static void choose_mgmtdev(
	const struct decide_input *in, const struct pool_facts *pool, struct candidate *candidate
) {
	bool mac_by_function = pool->config.kind == POOL_VF;
	char reason[PORT_REASON_SIZE], missing[160];
	uint32_t n_all = 0, n_free = 0;
	struct vdpa_fit fit;

	for (size_t i = 0; i < in->facts->n_mgmtdevs; i++) {
		const struct mgmtdev_facts *dev = &in->facts->mgmtdevs[i];

		if (!pool_has_mgmtdev(&pool->config, dev))
			continue;
		n_all++;
		if (!is_free(dev, pool))
			continue;
		n_free++;
		if (vdpa_fits(dev, in->spec, mac_by_function, &fit, reason)) {
			decide_print_missing(in->spec, fit.missing, missing, sizeof(missing));
			candidate->features = fit.features;
			str_copy(candidate->resource, sizeof(candidate->resource), dev->name);
			decide_accept(
				candidate, "vDPA device on %s, pool '%s'%s", dev->name,
				pool->config.name, missing
			);
			return;
		}
		if (n_free == 1)
			decide_refuse(candidate, "%s", reason);
	}
	if (n_all == 0)
		refuse_empty(pool, candidate);
	else if (n_free == 0)
		decide_refuse(
			candidate,
			"pool '%s' has nothing free: %" PRIu32 " of %" PRIu32
			" management device%s in use",
			pool->config.name, n_all, n_all, n_all == 1 ? "" : "s"
		);
}

static void judge_pool(const struct decide_input *in, const struct pool_facts *pool) {
	struct candidate *candidate = decide_add(in->decision, BACKEND_VDPA, pool);
	bool has_pf = pool->config.kind != POOL_MGMTDEVS;

	if (has_pf && !pool->pf_is_there) {
		decide_refuse(
			candidate, "this node has no PCI device %s, the PF of pool '%s'",
			pool->config.pf, pool->config.name
		);
		return;
	}
	if (!decide_pool_allows(in, pool, has_pf, candidate))
		return;
	if (pool->config.kind != POOL_SF) {
		choose_mgmtdev(in, pool, candidate);
		return;
	}
	str_copy(candidate->resource, sizeof(candidate->resource), pool->config.pf);
	decide_accept(
		candidate, "vDPA device on a new subfunction of %s, pool '%s'", pool->config.pf,
		pool->config.name
	);
}

void decide_vdpa(const struct decide_input *in) {
	const struct facts *facts = in->facts;
	struct candidate *candidate;
	struct candidate node = {0};
	bool has_pool = false;

	if (node_has_vdpa(facts, &node)) {
		for (size_t i = 0; i < facts->n_pools; i++) {
			const struct pool_facts *pool = &facts->pools[i];

			if (pool->config.kind != POOL_DPDK &&
			    pool_serves(&pool->config, in->network->name)) {
				judge_pool(in, pool);
				has_pool = true;
			}
		}
		if (has_pool)
			return;
		refuse_without_pool(in, &node);
	}
	candidate = decide_add(in->decision, BACKEND_VDPA, NULL);
	decide_refuse(candidate, "%s", node.reason);
}
