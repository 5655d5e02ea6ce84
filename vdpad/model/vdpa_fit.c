// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/vdpa_fit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "vdpad/config/config.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

#define BIT(name) (UINT64_C(1) << (name))
#define NAMES_MAX 6 // that a sentence bears

// What every driver wants to see, and no guest.
#define TRANSPORT_FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))

uint64_t vdpa_features_wanted(const struct profile *profile, const struct port_spec *spec) {
	uint64_t features = profile->features | TRANSPORT_FEATURES;

	if (spec->queue_pairs == 1)
		features &= ~BIT(VIRTIO_NET_F_MQ);
	if (spec->mtu_bytes == MTU_DEFAULT)
		features &= ~BIT(VIRTIO_NET_F_MTU);
	return features;
}

void vdpa_features_print(uint64_t features, char *text, size_t size) {
	unsigned int n_left = 0;
	size_t len = 0, n = 0;

	text[0] = '\0';
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = feature_name(bit);

		if ((features & BIT(bit)) == 0)
			continue;
		if (n++ >= NAMES_MAX || len >= size) {
			n_left++;
			continue;
		}
		len += (size_t)snprintf(text + len, size - len, "%s", n > 1 ? ", " : "");
		if (len < size && name != NULL)
			len += (size_t)snprintf(text + len, size - len, "%s", name);
		else if (len < size)
			len += (size_t)snprintf(text + len, size - len, "bit %u", bit);
	}
	if (n_left > 0 && len < size)
		snprintf(text + len, size - len, " and %u more", n_left);
}

static bool refuse(
	char reason[static PORT_REASON_SIZE], const struct mgmtdev_facts *dev, const char *fmt, ...
) _printf_(3, 4);
static bool refuse(
	char reason[static PORT_REASON_SIZE], const struct mgmtdev_facts *dev, const char *fmt, ...
) {
	int len = snprintf(reason, PORT_REASON_SIZE, "%s", dev->name);
	va_list ap;

	if (dev->driver[0] != '\0')
		len += snprintf(
			reason + len, PORT_REASON_SIZE - (size_t)len, " (driver %s)", dev->driver
		);
	va_start(ap, fmt);
	vsnprintf(reason + len, PORT_REASON_SIZE - (size_t)len, fmt, ap);
	va_end(ap);
	return false;
}

static bool takes(const struct mgmtdev_facts *dev, uint32_t what) {
	return (dev->takes & what) != 0;
}

// Whether the driver takes a value whose feature @bit the device has, as far as it is known.
static bool takes_with_feature(const struct mgmtdev_facts *dev, uint32_t what, uint64_t bit) {
	return takes(dev, what) && (dev->features == 0 || (dev->features & bit) != 0);
}

static bool queue_pairs_fit(
	const struct mgmtdev_facts *dev, uint32_t wanted, struct vdpa_fit *fit,
	char reason[static PORT_REASON_SIZE]
) {
	static const uint64_t needed = BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ);
	uint32_t has = dev->max_vqs / 2; // the control ring is the odd one

	if (takes(dev, IPC_VDPA_TAKES_QUEUE_PAIRS))
		fit->queue_pairs = wanted;
	if (wanted == 1)
		return true;
	if (dev->max_vqs != 0 && wanted > has)
		return refuse(
			reason, dev, " has %" PRIu32 " queue pair%s, not %" PRIu32, has,
			has == 1 ? "" : "s", wanted
		);
	if (dev->features != 0 && (dev->features & needed) != needed)
		return refuse(
			reason, dev, " offers no more than one queue pair, not %" PRIu32, wanted
		);
	if (fit->queue_pairs == 0 && wanted != has)
		return refuse(
			reason, dev,
			" takes no number of queue pairs: it has %" PRIu32 ", not %" PRIu32, has,
			wanted
		);
	return true;
}

static bool mac_fits(
	const struct mgmtdev_facts *dev, const struct port_spec *spec, bool mac_by_function,
	struct vdpa_fit *fit, char reason[static PORT_REASON_SIZE]
) {
	char mac[MAC_TEXT_SIZE];

	fit->sends_mac = takes_with_feature(dev, IPC_VDPA_TAKES_MAC, BIT(VIRTIO_NET_F_MAC));
	if (fit->sends_mac || mac_by_function || (spec->keys & PORT_KEY_MAC) == 0)
		return true;
	return refuse(
		reason, dev,
		" takes no MAC address, so it cannot have %s: without key mac the port has the "
		"device's own",
		mac_addr_format(&spec->mac, mac)
	);
}

static bool mtu_fits(
	const struct mgmtdev_facts *dev, uint32_t mtu_bytes, struct vdpa_fit *fit,
	char reason[static PORT_REASON_SIZE]
) {
	if (mtu_bytes == MTU_DEFAULT)
		return true;
	if (!takes_with_feature(dev, IPC_VDPA_TAKES_MTU, BIT(VIRTIO_NET_F_MTU)))
		return refuse(
			reason, dev, " takes no MTU: it has %d, not %" PRIu32, MTU_DEFAULT,
			mtu_bytes
		);
	fit->mtu_bytes = mtu_bytes;
	return true;
}

static bool features_fit(
	const struct mgmtdev_facts *dev, const struct profile *profile,
	const struct port_spec *spec, struct vdpa_fit *fit, char reason[static PORT_REASON_SIZE]
) {
	uint64_t wanted = vdpa_features_wanted(profile, spec);
	uint64_t offered = dev->features != 0 ? wanted & dev->features : wanted;
	bool exact = profile->exact;
	char names[128];

	if (dev->features != 0 && (dev->features & BIT(VIRTIO_F_VERSION_1)) == 0)
		return refuse(reason, dev, " offers no VERSION_1: it is a legacy device");
	if (dev->features == 0 && exact)
		return refuse(
			reason, dev,
			": this kernel does not say which features it has, so it cannot be one of "
			"profile %s",
			profile->name
		);
	fit->missing = wanted & ~offered & ~BIT(VIRTIO_F_ACCESS_PLATFORM);
	if (exact && fit->missing != 0) {
		vdpa_features_print(fit->missing, names, sizeof(names));
		return refuse(
			reason, dev, " lacks %s of profile %s, which is exact", names, profile->name
		);
	}
	if (takes(dev, IPC_VDPA_TAKES_FEATURES))
		fit->features = offered;
	return true;
}

bool vdpa_fits(
	const struct mgmtdev_facts *dev, const struct port_spec *spec, bool mac_by_function,
	struct vdpa_fit *ret_fit, char reason[static PORT_REASON_SIZE]
) {
	const struct profile *profile = profile_find(spec->profile);
	struct vdpa_fit fit = {0};

	if (profile == NULL)
		return refuse(reason, dev, ": there is no profile '%s'", spec->profile);
	if (!queue_pairs_fit(dev, spec->queue_pairs, &fit, reason) ||
	    !mac_fits(dev, spec, mac_by_function, &fit, reason) ||
	    !mtu_fits(dev, spec->mtu_bytes, &fit, reason) ||
	    !features_fit(dev, profile, spec, &fit, reason))
		return false;
	*ret_fit = fit;
	return true;
}
