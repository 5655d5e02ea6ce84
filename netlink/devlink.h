// SPDX-License-Identifier: GPL-2.0-or-later
// devlink: what makes functions of a SmartNIC from which vDPA devices can be made. The e-switch mode, the
// ports of a device (its representors), subfunctions, the parameters that choose what a function
// becomes, reload, and rates.
//
// All return 0 or the kernel's -errno; the kernel's words are then in nl_socket_error_text(). A device that
// devlink does not know is -ENODEV.
//
// Source: include/uapi/linux/devlink.h, Documentation/networking/devlink/, Documentation/netlink/specs/
// devlink.yaml.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink/genl.h"
#include "netlink/nl_handle.h"

#define DEVLINK_NETDEV_NAME_SIZE 16
#define DEVLINK_PORTS_MAX 8192 // more ports of one device are -EOVERFLOW

enum devlink_mode {
	DEVLINK_MODE_LEGACY = 0,
	DEVLINK_MODE_SWITCHDEV = 1,
};

// When a parameter's value counts.
enum devlink_when {
	DEVLINK_NOW = 0,       // "runtime"
	DEVLINK_ON_RELOAD = 1, // "driverinit"
	DEVLINK_FOR_GOOD = 2,  // "permanent": in the device, after a reset
};

enum devlink_flavour {
	DEVLINK_PHYSICAL = 0,
	DEVLINK_PCI_PF = 3,
	DEVLINK_PCI_VF = 4,
	DEVLINK_PCI_SF = 7,
	DEVLINK_OTHER = UINT16_MAX,
};

// The function behind a port, as the e-switch sees it.
struct devlink_function {
	bool has_mac, has_state;
	struct mac_addr mac;
	bool is_active;   // has_state: we asked for it
	bool is_attached; // has_state: its driver's device exists
};

struct devlink_port {
	uint32_t index;
	enum devlink_flavour flavour;
	bool has_pf_number, has_vf_number, has_sf_number;
	uint16_t pf_number, vf_number;
	uint32_t sf_number;
	uint32_t controller_number;
	uint32_t ifindex; // of the representor; 0 for none
	char netdev_name[DEVLINK_NETDEV_NAME_SIZE];
	bool has_function;
	struct devlink_function function;
};

struct devlink_port_list {
	struct devlink_port *items;
	size_t n_items;
};

// What to change of a function.
struct devlink_function_spec {
	bool has_mac, has_state;
	struct mac_addr mac;
	bool is_active;
};

// Rates in bits a second, from the function towards the network. Not every driver has shares.
struct devlink_rate {
	bool has_share;
	uint64_t share_bps; // what it may have in any case
	uint64_t max_bps;   // 0 for no limit
};

extern const struct nl_family devlink_family;

// Returns 0, -ENOENT (a kernel without devlink) or another -errno.
int devlink_open(struct nl_socket **ret_nl);

int devlink_mode_get(
	struct nl_socket *nl, const struct nl_handle *handle, enum devlink_mode *ret_mode
);

// Blocks for as long as the driver takes: seconds. -EOPNOTSUPP: no e-switch; -EBUSY: VFs in use.
int devlink_mode_set(struct nl_socket *nl, const struct nl_handle *handle, enum devlink_mode mode);

// The ports of one device; the list is the caller's, to be freed with devlink_port_list_done().
int devlink_port_list(
	struct nl_socket *nl, const struct nl_handle *handle, struct devlink_port_list *ret_list
);
void devlink_port_list_done(struct devlink_port_list *list);
#define _cleanup_port_list_ _cleanup_(devlink_port_list_done)

int devlink_port_get(
	struct nl_socket *nl, const struct nl_handle *handle, uint32_t index,
	struct devlink_port *ret_port
);

// Make a subfunction of a PF in switchdev mode; it is inactive and has no MAC of ours. -EEXIST: the number
// is taken; -EOPNOTSUPP: no subfunctions here, or not in this mode; -ENOSPC: no more; -ENODATA: it is
// made, but the kernel did not say as what: look for it in the list. -ECANCELED: nl_socket_watch().
int devlink_sf_new(
	struct nl_socket *nl, const struct nl_handle *handle, uint16_t pf_number,
	uint32_t sf_number, struct devlink_port *ret_port
);

// -ENODEV: there is no such port; -EOPNOTSUPP: it is not one that was made with devlink_sf_new().
int devlink_port_del(struct nl_socket *nl, const struct nl_handle *handle, uint32_t index);

int devlink_function_set(
	struct nl_socket *nl, const struct nl_handle *handle, uint32_t index,
	const struct devlink_function_spec *spec
);

// A parameter that is on or off. -EINVAL: the device has none of this name; -EPROTO: it is not of that
// kind; -ENODATA: it has no value for @when.
int devlink_param_get(
	struct nl_socket *nl, const struct nl_handle *handle, const char *name,
	enum devlink_when when, bool *ret_value
);
int devlink_param_set(
	struct nl_socket *nl, const struct nl_handle *handle, const char *name,
	enum devlink_when when, bool value
);

// Have the driver start again with the parameters that count on reload. Takes its devices away for the time.
int devlink_reload(struct nl_socket *nl, const struct nl_handle *handle);

// Of the function behind a port. -EOPNOTSUPP: the driver or the mode cannot. Whole octets a second: what
// is set is rounded up.
int devlink_rate_get(
	struct nl_socket *nl, const struct nl_handle *handle, uint32_t index,
	struct devlink_rate *ret_rate
);
int devlink_rate_set(
	struct nl_socket *nl, const struct nl_handle *handle, uint32_t index,
	const struct devlink_rate *rate
);
