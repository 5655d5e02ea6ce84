// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/network.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FALLBACK_NETWORK "default"
#define TAP_PREFIX "vdp-"

static const struct bridge_facts *find_bridge(const struct facts *facts, const char *name) {
	for (size_t i = 0; i < facts->n_bridges; i++) {
		if (strcmp(facts->bridges[i].name, name) == 0)
			return &facts->bridges[i];
	}
	return NULL;
}

// What a network gets from the bridge that it is put on. Bridges may have an MTU that no port can
// have, such as the 65535 of a bridge without ports that someone raised.
static uint32_t mtu_of_bridge(const struct bridge_facts *bridge) {
	if (bridge->mtu_bytes > MTU_MAX)
		return MTU_MAX;
	return bridge->mtu_bytes < MTU_MIN ? MTU_DEFAULT : bridge->mtu_bytes;
}

static int resolve_configured(
	struct network *network, const struct network_config *config, const struct facts *facts,
	struct error *e
) {
	const struct bridge_facts *bridge = NULL;

	*network = (struct network){
		.mtu_bytes = config->mtu_bytes,
		.ageing_s = config->ageing_s,
		.configured = true,
	};
	str_copy(network->name, sizeof(network->name), config->name);

	if (config->uplink == UPLINK_TAP) {
		bridge = find_bridge(
			facts, config->bridge[0] != '\0' ? config->bridge : config->name
		);
		str_copy(network->bridge, sizeof(network->bridge), config->bridge);
		network->bridge_is_missing = bridge == NULL && config->bridge[0] != '\0';
	}
	if (bridge != NULL) {
		str_copy(network->bridge, sizeof(network->bridge), bridge->name);
		network->bridge_index = bridge->index;
		if (config->mtu_bytes > bridge->mtu_bytes)
			return error_set(
				e, EINVAL,
				"network '%s': mtu %" PRIu32 " is more than the %" PRIu32
				" of its bridge '%s'; lower it, or raise the bridge's",
				config->name, config->mtu_bytes, bridge->mtu_bytes, bridge->name
			);
	}
	if (network->mtu_bytes == 0)
		network->mtu_bytes = bridge != NULL ? mtu_of_bridge(bridge) : MTU_DEFAULT;
	return 0;
}

static bool tap_is_taken(const struct networks *networks, const char *tap) {
	for (size_t i = 0; i < networks->n; i++) {
		if (strcmp(networks->list[i].tap, tap) == 0)
			return true;
	}
	return false;
}

// "vdp-NAME" where that fits and is free. Otherwise the name's beginning and a hash of all of it, so
// that a network keeps its TAP's name when others come and go; on a clash the next number.
static void name_tap(const struct networks *networks, struct network *network) {
	char tap[sizeof(TAP_PREFIX) + NETWORK_NAME_SIZE];
	uint32_t hash = 2166136261U; // FNV-1a

	snprintf(tap, sizeof(tap), TAP_PREFIX "%s", network->name);
	for (const char *p = network->name; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619U;
	while (strlen(tap) >= NETWORK_NAME_SIZE || tap_is_taken(networks, tap))
		snprintf(
			tap, sizeof(tap), TAP_PREFIX "%.6s-%04" PRIx32, network->name,
			hash++ & 0xffffU
		);
	str_copy(network->tap, sizeof(network->tap), tap);
}

static bool bridge_is_used(const struct config *config, const char *bridge) {
	for (size_t i = 0; i < config->n_networks; i++) {
		const struct network_config *network = &config->networks[i];

		if (strcmp(network->name, bridge) == 0 || strcmp(network->bridge, bridge) == 0)
			return true;
	}
	return false;
}

static int compare_names(const void *a, const void *b) {
	return strcmp(((const struct network *)a)->name, ((const struct network *)b)->name);
}

static bool wants_tap(const struct config *config, const struct network *network) {
	for (size_t i = 0; i < config->n_networks; i++) {
		if (strcmp(config->networks[i].name, network->name) == 0)
			return config->networks[i].uplink == UPLINK_TAP;
	}
	return true;
}

// Shorter names first get their TAP, so that a name cut to fit cannot take another one's.
static void name_taps(const struct config *config, struct networks *networks) {
	for (size_t len = 1; len < NETWORK_NAME_SIZE; len++) {
		for (size_t i = 0; i < networks->n; i++) {
			struct network *network = &networks->list[i];

			if (strlen(network->name) == len && wants_tap(config, network))
				name_tap(networks, network);
		}
	}
}

int networks_resolve(
	const struct config *config, const struct facts *facts, struct networks *ret_networks,
	struct error *e
) {
	struct networks networks = {0};
	int r;

	networks.list = calloc(config->n_networks + facts->n_bridges + 1, sizeof(*networks.list));
	if (networks.list == NULL)
		return error_set(e, ENOMEM, "out of memory");

	for (size_t i = 0; i < config->n_networks; i++) {
		r = resolve_configured(
			&networks.list[networks.n++], &config->networks[i], facts, e
		);
		if (r < 0) {
			networks_done(&networks);
			return r;
		}
	}
	for (size_t i = 0; config->networks_from_bridges && i < facts->n_bridges; i++) {
		const struct bridge_facts *bridge = &facts->bridges[i];
		struct network *network = &networks.list[networks.n];

		if (bridge_is_used(config, bridge->name) || !network_name_is_valid(bridge->name))
			continue;
		network->mtu_bytes = mtu_of_bridge(bridge);
		network->ageing_s = AGEING_DEFAULT_S;
		network->bridge_index = bridge->index;
		str_copy(network->name, sizeof(network->name), bridge->name);
		str_copy(network->bridge, sizeof(network->bridge), bridge->name);
		networks.n++;
	}
	if (networks.n == 0) {
		networks.list[0].mtu_bytes = MTU_DEFAULT;
		networks.list[0].ageing_s = AGEING_DEFAULT_S;
		str_copy(networks.list[0].name, sizeof(networks.list[0].name), FALLBACK_NETWORK);
		networks.n = 1;
	}

	qsort(networks.list, networks.n, sizeof(*networks.list), compare_names);
	name_taps(config, &networks);
	*ret_networks = networks;
	return 0;
}

void networks_done(struct networks *networks) {
	free(networks->list);
	*networks = (struct networks){0};
}

static bool network_equal(const struct network *a, const struct network *b) {
	return strcmp(a->name, b->name) == 0 && strcmp(a->bridge, b->bridge) == 0 &&
		strcmp(a->tap, b->tap) == 0 && a->mtu_bytes == b->mtu_bytes &&
		a->ageing_s == b->ageing_s && a->bridge_index == b->bridge_index;
}

bool networks_equal(const struct networks *a, const struct networks *b) {
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!network_equal(&a->list[i], &b->list[i]))
			return false;
	}
	return true;
}

int network_check(const struct network *network, struct error *e) {
	if (!network->bridge_is_missing)
		return 0;
	return error_set(
		e, ENODEV,
		"network '%s' is not available: there is no Linux bridge '%s' on this node",
		network->name, network->bridge
	);
}

const struct network *networks_find(const struct networks *networks, const char *name) {
	for (size_t i = 0; i < networks->n; i++) {
		if (strcmp(networks->list[i].name, name) == 0)
			return &networks->list[i];
	}
	return NULL;
}

int networks_refuse(const struct networks *networks, const char *name, struct error *e) {
	for (size_t i = 0; i < networks->n; i++) {
		if (strcmp(networks->list[i].bridge, name) == 0)
			return error_set(
				e, ENODEV,
				"there is no network '%.40s' on this node: the bridge of that name"
				" belongs to network '%s'",
				name, networks->list[i].name
			);
	}
	return error_set(
		e, ENODEV,
		"there is no network '%.40s' on this node (vdpactl network show lists them)", name
	);
}
