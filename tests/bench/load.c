// SPDX-License-Identifier: GPL-2.0-or-later
// The load generator: the two guests of one or more switches, in one thread.
//
//     vhost-load [OPTIONS] SWITCH:PID:TID:SOCKET,SOCKET ...
//
//     -s BYTES     of a frame without checksum (60); more than an Ethernet frame holds means TSO
//     -d           both directions, not only from the first port to the second
//     -l LAYOUT    plain, linux or indirect descriptors (flow.h)
//     -t TOUCH     none, head or all: which bytes of each frame the guests write and read
//     -p           packed rings
//     -f N         the frames of one port look like those of N connections
//     -r ROUNDS    samples of each switch (10)
//     -m MS        a sample (40)
//     SOCKET       where the switch listens; @SOCKET where it is to connect to
//     -g CPU       for this thread (1); -c CPU is that of the switches (0)
//
// It is a guest of all switches at once and measures them in turn, some milliseconds each; the
// others are stopped by SIGSTOP meanwhile, and all are when it ends. So the switches are compared within one fraction of a
// second, and the distance between the CPUs is measured right before and after each sample, when
// none of them runs. One line of JSON for each sample, and one for each switch at the end.
//
// Light. The loop looks at the rings once in LOOK_CYCLES and spins in between: to look more often
// would take the cache lines from the switch that it is about to write. This spinning, and looks
// that found nothing, are the idle share that each sample shows. As long as there is any, and the
// switch was hardly ever out of frames ("starved"), the switch was the bound. Then all its cycles
// went into frames, and cycles per frame are the same measure for all switches, taken from outside:
// the cycles of the sample, less those in which the switch's thread waited for its CPU, by frames
// received.

#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <x86intrin.h>

#include "tests/bench/flow.h"
#include "tests/bench/placement.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define MAX_TARGETS 4
#define LOOK_CYCLES 1500 // a switch moves 10 to 30 small frames meanwhile, of 256
#define WARM_UP_MS 6
#define START_MS 20000 // until frames flow, at the longest
#define DRAIN_MS 300
#define DISTURBED 0.03 // more of the sample without a CPU: try again
#define TRIES 4
// After each sample, for the rest of the machine: our threads go before all others, and the kernel
// would stop them in the middle of a sample if they took more than 95 % of a second.
#define PAUSE_US 6000
#define LEAVE_US 50000 // until the switch has seen that its guests are gone

struct target {
	char *name;
	pid_t pid, tid;
	char *paths[2];
	int schedstat_fd;
	struct port ports[2];
	struct flow flows[2];
	uint32_t one_way;    // cycles, before the next sample
	uint64_t early_loss; // frames that came before the switch was ready
};

// What one stretch of time was used for.
struct usage {
	uint64_t cycles, idle_cycles;
	uint64_t away_ns, waited_ns; // this thread's and the switch's: without a CPU
	uint64_t frames, looks, starved;
};

static struct port_shape shape = {.size = 60, .n_flows = 1};
static bool both_ways;
static int load_cpu = 1, switch_cpu = 0;
static uint64_t n_rounds = 10, sample_ms = 40;
static double tsc_hz;
static int own_schedstat_fd;

static uint64_t ms_to_cycles(uint64_t ms) {
	return (uint64_t)((double)ms * tsc_hz / 1e3);
}

static uint64_t received(const struct target *t) {
	return t->flows[0].received + t->flows[1].received;
}

static uint64_t underway(const struct target *t) {
	return flow_underway(&t->flows[0]) + flow_underway(&t->flows[1]);
}

static uint64_t parse_option(const char *text, uint64_t max) {
	uint64_t value;

	if (parse_u64(text, 0, max, &value) < 0)
		errx(2, "'%s' is no number up to %lu", text, max);
	return value;
}

// Run the guests of @t for @cycles.
static void run(struct target *t, uint64_t cycles, struct usage *u) {
	uint64_t start = __rdtsc(), now = start, before = received(t);

	*u = (struct usage){0};
	for (int i = 0; i < 2; i++)
		t->flows[i].looks = t->flows[i].starved = 0;
	u->waited_ns = placement_waited_ns(t->schedstat_fd);
	u->away_ns = placement_waited_ns(own_schedstat_fd);
	while (now - start < cycles) {
		uint64_t round = now, done;
		uint32_t n = flow_turn(&t->flows[0], now) + flow_turn(&t->flows[1], now);

		if (n == 0) {
			for (int i = 0; i < 2; i++)
				queue_wake(&t->ports[i].tx);
		}
		now = done = __rdtsc();
		while (now - round < LOOK_CYCLES) {
			_mm_pause();
			now = __rdtsc();
		}
		u->idle_cycles += now - (n == 0 ? round : done);
	}
	u->cycles = now - start;
	u->waited_ns = placement_waited_ns(t->schedstat_fd) - u->waited_ns;
	u->away_ns = placement_waited_ns(own_schedstat_fd) - u->away_ns;
	u->frames = received(t) - before;
	for (int i = 0; i < 1 + both_ways; i++) {
		u->looks += t->flows[i].looks;
		u->starved += t->flows[i].starved;
	}
}

// Let the switch run, its thread before all others if it is measured.
static void go_on(struct target *t, bool preferred) {
	for (int i = 0; i < 2; i++)
		t->flows[i].progress_tsc = __rdtsc();
	placement_prefer(t->tid, preferred);
	kill(t->pid, SIGCONT);
}

// Stop the switch, and wait until its thread has left the CPU.
static void halt(const struct target *t) {
	char path[64], text[512];
	ssize_t n;
	int fd;

	placement_prefer(t->tid, false);
	kill(t->pid, SIGSTOP);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", t->pid, t->tid);
	do {
		char *state = NULL;

		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n > 0) {
			text[n] = '\0';
			state = strrchr(text, ')');
		}
		if (state == NULL)
			errx(1, "%s has ended", t->name);
		if (state[2] == 'T')
			return;
	} while (true);
}

// Open both ports of a switch and see frames flow. Returns false if it lacks a feature.
static bool start(struct target *t) {
	uint64_t needed = port_needed_features(&shape), deadline;
	struct usage u;

	go_on(t, false);
	for (int i = 0; i < 2; i++)
		front_open(&t->ports[i].front, t->paths[i]);
	for (int i = 0; i < 2; i++) {
		uint64_t missing = needed & ~t->ports[i].front.offered;

		if (missing != 0) {
			printf("{\"switch\": \"%s\", \"absent\": \"does not offer the virtio "
			       "features %#lx\"}\n",
			       t->name, missing);
			for (int j = 0; j < 2; j++)
				front_close(&t->ports[j].front);
			usleep(LEAVE_US);
			halt(t);
			return false;
		}
	}
	for (int i = 0; i < 2; i++)
		port_start(&t->ports[i], &shape, (uint8_t)(i + 1));
	t->schedstat_fd = placement_open_schedstat(t->pid, t->tid);
	// The other direction sends a few frames in any case, so that its address is learned.
	flow_init(&t->flows[0], &t->ports[0], &t->ports[1], UINT64_MAX);
	flow_init(&t->flows[1], &t->ports[1], &t->ports[0], both_ways ? UINT64_MAX : 1);
	go_on(t, false);
	deadline = __rdtsc() + ms_to_cycles(START_MS);
	do {
		run(t, ms_to_cycles(WARM_UP_MS), &u);
		usleep(PAUSE_US);
		if (__rdtsc() > deadline)
			errx(1, "%s: no frames after %d ms", t->name, START_MS);
	} while (t->flows[0].received < 1000 || t->flows[1].received < 1);
	t->early_loss = t->flows[0].lost + t->flows[1].lost;
	t->flows[0].settling = t->flows[1].settling = false;
	halt(t);
	return true;
}

static void print_sample(
	const struct target *t, uint64_t round, const struct usage *u, uint32_t one_way_before
) {
	double seconds = (double)u->cycles / tsc_hz;
	double waited = (double)u->waited_ns / 1e9 / seconds;
	double away = (double)u->away_ns / 1e9 / seconds;

	if (u->frames == 0)
		errx(1, "%s: no frame in %.0f ms", t->name, seconds * 1e3);
	printf("{\"switch\": \"%s\", \"round\": %lu, \"frames\": %lu, \"mpps\": %.4f, "
	       "\"cycles\": %.1f, \"generator_idle\": %.3f, \"starved\": %.4f, "
	       "\"one_way\": [%u, %u], \"switch_waited\": %.4f, \"generator_away\": %.4f}\n",
	       t->name, round, u->frames, (double)u->frames / seconds / 1e6,
	       (double)u->cycles * (1 - waited) / (double)u->frames,
	       (double)u->idle_cycles / (double)u->cycles,
	       u->looks > 0 ? (double)u->starved / (double)u->looks : 0, one_way_before, t->one_way,
	       waited, away);
	fflush(stdout);
}

static bool is_disturbed(const struct usage *u) {
	double most_ns = DISTURBED * 1e9 * (double)u->cycles / tsc_hz;

	return (double)u->waited_ns > most_ns || (double)u->away_ns > most_ns;
}

static void sample(struct target *t, uint64_t round) {
	struct usage u;
	uint32_t before;

	for (int try = 0; try < TRIES; try++) {
		placement_prefer(0, true);
		before = placement_one_way_cycles();
		go_on(t, true);
		run(t, ms_to_cycles(WARM_UP_MS), &u);
		run(t, ms_to_cycles(sample_ms), &u);
		halt(t);
		t->one_way = placement_one_way_cycles();
		placement_prefer(0, false);
		usleep(PAUSE_US);
		if (!is_disturbed(&u))
			break;
	}
	print_sample(t, round, &u, before);
}

// Let all frames arrive, and say what has become of them. Returns whether all is well.
static bool finish(struct target *t) {
	uint64_t sent = 0, lost = 0, wrong = 0, checked = 0;
	struct usage u;

	go_on(t, false);
	for (int i = 0; i < 2; i++)
		t->flows[i].limit = t->ports[i].tx.posted;
	for (int ms = 0; ms < DRAIN_MS && underway(t) > 0; ms += WARM_UP_MS)
		run(t, ms_to_cycles(WARM_UP_MS), &u);
	for (int i = 0; i < 2; i++) {
		sent += t->ports[i].tx.posted;
		lost += t->flows[i].lost + flow_underway(&t->flows[i]);
		wrong += t->flows[i].wrong;
		checked += t->flows[i].checked;
		front_close(&t->ports[i].front);
	}
	close(t->schedstat_fd);
	usleep(LEAVE_US);
	halt(t);
	printf("{\"switch\": \"%s\", \"sent\": %lu, \"received\": %lu, \"lost\": %lu, "
	       "\"checked\": %lu, \"wrong\": %lu}\n",
	       t->name, sent, received(t), lost - t->early_loss, checked, wrong);
	return wrong == 0 && checked > 0;
}

// "NAME:PID:TID:SOCKET,SOCKET", taken apart in place.
static void parse_target(char *text, struct target *ret_target) {
	char *name = strsep(&text, ":"), *pid = strsep(&text, ":"), *tid = strsep(&text, ":");
	char *first = strsep(&text, ",");

	if (pid == NULL || tid == NULL || first == NULL || text == NULL)
		errx(2, "'%s': not SWITCH:PID:TID:SOCKET,SOCKET", name);
	*ret_target = (struct target){
		.name = name,
		.pid = (pid_t)parse_option(pid, INT32_MAX),
		.tid = (pid_t)parse_option(tid, INT32_MAX),
		.paths = {first, text},
	};
}

static unsigned int one_of(const char *word, const char *const *words, unsigned int n) {
	for (unsigned int i = 0; i < n; i++) {
		if (strcmp(word, words[i]) == 0)
			return i;
	}
	errx(2, "'%s' is none of the words that load.c begins with", word);
}

static void parse_options(int argc, char **argv) {
	static const char *const layouts[] = {"plain", "linux", "indirect"};
	static const char *const touches[] = {"none", "head", "all"};
	int key;

	while ((key = getopt(argc, argv, "s:dl:t:pf:r:m:g:c:")) >= 0) {
		switch (key) {
		case 's':
			shape.size = (uint32_t)parse_option(optarg, PORT_TSO_SIZE);
			if (shape.size < 60)
				errx(2, "an Ethernet frame has at least 60 bytes");
			break;
		case 'd':
			both_ways = true;
			break;
		case 'l':
			shape.layout = one_of(optarg, layouts, ARRAY_LEN(layouts));
			break;
		case 't':
			shape.touch = one_of(optarg, touches, ARRAY_LEN(touches));
			break;
		case 'p':
			shape.packed = true;
			break;
		case 'f':
			shape.n_flows = (uint16_t)parse_option(optarg, QUEUE_SIZE);
			if (shape.n_flows == 0)
				errx(2, "there is at least one flow");
			break;
		case 'r':
			n_rounds = parse_option(optarg, 1000000);
			break;
		case 'm':
			sample_ms = parse_option(optarg, 60000);
			break;
		case 'g':
			load_cpu = (int)parse_option(optarg, CPU_SETSIZE - 1);
			break;
		case 'c':
			switch_cpu = (int)parse_option(optarg, CPU_SETSIZE - 1);
			break;
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv) {
	static struct target targets[MAX_TARGETS];
	unsigned int n = 0;
	bool ok = true;

	parse_options(argc, argv);
	if (optind == argc || argc - optind > MAX_TARGETS)
		errx(2, "one to %d of SWITCH:PID:TID:SOCKET,SOCKET", MAX_TARGETS);
	placement_start(switch_cpu);
	placement_pin(load_cpu);
	tsc_hz = placement_tsc_hz();
	own_schedstat_fd = placement_open_schedstat(getpid(), gettid());
	for (int i = optind; i < argc; i++) {
		parse_target(argv[i], &targets[n]);
		n += start(&targets[n]);
	}
	for (uint64_t round = 0; round < n_rounds; round++) {
		for (unsigned int i = 0; i < n; i++)
			sample(&targets[i], round);
	}
	for (unsigned int i = 0; i < n; i++)
		ok &= finish(&targets[i]);
	return ok ? 0 : 1;
}
