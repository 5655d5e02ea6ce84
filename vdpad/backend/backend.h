// SPDX-License-Identifier: GPL-2.0-or-later
// What serves ports. Each backend makes, changes and deletes ports through a worker, without ever
// blocking: a request ends in one call of its function, possibly at once.

#pragma once

#include "vdpad/model/decide.h"
#include "vdpad/model/network.h"
#include "vdpad/model/port.h"
#include "vdpad/util/error.h"

// @e is NULL on success, and borrowed.
typedef void (*backend_done_fn)(void *userdata, const struct error *e);

struct backend;

// @port lives until the request ends; @network is copied. A failed create leaves nothing behind that
// the backend could still remove.
struct backend_ops {
	const char *path_suffix; // of what QEMU opens: RUN_DIR/port/NAME and this
	// Fill in what a port made by @candidate will use, before the intent is written. May be NULL.
	int (*prepare
	)(struct backend *backend, const struct candidate *candidate, struct port *port,
	  struct error *e);
	// The port's socket or device is there when it ends. The backend may set what only then is known:
	// the MAC address if it was not asked for, resource and function.
	void (*create
	)(struct backend *backend, struct port *port, const struct network *network,
	  backend_done_fn done, void *userdata);
	// VLAN and link are as in @port when it ends.
	void (*change
	)(struct backend *backend, const struct port *port, backend_done_fn done, void *userdata);
	// The port, in use as it may be, is on @network, with VLAN and link as in @port, when it ends. If
	// that fails it is where it was. NULL where no port has CAPABILITY_NETWORK.
	void (*move
	)(struct backend *backend, const struct port *port, const struct network *network,
	  backend_done_fn done, void *userdata);
	// Success as well when the port is not there. -EBUSY: not while somebody uses it, whom the error names;
	// it is to be tried again.
	void (*delete
	)(struct backend *backend, const struct port *port, backend_done_fn done, void *userdata);
	// No port of this backend uses @network any more. May be NULL.
	void (*release_network)(struct backend *backend, const char *network);
};

// The first member of each backend's own struct.
struct backend {
	const struct backend_ops *ops;
};
