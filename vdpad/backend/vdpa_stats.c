// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/vdpa_stats.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "vdpad/backend/vdpa_report.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

struct entry {
	TAILQ_ENTRY(entry) entries;
	uint64_t generation;
	uint64_t told_ms;
	sd_bus_message *counters; // owned
};

struct vdpa_stats {
	struct vdpa_calls *calls;
	TAILQ_HEAD(, entry) told; // the oldest first
};

struct query {
	struct vdpa_stats *stats;
	uint64_t generation;
	vdpa_stats_fn fn;
	void *userdata;
};

static void drop(struct vdpa_stats *stats, struct entry *entry) {
	TAILQ_REMOVE(&stats->told, entry, entries);
	sd_bus_message_unref(entry->counters);
	free(entry);
}

static void drop_old(struct vdpa_stats *stats) {
	uint64_t now_ms = clock_now_ms();
	struct entry *first;

	while ((first = TAILQ_FIRST(&stats->told)) != NULL &&
	       now_ms - first->told_ms > VDPA_STATS_MAX_AGE_MS)
		drop(stats, first);
}

static struct entry *find(struct vdpa_stats *stats, uint64_t generation) {
	struct entry *entry;

	TAILQ_FOREACH(entry, &stats->told, entries) {
		if (entry->generation == generation)
			return entry;
	}
	return NULL;
}

static void keep(struct vdpa_stats *stats, uint64_t generation, sd_bus_message *counters) {
	struct entry *entry = find(stats, generation);

	if (entry != NULL)
		drop(stats, entry);
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return;
	entry->generation = generation;
	entry->told_ms = clock_now_ms();
	entry->counters = sd_bus_message_ref(counters);
	TAILQ_INSERT_TAIL(&stats->told, entry, entries);
}

static int fill(void *userdata, sd_bus_message *m) {
	const struct query *query = userdata;
	char name[VDPA_DEVICE_NAME_SIZE];

	vdpa_device_name(query->generation, name);
	return sd_bus_message_append(m, "s", name);
}

static void on_counters(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct query *query = userdata;

	if (e != NULL)
		log_debug("no counters of a vDPA device: %s", e->text);
	else
		keep(query->stats, query->generation, reply);
	query->fn(query->userdata, reply);
	free(query);
}

void vdpa_stats_get(
	struct vdpa_stats *stats, uint64_t generation, vdpa_stats_fn fn, void *userdata
) {
	struct entry *entry;
	struct query *query;

	drop_old(stats);
	entry = find(stats, generation);
	if (entry != NULL) {
		sd_bus_message_rewind(entry->counters, true);
		fn(userdata, entry->counters);
		return;
	}
	query = malloc(sizeof(*query));
	if (query == NULL || vdpa_calls_wedged(stats->calls)[0] != '\0') {
		free(query);
		fn(userdata, NULL);
		return;
	}
	*query = (struct query
	){.stats = stats, .generation = generation, .fn = fn, .userdata = userdata};
	vdpa_calls_add(stats->calls, "VdpaStats", fill, LINK_CALL_TIMEOUT_MS, on_counters, query);
}

int vdpa_stats_new(struct vdpa_calls *calls, struct vdpa_stats **ret_stats) {
	struct vdpa_stats *stats = calloc(1, sizeof(*stats));

	if (stats == NULL)
		return -ENOMEM;
	stats->calls = calls;
	TAILQ_INIT(&stats->told);
	*ret_stats = stats;
	return 0;
}

void vdpa_stats_free(struct vdpa_stats *stats) {
	if (stats == NULL)
		return;
	while (!TAILQ_EMPTY(&stats->told))
		drop(stats, TAILQ_FIRST(&stats->told));
	free(stats);
}
