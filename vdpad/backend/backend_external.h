// SPDX-License-Identifier: GPL-2.0-or-later
// Ports on sockets of somebody else's vhost-user switch: VPP, Open vSwitch with DPDK, or any other.
//
// The administrator names each socket in the configuration (vdpad.conf(5), [socket NAME]). vdpad hands
// it out and watches it. It never connects to it, never makes nor removes it, and tells the other
// switch nothing: VLAN, rate, trunks and link of such a port are the other switch's matter, so none of
// these capabilities is offered.
//
//   mode client: the other switch listens, QEMU connects. QEMU gets the stable path
//       RUN_DIR/port/NAME.sock, a link to the socket. A port is made only while somebody listens and
//       nobody who is no port of ours is connected, because QEMU would wait for ever. ready: somebody
//       listens; connected: and a VM is attached; degraded: nobody listens. QEMU connects again by
//       itself.
//   mode server: QEMU listens on the socket's own path, the other switch connects, again if it was
//       restarted. ready: no VM is attached; connected: the other switch has connected to QEMU;
//       degraded: QEMU waits for it.
//
// A listener that comes is seen by inotify on the socket's folder, one that goes (it may be killed and
// leave its socket behind) by a look at the kernel's table every WATCH_INTERVAL_MS while there are such
// ports.

#pragma once

#include "vdpad/backend/backend.h"
#include "vdpad/model/facts.h"

struct daemon;
struct external;

// @d is borrowed; its event loop, configuration and ports are there. Returns 0 or -errno.
int external_new(struct daemon *d, struct external **ret_external);
void external_free(struct external *external);
struct backend *external_base(struct external *external);

// The configuration was read or read again, or the ports were loaded: watch what it names.
void external_configure(struct external *external);

// What the sockets of the configuration are doing now, into @facts.
void external_describe(const struct daemon *d, struct facts *facts);
