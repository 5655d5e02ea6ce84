// SPDX-License-Identifier: GPL-2.0-or-later
// Callbacks come from threads of DPDK, and from the main thread while it removes a socket. They find
// their port or device by name in the lists, under the lock, note what happened, and wake the main
// thread. Only the main thread changes the lists.

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fallback/hw_vdpa_state.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hw_vdpa *the_hw; // librte_vhost hands no pointer to a callback

void hw_vdpa_lock(void) {
	pthread_mutex_lock(&lock);
}

void hw_vdpa_unlock(void) {
	pthread_mutex_unlock(&lock);
}

void hw_vdpa_deliver_events_to(struct hw_vdpa *hw) {
	hw_vdpa_lock();
	assert(hw == NULL || the_hw == NULL);
	the_hw = hw;
	hw_vdpa_unlock();
}

// The port that listens on @path; the lock is held.
static struct hw_port *find_listener(const char *path) {
	for (size_t i = 0; the_hw != NULL && i < the_hw->n_ports; i++) {
		if (the_hw->ports[i]->listening && strcmp(the_hw->ports[i]->path, path) == 0)
			return the_hw->ports[i];
	}
	return NULL;
}

static void wake_main_thread(void) {
	eventfd_write(the_hw->changed_fd, 1);
}

// Two peers would program one device.
static int on_peer_came(const char *path) {
	struct hw_port *port;
	bool accepted;

	hw_vdpa_lock();
	port = find_listener(path);
	accepted = port != NULL && !port->has_peer;
	if (accepted) {
		port->has_peer = true;
		port->connects++;
		wake_main_thread();
	}
	hw_vdpa_unlock();
	return accepted ? 0 : -1;
}

static void set_driver_runs(const char *path, bool runs) {
	struct hw_port *port;

	hw_vdpa_lock();
	port = find_listener(path);
	if (port != NULL) {
		port->driver_runs = runs;
		wake_main_thread();
	}
	hw_vdpa_unlock();
}

static void on_driver_ready(const char *path) {
	set_driver_runs(path, true);
}

static void on_driver_gone(const char *path) {
	set_driver_runs(path, false);
}

static void on_peer_left(const char *path) {
	struct hw_port *port;

	hw_vdpa_lock();
	port = find_listener(path);
	if (port != NULL) {
		port->has_peer = false;
		port->driver_runs = false;
		wake_main_thread();
	}
	hw_vdpa_unlock();
}

static void on_unplug_requested(const char *address) {
	hw_vdpa_lock();
	for (size_t i = 0; the_hw != NULL && i < the_hw->n_slots; i++) {
		if (strcmp(the_hw->slots[i]->device.address, address) == 0) {
			the_hw->slots[i]->unplug_requested = true;
			wake_main_thread();
		}
	}
	hw_vdpa_unlock();
}

const struct hw_events hw_vdpa_events = {
	.peer_came = on_peer_came,
	.driver_ready = on_driver_ready,
	.driver_gone = on_driver_gone,
	.peer_left = on_peer_left,
	.unplug_requested = on_unplug_requested,
};
