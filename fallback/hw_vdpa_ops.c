// SPDX-License-Identifier: GPL-2.0-or-later
// The only file that knows librte_vhost.

// rte_dev_event_callback_register() is the only way to hear that somebody wants to unplug a device.
#define ALLOW_EXPERIMENTAL_API

#include "fallback/hw_vdpa_ops.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <rte_dev.h>
#include <rte_vhost.h>

#include "fallback/socket_path.h"
#include "vdpad/util/parse.h"

#define PEER_WAIT_MS 10 // a peer writes a message at once, and reads the few answers

static const struct hw_events *peer_events;

static int read_limits(struct rte_vdpa_device *device, struct hw_limits *ret) {
	if (rte_vdpa_get_queue_num(device, &ret->queue_pairs) < 0 ||
	    rte_vdpa_get_features(device, &ret->features) < 0 ||
	    rte_vdpa_get_protocol_features(device, &ret->protocol_features) < 0)
		return -EIO;
	return 0;
}

static int remove_device(const char *address) {
	return rte_eal_hotplug_remove("pci", address);
}

static void on_device_event(const char *address, enum rte_dev_event_type type, void *userdata) {
	const struct hw_events *events = userdata;

	if (type == RTE_DEV_EVENT_REMOVE)
		events->unplug_requested(address);
}

static int watch(const char *address, const struct hw_events *events) {
	return rte_dev_event_callback_register(address, on_device_event, (void *)events);
}

// -EAGAIN: the callback runs now, in another thread, and does not take long.
static void unwatch(const char *address, const struct hw_events *events) {
	while (rte_dev_event_callback_unregister(address, on_device_event, (void *)events) ==
	       -EAGAIN)
		sched_yield();
}

static bool is_connection_at(int fd, const char *path) {
	struct sockaddr_un addr = {0};
	socklen_t size = sizeof(addr) - 1; // keeps its NUL
	int listening;

	return getsockname(fd, (struct sockaddr *)&addr, &size) == 0 &&
		addr.sun_family == AF_UNIX && strcmp(addr.sun_path, path) == 0 &&
		getsockopt(
			fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &(socklen_t){sizeof(listening)}
		) == 0 &&
		!listening;
}

// One thread of the library reads the messages of all peers, with blocking calls, and keeps the
// descriptors to itself: find the new one among all that are open.
static void limit_waits(const char *path) {
	const struct timeval limit = {.tv_usec = PEER_WAIT_MS * 1000};
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	uint64_t fd;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (parse_u64(entry->d_name, 0, INT_MAX, &fd) < 0 ||
		    !is_connection_at((int)fd, path))
			continue;
		setsockopt((int)fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt((int)fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	}
	closedir(dir);
}

static int on_new_connection(int vid) {
	char path[SOCKET_PATH_SIZE];

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return -1;
	limit_waits(path);
	return peer_events->peer_came(path);
}

static int on_new_device(int vid) {
	char path[SOCKET_PATH_SIZE];

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return -1;
	peer_events->driver_ready(path);
	return 0;
}

static void on_destroy_device(int vid) {
	char path[SOCKET_PATH_SIZE];

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) == 0)
		peer_events->driver_gone(path);
}

static void on_destroy_connection(int vid) {
	char path[SOCKET_PATH_SIZE];

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) == 0)
		peer_events->peer_left(path);
}

static int listen_to(const char *path, const struct hw_events *events) {
	static const struct rte_vhost_device_ops device_ops = {
		.new_connection = on_new_connection,
		.new_device = on_new_device,
		.destroy_device = on_destroy_device,
		.destroy_connection = on_destroy_connection,
	};

	peer_events = events; // the library passes no pointer to its callbacks
	return rte_vhost_driver_callback_register(path, &device_ops);
}

static int add_socket(const char *path) {
	return rte_vhost_driver_register(path, 0);
}

static int allow_features(const char *path, uint64_t features) {
	return rte_vhost_driver_disable_features(path, ~features);
}

const struct hw_vdpa_ops hw_vdpa_dpdk = {
	.probe = rte_dev_probe,
	.find = rte_vdpa_find_device_by_name,
	.read_limits = read_limits,
	.remove = remove_device,
	.watch = watch,
	.unwatch = unwatch,
	.stat_names = rte_vdpa_get_stats_names,
	.stats = rte_vdpa_get_stats,
	.add_socket = add_socket,
	.attach = rte_vhost_driver_attach_vdpa_device,
	.allow_features = allow_features,
	.listen_to = listen_to,
	.start = rte_vhost_driver_start,
	.remove_socket = rte_vhost_driver_unregister,
};
