// SPDX-License-Identifier: GPL-2.0-or-later
// Guests' ports with real workers and real sockets. The event loop runs in a thread of its own, so
// that front-ends can wait for answers.

#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "fallback/switch.h"
#include "fallback/vhost/sigbus.h"
#include "tests/fake/vhost_front.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"

#define F(n) (UINT64_C(1) << (n))
#define HEADER_BYTES 12
#define BUFFER_BYTES 2048
#define PATIENCE_MS 5000

static struct {
	struct network_switch *sw;
	sd_event *event;
	pthread_t thread;
	int stop_fd;
	char directory[32];
	char paths[2][64]; // of ports p0 and p1
} t;

static int on_stop(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	(void)source, (void)fd, (void)revents;
	*(bool *)userdata = true;
	return 0;
}

static void *loop(void *arg) {
	sd_event_source *source = NULL;
	bool stop = false;

	(void)arg;
	assert_true(sd_event_add_io(t.event, &source, t.stop_fd, EPOLLIN, on_stop, &stop) >= 0);
	while (!stop)
		sd_event_run(t.event, UINT64_MAX);
	sd_event_source_disable_unref(source);
	return NULL;
}

// From here on the switch is the thread's, until stop_loop().
static void start_loop(void) {
	t.stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&t.thread, NULL, loop, NULL), 0);
}

static void stop_loop(void) {
	eventfd_write(t.stop_fd, 1);
	pthread_join(t.thread, NULL);
	close(t.stop_fd);
}

static int setup(void **state) {
	const struct switch_network_spec network = {.mtu_bytes = 1500, .ageing_s = 300};

	(void)state;
	strcpy(t.directory, "/tmp/vdpad-vhost-XXXXXX");
	if (mkdtemp(t.directory) == NULL || sd_event_new(&t.event) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		snprintf(t.paths[i], sizeof(t.paths[i]), "%s/p%d.sock", t.directory, i);
	if (switch_new(test_workers, t.event, &t.sw, NULL) < 0)
		return -1;
	return switch_set_network(t.sw, "net0", &network, NULL);
}

static int teardown(void **state) {
	(void)state;
	switch_free(t.sw);
	sd_event_unref(t.event);
	return rmdir(t.directory); // fails when a socket was left
}

static void add_port(int number) {
	const struct guest_port_spec spec = {
		.network = "net0",
		.path = t.paths[number],
		.mtu_bytes = 1500,
		.queue_pairs = 1,
		.link_up = true,
		.features = UINT64_MAX,
	};
	char name[8];

	snprintf(name, sizeof(name), "p%d", number);
	assert_int_equal(switch_set_port(t.sw, name, &spec, NULL), 0);
}

static void del_port(int number) {
	char name[8];

	snprintf(name, sizeof(name), "p%d", number);
	assert_int_equal(switch_del_port(t.sw, name, NULL), 0);
}

static int connect_to(const char *path) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

// Ask with GET_FEATURES whether the main thread answers this peer.
static bool is_answered(int fd) {
	static const uint32_t request[] = {1, 1, 0};
	const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	uint32_t answer[5];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return send(fd, request, sizeof(request), MSG_NOSIGNAL) == sizeof(request) &&
		recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer);
}

// The guest's driver is up when the switch has interrupted it for its receive ring.
static void start_guest(struct front *f, int number) {
	front_connect(f, t.paths[number]);
	front_start(f, 0);
	for (uint64_t i = 0; i < 8; i++)
		front_post(f, 0, FRONT_DATA + i * BUFFER_BYTES, BUFFER_BYTES, true);
	assert_true(is_answered(f->fd)); // so all before it has been handled
}

static void start_two_guests(struct front *a, struct front *b) {
	add_port(0);
	add_port(1);
	start_loop();
	start_guest(a, 0);
	start_guest(b, 1);
}

static void guest_sends(struct front *f, const uint8_t *bytes, uint32_t len) {
	uint8_t *at = f->memory + FRONT_DATA + FRONT_MEMORY_SIZE / 4;

	memset(at, 0, HEADER_BYTES);
	memcpy(at + HEADER_BYTES, bytes, len);
	front_post(f, 1, FRONT_DATA + FRONT_MEMORY_SIZE / 4, HEADER_BYTES + len, false);
	eventfd_write(f->rings[1].kick_fd, 1);
}

// Wait for the next frame; its length, 0 if none comes.
static uint32_t guest_receives(struct front *f, uint8_t *bytes) {
	struct vring_used_elem used;

	for (int i = 0; i < PATIENCE_MS; i++) {
		if (front_used(f, 0, &used)) {
			memcpy(bytes,
			       f->memory + FRONT_DATA + used.id * BUFFER_BYTES + HEADER_BYTES,
			       used.len - HEADER_BYTES);
			return used.len - HEADER_BYTES;
		}
		usleep(1000);
	}
	return 0;
}

static void frame_goes_from_guest_to_guest(void **state) {
	const struct test_packet packet = {.payload_bytes = 1000};
	uint8_t sent[1600], got[BUFFER_BYTES];
	uint32_t len = test_packet_write(&packet, sent);
	struct front a, b;

	(void)state;
	start_two_guests(&a, &b);
	for (int i = 0; i < 3; i++) {
		usleep(2000); // the workers are asleep by then
		guest_sends(&a, sent, len);
		assert_int_equal(guest_receives(&b, got), len);
		assert_memory_equal(got, sent, len);
	}
	stop_loop();
	front_close(&a);
	front_close(&b);
}

static void guest_that_has_moved_is_announced(void **state) {
	const uint8_t mac[8] = {0x52, 0x54, 0, 0, 0, 7};
	uint8_t got[BUFFER_BYTES];
	struct front a, b;

	(void)state;
	start_two_guests(&a, &b);
	front_send(&a, MESSAGE_SEND_RARP, 0, mac, sizeof(mac), NULL, 0);
	assert_int_equal(guest_receives(&b, got), 60);
	assert_memory_equal(got, "\xff\xff\xff\xff\xff\xff\x52\x54\0\0\0\x07\x80\x35\0\x01", 16);
	assert_memory_equal(got + 20, "\0\x03\x52\x54\0\0\0\x07", 8);
	stop_loop();
	front_close(&a);
	front_close(&b);
}

static void packed_rings_and_udp_segmentation_are_not_offered(void **state) {
	union message_payload p = {0};
	struct message_header header;
	struct front f;

	(void)state;
	add_port(0);
	start_loop();
	front_connect(&f, t.paths[0]);
	front_send(&f, MESSAGE_GET_FEATURES, 0, NULL, 0, NULL, 0);
	assert_int_equal(front_receive(&f, &header, &p), 8);
	assert_true(p.number & F(VIRTIO_F_VERSION_1));
	assert_false(p.number & (F(VIRTIO_F_RING_PACKED) | F(54) | F(55) | F(56)));
	stop_loop();
	front_close(&f);
}

static void broken_ring_is_shown_and_the_other_guest_goes_on(void **state) {
	const struct test_packet packet = {.payload_bytes = 100};
	uint8_t sent[256], got[BUFFER_BYTES];
	uint32_t len = test_packet_write(&packet, sent);
	struct switch_port_view view;
	struct front a, b;

	(void)state;
	start_two_guests(&a, &b);
	a.rings[1].avail->idx += 1000;
	eventfd_write(a.rings[1].kick_fd, 1);
	for (int i = 0; i < PATIENCE_MS; i++) {
		assert_true(is_answered(a.fd));
		guest_sends(&b, sent, len);
		if (guest_receives(&a, got) == len)
			break;
	}
	stop_loop();
	assert_true(switch_view_port(t.sw, 0, &view));
	assert_false(view.status.connected);
	assert_non_null(strstr(view.status.detail, "broken ring 1 (index)"));
	assert_true(switch_view_port(t.sw, 1, &view));
	assert_true(view.status.connected);
	front_close(&a);
	front_close(&b);
}

static struct port_counters counters_of(size_t port) {
	struct switch_counters_view view;

	assert_true(switch_view_counters(t.sw, port, &view));
	return view.counters;
}

// "ring_full" would say that the guest is slow.
static void frame_that_no_ring_takes_is_counted_as_not_ready(void **state) {
	const struct test_packet packet = {.payload_bytes = 100};
	struct vring_used_elem used;
	uint8_t sent[256];
	uint32_t len = test_packet_write(&packet, sent);
	struct front a, b;

	(void)state;
	start_two_guests(&a, &b);
	b.rings[0].avail->idx += 1000; // it breaks when it is looked at
	for (int i = 0; i < 2; i++)
		guest_sends(&a, sent, len);
	front_send_vring(&b, MESSAGE_SET_VRING_ENABLE, 0, 1, 0);
	assert_true(is_answered(b.fd));
	guest_sends(&b, sent, len);
	for (int i = 0; i < PATIENCE_MS && !front_used(&b, 1, &used); i++)
		usleep(1000);
	stop_loop();
	for (int i = 0; i < PATIENCE_MS && counters_of(1).tx_drop[DROP_NOT_READY] < 2; i++)
		usleep(1000);
	assert_int_equal(counters_of(1).tx_drop[DROP_NOT_READY], 2);
	assert_int_equal(counters_of(1).tx_drop[DROP_RING_FULL], 0);
	assert_int_equal(counters_of(1).rx_drop[DROP_NOT_READY], 1);
	assert_int_equal(counters_of(1).rx_packets, 0);
	front_close(&a);
	front_close(&b);
}

static void peer_that_takes_its_memory_away_is_sent_away_with_a_reason(void **state) {
	struct switch_port_view view;
	struct front a, b;
	char byte;

	(void)state;
	assert_int_equal(sigbus_install(), 0); // cmocka has put its own handler there
	start_two_guests(&a, &b);
	assert_int_equal(ftruncate(a.memory_fd, 0), 0);
	eventfd_write(a.rings[1].kick_fd, 1);
	assert_int_equal(recv(a.fd, &byte, 1, 0), 0);
	assert_true(is_answered(b.fd));
	stop_loop();
	assert_true(switch_view_port(t.sw, 0, &view));
	assert_non_null(strstr(view.status.detail, "took memory away"));
	front_close(&a);
	front_close(&b);
}

static void half_a_message_of_one_peer_does_not_hold_up_another(void **state) {
	static const uint32_t half[] = {2, 1, 8}; // SET_FEATURES, and to what?
	int hostile, other;
	char byte;

	(void)state;
	add_port(0);
	add_port(1);
	start_loop();
	hostile = connect_to(t.paths[0]);
	assert_true(is_answered(hostile));
	assert_int_equal(write(hostile, half, sizeof(half)), sizeof(half));
	other = connect_to(t.paths[1]);
	assert_true(is_answered(other));
	assert_int_equal(recv(hostile, &byte, 1, 0), 0); // its deadline has passed
	stop_loop();
	close(other);
	close(hostile);
}

static void peer_that_reads_no_answers_does_not_hold_up_another(void **state) {
	// SET_VRING_BASE, and an answer to it is wanted.
	static const uint32_t request[] = {10, 1 | 1 << 3, 8, 0, 0};
	int hostile, other;

	(void)state;
	add_port(0);
	add_port(1);
	start_loop();
	hostile = connect_to(t.paths[0]);
	for (int i = 0; i < 20000; i++) {
		if (send(hostile, request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	}
	other = connect_to(t.paths[1]);
	assert_true(is_answered(other));
	stop_loop();
	close(other);
	close(hostile);
}

static void second_peer_is_sent_away_and_a_successor_is_not(void **state) {
	int first, second;

	(void)state;
	add_port(0);
	start_loop();
	first = connect_to(t.paths[0]);
	assert_true(is_answered(first));
	for (int i = 0; i < 100; i++) {
		second = connect_to(t.paths[0]);
		assert_false(is_answered(second));
		close(second);
		close(first); // and at once:
		first = connect_to(t.paths[0]);
		assert_true(is_answered(first));
	}
	stop_loop();
	close(first);
}

static void port_that_is_deleted_with_its_peer_leaves_no_descriptor(void **state) {
	unsigned int n_fds = 0;
	char byte;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct front f;
		int peer;

		add_port(0);
		if (i % 2 == 0) {
			start_loop();
			start_guest(&f, 0);
			stop_loop();
			del_port(0);
			assert_true(recv(f.fd, &byte, 1, 0) <= 0);
			front_close(&f);
		} else { // it is deleted while the peer is coming
			peer = connect_to(t.paths[0]);
			del_port(0);
			assert_true(read(peer, &byte, 1) <= 0);
			close(peer);
		}
		if (i == 1) // by now the event loop has its timer
			n_fds = front_count_fds();
	}
	assert_int_equal(front_count_fds(), n_fds);
}

#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		PORT_TEST(frame_goes_from_guest_to_guest),
		PORT_TEST(guest_that_has_moved_is_announced),
		PORT_TEST(packed_rings_and_udp_segmentation_are_not_offered),
		PORT_TEST(broken_ring_is_shown_and_the_other_guest_goes_on),
		PORT_TEST(frame_that_no_ring_takes_is_counted_as_not_ready),
		PORT_TEST(peer_that_takes_its_memory_away_is_sent_away_with_a_reason),
		PORT_TEST(half_a_message_of_one_peer_does_not_hold_up_another),
		PORT_TEST(peer_that_reads_no_answers_does_not_hold_up_another),
		PORT_TEST(second_peer_is_sent_away_and_a_successor_is_not),
		PORT_TEST(port_that_is_deleted_with_its_peer_leaves_no_descriptor),
	};

	return cmocka_run_group_tests(tests, test_workers_setup, test_workers_teardown);
}
