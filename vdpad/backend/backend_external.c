// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/backend_external.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "vdpad/backend/socket_scan.h"
#include "vdpad/daemon.h"
#include "vdpad/provision.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define SOCKET_TABLE "/proc/net/unix"
#define WATCH_INTERVAL_MS 500
#define LINK_SUFFIX ".sock"
#define NEW_LINK_SUFFIX ".new" // until it takes the place of the link
#define SETTLE_MS 20           // from a socket's bind(), which makes the file, to its listen()
#define LINGER_MS 3000         // for the other switch to see that the VM of a deleted port is gone
#define FOLDER_EVENTS \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR)

struct external {
	struct backend base;
	struct daemon *d;
	int inotify_fd; // -EBADF: the interval has to do
	sd_event_source *changed;
	sd_event_source *timer;
	bool has_deleted; // a port, and when
	uint64_t deleted_ms;
};

// The sockets of the configuration

static void scan(const struct config *config, struct socket_use *uses) {
	FILE *table = fopen(SOCKET_TABLE, "re");

	for (size_t i = 0; i < config->n_sockets; i++)
		uses[i] = (struct socket_use){.path = config->sockets[i].path};
	if (table == NULL)
		return;
	socket_scan(table, uses, config->n_sockets);
	fclose(table);
}

// Links

// Make the link of a port to the socket's path, or put the right one in the place of what is there.
static int link_make(const char *link, const char *target, struct error *e) {
	char there[PORT_PATH_SIZE] = "", temporary[PORT_PATH_SIZE + 8];

	if (readlink(link, there, sizeof(there) - 1) > 0 && strcmp(there, target) == 0)
		return 0;
	snprintf(temporary, sizeof(temporary), "%s" NEW_LINK_SUFFIX, link);
	(void)unlink(temporary);
	if (symlink(target, temporary) < 0 || rename(temporary, link) < 0) {
		error_set(e, errno, "cannot make the link %s: %s", link, strerror(errno));
		(void)unlink(temporary);
		return -e->code;
	}
	return 0;
}

// Take away what is a link; a socket of that name is the switch's.
static void link_remove(const char *link) {
	struct stat st;

	if (lstat(link, &st) == 0 && S_ISLNK(st.st_mode) && unlink(link) < 0)
		log_warn("the link %s stays: %s", link, strerror(errno));
}

// "vm1.sock" of a port of ours
static bool has_link(const struct daemon *d, const char *file) {
	size_t len = strlen(file) - strlen(LINK_SUFFIX);
	char name[PORT_NAME_SIZE];
	const struct managed_port *port;

	if (len >= sizeof(name))
		return false;
	memcpy(name, file, len);
	name[len] = '\0';
	port = port_set_find(&d->ports, name);
	return port != NULL && port->port.backend == BACKEND_EXTERNAL;
}

static bool ends_with(const char *text, const char *end) {
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

// Links of ports whose creation was undone, or that were deleted when vdpad ended: the switch would
// not listen where one is. And those that were not yet in their place.
static void sweep_links(const struct daemon *d) {
	char folder[PORT_PATH_SIZE], link[PORT_PATH_SIZE + NAME_MAX + 1];
	const struct dirent *entry;
	DIR *dir;

	if (!store_is_trusted(d->store))
		return;
	snprintf(folder, sizeof(folder), "%s/%s", d->options.run_dir, IPC_PORT_DIR);
	dir = opendir(folder);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		const char *file = entry->d_name;

		if (!ends_with(file, LINK_SUFFIX NEW_LINK_SUFFIX) &&
		    (!ends_with(file, LINK_SUFFIX) || has_link(d, file)))
			continue;
		snprintf(link, sizeof(link), "%s/%s", folder, file);
		link_remove(link);
	}
	if (dir != NULL)
		closedir(dir);
}

// What the sockets do

// The port whose link leads to @path and that went with its state file: the VM that is connected there is
// its, and goes on. @ret_name stays empty if there is none.
static void find_lost_port(
	const struct daemon *d, const char *path, char ret_name[static PORT_NAME_SIZE]
) {
	char folder[PORT_PATH_SIZE], link[PORT_PATH_SIZE + NAME_MAX + 1], there[PORT_PATH_SIZE];
	const struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/%s", d->options.run_dir, IPC_PORT_DIR);
	dir = opendir(folder);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name) - strlen(LINK_SUFFIX);
		ssize_t n;

		if (!ends_with(entry->d_name, LINK_SUFFIX) || len >= PORT_NAME_SIZE ||
		    has_link(d, entry->d_name))
			continue;
		snprintf(link, sizeof(link), "%s/%s", folder, entry->d_name);
		n = readlink(link, there, sizeof(there) - 1);
		there[n > 0 ? n : 0] = '\0';
		if (strcmp(there, path) == 0)
			snprintf(ret_name, PORT_NAME_SIZE, "%.*s", (int)len, entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
}

static bool may_linger(const struct external *x) {
	return x != NULL && x->has_deleted && clock_now_ms() - x->deleted_ms < LINGER_MS;
}

void external_describe(const struct daemon *d, struct facts *facts) {
	const struct config *config = d->config;
	struct socket_use uses[FACTS_MAX_SOCKETS];

	facts->n_sockets = config->n_sockets;
	if (config->n_sockets == 0)
		return;
	scan(config, uses);
	for (size_t i = 0; i < config->n_sockets; i++) {
		const struct socket_config *socket = &config->sockets[i];
		const struct managed_port *port = port_set_find_socket(&d->ports, socket->name);
		struct socket_facts *fact = &facts->sockets[i];

		*fact = (struct socket_facts){
			.qemu_listens = socket->qemu_listens,
			.listening = uses[i].listening,
			.connected = uses[i].connected,
		};
		str_copy(fact->name, sizeof(fact->name), socket->name);
		str_copy(fact->network, sizeof(fact->network), socket->network);
		str_copy(fact->path, sizeof(fact->path), socket->path);
		if (port != NULL)
			str_copy(fact->port, sizeof(fact->port), port->port.spec.name);
		else if (fact->connected && !fact->qemu_listens)
			find_lost_port(d, socket->path, fact->port);
		if (port == NULL && may_linger(d->external))
			fact->connected = false;
	}
}

// States

static bool is_ours(const struct managed_port *port) {
	return port->port.backend == BACKEND_EXTERNAL;
}

static void degraded(struct port *port, const char *fmt, ...) _printf_(2, 3);
static void degraded(struct port *port, const char *fmt, ...) {
	va_list ap;

	port->state = PORT_DEGRADED;
	va_start(ap, fmt);
	vsnprintf(port->reason, sizeof(port->reason), fmt, ap);
	va_end(ap);
}

// Whether the port was made for what [socket NAME] says now.
static bool fits(const struct port *port, const struct socket_config *socket) {
	return strcmp(socket->network, port->spec.network) == 0 &&
		socket->qemu_listens == port->qemu_listens &&
		(!socket->qemu_listens || strcmp(socket->path, port->path) == 0);
}

// State and reason of @port by what its socket does; @socket is NULL when it is not configured.
static void judge(
	struct port *port, const struct socket_config *socket, const struct socket_use *use
) {
	const char *name = port->spec.socket;

	if (socket == NULL) {
		degraded(
			port,
			"socket '%s' is not configured any more: put [socket %s] back, or delete "
			"the port",
			name, name
		);
	} else if (!fits(port, socket)) {
		degraded(
			port,
			"[socket %s] has another network, mode or path now: stop the VM, delete "
			"the port and add it again",
			name
		);
	} else if (!socket->qemu_listens && !use->listening) {
		degraded(
			port, "nobody listens on %s: is the switch running that socket '%s' is of?",
			socket->path, name
		);
	} else if (socket->qemu_listens && use->listening && !use->connected) {
		degraded(
			port,
			"QEMU listens on %s and nobody has connected: is the switch running that "
			"socket '%s' is of?",
			socket->path, name
		);
	} else {
		port->state = use->connected ? PORT_CONNECTED : PORT_READY;
		snprintf(
			port->reason, sizeof(port->reason), "%s",
			use->connected ? "a VM is attached" : "no VM is attached"
		);
	}
}

static void enter(struct daemon *d, struct managed_port *port, const struct port *seen) {
	struct log_subject subject = {.port = port->port.spec.name, .reason = seen->reason};
	bool was_degraded = port->port.state == PORT_DEGRADED;

	if (port->port.state == seen->state && strcmp(port->port.reason, seen->reason) == 0)
		return;
	port->connected = seen->state == PORT_CONNECTED;
	port_enter(port, seen->state, seen->reason);
	if (seen->state == PORT_DEGRADED)
		log_about(LOG_WARNING, &subject, "port '%s': %s", subject.port, subject.reason);
	else if (was_degraded || port->connected)
		log_about(
			LOG_INFO, &subject, "port '%s' is %s: %s", subject.port,
			port_state_name(seen->state), subject.reason
		);
	daemon_port_changed(d, port);
}

// A link that no longer fits stays as it is: a VM must not get into another network by connecting again.
static void care_for(struct daemon *d, struct managed_port *port, const struct socket_use *uses) {
	const struct socket_config *socket = config_find_socket(d->config, port->port.spec.socket);
	struct port seen = port->port;
	struct error e;

	judge(&seen, socket, socket != NULL ? &uses[socket - d->config->sockets] : NULL);
	if (socket != NULL && fits(&seen, socket) && !seen.qemu_listens &&
	    link_make(seen.path, socket->path, &e) < 0)
		degraded(&seen, "%s", e.text);
	enter(d, port, &seen);
}

// Look at all sockets. Returns whether there are ports to look after.
static bool care(struct external *x) {
	struct socket_use uses[FACTS_MAX_SOCKETS];
	struct daemon *d = x->d;
	bool has_ports = false;

	for (size_t i = 0; i < d->ports.n && !has_ports; i++)
		has_ports = is_ours(d->ports.list[i]);
	if (!has_ports)
		return false;
	scan(d->config, uses);
	for (size_t i = d->ports.n; i-- > 0;) { // from the end, as a deletion takes one out
		struct managed_port *port = d->ports.list[i];

		if (!is_ours(port) || port->act != PORT_IDLE)
			continue;
		if (port->port.state == PORT_DELETING)
			provision_delete_again(d, port);
		else
			care_for(d, port, uses);
	}
	return true;
}

// Events

static void look_after(struct external *x, uint64_t ms) {
	sd_event_source_set_time(x->timer, (clock_now_ms() + ms) * 1000);
	sd_event_source_set_enabled(x->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
	(void)source;
	(void)usec;
	if (care(userdata))
		look_after(userdata, WATCH_INTERVAL_MS);
	return 0;
}

static int on_folder(sd_event_source *source, int fd, uint32_t events, void *userdata) {
	char buffer[4096];

	(void)source;
	(void)events;
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	look_after(userdata, SETTLE_MS);
	return 0;
}

static void watch_folders(struct external *x) {
	const struct config *config = x->d->config;

	x->changed = sd_event_source_disable_unref(x->changed); // which closes the descriptor
	x->inotify_fd = config->n_sockets > 0 ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -EBADF;
	if (x->inotify_fd < 0)
		return;
	for (size_t i = 0; i < config->n_sockets; i++) {
		char folder[PORT_PATH_SIZE];

		str_copy(folder, sizeof(folder), config->sockets[i].path);
		strrchr(folder, '/')[folder == strrchr(folder, '/') ? 1 : 0] = '\0';
		(void
		)inotify_add_watch(x->inotify_fd, folder, FOLDER_EVENTS); // may not be there yet
	}
	if (sd_event_add_io(x->d->event, &x->changed, x->inotify_fd, EPOLLIN, on_folder, x) < 0)
		close(x->inotify_fd);
	else
		sd_event_source_set_io_fd_own(x->changed, true);
}

void external_configure(struct external *x) {
	watch_folders(x);
	look_after(x, 0);
}

// The backend

static void create(
	struct backend *backend, struct port *port, const struct network *network,
	backend_done_fn done, void *userdata
) {
	struct external *x = (struct external *)backend;
	const struct socket_config *socket = config_find_socket(x->d->config, port->spec.socket);
	struct error e;

	(void)network;
	if (socket == NULL) {
		error_set(&e, ENOTSOCK, "there is no socket '%s'", port->spec.socket);
		done(userdata, &e);
	} else if (!socket->qemu_listens && link_make(port->path, socket->path, &e) < 0) {
		done(userdata, &e);
	} else {
		done(userdata, NULL);
	}
	look_after(x, 0);
}

// Nothing of such a port can change, which decide() and provision say before.
static void change(
	struct backend *backend, const struct port *port, backend_done_fn done, void *userdata
) {
	(void)backend;
	(void)port;
	done(userdata, NULL);
}

static void delete (
	struct backend *backend, const struct port *port, backend_done_fn done, void *userdata
) {
	struct external *x = (struct external *)backend;

	if (!port->qemu_listens)
		link_remove(port->path);
	x->has_deleted = true;
	x->deleted_ms = clock_now_ms();
	done(userdata, NULL);
}

static int prepare(
	struct backend *backend, const struct candidate *candidate, struct port *port,
	struct error *e
) {
	const struct external *x = (struct external *)backend;
	const struct socket_config *socket = config_find_socket(x->d->config, port->spec.socket);

	(void)candidate;
	(void)e;
	port->qemu_listens = socket != NULL && socket->qemu_listens;
	if (port->qemu_listens)
		str_copy(port->path, sizeof(port->path), socket->path);
	return 0;
}

static const struct backend_ops ops = {
	.path_suffix = LINK_SUFFIX,
	.prepare = prepare,
	.create = create,
	.change = change,
	.delete = delete,
};

int external_new(struct daemon *d, struct external **ret_external) {
	struct external *x = calloc(1, sizeof(*x));
	int r;

	if (x == NULL)
		return -ENOMEM;
	x->base.ops = &ops;
	x->d = d;
	x->inotify_fd = -EBADF;
	r = sd_event_add_time(d->event, &x->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, x);
	if (r < 0) {
		free(x);
		return r;
	}
	sweep_links(d);
	external_configure(x);
	*ret_external = x;
	return 0;
}

void external_free(struct external *x) {
	if (x == NULL)
		return;
	sd_event_source_disable_unref(x->changed);
	sd_event_source_disable_unref(x->timer);
	free(x);
}

struct backend *external_base(struct external *x) {
	return &x->base;
}
