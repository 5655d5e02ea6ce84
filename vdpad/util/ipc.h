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
//    ShowPools(s name)                         -> a{sa{sv}}      "" means all
//    ShowMgmtdevs(s name)                      -> a{sa{sv}}      "" means all; what can make vDPA devices
//    ShowDevices(s name)                       -> a{sa{sv}}      "" means all; vDPA devices, anybody's
//    PlanPool(s name)                          -> a(ss)          what would be done to the pool's hardware
//    PlanPort(s name, a{sv} spec)              -> a(ss)          what AddPort would have done
//    Explain(a{sv} spec)                       -> a{sv}          what AddPort would do, and why
//    PreviewPort(s name, a{sv} spec)           -> a{sv} port     what AddPort would answer
//    Stats(s name)                             -> a{sa{sv}}      "" means all
//    Facts()                                   -> s              the node as seen now, JSON
//    Status()                                  -> a{sv}          the daemon and its workers
//    Reload()                                                    read the configuration again
//    signal PortChanged(s name, a{sv} port)
//
//    Values in spec are strings in vdpactl's words (`vlan 10`) or of the natural type.
//
//    What the dictionaries hold; a reader of these ignores keys that it does not know:
//    a port      name network mac policy profile link lifetime trunks socket s, mtu queue_pairs vlan u,
//                rate t (port_spec_keys); backend pool resource function state reason choice path s (""
//                for none), features generation t, qemu_listens b (on path; else it connects to it)
//    a network   name bridge uplink s, mtu ageing_s ports u, configured b, available b, reason s ("" if
//                it is available)
//    a pool      kind networks hardware reason s ("" if its hardware is there), count limit ports n_members
//                free u (limit 0: none; no free: as many as the hardware can make), members aa{sv}: name
//                driver port reason s (neither port nor reason: free)
//    a mgmtdev   driver takes features pf function pools s, devices max_queue_pairs u, one_device b
//    a device    mgmtdev driver node owner ("vdpad", or "" for somebody else's) port mac features s, mtu
//                queue_pairs max_vqs u, active (a guest's driver runs) parked (to be deleted) b
//    a step      what is done in words, and the message or the write behind it
//    Explain     the port_spec_keys as of a port, chosen s (a backend, "" if nothing can serve it),
//                capabilities as (words of vdpad/model/capability.h: what the chosen one can do for the port),
//                candidates aa{sv}: backend pool resource reason s, accepted b, against_policy b (the
//                policy excludes this backend, whatever the node has), capabilities as
//    Stats       of one port or uplink: as the switch's Stats() below
//    Status      version s, pid u, ports networks u, switch netlink vdpa s ("ready", or why it is not),
//                config_warnings as (what the configuration names and the node lacks)
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
//     memory_mb u, socket_group s ("" leaves the group alone), socket_mode u, devices s (optional: PCI
//     addresses with commas or blanks between them that ListHwVdpa shows; with none when the switch starts, DPDK
//     looks at no PCI device)
// Ready(a{sv} info)   the switch: workers u, hugepages b, max_queue_pairs u, max_mtu u, max_ports u,
//     capabilities s: what it can do for a port, of vlan,trunks,rate,link,network with commas between
//     them (absent: vlan,link); network: SetPort moves a port to another network
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
//     generation t, device s (optional: the PCI address of a device for a DPDK vDPA driver, such as
//     0000:3b:00.2; the port is then in hardware: vlan must be 0, link_up true, and frames do not pass
//     the switch). A changed network moves the port, whose peer notices nothing. A changed path,
//     queue_pairs, mtu, features, generation or device is EEXIST: delete first. A device that is not
//     ready is an error (EIO) whose text says what a person must do.
// DelPort(s name)                                  returns when the socket is gone; ENOENT is success
// List() -> a{sa{sv}} networks, a{sa{sv}} ports    networks: mtu, ageing_s, uplink s ("" for none)
//                                                  ports: as SetPort (device only of a port in
//                                                  hardware), connected b, detail s
// Stats() -> a{sa{sv}} ports                       network s, rx_packets rx_bytes tx_packets tx_bytes t,
//                                                  rx_drop_REASON t, tx_drop_REASON t, connects t;
//                                                  rx is into the switch (what the guest sent);
//                                                  an uplink appears under its interface name;
//                                                  a port in hardware: network s, connects t, and each
//                                                  counter of the device as hw_NAME t (all its rings)
//                                                  and hw_NAME_ringN t (one)
// ListHwVdpa() -> a{sa{sv}}                        by PCI address, the devices of Register: driver s (of
//                                                  DPDK: ifc, mlx5, nfp, sfc, other; "" if it cannot be
//                                                  used), max_queue_pairs u, features t (0: not known
//                                                  yet), in_use_by s (a port, or ""), reason s (why it
//                                                  cannot be used; "" if it can)
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
//
// Kernel vDPA. Operations of this family run in a thread of their own, because the kernel may hang them
// for as long as somebody has a device open that somebody else deletes. One that does not end in
// VDPA_DEADLINE_MS is answered with ETIMEDOUT and a sentence that names the device and its holder, as
// far as they can be found; so is each further one, at once, until it has ended. TAPs go on.
// Names of devices and management devices are as vdpa_name_print() shows them. Errors: EBUSY somebody has
// the device open (the sentence says who), ENOSPC no room for another one, EOPNOTSUPP a value that the
// driver or the kernel does not take, ETIMEDOUT as above, EPERM not ours, EIO anything else with the
// kernel's words.
//
// ListMgmtdevs() -> a{sa{sv}}   what can make network devices, by "BUS/DEV" or "DEV": driver s (of the
//     function, "" unknown), takes u (IPC_VDPA_TAKES_*), one_device b (its driver makes one at a time),
//     features t and max_vqs u (control ring included; 0: this kernel does not say),
//     pf s (PCI address of the PF that a VF or SF belongs to, else ""), function s ("vf3", "sf1000007" or "")
// ListVdpa() -> a{sa{sv}}       every vDPA device of the node: mgmtdev s ("" none), driver s ("vhost_vdpa",
//     "virtio_vdpa", ""), node s ("/dev/vhost-vdpa-3", "" none), virtio_id u, max_vqs u, uid u (of the node), parked b (out
//     of the way for a deletion); where the kernel says it: mac s, mtu u, queue_pairs u, features t,
//     active b (a guest's driver has negotiated)
// AddVdpa(s name, a{sv} spec) -> a{sv}   make, bind to vhost_vdpa, give the node to its user. spec: mgmtdev s, mac s ("": the
//     driver's own), mtu u, queue_pairs u, features t (0: the driver's default), uid u, gid u. A value that the
//     driver does not take is EOPNOTSUPP. One that is there on the same mgmtdev is success. The answer is as in ListVdpa(), as
//     the kernel reports it. A failure leaves nothing behind.
// DelVdpa(s name)               prove it closed, delete it; absent is success. EBUSY: its node stays parked
//     until DelVdpa() again or
// KeepVdpa(s name)              gives a parked node back
// OwnVdpa(s name, u uid, u gid) give the node (which a reboot or a new bind has made root's) to its user
// VdpaStats(s name) -> a{st}    the vendor's counters: "rx0_received_desc", "tx0_completed_desc", "ctrl_..."; {} without a driver in the guest
// signal VdpaChanged()          look again: a uevent of the bus, of a function that may be a management
//                               device, or events were lost
//
// Functions of a PF, in another thread of their own: firmware takes seconds. Errors are as above, and while
// vDPA hangs they are ETIMEDOUT at once. A step is a pair: what is done in words, and the netlink message or the write to sysfs
// behind it. With dry_run nothing is changed. FUNCTION is "vfN" or "sfN" (N the user's number of the subfunction).
// EnsureVfs(s pf, u count, b dry_run) -> a(ss) steps
//     As many VFs, bound to their driver, in switchdev mode where the device has an e-switch. VFs that are there in
//     another number are EBUSY: changing it takes all of them away.
// EnsureFunction(s pf, s function, a{sv} spec, b dry_run) -> s mgmtdev, s representor, a(ss) steps
//     Make it (SF) or find it (VF), give it its MAC, activate it, wait for its management device, put its
//     representor into the bridge. spec: mac s, mtu u, bridge s ("" none), vlan u (0 untagged), max_bps t (0 none).
// DelFunction(s pf, s function, b dry_run) -> a(ss) steps   the reverse; absent is success. A VF stays, its representor leaves the bridge.
// ListFunctions(s pf) -> a{sa{sv}}   by FUNCTION: mgmtdev s, representor s, mac s, active b
#define IPC_VDPA_TAKES_MAC (1U << 0)
#define IPC_VDPA_TAKES_MTU (1U << 1)
#define IPC_VDPA_TAKES_QUEUE_PAIRS (1U << 2)
#define IPC_VDPA_TAKES_FEATURES (1U << 3)
#define VDPA_DEADLINE_MS 2000
#define FUNCTION_DEADLINE_MS 20000 // EnsureVfs, EnsureFunction: firmware takes its time
#define IPC_NETLINK_PATH "/org/vdpad1/netlink"
#define IPC_NETLINK_IFACE "org.vdpad1.Netlink"

#define LINK_RETRY_MS 100         // a worker without vdpad tries again after this time
#define LINK_CALL_TIMEOUT_MS 5000 // no request to a worker may take longer, but for
// those that have FUNCTION_DEADLINE_MS: what the worker says at its deadline must come first
#define FUNCTION_CALL_TIMEOUT_MS (FUNCTION_DEADLINE_MS + 3000)

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

// What is done with the entry @name of a list: it has to read the a{sv} that @m has come to. Returns 0, or
// -errno with a sentence.
typedef int (*ipc_entry_fn)(sd_bus_message *m, const char *name, void *userdata, struct error *e);

// Read an a{sa{sv}} entry by entry. Returns 0, or -errno with a sentence: that of the first entry that
// failed, or -EPROTO.
int ipc_list_read(sd_bus_message *m, ipc_entry_fn entry, void *userdata, struct error *e);

// Append one entry to an open a{sv} container. Result as of sd_bus_message_append(). sd-bus refuses to go on with
// a message after a failure, also to close a container or to send it: so entries need no checks of their own.
int ipc_dict_add_s(sd_bus_message *m, const char *key, const char *value);
int ipc_dict_add_b(sd_bus_message *m, const char *key, bool value);
int ipc_dict_add_u(sd_bus_message *m, const char *key, uint32_t value);
int ipc_dict_add_t(sd_bus_message *m, const char *key, uint64_t value);

// Open and close one entry @name: a{sv} of an open a{sa{sv}}. Result as of sd_bus_message_append().
int ipc_entry_open(sd_bus_message *m, const char *name);
int ipc_entry_close(sd_bus_message *m);
