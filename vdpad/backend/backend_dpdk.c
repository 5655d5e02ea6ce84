// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/backend_dpdk.h"

#include <errno.h>
#include <stdlib.h>

#include "vdpad/util/cleanup.h"

struct backend_dpdk {
	struct backend base;
	struct backend_switch *fallback;
};

static int prepare(
	struct backend *backend, const struct candidate *candidate, struct port *port,
	struct error *e
) {
	(void)backend;
	(void)e;
	return str_copy(port->resource, sizeof(port->resource), candidate->resource);
}

static void create(
	struct backend *backend, struct port *port, const struct network *network,
	backend_done_fn done, void *userdata
) {
	(void)network;
	backend_switch_make_port(((struct backend_dpdk *)backend)->fallback, port, done, userdata);
}

static void change(
	struct backend *backend, const struct port *port, backend_done_fn done, void *userdata
) {
	struct error e;

	(void)backend;
	error_set(
		&e, EPERM,
		"neither VLAN nor link of %s can be changed: its frames do not pass the switch",
		port->resource
	);
	done(userdata, &e);
}

static void delete (
	struct backend *backend, const struct port *port, backend_done_fn done, void *userdata
) {
	struct backend *fallback = backend_switch_base(((struct backend_dpdk *)backend)->fallback);

	fallback->ops->delete (fallback, port, done, userdata);
}

static const struct backend_ops ops = {
	.path_suffix = ".sock",
	.prepare = prepare,
	.create = create,
	.change = change,
	.delete = delete,
};

int backend_dpdk_new(struct backend_switch *fallback, struct backend_dpdk **ret_backend) {
	struct backend_dpdk *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	b->base.ops = &ops;
	b->fallback = fallback;
	*ret_backend = b;
	return 0;
}

void backend_dpdk_free(struct backend_dpdk *b) {
	free(b);
}

struct backend *backend_dpdk_base(struct backend_dpdk *b) {
	return &b->base;
}
