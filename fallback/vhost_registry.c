// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost_registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NO_PEER (-1)

struct entry {
	const char *path;
	struct vhost_port *port;
	int vid;
	struct entry *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries;
static struct entry *by_vid[VHOST_MAX_PEERS];

int vhost_registry_add(const char *path, struct vhost_port *port) {
	struct entry *entry = malloc(sizeof(*entry));

	if (entry == NULL)
		return -ENOMEM;
	*entry = (struct entry){.path = path, .port = port, .vid = NO_PEER};
	pthread_mutex_lock(&lock);
	entry->next = entries;
	entries = entry;
	pthread_mutex_unlock(&lock);
	return 0;
}

void vhost_registry_remove(const struct vhost_port *port) {
	struct entry *removed = NULL;

	pthread_mutex_lock(&lock);
	for (struct entry **p = &entries; *p != NULL; p = &(*p)->next) {
		if ((*p)->port != port)
			continue;
		removed = *p;
		*p = removed->next;
		// The library may have given the number to another port's peer by now.
		if (removed->vid != NO_PEER && by_vid[removed->vid] == removed)
			by_vid[removed->vid] = NULL;
		break;
	}
	pthread_mutex_unlock(&lock);
	free(removed);
}

struct vhost_port *vhost_registry_join(const char *path, int vid) {
	struct vhost_port *port = NULL;

	if (vid < 0 || vid >= VHOST_MAX_PEERS)
		return NULL;
	pthread_mutex_lock(&lock);
	for (struct entry *entry = entries; entry != NULL; entry = entry->next) {
		if (strcmp(entry->path, path) != 0)
			continue;
		if (entry->vid == NO_PEER) {
			entry->vid = vid;
			by_vid[vid] = entry;
			port = entry->port;
		}
		break;
	}
	pthread_mutex_unlock(&lock);
	return port;
}

void vhost_registry_leave(int vid) {
	pthread_mutex_lock(&lock);
	if (vid >= 0 && vid < VHOST_MAX_PEERS && by_vid[vid] != NULL) {
		by_vid[vid]->vid = NO_PEER;
		by_vid[vid] = NULL;
	}
	pthread_mutex_unlock(&lock);
}

struct vhost_port *vhost_registry_find(int vid) {
	struct vhost_port *port = NULL;

	pthread_mutex_lock(&lock);
	if (vid >= 0 && vid < VHOST_MAX_PEERS && by_vid[vid] != NULL)
		port = by_vid[vid]->port;
	pthread_mutex_unlock(&lock);
	return port;
}
