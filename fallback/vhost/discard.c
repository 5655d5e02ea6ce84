// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/discard.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fallback/vhost/notify.h"

#define MAX_QUEUED 4096    // maps and memory files; beyond, who has more waits
#define SLICE (32ul << 20) // of a map undone at once, so that others may map meanwhile

// A map or the descriptor of one.
struct memory_item {
	struct memory_item *next;
	void *base; // NULL: the descriptor
	size_t size;
	int fd;
};

// Descriptors whose close may hang, with a thread of their own.
struct batch {
	struct batch *next;
	const void *owner;
	unsigned int n;
	int fds[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t memory_queued = PTHREAD_COND_INITIALIZER;
static pthread_cond_t something_done = PTHREAD_COND_INITIALIZER;
static struct memory_item *first_item, **last_item = &first_item;
static unsigned int n_items; // with the one in work
static struct batch *batches;
static bool memory_thread_runs;

static bool start_thread(void *(*run)(void *arg), void *arg) {
	sigset_t all, before;
	pthread_t thread;
	bool started;

	// Signals are for the threads that were there before.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(&thread, NULL, run, arg) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (started)
		pthread_detach(thread);
	return started;
}

// In slices, because maps are made and undone under one lock of the process, and without pages a map
// is undone in no time. What cannot be sliced (huge pages) has few pages anyway.
static void unmap(uint8_t *base, size_t size) {
	for (size_t at = 0; at < size; at += SLICE)
		madvise(base + at, size - at < SLICE ? size - at : SLICE, MADV_DONTNEED);
	munmap(base, size);
}

static void undo(const struct memory_item *item) {
	if (item->base != NULL)
		unmap(item->base, item->size);
	else
		close(item->fd);
}

static void *free_memory(void *arg) {
	(void)arg;
	pthread_mutex_lock(&lock);
	for (;;) {
		struct memory_item *item = first_item;

		if (item == NULL) {
			pthread_cond_wait(&memory_queued, &lock);
			continue;
		}
		first_item = item->next;
		if (first_item == NULL)
			last_item = &first_item;
		pthread_mutex_unlock(&lock);
		undo(item);
		free(item);
		pthread_mutex_lock(&lock);
		n_items--;
		pthread_cond_broadcast(&something_done);
	}
	return NULL;
}

static void discard_memory(const struct memory_item *what) {
	struct memory_item *item = malloc(sizeof(*item));
	bool queued = false;

	pthread_mutex_lock(&lock);
	if (!memory_thread_runs)
		memory_thread_runs = start_thread(free_memory, NULL);
	if (memory_thread_runs && item != NULL && n_items < MAX_QUEUED) {
		*item = *what;
		item->next = NULL;
		*last_item = item;
		last_item = &item->next;
		n_items++;
		queued = true;
		pthread_cond_signal(&memory_queued);
	}
	pthread_mutex_unlock(&lock);
	if (!queued) {
		undo(what);
		free(item);
	}
}

void discard_map(void *base, size_t size) {
	discard_memory(&(struct memory_item){.base = base, .size = size, .fd = -1});
}

static void *close_batch(void *arg) {
	struct batch *batch = arg;

	for (unsigned int i = 0; i < batch->n; i++)
		close(batch->fds[i]);
	pthread_mutex_lock(&lock);
	for (struct batch **at = &batches; *at != NULL; at = &(*at)->next) {
		if (*at == batch) {
			*at = batch->next;
			break;
		}
	}
	pthread_cond_broadcast(&something_done);
	pthread_mutex_unlock(&lock);
	free(batch);
	return NULL;
}

// Of the kinds that are given for good reasons, both close without waiting for anybody.
static bool close_if_harmless(int fd) {
	if (notify_is_eventfd(fd)) {
		close(fd);
		return true;
	}
	// Only shared memory and huge pages have seals.
	if (fcntl(fd, F_GET_SEALS) < 0)
		return false;
	discard_memory(&(struct memory_item){.fd = fd});
	return true;
}

void discard_fds(const int *fds, unsigned int n, const void *owner) {
	struct batch *batch = malloc(sizeof(*batch) + n * sizeof(fds[0]));

	if (batch != NULL)
		*batch = (struct batch){.owner = owner};
	for (unsigned int i = 0; i < n; i++) {
		if (close_if_harmless(fds[i]))
			continue;
		if (batch != NULL)
			batch->fds[batch->n++] = fds[i];
		else
			close(fds[i]);
	}
	if (batch == NULL || batch->n == 0) {
		free(batch);
		return;
	}
	pthread_mutex_lock(&lock);
	batch->next = batches;
	batches = batch;
	pthread_mutex_unlock(&lock);
	if (!start_thread(close_batch, batch))
		close_batch(batch);
}

void discard_socket(int fd, const void *owner) {
	if (fd < 0)
		return;
	shutdown(fd, SHUT_RDWR);
	discard_fds(&fd, 1, owner);
}

bool discard_is_hung(const void *owner) {
	unsigned int n = 0;

	pthread_mutex_lock(&lock);
	for (const struct batch *b = batches; b != NULL; b = b->next)
		n += b->owner == owner;
	pthread_mutex_unlock(&lock);
	return n >= DISCARD_MAX_HANGING;
}

void discard_wait(void) {
	pthread_mutex_lock(&lock);
	while (n_items > 0 || batches != NULL)
		pthread_cond_wait(&something_done, &lock);
	pthread_mutex_unlock(&lock);
}
