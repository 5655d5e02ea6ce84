// SPDX-License-Identifier: GPL-2.0-or-later
// A port: one NIC of a virtual machine on a network. What was asked for (the specification), what
// serves it (the lease) and how it stands (state and reason).

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vdpad/model/profile.h"
#include "vdpad/model/trunks.h"
#include "vdpad/util/error.h"
#include "vdpad/util/mac_addr.h"
#include "vdpad/util/parse.h"

#define PORT_PATH_SIZE 108          // sun_path
#define PORT_REASON_SIZE 256        // one sentence
#define PORT_CHOICE_SIZE 768        // one for each backend
#define PORT_RESOURCE_SIZE 64       // "pci/0000:3b:00.2", "auxiliary/mlx5_core.sf.4"
#define PORT_FUNCTION_SIZE 32       // "0000:3b:00.0/sf1000007"
#define PORT_VALUE_SIZE TRUNKS_SIZE // of any key's value as text; trunks are the longest
#define POOL_NAME_SIZE 32

// Which backends a port may get.
enum policy {
	POLICY_AUTO, // hardware, else software
	POLICY_HARDWARE,
	POLICY_SOFTWARE,
	POLICY_VDPA,      // only this backend
	POLICY_DPDK_VDPA, // only this backend
	POLICY_SWITCH,    // only this backend
	POLICY_EXTERNAL,  // only this backend
};

enum backend_kind {
	BACKEND_NONE,
	BACKEND_VDPA,
	BACKEND_DPDK_VDPA,
	BACKEND_SWITCH,
	BACKEND_EXTERNAL, // a socket of another switch, named in the configuration
};

enum port_state {
	PORT_CREATING,
	PORT_READY,     // the socket listens or the device exists; no VM is attached
	PORT_CONNECTED, // a VM is attached and its driver runs
	PORT_DEGRADED,  // what serves it is lost; it returns by itself
	PORT_DELETING,
	PORT_FAILED,
};

// Keys of a specification, as bits: which ones were set by a request.
enum {
	PORT_KEY_NETWORK = 1 << 0,
	PORT_KEY_MAC = 1 << 1,
	PORT_KEY_MTU = 1 << 2,
	PORT_KEY_QUEUE_PAIRS = 1 << 3,
	PORT_KEY_VLAN = 1 << 4,
	PORT_KEY_POLICY = 1 << 5,
	PORT_KEY_PROFILE = 1 << 6,
	PORT_KEY_LINK = 1 << 7,
	PORT_KEY_LIFETIME = 1 << 8,
	PORT_KEY_TRUNKS = 1 << 9,
	PORT_KEY_RATE = 1 << 10,
	PORT_KEY_SOCKET = 1 << 11,
};
#define PORT_KEYS_CHANGEABLE                                                                  \
	(PORT_KEY_NETWORK | PORT_KEY_VLAN | PORT_KEY_TRUNKS | PORT_KEY_RATE | PORT_KEY_LINK | \
	 PORT_KEY_LIFETIME)

struct port_spec {
	uint32_t keys; // PORT_KEY_*: set explicitly, not by a default
	char name[PORT_NAME_SIZE];
	char network[NETWORK_NAME_SIZE];
	struct mac_addr mac; // all zero: to be made from the node's identity and the name
	uint32_t mtu_bytes;  // 0: the network's
	uint32_t queue_pairs;
	uint32_t vlan; // 0: untagged; else 1 to 4094
	char trunks
		[TRUNKS_SIZE]; // VLANs that pass tagged, as trunks_normalize() has them; "": none
	uint64_t rate_bps;     // limit each way; 0: none
	char socket
		[PORT_NAME_SIZE]; // of another switch, by its name in the configuration; "": none
	enum policy policy;
	char profile[PROFILE_NAME_SIZE];
	bool link_up;
	bool persistent; // survives a reboot of the node
};

struct port {
	struct port_spec spec;
	enum backend_kind backend;
	uint64_t generation;       // of the lease; never used twice on a node
	char pool[POOL_NAME_SIZE]; // that the hardware is from; "" for none
	char resource
		[PORT_RESOURCE_SIZE]; // what serves it: a management device, a PCI function; "" otherwise
	char function
		[PORT_FUNCTION_SIZE];  // of a PF, made or set up for it: PF/FUNCTION; "" for none
	uint64_t features;             // that the hardware offers the guest; 0: the profile's
	char path[PORT_PATH_SIZE];     // what QEMU opens
	bool qemu_listens;             // on path, and what serves the port connects
	char choice[PORT_CHOICE_SIZE]; // why this backend, and why not a better one
	enum port_state state;
	char reason[PORT_REASON_SIZE]; // why it is in this state
};

// Set one key of @spec from text as `vdpactl port add` takes it ("vlan" "10"), and its bit in keys.
// Returns 0, or -EINVAL with a sentence that names the key, the value and what would be right.
// This is the only parser of port keys: vdpactl's, the bus API's and the configuration's.
int port_spec_set(struct port_spec *spec, const char *key, const char *value, struct error *e);

// The value of @key as port_spec_set() takes it, into @text. -EINVAL for an unknown key.
int port_spec_get(const struct port_spec *spec, const char *key, char *text, size_t size);

// All keys in the order in which help and output show them, ending with NULL; help text of a key.
extern const char *const port_spec_keys[];
const char *port_spec_key_help(const char *key);

// PORT_KEY_* of @key; 0 for an unknown one.
uint32_t port_spec_key_bit(const char *key);

// Take each key that @spec does not set itself from @defaults. A socket asks for policy external.
void port_spec_fill(struct port_spec *spec, const struct port_spec *defaults);

// A repeated request is the same if each key that it sets has the value that the port has. Returns
// NULL if so, else the first key that differs (static storage).
const char *port_spec_difference(const struct port_spec *request, const struct port_spec *existing);

// The lease has its generation: fill in what is called after it. A subfunction that is to be made for
// the port, "PF/sf", becomes "PF/sf1000007".
#define PORT_SF_BASE 1000000 // numbers of subfunctions from here on are vdpad's
void port_complete(struct port *port);

// The virtio features that a guest may be offered on it: its own, else those of its profile.
uint64_t port_features(const struct port *port);

const char *policy_name(enum policy policy);
int policy_parse(const char *name, enum policy *ret_policy);
const char *backend_name(enum backend_kind backend
); // "none", "vdpa", "dpdk-vdpa", "switch", "external"
int backend_parse(const char *name, enum backend_kind *ret_backend);
const char *port_state_name(enum port_state state);
