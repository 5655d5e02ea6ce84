// SPDX-License-Identifier: GPL-2.0-or-later
// Two guests on two sockets of a switch that send each other frames and know exactly what came of
// them. A test does its worst elsewhere meanwhile.
//
//     vhost-traffic SOCKET MAC SOCKET MAC
//
// Each line on standard input ends a period: sending stops, what is under way arrives, one line of
// JSON says what the period was like, and the next begins. Ends with the input.
//
// A lost frame must be the switch's doing. So no more frames are under way to a guest than a part of
// its receive buffers, and a guest that is not given the CPU sends none. Every 16th frame is a
// broadcast, so that a third port has something to receive. The pace is that of a busy guest, not of
// a machine at its end: two thirds of a core belong to the test.
//
// Meanwhile the control channel of the first guest is asked for its features, again and again; how
// long the answers took is part of the report.

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake/vhost_front.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/mac_addr.h"

#define RX_RING 0
#define TX_RING 1
#define HEADER_SIZE 12
#define BUFFER_SIZE 2048
#define RX_OFFSET FRONT_DATA
#define TX_OFFSET (FRONT_DATA + FRONT_RING_SIZE * BUFFER_SIZE)
#define MAX_UNDER_WAY 96 // of FRONT_RING_SIZE receive buffers
#define FRAMES_PER_MS 20
#define FRAME_SIZE 300
#define ETHERTYPE 0x88b5 // for experiments
#define BROADCAST_EVERY 16
#define DRAIN_US 2000000
#define ASK_INTERVAL_US 2000
#define MAX_ANSWERS 65536

struct body {
	uint8_t to[6], from[6];
	uint16_t ethertype;
	uint32_t period;
	uint64_t number;
	uint8_t rest[FRAME_SIZE - 28];
} __attribute__((packed));

struct guest {
	struct front front;
	struct mac_addr mac;
	uint64_t n_sent, n_received; // of this period
	uint64_t n_corrupt, n_disorder, n_other;
	// That will come, of unicast and broadcast: the two may overtake each other.
	uint64_t next_number[2];
	uint64_t last_us; // when a frame came last
	uint64_t max_gap_us;
};

static struct guest guests[2];
static uint32_t period;
static uint32_t answers_us[MAX_ANSWERS];
static unsigned int n_answers;
static uint64_t asked_us; // 0: no question is open
static uint64_t next_ask_us;

static uint64_t now_us(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void kick(struct front *f, unsigned int ring) {
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((*(volatile uint16_t *)&f->rings[ring].used->flags & VRING_USED_F_NO_NOTIFY) == 0)
		eventfd_write(f->rings[ring].kick_fd, 1);
}

static void fill(uint8_t *rest, size_t size, uint64_t number) {
	for (size_t i = 0; i < size; i++)
		rest[i] = (uint8_t)(number * 31 + i);
}

static void open_guest(struct guest *g, const char *path, const char *mac) {
	struct message_header header;
	union message_payload payload;

	if (mac_addr_parse(mac, &g->mac) < 0)
		exit(2);
	front_connect(&g->front, path);
	g->front.rings[TX_RING].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	g->front.rings[RX_RING].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	front_start(&g->front, 0);
	for (unsigned int i = 0; i < FRONT_RING_SIZE; i++)
		front_post(&g->front, RX_RING, RX_OFFSET + i * BUFFER_SIZE, BUFFER_SIZE, true);
	kick(&g->front, RX_RING);
	// Requests are handled in their order: after this answer the rings run.
	front_send(&g->front, MESSAGE_GET_FEATURES, 0, NULL, 0, NULL, 0);
	if (front_receive(&g->front, &header, &payload) < 0)
		exit(1);
}

static void send_frame(struct guest *g, const struct guest *to) {
	struct front_ring *r = &g->front.rings[TX_RING];
	uint64_t offset = TX_OFFSET + r->next_desc % r->size * (uint64_t)BUFFER_SIZE;
	struct body body = {.ethertype = __builtin_bswap16(ETHERTYPE), .period = period};

	body.number = g->n_sent++;
	memcpy(body.to, to->mac.octets, sizeof(body.to));
	if (body.number % BROADCAST_EVERY == 0)
		memset(body.to, 0xff, sizeof(body.to));
	memcpy(body.from, g->mac.octets, sizeof(body.from));
	fill(body.rest, sizeof(body.rest), body.number);
	memset(g->front.memory + offset, 0, HEADER_SIZE);
	memcpy(g->front.memory + offset + HEADER_SIZE, &body, sizeof(body));
	front_post(&g->front, TX_RING, offset, HEADER_SIZE + sizeof(body), false);
}

static void check_frame(struct guest *g, const struct guest *from, const uint8_t *at, size_t size) {
	uint8_t rest[sizeof(((struct body *)NULL)->rest)];
	uint64_t now = now_us(), *next;
	struct body body;

	memcpy(&body, at, sizeof(body));
	if (body.ethertype != __builtin_bswap16(ETHERTYPE) ||
	    memcmp(body.from, from->mac.octets, sizeof(body.from)) != 0) {
		g->n_other++;
		return;
	}
	fill(rest, sizeof(rest), body.number);
	if (size != sizeof(body) || body.period != period ||
	    memcmp(rest, body.rest, sizeof(rest)) != 0) {
		g->n_corrupt++;
		return;
	}
	next = &g->next_number[body.to[0] == 0xff];
	g->n_disorder += body.number < *next;
	*next = body.number + 1;
	g->n_received++;
	if (g->last_us != 0 && now - g->last_us > g->max_gap_us)
		g->max_gap_us = now - g->last_us;
	g->last_us = now;
}

// Returns how many buffers came back.
static unsigned int receive_frames(struct guest *g, const struct guest *from) {
	struct vring_used_elem used;
	unsigned int n = 0;

	for (; front_used(&g->front, RX_RING, &used); n++) {
		uint64_t offset = RX_OFFSET + used.id * (uint64_t)BUFFER_SIZE;

		if (used.id >= FRONT_RING_SIZE || used.len > BUFFER_SIZE ||
		    used.len < HEADER_SIZE + 14) {
			g->n_corrupt++;
			continue;
		}
		check_frame(
			g, from, g->front.memory + offset + HEADER_SIZE, used.len - HEADER_SIZE
		);
		front_avail(&g->front, RX_RING, (uint16_t)used.id);
	}
	if (n > 0)
		kick(&g->front, RX_RING);
	return n;
}

static void take_back_sent(struct guest *g) {
	struct vring_used_elem used;

	while (front_used(&g->front, TX_RING, &used))
		;
}

static unsigned int send_frames(struct guest *g, const struct guest *to, unsigned int n) {
	const struct front_ring *r = &g->front.rings[TX_RING];
	unsigned int i = 0;

	take_back_sent(g);
	while (i < n && g->n_sent - to->n_received < MAX_UNDER_WAY &&
	       (uint16_t)(r->avail->idx - r->seen_used) < r->size) {
		send_frame(g, to);
		i++;
	}
	if (i > 0)
		kick(&g->front, TX_RING);
	return i;
}

// A question that waits keeps others from being asked. They count as if they had been.
static void note_answer(uint64_t took_us) {
	for (;; took_us -= ASK_INTERVAL_US) {
		if (n_answers < MAX_ANSWERS)
			answers_us[n_answers++] = (uint32_t)took_us;
		if (took_us < ASK_INTERVAL_US)
			return;
	}
}

static void ask(struct front *f) {
	uint64_t now = now_us();

	if (asked_us == 0 && now >= next_ask_us) {
		asked_us = now;
		front_send(f, MESSAGE_GET_FEATURES, 0, NULL, 0, NULL, 0);
	}
	if (asked_us != 0) {
		struct pollfd p = {.fd = f->fd, .events = POLLIN};
		struct message_header header;
		union message_payload payload;

		if (poll(&p, 1, 0) <= 0)
			return;
		if (front_receive(f, &header, &payload) < 0) {
			fputs("the switch has hung up\n", stderr);
			exit(1);
		}
		note_answer(now_us() - asked_us);
		asked_us = 0;
		next_ask_us = now_us() + ASK_INTERVAL_US;
	}
}

static int compare(const void *a, const void *b) {
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t quantile(double share) {
	return n_answers == 0 ? 0 : answers_us[(unsigned int)(share * (n_answers - 1))];
}

static bool all_arrived(void) {
	return guests[0].n_sent == guests[1].n_received && guests[1].n_sent == guests[0].n_received;
}

static void end_period(void) {
	uint64_t until_us = now_us() + DRAIN_US;

	while ((!all_arrived() || asked_us != 0) && now_us() < until_us) {
		if (receive_frames(&guests[0], &guests[1]) +
		            receive_frames(&guests[1], &guests[0]) ==
		    0)
			usleep(200);
		if (asked_us != 0)
			ask(&guests[0].front);
	}
	if (asked_us != 0)
		note_answer(now_us() - asked_us);
	qsort(answers_us, n_answers, sizeof(answers_us[0]), compare);
	printf("{\"guests\": [");
	for (unsigned int i = 0; i < ARRAY_LEN(guests); i++) {
		struct guest *g = &guests[i];

		printf("%s{\"sent\": %" PRIu64 ", \"lost\": %" PRId64 ", \"corrupt\": %" PRIu64
		       ", \"disorder\": %" PRIu64 ", \"other\": %" PRIu64 ", \"max_gap_ms\": %.1f}",
		       i == 0 ? "" : ", ", g->n_sent,
		       (int64_t)(g->n_sent - guests[1 - i].n_received), g->n_corrupt, g->n_disorder,
		       g->n_other, (double)g->max_gap_us / 1e3);
		take_back_sent(g);
	}
	printf("], \"answers\": %u, \"answer_p50_ms\": %.2f, \"answer_p99_ms\": %.2f, "
	       "\"answer_max_ms\": %.2f}\n",
	       n_answers, quantile(0.5) / 1e3, quantile(0.99) / 1e3, quantile(1) / 1e3);
	fflush(stdout);
	for (unsigned int i = 0; i < ARRAY_LEN(guests); i++) {
		struct guest *g = &guests[i];

		g->n_sent = g->n_received = g->n_corrupt = g->n_disorder = g->n_other = 0;
		g->next_number[0] = g->next_number[1] = g->last_us = g->max_gap_us = 0;
	}
	n_answers = 0;
	period++;
}

int main(int argc, char **argv) {
	uint64_t next_send_us = 0;

	if (argc != 5) {
		fputs("usage: vhost-traffic SOCKET MAC SOCKET MAC\n", stderr);
		return 2;
	}
	open_guest(&guests[0], argv[1], argv[2]);
	open_guest(&guests[1], argv[3], argv[4]);
	for (;;) {
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		char line[16];
		uint64_t now;

		if (poll(&p, 1, 0) > 0) {
			if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
				break;
			end_period();
		}
		receive_frames(&guests[0], &guests[1]);
		receive_frames(&guests[1], &guests[0]);
		now = now_us();
		if (now >= next_send_us) {
			send_frames(&guests[0], &guests[1], FRAMES_PER_MS / 2);
			send_frames(&guests[1], &guests[0], FRAMES_PER_MS / 2);
			next_send_us = now + 500;
		}
		ask(&guests[0].front);
		usleep(150);
	}
	front_close(&guests[0].front);
	front_close(&guests[1].front);
	return 0;
}
