// SPDX-License-Identifier: GPL-2.0-or-later
// Everything that crosses a process boundary: bus names, object paths, interfaces, their methods and
// the keys of their dictionaries. Both sides of each boundary include this file and nothing else.
//
// Dictionaries are a{sv}. A reader refuses a key it does not know and names it in the error.
//
// There are two boundaries.
//
// 1. The public API, on the system bus: name org.vdpad1, object /org/vdpad1, interface
//    org.vdpad1.Manager; one object per port below /org/vdpad1/port (ObjectManager).
//
//    AddPort(s name, a{sv} spec, b may_exist)  -> a{sv} port     create; with may_exist, a port with
//                                                 the same specification is success
//    SetPort(s name, a{sv} changes)            -> a{sv} port
//    DelPort(s name, b may_not_exist)
//    ShowPorts(s name)                         -> a{sa{sv}}      "" means all
//    ShowNetworks(s name)                      -> a{sa{sv}}      "" means all
//    Explain(a{sv} spec)                       -> a{sv}          what AddPort would do, and why
//    Stats(s name)                             -> a{sa{sv}}      "" means all
//    Facts()                                   -> s              the node as seen now, JSON
//    Status()                                  -> a{sv}          the daemon and its workers
//    Reload()                                                    read the configuration again
//    signal PortChanged(s name, a{sv} port)
//
//    Values in spec are strings in vdpactl's words (`vlan 10`) or of the natural type.
//
//    What the dictionaries hold; a reader of these ignores keys that it does not know:
//    a port      name network mac policy profile link lifetime s, mtu queue_pairs vlan u (port_spec_keys);
//                backend state reason choice path s, features generation t
//    a network   name bridge uplink s, mtu ageing_s ports u, configured b, available b, reason s ("" if
//                it is available)
//    Explain     the port_spec_keys as of a port, chosen s (a backend, "" if nothing can serve it),
//                candidates aa{sv}: backend resource reason s, accepted b
//    Stats       of one port or uplink: as the switch's Stats() below
//    Status      version s, pid u, ports networks u, switch netlink s ("ready", or why it is not)
//
// 2. The private links to the two workers: peer-to-peer sd-bus over a unix socket in the run
//    directory. vdpad listens, a worker connects, calls Register() and, when it can work, Ready().
//    A worker that loses its link goes on working and connects again every LINK_RETRY_MS.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "vdpad/util/error.h"

#define IPC_BUS_NAME "org.vdpad1"
#define IPC_PATH "/org/vdpad1"
#define IPC_PORT_PATH_PREFIX "/org/vdpad1/port" // + "/" + sd_bus_path_encode()d name
#define IPC_MANAGER_IFACE "org.vdpad1.Manager"
#define IPC_PORT_IFACE "org.vdpad1.Port"

#define IPC_RUN_DIR "/run/vdpad"
#define IPC_STATE_DIR "/var/lib/vdpad"
#define IPC_PORT_DIR "port"             // below the run directory: NAME.sock, NAME.vdpa
#define IPC_SWITCH_LINK "switch.link"   // below the run directory: vdpad listens here
#define IPC_NETLINK_LINK "netlink.link" // below the run directory: vdpad listens here

// vdpad's end of a private link.
//
// Register(s kind, a{sv} info) -> a{sv} settings   kind "switch" or "netlink"; info: version s, pid u
//     settings for the switch: cpus s ("auto" or a list such as "2-3,6": one worker for each),
//     memory_mb u, socket_group s ("" leaves the group alone), socket_mode u
// Ready(a{sv} info)   the switch: workers u, hugepages b, max_queue_pairs u, max_mtu u, max_ports u
#define IPC_HUB_PATH "/org/vdpad1/hub"
#define IPC_HUB_IFACE "org.vdpad1.Hub"

// The switch's end.
//
// SetNetwork(s name, a{sv} {mtu u, ageing_s u})    create or change
// SetUplink(s network, s ifname, h tap)            a TAP opened with IFF_VNET_HDR, header of 12 bytes;
//                                                  replaces the one it has
// DelNetwork(s name)                               EBUSY while it has ports
// SetPort(s name, a{sv} spec)                      create or change; returns when the socket listens.
//     spec: network s, path s, mtu u, queue_pairs u, vlan u (0: untagged), link_up b, features t
//     (virtio feature bits that may be offered, in addition to what the transport needs),
//     generation t. A changed network, path, queue_pairs, mtu, features or generation is EEXIST: delete first.
// DelPort(s name)                                  returns when the socket is gone; ENOENT is success
// List() -> a{sa{sv}} networks, a{sa{sv}} ports    networks: mtu, ageing_s, uplink s ("" for none)
//                                                  ports: as SetPort, connected b, detail s
// Stats() -> a{sa{sv}} ports                       network s, rx_packets rx_bytes tx_packets tx_bytes t,
//                                                  rx_drop_REASON t, tx_drop_REASON t, connects t;
//                                                  rx is into the switch (what the guest sent);
//                                                  an uplink appears under its interface name
// signal PortChanged(s name, t generation, b connected, s detail)
#define IPC_SWITCH_PATH "/org/vdpad1/switch"
#define IPC_SWITCH_IFACE "org.vdpad1.Switch"

// vdpad-netlink's end: one operation at a time.
//
// OpenTap(s ifname, a{sv} {network s, bridge s, mtu u}) -> h tap
//     Create or attach to a persistent TAP of ours (interface alias "vdpad NETWORK"), set its MTU, put it
//     into the Linux bridge ("" for none) with all VLANs allowed where the bridge filters, bring it up.
// DelTap(s ifname)            EPERM for an interface that is not ours; ENODEV is success
// ListTaps() -> a{sa{sv}}     ours: network s, bridge s, mtu u
#define IPC_NETLINK_PATH "/org/vdpad1/netlink"
#define IPC_NETLINK_IFACE "org.vdpad1.Netlink"

#define LINK_RETRY_MS 100         // a worker without vdpad tries again after this time
#define LINK_CALL_TIMEOUT_MS 5000 // no request to a worker may take longer

// A worker's link to vdpad at @path, attached to @event. Returns 0 and a started bus connection owned
// by the caller, or -errno (-ENOENT and -ECONNREFUSED: nobody listens, try again later).
int link_connect(const char *path, sd_event *event, sd_bus **ret_link);

// vdpad's side: turn an accepted connection (@fd is consumed in any case) into a started bus.
int link_accept(int fd, sd_event *event, sd_bus **ret_link);

// One key of an a{sv} and where its value goes.
struct ipc_field {
	const char *key;
	char type; // D-Bus: 's' (const char *, borrowed from the message), 'b' (bool), 'u' (uint32_t), 't' (uint64_t)
	size_t offset; // of the member in the struct
	bool required;
};

// Read an a{sv} strictly: every key must be in @fields with the right type and at most once, every
// required one must be there. Members of absent keys are left alone. Strings live as long as @m.
// Returns 0, or -EINVAL with the key named in @e.
int ipc_dict_read(
	sd_bus_message *m, const struct ipc_field *fields, size_t n_fields, void *dst,
	struct error *e
);

// Append one entry to an open a{sv} container. Result as of sd_bus_message_append().
int ipc_dict_add_s(sd_bus_message *m, const char *key, const char *value);
int ipc_dict_add_b(sd_bus_message *m, const char *key, bool value);
int ipc_dict_add_u(sd_bus_message *m, const char *key, uint32_t value);
int ipc_dict_add_t(sd_bus_message *m, const char *key, uint64_t value);
