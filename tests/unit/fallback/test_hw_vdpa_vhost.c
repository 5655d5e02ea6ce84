// SPDX-License-Identifier: GPL-2.0-or-later
// The real librte_vhost between a vhost-user front-end and a driver of class vdpa that is ours: what
// the library asks of the driver when ports, peers and guests come and go. Only the PCI side is made up.

#include "tests/unit/unit.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fallback/hw_vdpa.h"
#include "tests/fake/vhost_front.h"
#include "tests/unit/fallback/fake_hw.h"
#include "tests/unit/fallback/frames.h"
#include "vdpad/util/cleanup.h"

#define PATIENCE_MS 10000
#define BIT(n) (UINT64_C(1) << (n))
#define F_CSUM BIT(0)
#define F_GUEST_CSUM BIT(1)
#define F_MRG_RXBUF BIT(15)
#define F_PROTOCOL BIT(30)
#define F_VERSION_1 BIT(32)

// DPDK does not ship the headers for drivers. Of a device, librte_vhost reads the name. Of a driver, these
// are the calls up to the last mandatory one, as of DPDK 22.07 and later; the optional ones are NULL.
struct rte_device {
	void *list[2];
	const char *name;
	void *rest[32];
};
struct rte_vdpa_dev_ops {
	int (*get_queue_num)(struct rte_vdpa_device *device, uint32_t *ret);
	int (*get_features)(struct rte_vdpa_device *device, uint64_t *ret);
	int (*get_protocol_features)(struct rte_vdpa_device *device, uint64_t *ret);
	int (*dev_conf)(int vid);
	int (*dev_close)(int vid);
	int (*dev_cleanup)(int vid); // optional
	int (*set_vring_state)(int vid, int ring, int state);
	int (*set_features)(int vid);
	void *optional[32];
};
struct rte_vdpa_device *rte_vdpa_register_device(struct rte_device *, struct rte_vdpa_dev_ops *);
void rte_vdpa_unregister_device(struct rte_vdpa_device *);

static struct {
	struct rte_vdpa_device *vdpa;
	sd_event *event;
	struct hw_vdpa_ops ops;
	struct hw_vdpa *hw;
	char path[64];
	atomic_int n_configured; // by librte_vhost's thread, or ours
	atomic_int n_closed;
	int n_closed_at_remove; // how often it was closed when the device was given back
} t;

// The driver

static int get_queue_num(struct rte_vdpa_device *device, uint32_t *ret) {
	(void)device;
	*ret = 2;
	return 0;
}

static int get_features(struct rte_vdpa_device *device, uint64_t *ret) {
	(void)device;
	*ret = F_VERSION_1 | F_PROTOCOL | F_CSUM | F_MRG_RXBUF;
	return 0;
}

static int get_protocol_features(struct rte_vdpa_device *device, uint64_t *ret) {
	(void)device;
	*ret = BIT(0); // MQ
	return 0;
}

static int dev_conf(int vid) {
	(void)vid;
	atomic_fetch_add(&t.n_configured, 1);
	return 0;
}

static int dev_close(int vid) {
	(void)vid;
	atomic_fetch_add(&t.n_closed, 1);
	return 0;
}

static int set_vring_state(int vid, int ring, int state) {
	(void)vid, (void)ring, (void)state;
	return 0;
}

static int set_features(int vid) {
	(void)vid;
	return 0;
}

// The PCI side

static int remove_device(const char *address) {
	(void)address;
	t.n_closed_at_remove = atomic_load(&t.n_closed);
	return 0;
}

static int probe(const char *devargs) {
	(void)devargs;
	return 0;
}

static int watch(const char *address, const struct hw_events *events) {
	(void)address, (void)events;
	return 0;
}

static void unwatch(const char *address, const struct hw_events *events) {
	(void)address, (void)events;
}

static int group_setup(void **state) {
	static struct rte_device device = {.name = FAKE_HW_DEVICE};
	static struct rte_vdpa_dev_ops driver = {
		.get_queue_num = get_queue_num,
		.get_features = get_features,
		.get_protocol_features = get_protocol_features,
		.dev_conf = dev_conf,
		.dev_close = dev_close,
		.set_vring_state = set_vring_state,
		.set_features = set_features,
	};

	if (frames_setup(state) < 0)
		return -1;
	t.vdpa = rte_vdpa_register_device(&device, &driver);
	return t.vdpa == NULL ? -1 : 0;
}

static int group_teardown(void **state) {
	(void)state;
	rte_vdpa_unregister_device(t.vdpa);
	return 0;
}

static int setup(void **state) {
	struct hw_vdpa_config config = {.ops = &t.ops, .pci = true};

	(void)state;
	atomic_store(&t.n_configured, 0);
	atomic_store(&t.n_closed, 0);
	t.n_closed_at_remove = -1;
	if (fake_hw_setup() < 0 || sd_event_new(&t.event) < 0)
		return -1;
	snprintf(t.path, sizeof(t.path), "%s/p1.sock", fake_hw.directory);
	t.ops = hw_vdpa_dpdk;
	t.ops.probe = probe;
	t.ops.remove = remove_device;
	t.ops.watch = watch;
	t.ops.unwatch = unwatch;
	config.event = t.event;
	config.sys_dir = fake_hw.sys_dir;
	config.dev_dir = fake_hw.dev_dir;
	return hw_vdpa_new(&config, &t.hw);
}

static int teardown(void **state) {
	(void)state;
	hw_vdpa_free(t.hw);
	sd_event_unref(t.event);
	return fake_hw_teardown();
}

static void add_port(uint32_t queue_pairs) {
	const struct guest_port_spec spec = {
		.device = FAKE_HW_DEVICE,
		.network = "net0",
		.path = t.path,
		.mtu_bytes = 1500,
		.queue_pairs = queue_pairs,
		.link_up = true,
		.features = F_CSUM | F_GUEST_CSUM,
	};
	struct error e;

	if (hw_vdpa_set_port(t.hw, "p1", &spec, &e) < 0)
		fail_msg("%s", e.text);
}

static struct hw_port_view port_view(void) {
	struct hw_port_view view;

	assert_true(hw_vdpa_view_port(t.hw, 0, &view));
	return view;
}

// The callbacks come from another thread.
static void wait_for(bool connected, const char *detail) {
	struct pollfd p = {.fd = hw_vdpa_changed_fd(t.hw), .events = POLLIN};
	struct hw_port_view view = port_view();

	while (view.connected != connected || strstr(view.detail, detail) == NULL) {
		if (poll(&p, 1, PATIENCE_MS) != 1)
			fail_msg("'%s' instead of '%s'", view.detail, detail);
		while (hw_vdpa_next_changed_port(t.hw, &view))
			continue;
		view = port_view();
	}
}

static int connect_to_port(void) {
	const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, t.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

// The front-end's own session is not used: librte_vhost is at the other end.
static void plug(struct front *f) {
	front_open(f, &front_config);
	close(f->fd);
	f->fd = connect_to_port();
}

static uint64_t ask(struct front *f, uint32_t request) {
	union message_payload answer = {0};
	struct message_header header;

	front_send(f, request, 0, NULL, 0, NULL, 0);
	assert_true(front_receive(f, &header, &answer) == sizeof(uint64_t));
	return answer.number;
}

static void start_guest(struct front *f) {
	union message_payload p = {0};

	front_send(f, MESSAGE_SET_OWNER, 0, NULL, 0, NULL, 0);
	front_send_number(f, MESSAGE_SET_PROTOCOL_FEATURES, 0, 0);
	front_send_number(f, MESSAGE_SET_FEATURES, 0, F_VERSION_1 | F_CSUM | F_PROTOCOL);
	p.table.n_regions = 1;
	p.table.regions[0] = (struct message_region){
		.guest_addr = FRONT_GUEST_BASE,
		.user_addr = FRONT_USER_BASE,
		.size = FRONT_MEMORY_SIZE,
	};
	front_send(
		f, MESSAGE_SET_MEM_TABLE, 0, &p, 8 + sizeof(struct message_region), &f->memory_fd, 1
	);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t at = FRONT_USER_BASE + i * FRONT_RING_AREA;

		p = (union message_payload){0};
		p.vring_addr.index = i;
		p.vring_addr.desc_user_addr = at;
		p.vring_addr.avail_user_addr = at + 0x8000;
		p.vring_addr.used_user_addr = at + 0xa000;
		front_send_vring(f, MESSAGE_SET_VRING_NUM, 0, i, FRONT_RING_SIZE);
		front_send_vring(f, MESSAGE_SET_VRING_BASE, 0, i, 0);
		front_send(f, MESSAGE_SET_VRING_ADDR, 0, &p, sizeof(p.vring_addr), NULL, 0);
		front_send_fd(f, MESSAGE_SET_VRING_KICK, 0, i, f->rings[i].kick_fd);
		front_send_fd(f, MESSAGE_SET_VRING_CALL, 0, i, f->rings[i].call_fd);
		front_send_vring(f, MESSAGE_SET_VRING_ENABLE, 0, i, 1);
	}
}

static bool is_hung_up(int fd) {
	char byte;

	return recv(fd, &byte, 1, 0) == 0;
}

static void wait_for_count(atomic_int *count, int value) {
	for (int ms = 0; atomic_load(count) != value; ms++) {
		if (ms == PATIENCE_MS)
			fail_msg("%d instead of %d", atomic_load(count), value);
		poll(NULL, 0, 1);
	}
}

static void front_end_is_offered_what_device_and_port_both_have(void **state) {
	struct front f;

	(void)state;
	add_port(1);
	plug(&f);
	wait_for(false, "guest driver not ready");
	assert_int_equal(ask(&f, MESSAGE_GET_FEATURES), F_VERSION_1 | F_PROTOCOL | F_CSUM);
	front_send_number(&f, MESSAGE_SET_FEATURES, 0, F_VERSION_1 | F_PROTOCOL);
	assert_int_equal(ask(&f, MESSAGE_GET_PROTOCOL_FEATURES), BIT(0));
	front_send_number(&f, MESSAGE_SET_PROTOCOL_FEATURES, 0, BIT(0));
	assert_int_equal(ask(&f, MESSAGE_GET_QUEUE_NUM), 2);
	front_close(&f);
	wait_for(false, "no VM is attached");
	assert_int_equal(atomic_load(&t.n_configured), 0);
}

static void guest_starts_and_stops_the_device(void **state) {
	struct front f;

	(void)state;
	add_port(1);
	for (int i = 1; i <= 2; i++) {
		plug(&f);
		start_guest(&f);
		wait_for(true, FAKE_HW_DEVICE);
		wait_for_count(&t.n_configured, i);
		assert_int_equal(atomic_load(&t.n_closed), i - 1);
		front_close(&f); // QEMU dies
		wait_for(false, "no VM is attached");
		assert_int_equal(atomic_load(&t.n_closed), i);
		assert_int_equal(port_view().connects, i);
	}
	assert_int_equal(t.n_closed_at_remove, -1); // the port keeps its device
}

static void port_that_is_deleted_under_a_guest_closes_the_device_first(void **state) {
	struct front f;

	(void)state;
	add_port(1);
	plug(&f);
	start_guest(&f);
	wait_for(true, FAKE_HW_DEVICE);
	wait_for_count(&t.n_configured, 1);
	hw_vdpa_del_port(t.hw, "p1");
	assert_int_equal(atomic_load(&t.n_closed), 1);
	assert_int_equal(t.n_closed_at_remove, 1);
	assert_true(is_hung_up(f.fd));
	assert_int_equal(access(t.path, F_OK), -1);
	front_close(&f);
	add_port(1); // and it can be had again
	plug(&f);
	wait_for(false, "guest driver not ready");
	front_close(&f);
}

static void second_front_end_is_hung_up_on(void **state) {
	struct front f;
	int second;

	(void)state;
	add_port(1);
	plug(&f);
	start_guest(&f);
	wait_for(true, FAKE_HW_DEVICE);
	wait_for_count(&t.n_configured, 1);
	second = connect_to_port();
	assert_true(is_hung_up(second));
	close(second);
	assert_int_equal(ask(&f, MESSAGE_GET_FEATURES), F_VERSION_1 | F_PROTOCOL | F_CSUM);
	assert_int_equal(atomic_load(&t.n_closed), 0);
	front_close(&f);
	wait_for(false, "no VM is attached");
}

// The library has one thread for all peers, and would wait for the rest for ever.
static void half_a_message_costs_its_sender_the_connection(void **state) {
	static const uint32_t half[] = {MESSAGE_SET_FEATURES, 1, 8};
	struct front f;

	(void)state;
	add_port(1);
	plug(&f);
	wait_for(false, "guest driver not ready");
	assert_int_equal(send(f.fd, half, sizeof(half), 0), sizeof(half));
	assert_true(is_hung_up(f.fd));
	front_close(&f);
	wait_for(false, "no VM is attached");
}

#define VHOST_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		VHOST_TEST(front_end_is_offered_what_device_and_port_both_have),
		VHOST_TEST(guest_starts_and_stops_the_device),
		VHOST_TEST(port_that_is_deleted_under_a_guest_closes_the_device_first),
		VHOST_TEST(second_front_end_is_hung_up_on),
		VHOST_TEST(half_a_message_costs_its_sender_the_connection),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
