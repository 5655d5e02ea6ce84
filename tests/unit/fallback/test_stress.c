// SPDX-License-Identifier: GPL-2.0-or-later
// Two guests talk over two workers while a third one's port moves between networks and VLANs, loses
// its link, and is deleted under traffic, with its guest attached. The two may not lose a frame,
// nor get one twice, out of order or changed. A build with -Db_sanitize=address says whether
// anything was used after its end; one with -Db_sanitize=thread, whether two threads ever touch the
// same thing at once (docs/vhost.md). Then they talk slowly, so that the workers fall asleep.

#include "tests/unit/unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_ring.h>
#include <rte_cycles.h>

#include "fallback/switch.h"
#include "tests/fake/vhost_front.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"

#define HEADER_BYTES 12
#define FRAME_BYTES 1000
#define BUFFER_BYTES 2048
#define SEND_AREA (FRONT_DATA + FRONT_RING_SIZE * BUFFER_BYTES) // behind the receive buffers
#define NUMBER_AT 54                                            // behind the headers
#define ROUNDS 8
#define ROUND_MS 60
#define PATIENCE_MS 10000
#define WAKE_UPS 2000
#define LATE_MS 900
// Frames on their way at once: fewer than a receiver has buffers, whoever sends.
#define WINDOW_FRAMES 64
#define WINDOW_BROADCASTS 16

enum { ALICE, BOB, CAROL, N_GUESTS };

static const char *const names[N_GUESTS] = {"alice", "bob", "carol"};
static const char *const macs[N_GUESTS] = {
	"52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:0c"};

struct guest {
	struct front front;
	bool attached;
	uint32_t n_sent;
	uint32_t n_given_back;
	uint32_t n_received; // of the frames for it alone
};

// What the thread of the switch does beside serving: nothing; change Carol's port, again and again;
// replace it once.
enum command { SERVE, CHANGE, REPLACE };

static struct {
	struct network_switch *sw;
	sd_event *event;
	char directory[32];
	char paths[N_GUESTS][64];
	struct guest guests[N_GUESTS];
	pthread_t thread;
	_Atomic enum command command;
	atomic_bool stopping;
} t;

static void set_port(int guest, const char *network, uint32_t vlan, bool link_up) {
	const struct guest_port_spec spec = {
		.network = network,
		.path = t.paths[guest],
		.mtu_bytes = 1500,
		.queue_pairs = 1,
		.vlan = vlan,
		.link_up = link_up,
		.features = UINT64_MAX,
	};

	assert_int_equal(switch_set_port(t.sw, names[guest], &spec, NULL), 0);
}

// The thread of the switch

static void *serve(void *arg) {
	(void)arg;
	for (uint32_t k = 0; !atomic_load(&t.stopping); k++) {
		enum command command = atomic_load(&t.command);

		sd_event_run(t.event, command == CHANGE ? 0 : 1000);
		if (command == CHANGE) {
			set_port(CAROL, k % 2 == 0 ? "net0" : "net1", k / 2 % 2, k % 7 != 0);
		} else if (command == REPLACE) {
			assert_int_equal(switch_del_port(t.sw, names[CAROL], NULL), 0);
			set_port(CAROL, "net0", 0, true);
			atomic_store(&t.command, SERVE);
		}
	}
	return NULL;
}

// The thread of the guests

static uint8_t payload_byte(uint32_t number, uint32_t i) {
	return (uint8_t)(number * 13 + i);
}

static void attach(int i, uint64_t features) {
	struct guest *g = &t.guests[i];
	union message_payload payload;
	struct message_header header;

	front_connect(&g->front, t.paths[i]);
	front_start(&g->front, features);
	for (uint64_t k = 0; k < FRONT_RING_SIZE; k++)
		front_post(&g->front, 0, FRONT_DATA + k * BUFFER_BYTES, BUFFER_BYTES, true);
	// When this is answered, all before it has been handled.
	front_send(&g->front, MESSAGE_GET_FEATURES, 0, NULL, 0, NULL, 0);
	assert_int_equal(front_receive(&g->front, &header, &payload), 8);
	g->attached = true;
	g->n_given_back = g->n_sent;
}

static void detach(int i) {
	front_close(&t.guests[i].front);
	t.guests[i].attached = false;
}

// Write frame @number where it will be sent from. Returns where.
static uint64_t write_frame(int from, const char *to, uint32_t number) {
	const struct test_packet packet = {
		.dst_mac = to, .src_mac = macs[from], .payload_bytes = FRAME_BYTES - NUMBER_AT};
	uint64_t offset = SEND_AREA + number % WINDOW_FRAMES * BUFFER_BYTES;
	uint8_t *frame = t.guests[from].front.memory + offset + HEADER_BYTES;

	memset(frame - HEADER_BYTES, 0, HEADER_BYTES);
	assert_int_equal(test_packet_write(&packet, frame), FRAME_BYTES);
	memcpy(frame + NUMBER_AT, &number, sizeof(number));
	for (uint32_t i = NUMBER_AT + sizeof(number); i < FRAME_BYTES; i++)
		frame[i] = payload_byte(number, i);
	return offset;
}

static void send_frame(int from, const char *to) {
	struct guest *g = &t.guests[from];
	uint64_t offset = write_frame(from, to, g->n_sent++);

	front_post(&g->front, 1, offset, HEADER_BYTES + FRAME_BYTES, false);
	eventfd_write(g->front.rings[1].kick_fd, 1);
}

// Look at all that has come, and offer the buffers anew.
static void receive(int to) {
	struct guest *g = &t.guests[to];
	struct vring_used_elem used;

	while (front_used(&g->front, 1, &used))
		g->n_given_back++;
	while (front_used(&g->front, 0, &used)) {
		uint64_t offset = FRONT_DATA + used.id % FRONT_RING_SIZE * BUFFER_BYTES;
		const uint8_t *frame = g->front.memory + offset + HEADER_BYTES;
		uint32_t number;

		assert_int_equal(used.len, HEADER_BYTES + FRAME_BYTES);
		memcpy(&number, frame + NUMBER_AT, sizeof(number));
		if (frame[0] != 0xff && to != CAROL)
			assert_int_equal(number, g->n_received++);
		for (uint32_t i = NUMBER_AT + sizeof(number); i < FRAME_BYTES; i++)
			assert_int_equal(frame[i], payload_byte(number, i));
		front_post(&g->front, 0, offset, BUFFER_BYTES, true);
	}
}

static void talk(void) {
	struct guest *alice = &t.guests[ALICE], *bob = &t.guests[BOB], *carol = &t.guests[CAROL];

	for (int i = 0; i < N_GUESTS; i++) {
		if (t.guests[i].attached)
			receive(i);
	}
	for (int i = 0; i < 8; i++) {
		if (alice->n_sent - bob->n_received < WINDOW_FRAMES)
			send_frame(ALICE, macs[BOB]);
		if (bob->n_sent - alice->n_received < WINDOW_FRAMES)
			send_frame(BOB, macs[ALICE]);
	}
	if (carol->attached && carol->n_sent - carol->n_given_back < WINDOW_BROADCASTS)
		send_frame(CAROL, "ff:ff:ff:ff:ff:ff");
}

// For as long, and until the two have got some frames through.
static void talk_for(uint64_t ms) {
	uint64_t start_ms = clock_now_ms();
	uint32_t n_before = t.guests[BOB].n_received;

	while (clock_now_ms() < start_ms + ms || t.guests[BOB].n_received - n_before < WINDOW_FRAMES
	) {
		assert_true(clock_now_ms() < start_ms + PATIENCE_MS);
		talk();
	}
}

static void ports_change_under_traffic_and_their_neighbours_lose_nothing(void **state) {
	struct guest *alice = &t.guests[ALICE], *bob = &t.guests[BOB];
	uint64_t end_ms;

	(void)state;
	attach(ALICE, 0);
	attach(BOB, 0);
	for (int round = 0; round < ROUNDS; round++) {
		attach(CAROL, 0);
		atomic_store(&t.command, CHANGE);
		talk_for(ROUND_MS);
		atomic_store(&t.command, REPLACE);
		while (atomic_load(&t.command) != SERVE)
			talk();
		detach(CAROL);
	}
	end_ms = clock_now_ms() + PATIENCE_MS;
	while ((bob->n_received < alice->n_sent || alice->n_received < bob->n_sent) &&
	       clock_now_ms() < end_ms) {
		receive(ALICE);
		receive(BOB);
	}
	assert_int_equal(bob->n_received, alice->n_sent);
	assert_int_equal(alice->n_received, bob->n_sent);
	detach(ALICE);
	detach(BOB);
}

// Kick as a driver does: only if the switch asks for it, which a full barrier decides.
static void post_and_kick(int from, bool event_index) {
	struct front_ring *r = &t.guests[from].front.rings[1];
	uint16_t old = r->avail->idx, event;
	bool wanted;

	front_post(&t.guests[from].front, 1, SEND_AREA, HEADER_BYTES + FRAME_BYTES, false);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy(&event, &r->used->ring[FRONT_RING_SIZE], sizeof(event));
	wanted = event_index ? vring_need_event(event, r->avail->idx, old)
			     : !(r->used->flags & VRING_USED_F_NO_NOTIFY);
	if (wanted)
		eventfd_write(r->kick_fd, 1);
}

// Sleep until the switch interrupts, as asked for. Returns false if it does not for @ms.
static bool wait_for_frame(int to, bool event_index, int ms) {
	struct front *f = &t.guests[to].front;
	struct front_ring *r = &f->rings[0];
	struct pollfd interrupt = {.fd = r->call_fd, .events = POLLIN};
	struct vring_used_elem used;
	eventfd_t ignored;

	for (;;) {
		if (event_index)
			__atomic_store_n(
				&r->avail->ring[FRONT_RING_SIZE], r->seen_used, __ATOMIC_RELAXED
			);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (front_used(f, 0, &used)) {
			front_post(
				f, 0, FRONT_DATA + used.id % FRONT_RING_SIZE * BUFFER_BYTES,
				BUFFER_BYTES, true
			);
			return true;
		}
		if (poll(&interrupt, 1, ms) <= 0)
			return false;
		eventfd_read(r->call_fd, &ignored);
	}
}

// Workers go to sleep after a while without frames. Whenever the next one comes, before, after or
// in the midst of that, it must wake them; so must the guest at the other end be woken. What is
// missed is found by a worker after a second only.
static void frame_wakes_a_worker_in_whatever_moment_it_comes(void **state) {
	const uint64_t event_index = UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX;
	struct vring_used_elem used;
	uint32_t n_late = 0;

	(void)state;
	for (int with_event_index = 0; with_event_index < 2; with_event_index++) {
		attach(ALICE, with_event_index ? event_index : 0);
		attach(BOB, with_event_index ? event_index : 0);
		write_frame(ALICE, macs[BOB], 0);
		for (int i = 0; i < WAKE_UPS; i++) {
			uint64_t start_tsc = rte_rdtsc();

			while (rte_rdtsc() - start_tsc < rte_get_tsc_hz() / 1000000 * (i % 100))
				; // up to twice as long as a worker polls
			post_and_kick(ALICE, with_event_index);
			n_late += !wait_for_frame(BOB, with_event_index, LATE_MS);
			while (front_used(&t.guests[ALICE].front, 1, &used))
				;
		}
		detach(ALICE);
		detach(BOB);
	}
	assert_int_equal(n_late, 0);
}

static int setup(void **state) {
	const struct switch_network_spec network = {.mtu_bytes = 1500, .ageing_s = 300};

	(void)state;
	atomic_store(&t.stopping, false);
	memset(t.guests, 0, sizeof(t.guests));
	strcpy(t.directory, "/tmp/vdpad-stress-XXXXXX");
	if (mkdtemp(t.directory) == NULL || sd_event_new(&t.event) < 0 ||
	    switch_new(test_workers, t.event, &t.sw, NULL) < 0 ||
	    switch_set_network(t.sw, "net0", &network, NULL) < 0 ||
	    switch_set_network(t.sw, "net1", &network, NULL) < 0)
		return -1;
	for (int i = 0; i < N_GUESTS; i++) {
		snprintf(t.paths[i], sizeof(t.paths[i]), "%s/%s.sock", t.directory, names[i]);
		set_port(i, "net0", 0, true);
	}
	return pthread_create(&t.thread, NULL, serve, NULL);
}

static int teardown(void **state) {
	struct switch_counters_view view;

	(void)state;
	atomic_store(&t.stopping, true);
	pthread_join(t.thread, NULL);
	for (size_t i = 0; switch_view_counters(t.sw, i, &view); i++) {
		if (strcmp(view.name, names[CAROL]) != 0)
			assert_int_equal(view.counters.tx_drop[DROP_RING_FULL], 0);
	}
	switch_free(t.sw);
	sd_event_unref(t.event);
	return rmdir(t.directory); // fails when a socket was left
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			ports_change_under_traffic_and_their_neighbours_lose_nothing, setup,
			teardown
		),
		cmocka_unit_test_setup_teardown(
			frame_wakes_a_worker_in_whatever_moment_it_comes, setup, teardown
		),
	};

	return cmocka_run_group_tests(tests, test_workers_setup, test_workers_teardown);
}
