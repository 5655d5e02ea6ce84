// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/parse.h"

// How long to poll after the last frame. A wake-up costs about 5 us here and as much for the
// guest's kick.
#define POLL_US 50
// Ports that say frames wait but give none (a ring without a kick, frames that were all dropped)
// are asked again so often.
#define FRUITLESS_RETRY_MS 1
// Nothing needs this; a descriptor that fails to wake us costs no more than this.
#define SLEEP_MAX_MS 1000
#define EPOLL_EVENTS 16
#define CLOCK_MS 10 // how old the time may be that addresses are learnt with

struct worker {
	struct workers *all;
	pthread_t thread;
	bool started;
	uint16_t index;
	int epoll_fd;
	int wake_fd;
	uint64_t look_tsc; // when to look at the clock again
	uint32_t now_s;    // what it said
	bool fruitless;    // ports said that frames wait, and a poll brought none
	struct port_counters counters[FORWARD_MAX_PORTS];
	struct port_context io;
} __rte_cache_aligned;

struct workers {
	_Atomic(struct forward_table *) table;
	atomic_bool stopping;
	struct rte_rcu_qsbr *qsbr;
	uint16_t n;
	struct worker *list;
};

static int parse_cpu(const char *text, const char *all, uint64_t *ret_cpu, struct error *e) {
	if (parse_u64(text, 0, CPU_SETSIZE - 1, ret_cpu) < 0)
		return error_set(
			e, EINVAL, "cpus: '%s' is neither \"auto\" nor a list such as \"2-3,6\"",
			all
		);
	return 0;
}

int workers_parse_cpus(const char *cpus, int ret_cpus[static WORKERS_MAX], struct error *e) {
	_cleanup_free_ char *text = NULL;
	char *rest, *item;
	int n = 0, r;

	if (strcmp(cpus, "auto") == 0) {
		ret_cpus[0] = -1;
		return 1;
	}
	text = rest = strdup(cpus);
	if (text == NULL)
		return error_set(e, ENOMEM, "out of memory");
	while ((item = strsep(&rest, ",")) != NULL) {
		char *last_text = strchr(item, '-');
		uint64_t first, last;

		if (last_text != NULL)
			*last_text++ = '\0';
		r = parse_cpu(item, cpus, &first, e);
		if (r < 0)
			return r;
		last = first;
		if (last_text != NULL) {
			r = parse_cpu(last_text, cpus, &last, e);
			if (r < 0)
				return r;
		}
		if (last < first)
			return error_set(
				e, EINVAL, "cpus: '%s': a range ends before it begins", cpus
			);
		for (uint64_t cpu = first; cpu <= last; cpu++) {
			for (int i = 0; i < n; i++) {
				if (ret_cpus[i] == (int)cpu)
					return error_set(
						e, EINVAL, "cpus: '%s' names CPU %d twice", cpus,
						(int)cpu
					);
			}
			if (n == WORKERS_MAX)
				return error_set(e, EINVAL, "cpus: more than %d CPUs", WORKERS_MAX);
			ret_cpus[n++] = (int)cpu;
		}
	}
	return n;
}

int workers_check_cpus(const int *cpus, int n_cpus, struct error *e) {
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return error_set(e, errno, "sched_getaffinity: %s", strerror(errno));
	for (int i = 0; i < n_cpus; i++) {
		if (cpus[i] >= 0 && !CPU_ISSET(cpus[i], &allowed))
			return error_set(
				e, EINVAL, "cpus: there is no CPU %d for the switch", cpus[i]
			);
	}
	return 0;
}

// The clock costs as much as some frames, and only seconds matter.
static void update_clock(struct worker *worker) {
	uint64_t now_tsc = rte_rdtsc();

	if (now_tsc < worker->look_tsc)
		return;
	worker->look_tsc = now_tsc + rte_get_tsc_hz() / MS_PER_S * CLOCK_MS;
	worker->now_s = (uint32_t)(clock_now_ms() / 1000);
}

// One turn: a burst from each port of this worker. Returns how many frames came.
static uint32_t poll_ports(struct worker *worker, const struct forward_table *table) {
	struct forward_context ctx = {
		.table = table,
		.counters = worker->counters,
		.io = &worker->io,
		.now_s = worker->now_s,
	};
	uint32_t n_total = 0;

	for (uint16_t i = 0; i < table->n_polled; i++) {
		const struct forward_port *port = &table->ports[table->polled[i]];
		struct frame frames[BURST_FRAMES];
		uint16_t n;

		if (port->worker != worker->index)
			continue;
		n = port->io->ops->poll(port->io, &worker->io, &worker->counters[port->id], frames);
		if (n == 0)
			continue;
		forward_burst(&ctx, port, frames, n);
		port->io->ops->release(port->io, &worker->io);
		n_total += n;
	}
	return n_total;
}

static bool arm_ports(const struct worker *worker, const struct forward_table *table) {
	bool pending = false;

	for (uint16_t i = 0; i < table->n_polled; i++) {
		const struct forward_port *port = &table->ports[table->polled[i]];

		if (port->worker == worker->index)
			pending |= port->io->ops->arm(port->io);
	}
	return pending;
}

static void disarm_ports(const struct worker *worker, const struct forward_table *table) {
	for (uint16_t i = 0; i < table->n_polled; i++) {
		const struct forward_port *port = &table->ports[table->polled[i]];

		if (port->worker == worker->index)
			port->io->ops->disarm(port->io);
	}
}

static const struct forward_table *current_table(const struct workers *workers) {
	return atomic_load_explicit(&workers->table, memory_order_acquire);
}

// Sleep until a descriptor or workers_wake() says that there is work. While asleep the worker is
// offline: ports may vanish, so the table is read anew afterwards.
static void sleep_until_work(struct worker *worker) {
	struct workers *all = worker->all;
	struct epoll_event events[EPOLL_EVENTS];
	bool pending = arm_ports(worker, current_table(all));

	if (!pending || worker->fruitless) {
		rte_rcu_qsbr_thread_offline(all->qsbr, worker->index);
		epoll_wait(
			worker->epoll_fd, events, EPOLL_EVENTS,
			pending ? FRUITLESS_RETRY_MS : SLEEP_MAX_MS
		);
		rte_rcu_qsbr_thread_online(all->qsbr, worker->index);
	}
	worker->fruitless = pending;
	disarm_ports(worker, current_table(all));
}

static void *run(void *arg) {
	struct worker *worker = arg;
	struct workers *all = worker->all;
	uint64_t poll_tsc = rte_get_tsc_hz() / US_PER_S * POLL_US;
	uint64_t last_frame_tsc = rte_rdtsc();
	char name[16];

	snprintf(name, sizeof(name), "worker-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	rte_rcu_qsbr_thread_online(all->qsbr, worker->index);

	while (!atomic_load_explicit(&all->stopping, memory_order_relaxed)) {
		uint32_t n;

		update_clock(worker);
		n = poll_ports(worker, current_table(all));
		rte_rcu_qsbr_quiescent(all->qsbr, worker->index);
		if (n > 0) {
			worker->fruitless = false;
			last_frame_tsc = rte_rdtsc();
		} else if (rte_rdtsc() - last_frame_tsc > poll_tsc) {
			sleep_until_work(worker);
			last_frame_tsc = rte_rdtsc();
		}
	}

	rte_rcu_qsbr_thread_offline(all->qsbr, worker->index);
	return NULL;
}

// @cpu -1: not pinned.
static int start_thread(struct worker *worker, int cpu, struct error *e) {
	pthread_attr_t attr;
	cpu_set_t cpus;
	int r;

	pthread_attr_init(&attr);
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	r = pthread_create(&worker->thread, &attr, run, worker);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return error_set(e, r, "pthread_create: %s", strerror(r));
	worker->started = true;
	return 0;
}

static int start_worker(struct workers *workers, uint16_t index, int cpu, struct error *e) {
	struct worker *worker = &workers->list[index];
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int r;

	worker->all = workers;
	worker->index = index;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return error_set(e, errno, "epoll_create1: %s", strerror(errno));
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake_fd < 0 ||
	    epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event) < 0)
		return error_set(e, errno, "eventfd: %s", strerror(errno));
	r = notifier_init(&worker->io.notifier);
	if (r < 0)
		return error_set(e, -r, "no asynchronous I/O: %s", strerror(-r));
	rte_rcu_qsbr_thread_register(workers->qsbr, index);
	return start_thread(worker, cpu, e);
}

int workers_new(const int *cpus, uint16_t n_cpus, struct workers **ret_workers, struct error *e) {
	struct workers *workers = calloc(1, sizeof(*workers));
	struct forward_table *table = forward_table_new(0);
	size_t qsbr_size = rte_rcu_qsbr_get_memsize(n_cpus);
	int r = -ENOMEM;

	if (workers == NULL || table == NULL) {
		free(workers);
		forward_table_free(table);
		return error_set(e, ENOMEM, "out of memory");
	}
	workers->table = table;
	workers->list = aligned_alloc(RTE_CACHE_LINE_SIZE, n_cpus * sizeof(*workers->list));
	workers->qsbr =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(qsbr_size, RTE_CACHE_LINE_SIZE));
	if (workers->list == NULL || workers->qsbr == NULL) {
		error_set(e, ENOMEM, "out of memory");
		goto fail;
	}
	memset(workers->list, 0, n_cpus * sizeof(*workers->list));
	rte_rcu_qsbr_init(workers->qsbr, n_cpus);

	for (; workers->n < n_cpus; workers->n++) {
		workers->list[workers->n].epoll_fd = workers->list[workers->n].wake_fd = -EBADF;
		workers->list[workers->n].io.notifier.file = -EBADF;
		r = start_worker(workers, workers->n, cpus[workers->n], e);
		if (r < 0) {
			workers->n++; // so that it is cleaned up
			goto fail;
		}
	}
	*ret_workers = workers;
	return 0;

fail:
	workers_free(workers);
	return r;
}

void workers_free(struct workers *workers) {
	if (workers == NULL)
		return;
	atomic_store(&workers->stopping, true);
	for (uint16_t i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->list[i];

		if (worker->started) {
			workers_wake(workers, i);
			pthread_join(worker->thread, NULL);
		}
		notifier_done(&worker->io.notifier);
		close_keep_errno(worker->wake_fd);
		close_keep_errno(worker->epoll_fd);
	}
	forward_table_free(atomic_load(&workers->table));
	free(workers->list);
	free(workers->qsbr);
	free(workers);
}

uint16_t workers_count(const struct workers *workers) {
	return workers->n;
}

int workers_epoll_fd(const struct workers *workers, uint16_t index) {
	return workers->list[index].epoll_fd;
}

void workers_wake(struct workers *workers, uint16_t index) {
	// Fails only when the counter is full, which wakes as well.
	eventfd_write(workers->list[index].wake_fd, 1);
}

void workers_publish(struct workers *workers, struct forward_table *table) {
	struct forward_table *old = atomic_exchange(&workers->table, table);

	workers_synchronize(workers);
	forward_table_free(old);
	for (uint16_t i = 0; i < workers->n; i++)
		workers_wake(workers, i);
}

void workers_synchronize(struct workers *workers) {
	uint64_t token = rte_rcu_qsbr_start(workers->qsbr);

	// Give the CPU away: the worker waited for may want to run on ours.
	while (rte_rcu_qsbr_check(workers->qsbr, token, false) == 0)
		sched_yield();
}

void workers_read_counters(
	const struct workers *workers, uint16_t port_id, struct port_counters *ret_sum
) {
	*ret_sum = (struct port_counters){0};
	for (uint16_t i = 0; i < workers->n; i++)
		counters_add(ret_sum, &workers->list[i].counters[port_id]);
}

void workers_clear_counters(struct workers *workers, uint16_t port_id) {
	for (uint16_t i = 0; i < workers->n; i++)
		workers->list[i].counters[port_id] = (struct port_counters){0};
}
