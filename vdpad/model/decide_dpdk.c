// SPDX-License-Identifier: GPL-2.0-or-later
// Devices for DPDK's vDPA drivers, which vdpad-switch puts behind vhost-user sockets.

#include <inttypes.h>
#include <string.h>

#include <linux/virtio_net.h>

#include "vdpad/model/decide_candidates.h"
#include "vdpad/model/pool.h"
#include "vdpad/model/vdpa_fit.h"

#define MTU_BIT (UINT64_C(1) << VIRTIO_NET_F_MTU)

static const struct dpdk_vdpa_facts *find_device(const struct facts *facts, const char *pci) {
	for (size_t i = 0; i < facts->n_dpdk_vdpa; i++) {
		if (strcmp(facts->dpdk_vdpa[i].pci, pci) == 0)
			return &facts->dpdk_vdpa[i];
	}
	return NULL;
}

// Whether @dev can be what the port asks for. Accepts the candidate or says why not.
static bool judge_device(
	const struct decide_input *in, const struct dpdk_vdpa_facts *dev,
	struct candidate *candidate
) {
	const struct port_spec *spec = in->spec;
	const struct profile *profile = profile_find(spec->profile);
	char names[128], mac[MAC_TEXT_SIZE];
	uint64_t wanted, missing;

	if (dev->reason[0] != '\0') {
		decide_refuse(candidate, "%s", dev->reason);
		return false;
	}
	if (dev->driver[0] == '\0') {
		decide_refuse(
			candidate,
			"no vDPA driver of DPDK takes %s: install its librte-vdpa package and bind "
			"the device to vfio-pci",
			dev->pci
		);
		return false;
	}
	if (spec->queue_pairs > dev->max_queue_pairs) {
		decide_refuse(
			candidate, "%s has %" PRIu32 " queue pair%s, not %" PRIu32, dev->pci,
			dev->max_queue_pairs, dev->max_queue_pairs == 1 ? "" : "s",
			spec->queue_pairs
		);
		return false;
	}
	if (spec->mtu_bytes != MTU_DEFAULT && (dev->features & MTU_BIT) == 0) {
		decide_refuse(
			candidate, "%s takes no MTU: it has %d, not %" PRIu32, dev->pci,
			MTU_DEFAULT, spec->mtu_bytes
		);
		return false;
	}
	wanted = profile != NULL ? vdpa_features_wanted(profile, spec) : 0;
	// QEMU answers control commands of a vhost-user port itself, so no device has to.
	missing = wanted & ~dev->features & ~VDPA_FEATURES_OF_QEMU;
	vdpa_features_print(missing, names, sizeof(names));
	if (profile == NULL || (profile->exact && missing != 0)) {
		decide_refuse(
			candidate, "%s lacks %s of profile %s, which is exact", dev->pci, names,
			spec->profile
		);
		return false;
	}
	decide_print_missing(spec, missing, names, sizeof(names));
	candidate->features = wanted & dev->features;
	str_copy(candidate->resource, sizeof(candidate->resource), dev->pci);
	decide_accept(
		candidate, "vDPA device %s by DPDK (%s), whose function must receive for %s%s",
		dev->pci, dev->driver, mac_addr_format(&spec->mac, mac), names
	);
	return true;
}

static void choose_device(
	const struct decide_input *in, const struct pool_facts *pool, struct candidate *candidate
) {
	uint32_t n_there = 0, n_free = 0;
	const char *rest = pool->config.members;
	char pci[PCI_ADDRESS_SIZE];

	while (pool_next_word(&rest, pci, sizeof(pci))) {
		const struct dpdk_vdpa_facts *dev = find_device(in->facts, pci);
		struct candidate verdict = *candidate;

		if (dev == NULL)
			continue;
		n_there++;
		if (dev->in_use)
			continue;
		if (judge_device(in, dev, &verdict) || n_free++ == 0)
			*candidate = verdict;
		if (candidate->accepted)
			return;
	}
	if (n_there == 0)
		decide_refuse(
			candidate, "this node has no PCI device %.120s that vdpad-switch can reach",
			pool->config.members
		);
	else if (n_free == 0)
		decide_refuse(
			candidate,
			"pool '%s' has nothing free: %" PRIu32 " of %" PRIu32 " device%s in use",
			pool->config.name, n_there, n_there, n_there == 1 ? "" : "s"
		);
}

void decide_dpdk_vdpa(const struct decide_input *in) {
	const struct facts *facts = in->facts;
	struct candidate *candidate;
	bool has_pool = false;

	for (size_t i = 0; i < facts->n_pools; i++) {
		const struct pool_facts *pool = &facts->pools[i];

		if (pool->config.kind != POOL_DPDK ||
		    !pool_serves(&pool->config, in->network->name))
			continue;
		has_pool = true;
		candidate = decide_add(in->decision, BACKEND_DPDK_VDPA, pool);
		if (!facts->fallback.connected)
			decide_refuse(
				candidate,
				"vdpad-switch, which drives such devices, is not running: see "
				"`systemctl status vdpad-switch`"
			);
		else if (decide_pool_allows(in, pool, false, candidate))
			choose_device(in, pool, candidate);
	}
	if (has_pool)
		return;
	candidate = decide_add(in->decision, BACKEND_DPDK_VDPA, NULL);
	decide_refuse(candidate, "no pool with class = vdpa has network '%s'", in->network->name);
}
