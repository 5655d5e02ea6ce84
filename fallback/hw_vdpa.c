// SPDX-License-Identifier: GPL-2.0-or-later
// Theory. DPDK owns both halves: a driver of class vdpa programs the NIC with the guest's rings, and
// librte_vhost speaks to QEMU and tells the driver when. We put them together, in this order, and take
// them apart in the reverse one:
//
//   check the kernel's side -> attach the device -> add the socket -> bind the device to it -> limit
//   the features -> name the callbacks -> listen -> grant the socket
//
// The socket goes before the device in any case: a peer's session uses the device until then.
// Removing the socket ends the session in our thread, with the callbacks, so it happens without the lock.
//
// A device may vanish: a person asks the kernel to unplug it (vfio waits for us to let go, and DPDK
// tells), or it is gone at once (sysfs shows it). Its port then loses the socket, so that QEMU takes
// the guest's link down, and the device goes back; the port keeps its name, and once a second it is
// tried whether the device can be had again. After a failure of DPDK itself, which writes to the log
// each time, the next attempt is made after twice the time, up to a minute.

#include "fallback/hw_vdpa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "fallback/hw_vdpa_state.h"
#include "vdpad/util/cleanup.h"

#define CHECK_US 1000000
#define CHECK_ACCURACY_US 100000
#define MAX_PAUSE_S 60
#define MIN_MTU 68
#define MAX_MTU 65535

#define BIT(n) (UINT64_C(1) << (n))
#define VHOST_USER_F_PROTOCOL_FEATURES 30 // vhost-user specification, "Protocol features"
#define VHOST_USER_PROTOCOL_F_MQ 0
#define TRANSPORT_FEATURES                                                           \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VHOST_F_LOG_ALL) | \
	 BIT(VHOST_USER_F_PROTOCOL_FEATURES))

// Devices

static struct hw_slot *find_slot(const struct hw_vdpa *hw, const char *address) {
	for (size_t i = 0; i < hw->n_slots; i++) {
		if (strcmp(hw->slots[i]->device.address, address) == 0)
			return hw->slots[i];
	}
	return NULL;
}

static int get_slot(
	struct hw_vdpa *hw, const char *address, struct hw_slot **ret_slot, struct error *e
) {
	struct hw_slot *slot = find_slot(hw, address);

	if (slot == NULL) {
		if (!hw_address_is_valid(address))
			return error_set(
				e, EINVAL, "'%s' is no PCI address such as 0000:3b:00.2", address
			);
		if (hw->n_slots == HW_MAX_DEVICES)
			return error_set(
				e, EPERM, "the switch knows %d devices already", HW_MAX_DEVICES
			);
		slot = calloc(1, sizeof(*slot));
		if (slot == NULL)
			return error_set(e, ENOMEM, "out of memory");
		str_copy(slot->device.address, sizeof(slot->device.address), address);
		slot->device.driver = "";
		hw_vdpa_lock();
		hw->slots[hw->n_slots++] = slot;
		hw_vdpa_unlock();
	}
	*ret_slot = slot;
	return 0;
}

// Forget the devices that nobody names any more.
static void drop_slots(struct hw_vdpa *hw) {
	size_t n = 0;

	hw_vdpa_lock();
	for (size_t i = 0; i < hw->n_slots; i++) {
		if (hw->slots[i]->configured || hw->slots[i]->port != NULL)
			hw->slots[n++] = hw->slots[i];
		else
			free(hw->slots[i]);
	}
	hw->n_slots = n;
	hw_vdpa_unlock();
}

int hw_vdpa_set_devices(struct hw_vdpa *hw, const char *list, struct error *e) {
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *address;
	struct hw_slot *slot;
	int result = 0, r;

	if (copy == NULL)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < hw->n_slots; i++)
		hw->slots[i]->configured = false;
	while ((address = strsep(&rest, ", ")) != NULL) {
		if (address[0] == '\0')
			continue;
		r = get_slot(hw, address, &slot, result < 0 ? NULL : e);
		if (r < 0)
			result = result < 0 ? result : r;
		else
			slot->configured = true;
	}
	drop_slots(hw);
	return result;
}

// Sockets

static void close_socket(struct hw_vdpa *hw, struct hw_port *port) {
	if (!port->listening)
		return;
	hw->env.ops->remove_socket(port->path); // without the lock, which its callbacks take
	hw_vdpa_lock();
	port->listening = false;
	port->has_peer = false;
	port->driver_runs = false;
	hw_vdpa_unlock();
}

// Bind with no rights for anybody else, then grant them.
static int listen_on(struct hw_vdpa *hw, struct hw_port *port, struct error *e) {
	mode_t mask = umask(0177);
	int r = hw->env.ops->start(port->path);

	umask(mask);
	if (r < 0)
		return error_set(e, EIO, "cannot listen on '%s'", port->path);
	return socket_path_grant(port->path, hw->socket_group, hw->socket_mode, e);
}

static int open_socket(struct hw_vdpa *hw, struct hw_port *port, struct error *e) {
	const struct hw_vdpa_ops *ops = hw->env.ops;
	int r;

	r = socket_path_clear(port->path, e);
	if (r < 0)
		return r;
	if (ops->add_socket(port->path) < 0)
		return error_set(e, EPERM, "librte_vhost does not accept another port");
	hw_vdpa_lock();
	port->listening = true;
	hw_vdpa_unlock();
	if (ops->attach(port->path, port->slot->device.vdpa) < 0 ||
	    ops->allow_features(port->path, port->spec.features | TRANSPORT_FEATURES) < 0 ||
	    ops->listen_to(port->path, &hw_vdpa_events) < 0)
		r = error_set(
			e, EIO, "librte_vhost does not put %s behind '%s'", port->spec.device,
			port->path
		);
	else
		r = listen_on(hw, port, e);
	if (r < 0)
		close_socket(hw, port);
	return r;
}

// Ports

static int check_limits(const struct hw_port *port, struct error *e) {
	const struct hw_limits *limits = &port->slot->device.limits;

	if (port->spec.queue_pairs > limits->queue_pairs)
		return error_set(
			e, EOPNOTSUPP, "%s has %u queue pairs, %u are asked for", port->spec.device,
			limits->queue_pairs, port->spec.queue_pairs
		);
	if (!(limits->features & BIT(VIRTIO_F_VERSION_1)))
		return error_set(e, EOPNOTSUPP, "%s does not offer virtio 1.0", port->spec.device);
	if (port->spec.queue_pairs > 1 &&
	    (!(limits->features & port->spec.features & BIT(VIRTIO_NET_F_MQ)) ||
	     !(limits->protocol_features & BIT(VHOST_USER_PROTOCOL_F_MQ))))
		return error_set(
			e, EOPNOTSUPP,
			"%s does not offer more than one queue pair (feature MQ) to this port",
			port->spec.device
		);
	return 0;
}

static int start_port(struct hw_vdpa *hw, struct hw_port *port, struct error *e) {
	struct hw_slot *slot = port->slot;
	int r;

	hw_vdpa_lock();
	slot->unplug_requested = false;
	hw_vdpa_unlock();
	r = hw_device_attach(&hw->env, &slot->device, e);
	if (r < 0)
		return r;
	r = check_limits(port, e);
	if (r >= 0)
		r = open_socket(hw, port, e);
	if (r < 0)
		hw_device_detach(&hw->env, &slot->device);
	return r;
}

static void stop_port(struct hw_vdpa *hw, struct hw_port *port) {
	close_socket(hw, port);
	hw_device_detach(&hw->env, &port->slot->device);
}

static void enter_port(struct hw_vdpa *hw, struct hw_port *port) {
	hw_vdpa_lock();
	port->slot->port = port;
	hw->ports[hw->n_ports++] = port;
	hw_vdpa_unlock();
	sd_event_source_set_time_relative(hw->timer, CHECK_US);
	sd_event_source_set_enabled(hw->timer, SD_EVENT_ONESHOT);
}

static void remove_port(struct hw_vdpa *hw, struct hw_port *port) {
	size_t index = 0;

	stop_port(hw, port);
	while (hw->ports[index] != port)
		index++;
	hw_vdpa_lock();
	hw->ports[index] = hw->ports[--hw->n_ports];
	port->slot->port = NULL;
	hw_vdpa_unlock();
	drop_slots(hw);
	if (hw->n_ports == 0)
		sd_event_source_set_enabled(hw->timer, SD_EVENT_OFF);
	free(port);
}

static struct hw_port *find_port(const struct hw_vdpa *hw, const char *name) {
	for (size_t i = 0; i < hw->n_ports; i++) {
		if (strcmp(hw->ports[i]->name, name) == 0)
			return hw->ports[i];
	}
	return NULL;
}

bool hw_vdpa_has_port(const struct hw_vdpa *hw, const char *name) {
	return find_port(hw, name) != NULL;
}

// The first key that differs, or NULL.
static const char *difference(const struct guest_port_spec *a, const struct guest_port_spec *b) {
	if (strcmp(a->device, b->device) != 0)
		return "device";
	if (strcmp(a->network, b->network) != 0)
		return "network";
	return guest_port_spec_fixed_difference(a, b);
}

static int check_spec(const char *name, const struct guest_port_spec *spec, struct error *e) {
	if (!port_name_is_valid(name))
		return error_set(e, EINVAL, "'%s' is no port name", name);
	if (!network_name_is_valid(spec->network))
		return error_set(e, EINVAL, "'%s' is no network name", spec->network);
	if (spec->path[0] != '/' || strlen(spec->path) >= SOCKET_PATH_SIZE)
		return error_set(
			e, EINVAL, "path '%s' is not absolute or longer than %d bytes", spec->path,
			SOCKET_PATH_SIZE - 1
		);
	if (spec->mtu_bytes < MIN_MTU || spec->mtu_bytes > MAX_MTU)
		return error_set(
			e, EINVAL, "mtu %u is not within %d to %d", spec->mtu_bytes, MIN_MTU,
			MAX_MTU
		);
	if (spec->queue_pairs == 0)
		return error_set(e, EINVAL, "queue_pairs is 0");
	if (spec->vlan != 0)
		return error_set(
			e, EOPNOTSUPP,
			"vlan %u: the switch does not see the frames of %s; set the VLAN of the "
			"function with ip link set PF vf N vlan %u, and none here",
			spec->vlan, spec->device, spec->vlan
		);
	if (!spec->link_up)
		return error_set(
			e, EOPNOTSUPP, "the link of %s cannot be set down by the switch",
			spec->device
		);
	return 0;
}

int hw_vdpa_set_port(
	struct hw_vdpa *hw, const char *name, const struct guest_port_spec *spec, struct error *e
) {
	struct hw_port *port = find_port(hw, name);
	struct hw_slot *slot;
	const char *key;
	int r;

	r = check_spec(name, spec, e);
	if (r < 0)
		return r;
	if (port != NULL) {
		key = difference(&port->spec, spec);
		if (key == NULL)
			return 0;
		return error_set(
			e, EEXIST, "port '%s' exists with another %s; delete it first", name, key
		);
	}
	r = get_slot(hw, spec->device, &slot, e);
	if (r < 0)
		return r;
	if (slot->port != NULL)
		return error_set(
			e, EEXIST, "%s is in use by port '%s'", spec->device, slot->port->name
		);
	port = calloc(1, sizeof(*port));
	if (port == NULL) {
		drop_slots(hw);
		return error_set(e, ENOMEM, "out of memory");
	}
	str_copy(port->name, sizeof(port->name), name);
	str_copy(port->network, sizeof(port->network), spec->network);
	str_copy(port->path, sizeof(port->path), spec->path);
	port->spec = *spec;
	port->spec.device = slot->device.address;
	port->spec.network = port->network;
	port->spec.path = port->path;
	port->slot = slot;
	enter_port(hw, port); // before the first peer may come
	r = start_port(hw, port, e);
	if (r < 0) {
		remove_port(hw, port);
		return r;
	}
	hw_vdpa_note_announced(port);
	return 0;
}

void hw_vdpa_del_port(struct hw_vdpa *hw, const char *name) {
	struct hw_port *port = find_port(hw, name);

	if (port != NULL)
		remove_port(hw, port);
}

// Devices that come and go

static bool is_lost(const struct hw_vdpa *hw, const struct hw_port *port) {
	bool unplug_requested;

	hw_vdpa_lock();
	unplug_requested = port->slot->unplug_requested;
	hw_vdpa_unlock();
	return unplug_requested || !hw_device_is_present(&hw->env, port->spec.device);
}

static void lose(struct hw_vdpa *hw, struct hw_port *port) {
	stop_port(hw, port);
	snprintf(port->reason, sizeof(port->reason), "%s was unplugged", port->spec.device);
	port->wait_s = 1;
	port->pause_s = 1;
}

static void try_again(struct hw_vdpa *hw, struct hw_port *port) {
	struct error e = {0};
	int r = start_port(hw, port, &e);

	if (r == 0) {
		port->reason[0] = '\0';
		return;
	}
	snprintf(port->reason, sizeof(port->reason), "%.*s", HW_DETAIL_SIZE - 1, e.text);
	if (r == -ENXIO) { // seen without DPDK
		port->wait_s = 1;
		return;
	}
	port->pause_s = port->pause_s * 2 < MAX_PAUSE_S ? port->pause_s * 2 : MAX_PAUSE_S;
	port->wait_s = port->pause_s;
}

static void check_port(struct hw_vdpa *hw, struct hw_port *port, bool second_passed) {
	if (port->listening) {
		if (is_lost(hw, port))
			lose(hw, port);
		return;
	}
	if (second_passed && --port->wait_s == 0)
		try_again(hw, port);
}

void hw_vdpa_check(struct hw_vdpa *hw, bool second_passed) {
	for (size_t i = 0; i < hw->n_ports; i++)
		check_port(hw, hw->ports[i], second_passed);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
	struct hw_vdpa *hw = userdata;

	(void)usec;
	hw_vdpa_check(hw, true);
	eventfd_write(hw->changed_fd, 1); // whoever waits looks whether anything differs
	sd_event_source_set_time_relative(source, CHECK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

// Life

int hw_vdpa_new(const struct hw_vdpa_config *config, struct hw_vdpa **ret_hw) {
	struct hw_vdpa *hw = calloc(1, sizeof(*hw));
	int r;

	if (hw == NULL)
		return -ENOMEM;
	hw->env = (struct hw_env){
		.ops = config->ops,
		.events = &hw_vdpa_events,
		.sys_dir = config->sys_dir,
		.dev_dir = config->dev_dir,
		.pci = config->pci,
	};
	hw->socket_group = (gid_t)-1;
	hw->socket_mode = 0600;
	hw->changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = hw->changed_fd < 0 ? -errno : 0;
	if (r >= 0)
		r = sd_event_add_time_relative(
			config->event, &hw->timer, CLOCK_MONOTONIC, CHECK_US, CHECK_ACCURACY_US,
			on_timer, hw
		);
	if (r >= 0)
		r = sd_event_source_set_enabled(hw->timer, SD_EVENT_OFF);
	if (r < 0) {
		hw_vdpa_free(hw);
		return r;
	}
	hw_vdpa_deliver_events_to(hw);
	*ret_hw = hw;
	return 0;
}

void hw_vdpa_free(struct hw_vdpa *hw) {
	if (hw == NULL)
		return;
	while (hw->n_ports > 0)
		remove_port(hw, hw->ports[hw->n_ports - 1]);
	hw_vdpa_deliver_events_to(NULL);
	for (size_t i = 0; i < hw->n_slots; i++)
		free(hw->slots[i]);
	sd_event_source_unref(hw->timer);
	close_keep_errno(hw->changed_fd);
	free(hw);
}

void hw_vdpa_set_socket_owner(struct hw_vdpa *hw, gid_t group, mode_t mode) {
	hw->socket_group = group;
	hw->socket_mode = mode;
}
