// SPDX-License-Identifier: GPL-2.0-or-later
// Ports in hardware: a NIC's function that only a vDPA driver of DPDK can drive, behind a vhost-user
// socket. The NIC moves the frames between the guest's memory and the wire. The switch has nothing to
// forward: such a port has no worker, no VLAN, no counters but the device's.
//
// Everything here runs in the main thread but what hw_vdpa.c says about callbacks. There is one of it
// in a process, as there is one librte_vhost. Errors are complete sentences for people; -ENXIO is a
// device that somebody must put right first.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "fallback/guest_port_spec.h"
#include "fallback/hw_device.h"
#include "fallback/socket_path.h"
#include "vdpad/util/error.h"
#include "vdpad/util/parse.h"

#define HW_MAX_DEVICES 64
#define HW_DETAIL_SIZE 256

struct hw_vdpa;

struct hw_vdpa_config {
	sd_event *event; // for the look at the devices, once a second while there are ports
	const struct hw_vdpa_ops *ops;
	const char *sys_dir; // "/sys"; these two outlive it
	const char *dev_dir; // "/dev"
	bool pci;            // see struct hw_env
};

// Strings live until the next change.
struct hw_port_view {
	const char *name;
	struct guest_port_spec spec;
	bool connected; // the guest's driver runs
	char detail[HW_DETAIL_SIZE];
	uint64_t connects;
};

struct hw_device_view {
	const char *address;
	const char *driver;          // DPDK's: "ifc", "mlx5"; "" as long as it cannot be used
	struct hw_limits limits;     // all 0 as long as they are not known
	const char *in_use_by;       // a port; "" for none
	char reason[HW_DETAIL_SIZE]; // why it cannot be used; "" if it can
};

// Only one at a time. -ENOMEM, or -EMFILE.
int hw_vdpa_new(const struct hw_vdpa_config *config, struct hw_vdpa **ret_hw);
void hw_vdpa_free(struct hw_vdpa *hw);

// Who owns new sockets and who may open them.
void hw_vdpa_set_socket_owner(struct hw_vdpa *hw, gid_t group, mode_t mode);

// The devices that may be asked for, as PCI addresses with commas or blanks between them. -EINVAL
// names what is no address, and the others are taken. One that has a port stays until the port goes.
int hw_vdpa_set_devices(struct hw_vdpa *hw, const char *list, struct error *e);

// Create: take the device from the kernel, then listen on the socket. The same port again is success,
// another one of that name -EEXIST: nothing of it can change. -EINVAL; -EEXIST for a device that has
// a port; -EOPNOTSUPP for what the device cannot do, a VLAN or a link that is down; -EPERM at a limit;
// see hw_device_attach() and socket_path_clear(). The device need not be one of hw_vdpa_set_devices().
int hw_vdpa_set_port(
	struct hw_vdpa *hw, const char *name, const struct guest_port_spec *spec, struct error *e
);
bool hw_vdpa_has_port(const struct hw_vdpa *hw, const char *name);
// Close the socket, which stops the device, then give the device back. Success without such a port.
void hw_vdpa_del_port(struct hw_vdpa *hw, const char *name);

// The @index-th; false behind the last one.
bool hw_vdpa_view_port(const struct hw_vdpa *hw, size_t index, struct hw_port_view *ret_view);
void hw_vdpa_read_counters(
	const struct hw_vdpa *hw, size_t index, hw_counter_fn each, void *userdata
);
// The configured devices. One whose limits are not known is attached for a moment to learn them.
bool hw_vdpa_view_device(struct hw_vdpa *hw, size_t index, struct hw_device_view *ret_view);

// Look at the devices: a port whose device vanished loses its socket, one whose device is back gets it
// again. Called when hw_vdpa_changed_fd() is readable and, by itself, when a second has passed.
void hw_vdpa_check(struct hw_vdpa *hw, bool second_passed);

// As switch_changed_fd() and switch_next_changed_port().
int hw_vdpa_changed_fd(const struct hw_vdpa *hw);
bool hw_vdpa_next_changed_port(struct hw_vdpa *hw, struct hw_port_view *ret_view);
