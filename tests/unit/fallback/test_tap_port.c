// SPDX-License-Identifier: GPL-2.0-or-later
// The TAP is a socket pair that keeps message boundaries; its ioctls are answered here.

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fallback/tap_port.h"
#include "tests/unit/fallback/frames.h"

#define HEADER_BYTES 12

static short tap_flags;
static int header_bytes_set;
static unsigned long offloads_set;

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...) {
	unsigned long argument;
	va_list ap;

	va_start(ap, request);
	argument = va_arg(ap, unsigned long);
	va_end(ap);
	switch (request) {
	case TUNGETIFF:
		((struct ifreq *)argument)->ifr_flags = tap_flags;
		return 0;
	case TUNSETVNETHDRSZ:
		header_bytes_set = *(int *)argument;
		return 0;
	case TUNSETVNETLE:
		return 0;
	case TUNSETOFFLOAD:
		offloads_set = argument;
		return 0;
	default:
		return __real_ioctl(fd, request, argument);
	}
}

struct fixture {
	struct switch_port *port;
	struct port_context io;
	struct frame frames[BURST_FRAMES];
	struct port_counters counters;
	int kernel; // the other end
	int epoll_fd;
};

static uint8_t sent[FRAME_TEST_BYTES + 512], got[FRAME_TEST_BYTES + 512];

static int setup(void **state) {
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2], size = 1 << 20;

	tap_flags = IFF_TAP | IFF_VNET_HDR;
	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return -1;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	f->kernel = pair[1];
	*state = f;
	return tap_port_new(pair[0], f->epoll_fd, &f->port, NULL);
}

static int teardown(void **state) {
	struct fixture *f = *state;

	f->port->ops->stop(f->port);
	close(f->kernel);
	close(f->epoll_fd);
	free(f);
	return 0;
}

static uint16_t poll_port(struct fixture *f) {
	f->port->ops->arm(f->port); // an empty TAP is not asked again at once otherwise
	return f->port->ops->poll(f->port, &f->io, &f->counters, f->frames);
}

// Send the first frame of the last poll_port().
static void send_back(struct fixture *f) {
	struct frame *frames[] = {&f->frames[0]};

	f->port->ops->send(f->port, &f->io, &f->counters, frames, 1);
	f->port->ops->release(f->port, &f->io);
}

// What the kernel would send: a header and the packet.
static uint32_t kernel_sends(
	struct fixture *f, const struct virtio_net_hdr *hdr, const struct test_packet *packet
) {
	uint32_t len;

	memset(sent, 0, HEADER_BYTES);
	memcpy(sent, hdr, sizeof(*hdr));
	len = test_packet_write(packet, sent + HEADER_BYTES);
	assert_int_equal(write(f->kernel, sent, HEADER_BYTES + len), HEADER_BYTES + len);
	return len;
}

static void tap_is_set_up_for_offloads(void **state) {
	(void)state;
	assert_int_equal(header_bytes_set, HEADER_BYTES);
	assert_int_equal(offloads_set, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
}

static void descriptor_without_headers_is_refused_and_closed(void **state) {
	struct fixture *f = *state;
	struct switch_port *port = NULL;
	struct error e = {0};
	int fd = dup(f->kernel);

	tap_flags = IFF_TAP;
	assert_int_equal(tap_port_new(fd, f->epoll_fd, &port, &e), -EINVAL);
	assert_non_null(strstr(e.text, "IFF_VNET_HDR"));
	assert_null(port);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void tso_frame_passes_both_ways_untouched(void **state) {
	const struct test_packet packet = {
		.payload_bytes = 60000, .options_bytes = 12, .ipv6 = true};
	const struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
		.gso_size = 1428,
		.hdr_len = 86,
		.csum_start = 54,
		.csum_offset = 16};
	struct fixture *f = *state;
	uint32_t len = kernel_sends(f, &hdr, &packet);

	assert_int_equal(poll_port(f), 1);
	assert_int_equal(f->frames[0].bytes->size, len);
	send_back(f);
	assert_int_equal(read(f->kernel, got, sizeof(got)), HEADER_BYTES + len);
	assert_memory_equal(got, sent, HEADER_BYTES + len);
	assert_int_equal(f->counters.tx_packets, 1);
}

static void frame_of_a_vlan_leaves_tagged(void **state) {
	struct test_packet packet = {.payload_bytes = 3000, .vlan = 10};
	const struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = 1000,
		.hdr_len = 58,
		.csum_start = 38,
		.csum_offset = 16};
	struct fixture *f = *state;
	uint32_t len = kernel_sends(f, &hdr, &packet);

	assert_int_equal(poll_port(f), 1);
	f->frames[0].vlan = (uint16_t)frame_pop_tag(&f->frames[0]);
	assert_int_equal(f->frames[0].vlan, 10);
	send_back(f);
	assert_int_equal(read(f->kernel, got, sizeof(got)), HEADER_BYTES + len);
	assert_memory_equal(got, sent, HEADER_BYTES + len);
}

static void burst_is_read_until_the_tap_is_empty(void **state) {
	const struct virtio_net_hdr none = {0};
	struct fixture *f = *state;

	for (uint32_t i = 0; i < BURST_FRAMES + 3; i++)
		kernel_sends(f, &none, &(struct test_packet){.payload_bytes = 20 * i});
	assert_int_equal(poll_port(f), BURST_FRAMES);
	for (uint32_t i = 0; i < BURST_FRAMES; i++)
		assert_int_equal(f->frames[i].bytes->size, 54 + 20 * i);
	assert_int_equal(poll_port(f), 3);
	assert_int_equal(poll_port(f), 0);
}

// The buffer holds four of the largest; the others wait for the next call.
static void burst_of_large_frames_comes_in_parts(void **state) {
	const struct virtio_net_hdr none = {0};
	struct fixture *f = *state;
	uint16_t n_total = 0, n;

	for (int i = 0; i < 6; i++)
		kernel_sends(f, &none, &(struct test_packet){.payload_bytes = 65000});
	for (int i = 0; i < 6 && (n = poll_port(f)) > 0; i++) {
		for (uint16_t k = 0; k < n; k++) {
			assert_int_equal(test_frame_bytes(&f->frames[k], got), 65054);
			assert_memory_equal(got, sent + HEADER_BYTES, 65054);
		}
		n_total += n;
	}
	assert_int_equal(n_total, 6);
}

static void contradictory_header_is_counted_and_the_next_frame_comes(void **state) {
	const struct virtio_net_hdr none = {0}, bad = {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4};
	struct fixture *f = *state;

	kernel_sends(f, &bad, &(struct test_packet){.payload_bytes = 100});
	kernel_sends(f, &none, &(struct test_packet){.payload_bytes = 200});
	assert_int_equal(write(f->kernel, sent, HEADER_BYTES), HEADER_BYTES); // no frame at all
	assert_int_equal(poll_port(f), 1);
	assert_int_equal(f->frames[0].bytes->size, 254);
	assert_int_equal(f->counters.rx_drop[DROP_BAD_OFFLOAD], 2);
}

static void full_queue_is_counted(void **state) {
	struct fixture *f = *state;
	struct frame *frame = test_packet_new(&(struct test_packet){.payload_bytes = 60000});

	for (int i = 0; i < 100 && f->counters.tx_drop[DROP_RING_FULL] == 0; i++)
		f->port->ops->send(f->port, &f->io, &f->counters, &frame, 1);
	assert_int_equal(f->counters.tx_drop[DROP_RING_FULL], 1);
	test_frame_free(frame);
}

static void frame_wakes_a_sleeping_worker(void **state) {
	const struct virtio_net_hdr none = {0};
	struct fixture *f = *state;
	struct epoll_event event;

	epoll_wait(f->epoll_fd, &event, 1, 0); // what adding the descriptor may have left
	assert_int_equal(epoll_wait(f->epoll_fd, &event, 1, 0), 0);
	kernel_sends(f, &none, &(struct test_packet){.payload_bytes = 100});
	assert_int_equal(epoll_wait(f->epoll_fd, &event, 1, 1000), 1);
	assert_int_equal(poll_port(f), 1);
}

// Its descriptor is edge-triggered: what was not read will not wake anybody.
static void worker_does_not_sleep_on_frames_that_it_has_not_read(void **state) {
	const struct virtio_net_hdr bad = {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100};
	struct fixture *f = *state;

	for (int i = 0; i < BURST_FRAMES + 1; i++)
		kernel_sends(f, &bad, &(struct test_packet){.payload_bytes = 300});
	assert_int_equal(poll_port(f), 0);
	assert_true(f->port->ops->arm(f->port));
	assert_int_equal(poll_port(f), 0);
	assert_int_equal(f->counters.rx_drop[DROP_BAD_OFFLOAD], BURST_FRAMES + 1);
	assert_false(f->port->ops->arm(f->port));
}

static void head_room_of_a_frame_is_no_part_of_another(void **state) {
	const struct virtio_net_hdr none = {0};
	struct fixture *f = *state;
	uint8_t before[512], after[512];
	uint32_t len;

	for (uint32_t payload = 200; payload < 264; payload++) {
		kernel_sends(f, &none, &(struct test_packet){.payload_bytes = payload});
		kernel_sends(f, &none, &(struct test_packet){.payload_bytes = payload});
		assert_int_equal(poll_port(f), 2);
		len = test_frame_bytes(&f->frames[0], before);
		memset(f->frames[1].bytes->head - RING_HEAD_ROOM, 0xee, RING_HEAD_ROOM);
		assert_int_equal(test_frame_bytes(&f->frames[0], after), len);
		assert_memory_equal(before, after, len);
	}
}

#define TAP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TAP_TEST(tap_is_set_up_for_offloads),
		TAP_TEST(descriptor_without_headers_is_refused_and_closed),
		TAP_TEST(tso_frame_passes_both_ways_untouched),
		TAP_TEST(frame_of_a_vlan_leaves_tagged),
		TAP_TEST(burst_is_read_until_the_tap_is_empty),
		TAP_TEST(burst_of_large_frames_comes_in_parts),
		TAP_TEST(contradictory_header_is_counted_and_the_next_frame_comes),
		TAP_TEST(full_queue_is_counted),
		TAP_TEST(frame_wakes_a_sleeping_worker),
		TAP_TEST(worker_does_not_sleep_on_frames_that_it_has_not_read),
		TAP_TEST(head_room_of_a_frame_is_no_part_of_another),
	};

	return cmocka_run_group_tests(tests, frames_setup, NULL);
}
