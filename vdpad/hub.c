// SPDX-License-Identifier: GPL-2.0-or-later
// When a link goes, the daemon must see one order: the worker is not ready any more, then its calls
// fail, then it is told of the loss. sd-bus does otherwise: it fails calls one by one before it says
// that the connection is over, fails new ones at once meanwhile, and forgets all of them when the
// connection is closed from this side. So the hub keeps its own list of the calls under way on each
// link, and link_drop() alone ends them.

#include "vdpad/hub.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "vdpad/hub_listen.h"
#include "vdpad/model/capability.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"
#include "vdpad/util/parse.h"

struct link;

struct call {
	LIST_ENTRY(call) entries;
	struct link *link;
	sd_bus_slot *slot;
	uint32_t timeout_ms;
	hub_reply_fn done;
	void *userdata;
};

struct link {
	struct hub *hub;
	enum worker worker;
	char path[PATH_MAX];
	int listen_fd;
	sd_event_source *listener;
	sd_bus *bus; // NULL when nobody is connected
	struct worker_info info;
	uint64_t absent_since_ms; // while it is not ready
	uid_t uid;                // that the worker runs as in a packaged system; 0 for none
	LIST_HEAD(, call) calls;
};

struct hub {
	sd_event *event;
	const struct hub_handlers *handlers;
	void *userdata;
	struct link links[N_WORKERS];
};

static const struct {
	const char *name; // of the program, and of the user it runs as
	const char *kind; // in Register()
	const char *socket;
	const char *path;
	const char *interface;
} workers[N_WORKERS] = {
	[WORKER_SWITCH] =
		{"vdpad-switch", "switch", IPC_SWITCH_LINK, IPC_SWITCH_PATH, IPC_SWITCH_IFACE},
	[WORKER_NETLINK] =
		{"vdpad-netlink", "netlink", IPC_NETLINK_LINK, IPC_NETLINK_PATH, IPC_NETLINK_IFACE},
};

const char *worker_name(enum worker worker) {
	return workers[worker].name;
}

const struct worker_info *hub_info(const struct hub *hub, enum worker worker) {
	return &hub->links[worker].info;
}

bool hub_is_ready(const struct hub *hub, enum worker worker) {
	return hub->links[worker].info.ready;
}

uint64_t hub_absent_ms(const struct hub *hub, enum worker worker) {
	const struct link *link = &hub->links[worker];

	return link->info.ready ? 0 : clock_now_ms() - link->absent_since_ms;
}

// End @call, which is freed before its function runs, so that the function may do anything.
static void call_end(struct call *call, sd_bus_message *reply, const struct error *e) {
	hub_reply_fn done = call->done;
	void *userdata = call->userdata;

	LIST_REMOVE(call, entries);
	sd_bus_slot_unref(call->slot);
	free(call);
	done(userdata, reply, e);
}

// The connection is over: forget it, fail its calls, tell the daemon.
static void link_drop(struct link *link) {
	sd_bus *bus = TAKE_PTR(link->bus);
	bool was_ready = link->info.ready;
	struct error e;

	if (was_ready)
		link->absent_since_ms = clock_now_ms();
	link->info = (struct worker_info){0};
	if (bus != NULL) {
		sd_bus_close(bus);
		sd_bus_unref(bus);
	}
	error_set(&e, EHOSTDOWN, "%s went away", worker_name(link->worker));
	while (!LIST_EMPTY(&link->calls))
		call_end(LIST_FIRST(&link->calls), NULL, &e);
	if (was_ready)
		link->hub->handlers->lost(link->hub->userdata, link->worker);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct call *call = userdata;
	const sd_bus_error *bus_error = sd_bus_message_get_error(m);
	struct error e = {0};

	(void)ret_error;
	if (bus_error == NULL) {
		call_end(call, m, NULL);
		return 1;
	}
	if (sd_bus_is_open(call->link->bus) <= 0) {
		link_drop(call->link); // which ends this call too
		return 1;
	}
	if (sd_bus_error_has_name(bus_error, SD_BUS_ERROR_NO_REPLY) ||
	    sd_bus_error_has_name(bus_error, SD_BUS_ERROR_TIMEOUT))
		error_set(
			&e, EHOSTDOWN, "%s did not answer within %u ms",
			worker_name(call->link->worker), call->timeout_ms
		);
	else
		error_from_bus(&e, -sd_bus_error_get_errno(bus_error), bus_error);
	call_end(call, NULL, &e);
	return 1;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)m;
	(void)ret_error;
	link_drop(userdata);
	return 1;
}

struct register_info {
	const char *version;
	uint32_t pid;
};

static int on_register(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct ipc_field fields[] = {
		{"version", 's', offsetof(struct register_info, version), true},
		{"pid", 'u', offsetof(struct register_info, pid), true},
	};
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct link *link = userdata;
	struct register_info info = {0};
	struct error e;
	const char *kind;
	int r;

	r = sd_bus_message_read_basic(m, 's', &kind);
	if (r < 0)
		return r;
	if (strcmp(kind, workers[link->worker].kind) != 0) {
		error_set(
			&e, EINVAL, "a worker of kind '%s' does not belong to %s", kind, link->path
		);
		return error_to_bus(&e, ret_error);
	}
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), &info, &e);
	if (r < 0)
		return error_to_bus(&e, ret_error);

	r = sd_bus_message_new_method_return(m, &reply);
	if (r < 0)
		return r;
	r = sd_bus_message_open_container(reply, 'a', "{sv}");
	if (r < 0)
		return r;
	r = link->hub->handlers->settings(link->hub->userdata, link->worker, reply);
	if (r < 0)
		return r;
	r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	link->info.connected = true;
	link->info.pid = info.pid;
	snprintf(link->info.version, sizeof(link->info.version), "%s", info.version);
	return sd_bus_message_send(reply);
}

// What Ready() says.
struct ready_info {
	struct worker_info info;
	const char *capabilities;
};

static int on_ready(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct ipc_field fields[] = {
		{"workers", 'u', offsetof(struct ready_info, info.n_workers), false},
		{"hugepages", 'b', offsetof(struct ready_info, info.hugepages), false},
		{"max_queue_pairs", 'u', offsetof(struct ready_info, info.max_queue_pairs), false},
		{"max_mtu", 'u', offsetof(struct ready_info, info.max_mtu_bytes), false},
		{"max_ports", 'u', offsetof(struct ready_info, info.max_ports), false},
		{"capabilities", 's', offsetof(struct ready_info, capabilities), false},
	};
	struct link *link = userdata;
	struct ready_info said = {.info = link->info, .capabilities = CAPABILITY_OLD_SWITCH};
	struct error e;
	int r;

	if (!said.info.connected) {
		error_set(&e, EINVAL, "Register() comes before Ready()");
		return error_to_bus(&e, ret_error);
	}
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), &said, &e);
	if (r < 0)
		return error_to_bus(&e, ret_error);
	link->info = said.info;
	link->info.capabilities = capability_parse(said.capabilities);
	link->info.ready = true;
	r = sd_bus_reply_method_return(m, "");
	if (r < 0)
		return r;
	link->hub->handlers->ready(link->hub->userdata, link->worker);
	return 1;
}

static int on_port_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct link *link = userdata;
	const char *name, *detail;
	uint64_t generation;
	int connected, r;

	(void)ret_error;
	r = sd_bus_message_read(m, "stbs", &name, &generation, &connected, &detail);
	if (r < 0) {
		log_warn("%s sent a PortChanged that is not understood", worker_name(link->worker));
		return 1;
	}
	link->hub->handlers->port_changed(
		link->hub->userdata, name, generation, connected != 0, detail
	);
	return 1;
}

static int on_vdpa_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct link *link = userdata;

	(void)m;
	(void)ret_error;
	link->hub->handlers->vdpa_changed(link->hub->userdata);
	return 1;
}

static const sd_bus_vtable hub_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Register", "sa{sv}", "a{sv}", on_register, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Ready", "a{sv}", "", on_ready, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

// root, ourselves, or the user that the worker runs as.
static bool peer_is_allowed(const struct link *link, int fd) {
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid() || peer.uid == link->uid)
		return true;
	log_warn(
		"refused a connection of user %u, process %d, to %s", peer.uid, peer.pid, link->path
	);
	return false;
}

// The end of the old connection may still be waiting in the event loop.
static bool link_is_alive(const struct link *link) {
	struct pollfd p = {.events = POLLRDHUP};

	if (link->bus == NULL)
		return false;
	p.fd = sd_bus_get_fd(link->bus);
	return p.fd >= 0 && poll(&p, 1, 0) == 0;
}

static int link_start(struct link *link, int fd) {
	int r;

	r = link_accept(fd, link->hub->event, &link->bus);
	if (r < 0)
		return r;
	r = sd_bus_add_object_vtable(
		link->bus, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, hub_vtable, link
	);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(
		link->bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
		"Disconnected", on_disconnected, link
	);
	if (r < 0)
		return r;
	if (link->worker == WORKER_NETLINK)
		return sd_bus_match_signal(
			link->bus, NULL, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, "VdpaChanged",
			on_vdpa_changed, link
		);
	return sd_bus_match_signal(
		link->bus, NULL, NULL, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, "PortChanged",
		on_port_changed, link
	);
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	struct link *link = userdata;
	_cleanup_close_ int conn = -EBADF;
	int r;

	(void)source;
	(void)revents;
	conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (conn < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			log_err("cannot accept a connection on %s: %m", link->path);
		return 0;
	}
	if (!peer_is_allowed(link, conn))
		return 0;
	if (link->info.connected && link_is_alive(link)) {
		log_warn(
			"refused a second %s: process %u serves", worker_name(link->worker),
			link->info.pid
		);
		return 0;
	}
	link_drop(link);
	r = link_start(link, TAKE_FD(conn));
	if (r < 0) {
		log_err("cannot serve %s: %s", worker_name(link->worker), strerror(-r));
		link_drop(link);
	}
	return 0;
}

static int link_listen(struct link *link, const char *run_dir, struct error *e) {
	int r;

	snprintf(link->path, sizeof(link->path), "%s/%s", run_dir, workers[link->worker].socket);
	r = hub_listen(link->path, &link->listen_fd, e);
	if (r < 0)
		return r;
	r = sd_event_add_io(
		link->hub->event, &link->listener, link->listen_fd, EPOLLIN, on_connection, link
	);
	if (r < 0)
		return error_set(e, -r, "cannot watch %s: %s", link->path, strerror(-r));
	return 0;
}

static void freep(struct hub **hub) {
	hub_free(*hub);
}

int hub_new(
	sd_event *event, const char *run_dir, const struct hub_handlers *handlers, void *userdata,
	struct hub **ret_hub, struct error *e
) {
	_cleanup_(freep) struct hub *hub = NULL;
	int r;

	hub = calloc(1, sizeof(*hub));
	if (hub == NULL)
		return error_set(e, ENOMEM, "out of memory");
	hub->event = event;
	hub->handlers = handlers;
	hub->userdata = userdata;
	for (int i = 0; i < N_WORKERS; i++) {
		// Looked up once: a user database in the network may take its time.
		const struct passwd *user = getpwnam(workers[i].name);
		struct link *link = &hub->links[i];

		link->hub = hub;
		link->worker = (enum worker)i;
		link->listen_fd = -EBADF;
		link->uid = user != NULL ? user->pw_uid : 0;
		link->absent_since_ms = clock_now_ms();
		LIST_INIT(&link->calls);
	}
	for (int i = 0; i < N_WORKERS; i++) {
		r = link_listen(&hub->links[i], run_dir, e);
		if (r < 0)
			return r;
	}
	*ret_hub = TAKE_PTR(hub);
	return 0;
}

void hub_free(struct hub *hub) {
	if (hub == NULL)
		return;
	for (int i = 0; i < N_WORKERS; i++) {
		struct link *link = &hub->links[i];

		link->info.ready = false; // the daemon is going: it need not hear of it
		link_drop(link);
		sd_event_source_unref(link->listener);
		if (link->listen_fd >= 0) {
			close(link->listen_fd);
			unlink(link->path);
		}
	}
	free(hub);
}

sd_bus_message *hub_message(struct hub *hub, enum worker worker, const char *member) {
	struct link *link = &hub->links[worker];
	sd_bus_message *m;

	if (!link->info.ready ||
	    sd_bus_message_new_method_call(
		    link->bus, &m, NULL, workers[worker].path, workers[worker].interface, member
	    ) < 0)
		return NULL;
	return m;
}

void hub_call(
	struct hub *hub, enum worker worker, sd_bus_message *m, int append_result,
	hub_reply_fn done, void *userdata
) {
	hub_call_within(hub, worker, m, append_result, LINK_CALL_TIMEOUT_MS, done, userdata);
}

void hub_call_within(
	struct hub *hub, enum worker worker, sd_bus_message *m, int append_result,
	uint32_t timeout_ms, hub_reply_fn done, void *userdata
) {
	_cleanup_message_ sd_bus_message *message = m;
	struct link *link = &hub->links[worker];
	struct call *call;
	struct error e;
	int r = append_result;

	if (message == NULL || !link->info.ready) {
		error_set(&e, EHOSTDOWN, "%s is not running", worker_name(worker));
		done(userdata, NULL, &e);
		return;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		r = -ENOMEM;
	if (r >= 0)
		r = sd_bus_call_async(
			link->bus, &call->slot, message, on_reply, call, (uint64_t)timeout_ms * 1000
		);
	// A link that is over, which the event loop will say next, ends this call with the others.
	if (r < 0 && (call == NULL || append_result < 0 || sd_bus_is_open(link->bus) > 0)) {
		free(call);
		error_set(&e, -r, "cannot ask %s: %s", worker_name(worker), strerror(-r));
		done(userdata, NULL, &e);
		return;
	}
	call->link = link;
	call->timeout_ms = timeout_ms;
	call->done = done;
	call->userdata = userdata;
	LIST_INSERT_HEAD(&link->calls, call, entries);
}

void hub_call_name(
	struct hub *hub, enum worker worker, const char *member, const char *name,
	hub_reply_fn done, void *userdata
) {
	sd_bus_message *m = hub_message(hub, worker, member);
	int r = m != NULL ? sd_bus_message_append(m, "s", name) : 0;

	hub_call(hub, worker, m, r, done, userdata);
}

void hub_note_cleanup(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)userdata;
	(void)reply;
	if (e != NULL && e->code != ENOENT && e->code != ENODEV && e->code != EHOSTDOWN)
		log_warn("cannot clean up: %s", e->text);
}
