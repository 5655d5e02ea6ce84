// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/model/qemu_args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/config/config.h"

#define RAM_ID "vdpad-ram"
#define MAX_DIGITS 3 // of a version's part

static bool version_at_least(struct qemu_version v, unsigned int major, unsigned int minor) {
	return v.major > major || (v.major == major && v.minor >= minor);
}

int qemu_version_parse(const char *text, struct qemu_version *ret_version) {
	static const char before[] = "version ", digits[] = "0123456789";
	const char *found = strstr(text, before);
	const char *major = found != NULL ? found + strlen(before) : text;
	size_t major_len = strspn(major, digits), minor_len;
	const char *minor;

	if (major_len == 0 || major_len > MAX_DIGITS || major[major_len] != '.')
		return -EINVAL;
	minor = major + major_len + 1;
	minor_len = strspn(minor, digits);
	if (minor_len == 0 || minor_len > MAX_DIGITS)
		return -EINVAL;
	if (minor[minor_len] != '\0' && strchr(".- \n", minor[minor_len]) == NULL)
		return -EINVAL;
	ret_version->major = (unsigned int)strtoul(major, NULL, 10);
	ret_version->minor = (unsigned int)strtoul(minor, NULL, 10);
	return 0;
}

// Append to an option's value; what does not fit is remembered in @len.
static void append(char *option, size_t *len, const char *fmt, ...) _printf_(3, 4);
static void append(char *option, size_t *len, const char *fmt, ...) {
	size_t used = *len < QEMU_OPTION_SIZE ? *len : QEMU_OPTION_SIZE;
	va_list ap;

	va_start(ap, fmt);
	*len += (size_t)vsnprintf(option + used, QEMU_OPTION_SIZE - used, fmt, ap);
	va_end(ap);
}

// A comma in a value is written twice.
static void append_escaped(char *option, size_t *len, const char *value) {
	for (; *value != '\0'; value++)
		append(option, len, "%s%c", *value == ',' ? "," : "", *value);
}

static void append_chardev(
	char *option, size_t *len, const struct port *port, struct qemu_version version
) {
	append(option, len, "socket,id=vdpad-%s,path=", port->spec.name);
	append_escaped(option, len, port->path);
	if (port->qemu_listens)
		append(option, len, ",server=on,wait=off");
	else if (version_at_least(version, 9, 2))
		append(option, len, ",reconnect-ms=%d", QEMU_RECONNECT_MS);
	else
		append(option, len, ",reconnect=%d", QEMU_RECONNECT_S);
}

int qemu_nic_init(
	struct qemu_nic *nic, const struct port *port, struct qemu_version version, struct error *e
) {
	const struct port_spec *spec = &port->spec;
	const struct profile *profile = profile_find(spec->profile);
	size_t chardev_len = 0, netdev_len = 0, device_len = 0;
	char properties[QEMU_OPTION_SIZE], mac[MAC_TEXT_SIZE];
	bool is_device = port->backend == BACKEND_VDPA;
	unsigned int ring_size;

	memset(nic, 0, sizeof(*nic));
	if (port->backend == BACKEND_NONE)
		return error_set(
			e, EOPNOTSUPP, "port '%s' has no backend that QEMU could attach to",
			spec->name
		);
	if (!version_at_least(version, QEMU_OLDEST_MAJOR, QEMU_OLDEST_MINOR))
		return error_set(
			e, EOPNOTSUPP,
			"QEMU %u.%u is too old: %d.%d is the oldest that can be used",
			version.major, version.minor, QEMU_OLDEST_MAJOR, QEMU_OLDEST_MINOR
		);
	if (profile == NULL)
		return error_set(
			e, EINVAL, "port '%s' has the unknown profile '%s'", spec->name,
			spec->profile
		);
	ring_size = is_device ? PROFILE_RING_SIZE_DEVICE : profile->ring_size;

	if (is_device) {
		append(nic->netdev, &netdev_len, "vhost-vdpa,id=vdpad-%s,vhostdev=", spec->name);
		append_escaped(nic->netdev, &netdev_len, port->path);
		append(nic->netdev, &netdev_len, ",queues=%" PRIu32, spec->queue_pairs);
	} else {
		append_chardev(nic->chardev, &chardev_len, port, version);
		append(nic->netdev, &netdev_len,
		       "vhost-user,id=vdpad-%s,chardev=vdpad-%s,queues=%" PRIu32, spec->name,
		       spec->name, spec->queue_pairs);
	}

	append(nic->device, &device_len,
	       "virtio-net-pci,id=vdpad-%s,netdev=vdpad-%s,mac=%s,"
	       "rx_queue_size=%u,tx_queue_size=%u",
	       spec->name, spec->name, mac_addr_format(&spec->mac, mac), ring_size, ring_size);
	if (spec->mtu_bytes != MTU_DEFAULT)
		append(nic->device, &device_len, ",host_mtu=%" PRIu32, spec->mtu_bytes);
	if (spec->queue_pairs > 1)
		append(nic->device, &device_len, ",mq=on");
	if (profile_qemu_properties(
		    profile, PROFILE_QEMU(version.major, version.minor), properties,
		    sizeof(properties)
	    ) < 0)
		return error_set(e, ENAMETOOLONG, "profile '%s' is too long", profile->name);
	if (properties[0] != '\0')
		append(nic->device, &device_len, ",%s", properties);

	nic->kind = is_device ? "vhost-vdpa" : "vhost-user";
	nic->pins_memory = is_device;
	nic->shared_memory = !is_device;
	if (chardev_len >= QEMU_OPTION_SIZE || netdev_len >= QEMU_OPTION_SIZE ||
	    device_len >= QEMU_OPTION_SIZE)
		return error_set(
			e, ENAMETOOLONG, "the QEMU options of port '%s' are too long", spec->name
		);
	return 0;
}

int qemu_ram_init(struct qemu_ram *ram, uint64_t size_bytes, bool shared, struct error *e) {
	uint64_t mib = size_bytes / QEMU_RAM_ALIGNMENT;
	size_t object_len = 0, machine_len = 0;

	if (mib == 0 || size_bytes % QEMU_RAM_ALIGNMENT != 0)
		return error_set(
			e, EINVAL, "memory must be a whole number of MiB, such as 512m or 4g"
		);
	memset(ram, 0, sizeof(*ram));
	snprintf(ram->size, sizeof(ram->size), "%" PRIu64 "M", mib);
	if (!shared)
		return 0;
	append(ram->object, &object_len,
	       "memory-backend-memfd,id=" RAM_ID ",size=%" PRIu64 "M,share=on", mib);
	append(ram->machine, &machine_len, "memory-backend=" RAM_ID);
	return 0;
}

uint64_t qemu_memlock_bytes(uint64_t ram_bytes, size_t n_nics) {
	return n_nics * (ram_bytes + QEMU_MEMLOCK_MARGIN_BYTES);
}
