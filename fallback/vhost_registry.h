// SPDX-License-Identifier: GPL-2.0-or-later
// Which port a callback of librte_vhost is about: ports by their socket's path and by the number
// (vid) that the library gives to a peer. Safe from any thread; the lock is held for a look only.

#pragma once

#define VHOST_MAX_PEERS 1024 // RTE_MAX_VHOST_DEVICE

struct vhost_port;

// @path is borrowed until the port is removed. -ENOMEM.
int vhost_registry_add(const char *path, struct vhost_port *port);

// Forget the port and its peers.
void vhost_registry_remove(const struct vhost_port *port);

// Peer @vid has come to the socket at @path. Returns its port, or NULL when there is no such port
// or it has a peer already.
struct vhost_port *vhost_registry_join(const char *path, int vid);

// Peer @vid is gone.
void vhost_registry_leave(int vid);

// NULL when there is none.
struct vhost_port *vhost_registry_find(int vid);
