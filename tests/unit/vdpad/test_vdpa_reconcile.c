// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/backend/vdpa_reconcile.h"
#include "vdpad/util/cleanup.h"

#define WORLDS 20000
#define MAX_PORTS 8
#define MAX_DEVICES 12
#define MAX_MGMTDEVS 5
#define UID 107

// Everything that a reconcile is about, and what it came to.
struct world {
	struct port ports[MAX_PORTS];
	struct wanted_vdpa wanted_ports[MAX_PORTS];
	struct reported_vdpa devices[MAX_DEVICES];
	struct mgmtdev_facts mgmtdevs[MAX_MGMTDEVS];
	struct pool_config pool;
	struct vdpa_wanted wanted;
	struct vdpa_report report;
	struct vdpa_plan plan;
};

static void world_init(struct world *w) {
	*w = (struct world){
		.pool = {.name = "fast", .kind = POOL_MGMTDEVS, .members = "pci/*"},
		.wanted = {.ports = w->wanted_ports, .pools = &w->pool, .n_pools = 1, .uid = UID},
		.report = {.devices = w->devices, .mgmtdevs = w->mgmtdevs},
	};
	w->wanted.may_delete = true;
}

static struct mgmtdev_facts *add_mgmtdev(struct world *w, const char *name) {
	struct mgmtdev_facts *mgmtdev = &w->mgmtdevs[w->report.n_mgmtdevs++];

	*mgmtdev = (struct mgmtdev_facts){.one_device = true};
	strcpy(mgmtdev->name, name);
	return mgmtdev;
}

static struct wanted_vdpa *add_port(struct world *w, uint64_t generation, const char *resource) {
	struct port *port = &w->ports[w->wanted.n_ports];
	struct wanted_vdpa *wanted = &w->wanted_ports[w->wanted.n_ports++];

	*port = (struct port){
		.generation = generation,
		.spec = {.mtu_bytes = 1500, .queue_pairs = 1, .mac = {{2, 0, 0, 0, 0, 1}}},
		.pool = "fast",
	};
	snprintf(port->spec.name, sizeof(port->spec.name), "vm%zu", w->wanted.n_ports);
	strcpy(port->resource, resource);
	*wanted = (struct wanted_vdpa){.port = port, .link = "/dev/vhost-vdpa-0"};
	return wanted;
}

static int compare(const void *a, const void *b) {
	return strcmp(a, b);
}

static struct reported_vdpa *add_device(struct world *w, const char *name, const char *mgmtdev) {
	struct reported_vdpa *device = &w->devices[w->report.n_devices++];

	*device = (struct reported_vdpa){
		.generation = vdpa_device_generation(name),
		.driver = VDPA_DRIVER,
		.node = "/dev/vhost-vdpa-0",
		.has_mac = true,
		.mac = {{2, 0, 0, 0, 0, 1}},
		.mtu_bytes = 1500,
		.queue_pairs = 1,
		.uid = UID,
	};
	strcpy(device->name, name);
	strcpy(device->mgmtdev, mgmtdev);
	return device;
}

// Reconcile; the only step there is to be, or NULL when there is to be none.
static const struct vdpa_step *only_step(struct world *w) {
	if (w->report.n_devices > 0)
		qsort(w->devices, w->report.n_devices, sizeof(w->devices[0]), compare);
	assert_int_equal(vdpa_reconcile(&w->wanted, &w->report, &w->plan), 0);
	assert_true(w->plan.n <= 1);
	return w->plan.n == 1 ? &w->plan.steps[0] : NULL;
}

#define expect_step(w, expected)                              \
	do {                                                  \
		const struct vdpa_step *_step = only_step(w); \
		assert_non_null(_step);                       \
		assert_int_equal(_step->kind, expected);      \
		vdpa_plan_done(&(w)->plan);                   \
	} while (0)

// One port and its device, all as it should be.
static struct reported_vdpa *healthy(struct world *w) {
	world_init(w);
	add_mgmtdev(w, "pci/a")->n_devices = 1;
	add_port(w, 1, "pci/a");
	return add_device(w, "vdpad-1", "pci/a");
}

static void names_carry_their_generation_and_nothing_else_does(void **state) {
	static const char *const others[] = {
		"vdpad-",  "vdpad-0",  "vdpad-01",         "vdpad-A", "vdpad-1 ", "vdpad-1g",
		"Vdpad-1", "xvdpad-1", "vdpad-1234567890", "vm1",     "",         "a/b",
	};
	char name[VDPA_DEVICE_NAME_SIZE];

	(void)state;
	for (uint64_t g = 1; g < UINT64_C(0xfffffffff); g = g * 3 + 1) {
		vdpa_device_name(g, name);
		assert_true(strlen(name) <= 15);
		assert_int_equal(vdpa_device_generation(name), g);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(vdpa_device_generation(others[i]), 0);
}

static void what_is_as_wanted_is_adopted(void **state) {
	struct world w;

	(void)state;
	healthy(&w);
	expect_step(&w, VDPA_ADOPT);
	healthy(&w)->has_mac = false; // what the kernel does not say is right
	expect_step(&w, VDPA_ADOPT);
}

static void what_is_not_right_is_mended_one_thing_at_a_time(void **state) {
	struct world w;

	(void)state;
	healthy(&w)->parked = true;
	expect_step(&w, VDPA_KEEP);
	strcpy(healthy(&w)->driver, "virtio_vdpa");
	expect_step(&w, VDPA_MAKE);
	healthy(&w)->uid = 0;
	expect_step(&w, VDPA_OWN);
	healthy(&w);
	w.wanted_ports[0].link[0] = '\0';
	expect_step(&w, VDPA_LINK);
}

static void a_function_that_is_not_settled_gets_its_values_again(void **state) {
	struct world w;

	(void)state;
	healthy(&w);
	w.wanted_ports[0].unsettled = true;
	expect_step(&w, VDPA_ADOPT); // there is nothing to set
	strcpy(w.ports[0].function, "0000:3b:00.0/sf1000001");
	expect_step(&w, VDPA_SETTLE);
	w.wanted_ports[0].busy = true;
	assert_null(only_step(&w));
	vdpa_plan_done(&w.plan);
}

static void wrong_values_replace_only_what_no_guest_had(void **state) {
	struct reported_vdpa *device;
	struct world w;

	(void)state;
	healthy(&w)->mac.octets[5] = 9;
	expect_step(&w, VDPA_REPLACE);
	device = healthy(&w);
	device->mac.octets[5] = 9;
	device->active = true;
	expect_step(&w, VDPA_ADOPT);
	healthy(&w)->mac.octets[5] = 9;
	w.wanted_ports[0].was_seen = true; // a guest may have changed it
	expect_step(&w, VDPA_ADOPT);
	strcpy(healthy(&w)->mgmtdev, "pci/b");
	expect_step(&w, VDPA_REPLACE);
}

static void absence_is_believed_the_second_time(void **state) {
	struct world w;

	(void)state;
	world_init(&w);
	add_mgmtdev(&w, "pci/a");
	add_port(&w, 1, "pci/a");
	expect_step(&w, VDPA_MISSED);
	w.wanted_ports[0].n_missed = 1;
	expect_step(&w, VDPA_MAKE);
}

static void a_lost_device_waits_for_its_own_hardware_once_it_was_seen(void **state) {
	const struct vdpa_step *step;
	struct world w;

	(void)state;
	world_init(&w);
	add_mgmtdev(&w, "pci/b");
	add_port(&w, 1, "pci/a")->n_missed = 1;
	step = only_step(&w);
	assert_int_equal(step->kind, VDPA_MAKE); // after a reboot: another of its pool
	assert_string_equal(step->resource, "pci/b");
	vdpa_plan_done(&w.plan);
	w.wanted_ports[0].was_seen = true;
	step = only_step(&w);
	assert_int_equal(step->kind, VDPA_DEGRADE);
	assert_non_null(strstr(step->reason, "pci/a"));
	vdpa_plan_done(&w.plan);
}

static void two_ports_do_not_get_one_piece_of_hardware(void **state) {
	struct world w;

	(void)state;
	world_init(&w);
	add_mgmtdev(&w, "pci/c");
	add_port(&w, 1, "pci/a")->n_missed = 1;
	add_port(&w, 2, "pci/b")->n_missed = 1;
	assert_int_equal(vdpa_reconcile(&w.wanted, &w.report, &w.plan), 0);
	assert_int_equal(w.plan.n, 2);
	assert_int_equal(w.plan.steps[0].kind, VDPA_MAKE);
	assert_int_equal(w.plan.steps[1].kind, VDPA_DEGRADE);
	vdpa_plan_done(&w.plan);
}

static void a_function_is_made_again_without_its_management_device(void **state) {
	struct world w;

	(void)state;
	world_init(&w);
	add_port(&w, 1, "auxiliary/mlx5_core.sf.4")->n_missed = 1;
	strcpy(w.ports[0].function, "0000:3b:00.0/sf1000001");
	expect_step(&w, VDPA_MAKE);
}

static void a_port_to_be_deleted_is_whatever_the_list_says(void **state) {
	struct world w;

	(void)state;
	healthy(&w);
	w.wanted_ports[0].deleting = true;
	expect_step(&w, VDPA_DELETE);
	w.report.n_devices = 0;
	expect_step(&w, VDPA_DELETE);
}

static void what_nobody_wants_goes_if_the_state_file_is_trusted(void **state) {
	struct world w;

	(void)state;
	world_init(&w);
	add_device(&w, "vdpad-7", "pci/a");
	expect_step(&w, VDPA_DROP);
	w.wanted.may_delete = false;
	assert_null(only_step(&w));
	assert_int_equal(w.plan.n_unknown, 1);
	vdpa_plan_done(&w.plan);
}

// Random worlds

static unsigned int pick(unsigned int n) {
	return (unsigned int)rand() % n;
}

static void make_world(struct world *w) {
	static const char *const foreign[] = {"a/b", "vm1", "vdpad-xyz", "vdpad-007", "vdpa0"};
	static const char *const mgmtdevs[] = {"pci/a", "pci/b", "pci/c", "usb/d", "vdpasim_net"};
	char name[VDPA_DEVICE_NAME_SIZE];

	world_init(w);
	w->wanted.may_delete = pick(2);
	for (size_t i = 0; i < MAX_MGMTDEVS; i++) {
		if (pick(3) > 0) {
			struct mgmtdev_facts *m = add_mgmtdev(w, mgmtdevs[i]);

			m->one_device = pick(4) > 0;
			m->n_devices = pick(2);
		}
	}
	for (size_t i = 0, n = pick(MAX_PORTS + 1); i < n; i++) {
		struct wanted_vdpa *port = add_port(w, i + 1, mgmtdevs[pick(5)]);

		port->busy = pick(4) == 0;
		port->deleting = pick(4) == 0;
		port->was_seen = pick(2);
		port->n_missed = pick(3);
		if (pick(4) == 0)
			strcpy(w->ports[i].function, "0000:3b:00.0/sf1000001");
	}
	for (size_t i = 0, n = pick(MAX_DEVICES + 1); i < n; i++) {
		struct reported_vdpa *device;

		vdpa_device_name(i + 1, name);
		device = add_device(
			w, pick(2) ? name : foreign[pick(ARRAY_LEN(foreign))], mgmtdevs[pick(5)]
		);
		device->active = pick(3) == 0;
		device->parked = pick(4) == 0;
		device->uid = pick(3) == 0 ? 0 : UID;
		device->mac.octets[5] = (uint8_t)pick(3);
		if (pick(5) == 0)
			strcpy(device->driver, "virtio_vdpa");
		if (pick(6) == 0)
			device->node[0] = '\0';
	}
	qsort(w->devices, w->report.n_devices, sizeof(w->devices[0]), compare);
}

static const struct wanted_vdpa *wanted_of(const struct world *w, const struct port *port) {
	return &w->wanted_ports[port - w->ports];
}

static void check_step(const struct world *w, const struct vdpa_step *step) {
	const struct wanted_vdpa *wanted;

	// Never anybody else's.
	if (step->device != NULL)
		assert_true(step->device->generation != 0);
	if (step->port == NULL) {
		assert_int_equal(step->kind, VDPA_DROP);
		assert_true(w->wanted.may_delete);
		for (size_t i = 0; i < w->wanted.n_ports; i++)
			assert_true(w->ports[i].generation != step->device->generation);
		return;
	}
	wanted = wanted_of(w, step->port);
	assert_false(wanted->busy);
	assert_true((step->kind == VDPA_DELETE) == wanted->deleting);
	if (step->device != NULL)
		assert_int_equal(step->device->generation, step->port->generation);
	if (step->kind == VDPA_REPLACE)
		assert_false(step->device->active || wanted->was_seen);
	// Nothing on the word of one list.
	if (step->device == NULL && (step->kind == VDPA_MAKE || step->kind == VDPA_DEGRADE))
		assert_true(wanted->n_missed + 1 >= VDPA_ABSENT_AFTER);
	if (step->kind == VDPA_DEGRADE)
		assert_true(step->reason[0] != '\0');
}

static void random_worlds_are_never_harmed(void **state) {
	struct world w;

	(void)state;
	srand(3);
	for (int i = 0; i < WORLDS; i++) {
		unsigned int steps_of[MAX_PORTS] = {0};

		make_world(&w);
		assert_int_equal(vdpa_reconcile(&w.wanted, &w.report, &w.plan), 0);
		for (size_t k = 0; k < w.plan.n; k++) {
			check_step(&w, &w.plan.steps[k]);
			if (w.plan.steps[k].port != NULL)
				steps_of[w.plan.steps[k].port - w.ports]++;
		}
		for (size_t k = 0; k < w.wanted.n_ports; k++)
			assert_int_equal(steps_of[k], w.wanted_ports[k].busy ? 0 : 1);
		vdpa_plan_done(&w.plan);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_carry_their_generation_and_nothing_else_does),
		cmocka_unit_test(what_is_as_wanted_is_adopted),
		cmocka_unit_test(what_is_not_right_is_mended_one_thing_at_a_time),
		cmocka_unit_test(a_function_that_is_not_settled_gets_its_values_again),
		cmocka_unit_test(wrong_values_replace_only_what_no_guest_had),
		cmocka_unit_test(absence_is_believed_the_second_time),
		cmocka_unit_test(a_lost_device_waits_for_its_own_hardware_once_it_was_seen),
		cmocka_unit_test(two_ports_do_not_get_one_piece_of_hardware),
		cmocka_unit_test(a_function_is_made_again_without_its_management_device),
		cmocka_unit_test(a_port_to_be_deleted_is_whatever_the_list_says),
		cmocka_unit_test(what_nobody_wants_goes_if_the_state_file_is_trusted),
		cmocka_unit_test(random_worlds_are_never_harmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
