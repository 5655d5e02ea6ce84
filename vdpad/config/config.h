// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration: files -> struct config. Format and keys: vdpad.conf(5).
//
//	[defaults]            for ports that do not say otherwise
//	policy = auto
//	profile = fast-1
//	queue_pairs = 1
//
//	[limits]
//	ports = 512
//	queue_pairs = 64
//
//	[switch]
//	cpus = auto           # one worker per CPU in the list; auto: one worker, not pinned
//	memory_mb = 64
//	socket_group = kvm
//	socket_mode = 0660
//
//	[networks]
//	bridges = yes         # a network for each Linux bridge that no section names
//
//	[network fast0]
//	bridge = vmbr1        # default: the Linux bridge of the network's own name, if there is one
//	uplink = tap          # tap | none
//	mtu = 9000            # default: the bridge's, or 1500
//	ageing_s = 300
//
//	[pool fast]           # hardware that networks may use
//	networks = fast0 vmbr1
//	mgmtdevs = pci/0000:3b:00.2 auxiliary/mlx5_core.sf.*   # there already; shell patterns
//	pf = 0000:3b:00.0     # or: functions of this PF, made by vdpad ...
//	functions = sf        # ... sf: one for each port, on demand; vf: count of them, ahead
//	count = 8
//	pci = 0000:5e:00.2 0000:5e:00.3   # or: driven by DPDK's vDPA drivers (class = vdpa)
//	class = vdpa
//	limit = 16            # ports
//
//	[devices]             # of vDPA, /dev/vhost-vdpa-N
//	user = root           # who runs QEMU; the devices are that user's alone
//	[socket vpp0]         # of somebody else's vhost-user switch
//	path = /run/vpp/vm100.sock
//	network = fast0
//	mode = client         # what QEMU is: client (the other switch listens) | server

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vdpad/model/port.h"
#include "vdpad/util/error.h"
#include "vdpad/util/parse.h"

#define MTU_MIN 68   // IPv4's smallest; also the kernel's bound for VDPA_ATTR_DEV_NET_CFG_MTU
#define MTU_MAX 9000 // what the switch's buffers are sized for
#define MTU_DEFAULT 1500
#define AGEING_DEFAULT_S 300 // of MAC addresses, as a Linux bridge has it

enum uplink_kind {
	UPLINK_TAP,
	UPLINK_NONE,
};

struct network_config {
	char name[NETWORK_NAME_SIZE];
	char bridge[NETWORK_NAME_SIZE]; // "": see enum uplink_kind and networks_resolve()
	enum uplink_kind uplink;
	uint32_t mtu_bytes; // 0: the bridge's, or 1500
	uint32_t ageing_s;
};

enum pool_kind {
	POOL_MGMTDEVS, // management devices that somebody else made
	POOL_VF,       // of a PF, made ahead by us
	POOL_SF,       // of a PF, one for each port
	POOL_DPDK,     // functions for DPDK's vDPA drivers
};

#define POOL_MEMBERS_SIZE 512
#define PCI_ADDRESS_SIZE 16 // "0000:3b:00.2"
#define POOLS_MAX 32

struct pool_config {
	char name[POOL_NAME_SIZE];
	enum pool_kind kind;
	char networks[POOL_MEMBERS_SIZE]; // names, one space between them
	// Patterns of management devices for fnmatch(), or PCI addresses (POOL_DPDK); likewise.
	char members[POOL_MEMBERS_SIZE];
	char pf[PCI_ADDRESS_SIZE]; // POOL_VF, POOL_SF
	uint32_t count;            // POOL_VF
	uint32_t limit;            // ports; 0: none but the hardware's
};

struct socket_config {
	char name[PORT_NAME_SIZE];
	char network[NETWORK_NAME_SIZE];
	char path[PORT_PATH_SIZE];
	bool qemu_listens; // mode server
};

struct config {
	struct port_spec defaults; // name, network and MAC are empty
	struct {
		uint32_t ports;
		uint32_t queue_pairs;
	} limits;
	struct {
		char cpus[64];
		uint32_t memory_mb;
		char socket_group[33];
		uint32_t socket_mode;
	} fallback; // section [switch]
	struct {
		char user[33]; // owner of the device nodes of our ports
	} devices;
	bool networks_from_bridges;
	struct network_config *networks; // sorted by name
	size_t n_networks;
	struct pool_config *pools; // in the order of preference: as written
	size_t n_pools;
	struct socket_config *sockets; // sorted by name
	size_t n_sockets;
};

// The configuration without any file.
struct config *config_new(void);
void config_free(struct config *config);

// The section [pool @name] or [socket @name], or NULL.
const struct pool_config *config_find_pool(const struct config *config, const char *name);
const struct socket_config *config_find_socket(const struct config *config, const char *name);

// Read @path, then conf.d/*.conf beside it in the order of their names, then @cluster_path (may be
// NULL) over the defaults. A file that does not exist is an empty one. A network section may not
// appear twice, wherever. Each error names file, line, section and key, and what would be right.
// Returns 0 and a configuration owned by the caller, or -errno with @e filled.
int config_load(
	const char *path, const char *cluster_path, struct config **ret_config, struct error *e
);

// Read @text as the only file, called @name in errors.
int config_parse(const char *name, const char *text, struct config **ret_config, struct error *e);
