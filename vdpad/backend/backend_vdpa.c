// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/backend_vdpa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vdpad/backend/vdpa_node.h"
#include "vdpad/daemon.h"
#include "vdpad/model/vdpa_fit.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

struct backend_vdpa {
	struct backend base;
	struct daemon *d;
	struct vdpa_calls *calls; // the daemon's
	struct vdpa_owner owner;
};

// One request of the daemon on a port.
struct request {
	struct backend_vdpa *backend;
	struct port *port;       // of a creation
	const struct port *seen; // the same, or of anything else
	struct network network;
	char mgmtdev[PORT_RESOURCE_SIZE]; // what serves the port
	struct vdpa_fit fit;              // what is asked of it
	uint32_t uid, gid;
	bool has_function; // made or set up by this creation
	struct error failure;
	backend_done_fn done;
	void *userdata;
};

static void request_end(struct request *request, const struct error *e) {
	backend_done_fn done = request->done;
	void *userdata = request->userdata;
	struct error copy; // it may be the request's own

	if (e != NULL)
		copy = *e;
	free(request);
	done(userdata, e != NULL ? &copy : NULL);
}

static struct request *request_new(
	struct backend_vdpa *b, const struct port *port, backend_done_fn done, void *userdata
) {
	struct request *request = calloc(1, sizeof(*request));
	struct error e;

	if (request == NULL) {
		error_set(&e, ENOMEM, "out of memory");
		done(userdata, &e);
		return NULL;
	}
	*request = (struct request){
		.backend = b,
		.seen = port,
		.done = done,
		.userdata = userdata,
	};
	return request;
}

static void call(
	struct request *request, const char *member, vdpa_fill_fn fill, uint32_t timeout_ms,
	hub_reply_fn done
) {
	vdpa_calls_add(request->backend->calls, member, fill, timeout_ms, done, request);
}

static void on_done(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)reply;
	request_end(userdata, e);
}

static int fill_name(void *userdata, sd_bus_message *m) {
	const struct request *request = userdata;
	char name[VDPA_DEVICE_NAME_SIZE];

	vdpa_device_name(request->seen->generation, name);
	return sd_bus_message_append(m, "s", name);
}

// "0000:3b:00.0/sf1000007" in its two parts; false when the port has no function.
static bool split_function(
	const struct port *port, char pf[static PORT_FUNCTION_SIZE], const char **ret_function
) {
	const char *slash = strchr(port->function, '/');

	if (slash == NULL)
		return false;
	memcpy(pf, port->function, (size_t)(slash - port->function));
	pf[slash - port->function] = '\0';
	*ret_function = slash + 1;
	return true;
}

static bool is_on_subfunction(const struct port *port) {
	return strstr(port->function, "/sf") != NULL;
}

int backend_vdpa_owner(
	struct backend_vdpa *b, uint32_t *ret_uid, uint32_t *ret_gid, struct error *e
) {
	int r = vdpa_owner_find(&b->owner, b->d->config, e);

	if (r < 0)
		return r;
	*ret_uid = b->owner.uid;
	*ret_gid = b->owner.gid;
	return 0;
}

// Creating

// What a port of the pool will use is known before it is made, so that a crash in between leaves
// nothing that the store does not name.
static int prepare(
	struct backend *backend, const struct candidate *candidate, struct port *port,
	struct error *e
) {
	const struct backend_vdpa *b = (struct backend_vdpa *)backend;
	const struct pool_config *pool = config_find_pool(b->d->config, candidate->pool);
	const struct vdpa_report *report = vdpa_view_report(b->d->vdpa_view);
	const struct mgmtdev_facts *mgmtdev =
		report != NULL ? vdpa_report_find_mgmtdev(report, candidate->resource) : NULL;

	str_copy(port->resource, sizeof(port->resource), candidate->resource);
	if (pool != NULL && pool->kind == POOL_SF) {
		snprintf(port->function, sizeof(port->function), "%s/sf", pool->pf);
	} else if (pool != NULL && pool->kind == POOL_VF) {
		if (mgmtdev == NULL || mgmtdev->function[0] == '\0')
			return error_set(
				e, EIO, "%s is no virtual function any more", candidate->resource
			);
		snprintf(
			port->function, sizeof(port->function), "%s/%s", mgmtdev->pf,
			mgmtdev->function
		);
	}
	return 0;
}

static void on_function_deleted(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;

	(void)reply;
	if (e != NULL) {
		log_warn("cannot give back function %s: %s", request->seen->function, e->text);
		vdpa_functions_look(request->backend->d);
	}
	request_end(request, &request->failure);
}

static int fill_del_function(void *userdata, sd_bus_message *m) {
	const struct request *request = userdata;
	char pf[PORT_FUNCTION_SIZE];
	const char *function;

	if (!split_function(request->seen, pf, &function))
		return -EINVAL;
	return sd_bus_message_append(m, "ssb", pf, function, 0);
}

static void undo(struct request *request, const struct error *e) {
	request->failure = *e;
	if (request->has_function)
		call(request, "DelFunction", fill_del_function, FUNCTION_CALL_TIMEOUT_MS,
		     on_function_deleted);
	else
		request_end(request, &request->failure);
}

static void on_device_undone(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;
	struct error failure = request->failure;

	(void)reply;
	if (e != NULL) // reconcile deletes it by its name
		log_warn("cannot delete the vDPA device of a port: %s", e->text);
	undo(request, &failure);
}

static int fill_add(void *userdata, sd_bus_message *m) {
	const struct request *request = userdata;
	const struct vdpa_fit *fit = &request->fit;
	char name[VDPA_DEVICE_NAME_SIZE], mac[MAC_TEXT_SIZE] = "";

	vdpa_device_name(request->seen->generation, name);
	if (fit->sends_mac)
		mac_addr_format(&request->seen->spec.mac, mac);
	return sd_bus_message_append(
		m, "sa{sv}", name, 7, "mgmtdev", "s", request->mgmtdev, "mac", "s", mac, "mtu", "u",
		fit->mtu_bytes, "queue_pairs", "u", fit->queue_pairs, "features", "t",
		fit->features, "uid", "u", request->uid, "gid", "u", request->gid
	);
}

// What the kernel made, into the port.
static int take_over(struct request *request, sd_bus_message *reply, struct error *e) {
	struct port *port = request->port;
	struct reported_vdpa device;
	char name[VDPA_DEVICE_NAME_SIZE];
	int r;

	vdpa_device_name(port->generation, name);
	r = vdpa_report_read_device(reply, name, &device, e);
	if (r == 0 && device.node[0] == '\0')
		r = error_set(e, EIO, "device %s has no node that QEMU could open", name);
	if (r < 0)
		return r;
	if (device.has_mac && !mac_addr_is_zero(&device.mac) &&
	    (port->spec.keys & PORT_KEY_MAC) == 0)
		port->spec.mac = device.mac;
	port->features = request->fit.features;
	str_copy(port->resource, sizeof(port->resource), request->mgmtdev);
	return vdpa_link_set(port, device.node, e);
}

static void on_added(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;

	if (e != NULL) {
		undo(request, e);
		return;
	}
	if (take_over(request, reply, &request->failure) < 0)
		call(request, "DelVdpa", fill_name, LINK_CALL_TIMEOUT_MS, on_device_undone);
	else
		request_end(request, NULL);
}

// With what is known of the management device @name, add the device.
static void add_on(struct request *request, const struct vdpa_report *report, const char *name) {
	const struct mgmtdev_facts *mgmtdev = vdpa_report_find_mgmtdev(report, name);
	const struct port *port = request->seen;
	char reason[PORT_REASON_SIZE];
	struct error e;

	if (mgmtdev == NULL) {
		error_set(&e, EIO, "there is no management device %s", name);
	} else if (!vdpa_fits(mgmtdev, &port->spec, request->has_function, &request->fit, reason)) {
		error_set(&e, EOPNOTSUPP, "%s", reason);
	} else {
		if (port->features != 0) // as decided, and as it was before
			request->fit.features = port->features;
		str_copy(request->mgmtdev, sizeof(request->mgmtdev), mgmtdev->name);
		call(request, "AddVdpa", fill_add, LINK_CALL_TIMEOUT_MS, on_added);
		return;
	}
	undo(request, &e);
}

// What the function that was just made can do.
static void on_mgmtdevs(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;
	struct vdpa_report report = {0};
	struct error unread;

	if (e == NULL && vdpa_report_read_mgmtdevs(reply, &report, &unread) < 0)
		e = &unread;
	if (e != NULL)
		undo(request, e);
	else
		add_on(request, &report, request->mgmtdev);
	vdpa_report_done(&report);
}

static void on_function(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;
	struct error unread;
	const char *name;

	// A failure has undone itself, and a VF that was refused may be somebody else's.
	request->has_function = e == NULL || is_on_subfunction(request->seen);
	if (e != NULL) {
		undo(request, e);
		return;
	}
	if (sd_bus_message_read_basic(reply, 's', &name) <= 0 ||
	    str_copy(request->mgmtdev, sizeof(request->mgmtdev), name) < 0) {
		error_set(&unread, EPROTO, "the answer of EnsureFunction is not understood");
		undo(request, &unread);
		return;
	}
	call(request, "ListMgmtdevs", NULL, LINK_CALL_TIMEOUT_MS, on_mgmtdevs);
}

static int fill_function(void *userdata, sd_bus_message *m) {
	const struct request *request = userdata;
	const struct port_spec *spec = &request->seen->spec;
	char pf[PORT_FUNCTION_SIZE], mac[MAC_TEXT_SIZE];
	const char *function;

	if (!split_function(request->seen, pf, &function))
		return -EINVAL;
	return sd_bus_message_append(
		m, "ssa{sv}b", pf, function, 5, "mac", "s", mac_addr_format(&spec->mac, mac), "mtu",
		"u", spec->mtu_bytes, "bridge", "s", request->network.bridge, "vlan", "u",
		spec->vlan, "max_bps", "t", UINT64_C(0), 0
	);
}

static void create(
	struct backend *backend, struct port *port, const struct network *network,
	backend_done_fn done, void *userdata
) {
	struct backend_vdpa *b = (struct backend_vdpa *)backend;
	const struct vdpa_report *report = vdpa_view_report(b->d->vdpa_view);
	struct request *request = request_new(b, port, done, userdata);
	struct error e;

	if (request == NULL)
		return;
	request->port = port;
	request->network = *network;
	if (backend_vdpa_owner(b, &request->uid, &request->gid, &e) < 0) {
		request_end(request, &e);
	} else if (port->function[0] != '\0') {
		call(request, "EnsureFunction", fill_function, FUNCTION_CALL_TIMEOUT_MS,
		     on_function);
	} else if (report != NULL) {
		add_on(request, report, port->resource);
	} else {
		error_set(&e, EHOSTDOWN, "vdpad-netlink has not said what this node has");
		request_end(request, &e);
	}
}

// Changing

static void change(
	struct backend *backend, const struct port *port, backend_done_fn done, void *userdata
) {
	struct backend_vdpa *b = (struct backend_vdpa *)backend;
	struct request *request;
	struct error e;

	if (!port->spec.link_up)
		error_set(
			&e, EPERM,
			"the link of a vDPA device cannot be taken down: unplug the VM's NIC "
			"instead"
		);
	else if (port->function[0] == '\0')
		error_set(
			&e, EPERM,
			"%s has no representor on this node, so no VLAN can be put on it: give the "
			"port a VLAN of its own by a pool with `pf`, or put it on the switch",
			port->resource
		);
	else
		e.code = 0;
	if (e.code != 0) {
		done(userdata, &e);
		return;
	}
	request = request_new(b, port, done, userdata);
	if (request == NULL)
		return;
	if (daemon_network_of_port(b->d, port->spec.network, &request->network) < 0) {
		error_set(&e, EIO, "network '%s' is not known any more", port->spec.network);
		request_end(request, &e);
		return;
	}
	call(request, "EnsureFunction", fill_function, FUNCTION_CALL_TIMEOUT_MS, on_done);
}

// Deleting

static void on_deleted(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct request *request = userdata;
	char name[VDPA_DEVICE_NAME_SIZE];

	if (e == NULL) {
		vdpa_device_name(request->seen->generation, name);
		vdpa_view_forget(request->backend->d->vdpa_view, name);
	}
	if (e != NULL || request->seen->function[0] == '\0')
		on_done(request, reply, e);
	else
		call(request, "DelFunction", fill_del_function, FUNCTION_CALL_TIMEOUT_MS, on_done);
}

static void delete (
	struct backend *backend, const struct port *port, backend_done_fn done, void *userdata
) {
	struct request *request = request_new((struct backend_vdpa *)backend, port, done, userdata);

	if (request == NULL)
		return;
	// First, as the node's number is soon another port's.
	(void)unlink(port->path);
	call(request, "DelVdpa", fill_name, LINK_CALL_TIMEOUT_MS, on_deleted);
}

// Steps of reconcile

static int fill_own(void *userdata, sd_bus_message *m) {
	const struct request *request = userdata;
	int r = fill_name(userdata, m);

	return r < 0 ? r : sd_bus_message_append(m, "uu", request->uid, request->gid);
}

void backend_vdpa_own(
	struct backend_vdpa *b, const struct port *port, backend_done_fn done, void *userdata
) {
	struct request *request = request_new(b, port, done, userdata);
	struct error e;

	if (request == NULL)
		return;
	if (backend_vdpa_owner(b, &request->uid, &request->gid, &e) < 0)
		request_end(request, &e);
	else
		call(request, "OwnVdpa", fill_own, LINK_CALL_TIMEOUT_MS, on_done);
}

void backend_vdpa_keep(
	struct backend_vdpa *b, const struct port *port, backend_done_fn done, void *userdata
) {
	struct request *request = request_new(b, port, done, userdata);

	if (request != NULL)
		call(request, "KeepVdpa", fill_name, LINK_CALL_TIMEOUT_MS, on_done);
}

// The backend itself

static const struct backend_ops ops = {
	.path_suffix = ".vdpa",
	.prepare = prepare,
	.create = create,
	.change = change,
	.delete = delete,
};

int backend_vdpa_new(struct daemon *d, struct backend_vdpa **ret_backend) {
	struct backend_vdpa *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	b->base.ops = &ops;
	b->d = d;
	b->calls = d->vdpa_calls;
	*ret_backend = b;
	return 0;
}

void backend_vdpa_free(struct backend_vdpa *b) {
	free(b);
}

struct backend *backend_vdpa_base(struct backend_vdpa *b) {
	return &b->base;
}
