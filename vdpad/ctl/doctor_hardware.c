// SPDX-License-Identifier: GPL-2.0-or-later
// What vdpad says of hardware: pools that have none, management devices that no pool has, devices in the
// hands of a driver that keeps them from virtual machines.

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/doctor.h"

static const char *text_of(const json_t *object, const char *key) {
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

// Whether each member of the pool is out of its reach. "free" is absent where nobody can tell.
static bool serves_nobody(const json_t *pool) {
	const json_t *n_free = json_object_get(pool, "free");

	return n_free != NULL && json_integer_value(n_free) == 0 &&
		json_integer_value(json_object_get(pool, "ports")) == 0;
}

// Returns whether the pool has hardware, or can make it.
static bool check_pool(struct report *report, const char *name, const json_t *pool) {
	bool is_made = strcmp(text_of(pool, "kind"), "sf") == 0;
	const char *reason = text_of(pool, "reason");

	if (reason[0] != '\0')
		report_add(
			report, "pools", VERDICT_WARN,
			"Its ports go elsewhere. Check the address in vdpad.conf: 'lspci -D' lists "
			"the devices.",
			"pool '%s', %s: %s", name, text_of(pool, "hardware"), reason
		);
	else if (!is_made && json_integer_value(json_object_get(pool, "n_members")) == 0)
		report_add(
			report, "pools", VERDICT_WARN,
			"Its ports go elsewhere. 'vdpactl mgmtdev show' lists what there is; a NIC "
			"needs its vDPA module, and VFs in switchdev mode where it has one.",
			"pool '%s' has no management device: %s", name, text_of(pool, "hardware")
		);
	else if (!is_made && serves_nobody(pool))
		report_add(
			report, "pools", VERDICT_WARN,
			"Its ports go elsewhere. 'vdpactl pool show POOL' says of each member what "
			"is in the way.",
			"pool '%s' serves no port and could serve none: %s", name,
			text_of(pool, "hardware")
		);
	else
		return true;
	return false;
}

void doctor_check_pools(struct report *report, const json_t *pools, const json_t *mgmtdevs) {
	size_t n_good = 0, n_free_mgmtdevs = 0;
	const char *name, *example = "";
	json_t *object;

	json_object_foreach ((json_t *)pools, name, object)
		n_good += check_pool(report, name, object);
	json_object_foreach ((json_t *)mgmtdevs, name, object) {
		if (text_of(object, "pools")[0] != '\0')
			continue;
		n_free_mgmtdevs++;
		example = name;
	}
	if (json_object_size(pools) == 0 && n_free_mgmtdevs > 0)
		report_add(
			report, "pools", VERDICT_WARN,
			"No port is put on them without a [pool NAME] that names them and "
			"networks: vdpad.conf(5).",
			"no pool has this node's management devices, such as %s", example
		);
	else if (n_good > 0 && n_good == json_object_size(pools))
		report_add(
			report, "pools", VERDICT_OK, "", "pools: %zu, each with hardware", n_good
		);
}

void doctor_check_devices(struct report *report, const json_t *devices) {
	const char *name;
	json_t *device;

	json_object_foreach ((json_t *)devices, name, device) {
		const char *driver = text_of(device, "driver"), *port = text_of(device, "port");

		if (port[0] != '\0' && strcmp(driver, "vhost_vdpa") != 0)
			report_add(
				report, "devices", VERDICT_FAIL,
				"QEMU cannot attach to it: bind it to vhost_vdpa, or delete the "
				"port and add it again.",
				"device '%.40s' of port '%s' is driven by %s", name, port,
				driver[0] != '\0' ? driver : "nothing"
			);
		else if (strcmp(driver, "virtio_vdpa") == 0)
			report_add(
				report, "devices", VERDICT_WARN,
				"It is a NIC of this host. If that is not wanted: rmmod "
				"virtio_vdpa, and a line 'blacklist virtio_vdpa' in "
				"/etc/modprobe.d.",
				"device '%.40s' is driven by virtio_vdpa", name
			);
	}
}

void doctor_check_vdpa(struct report *report, const char *state, bool kernel_has_vdpa) {
	bool is_ready = strcmp(state, "ready") == 0;

	if (is_ready && kernel_has_vdpa)
		report_add(report, "vdpa", VERDICT_OK, "", "the kernel's vDPA answers");
	else if (!is_ready)
		report_add(
			report, "vdpa", VERDICT_FAIL,
			"No port on hardware can be made or deleted meanwhile; those that exist "
			"and the software switch go on.",
			"%.200s", state
		);
}
