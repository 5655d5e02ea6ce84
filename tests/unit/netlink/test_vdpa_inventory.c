// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vdpa_inventory.h"

#include <errno.h>
#include <string.h>

#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/fake_vdpa.h"
#include "tests/unit/unit.h"

#define FEATURE_CTRL_VQ (1ULL << 17)
#define FEATURE_MQ (1ULL << 22)

static int setup(void **state) {
	static struct fake_vdpa v;

	fake_vdpa_init(&v);
	*state = &v;
	return 0;
}

static int teardown(void **state) {
	fake_vdpa_done(*state);
	return 0;
}

static void places_are_those_of_network_devices(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_place_list list;
	struct error e;

	assert_int_equal(vdpa_place_list(&v->kernel, &list, &e), 0);
	assert_int_equal(list.n_items, 2);
	assert_string_equal(list.items[0].mgmtdev.handle.dev, "vdpasim_net");
	assert_string_equal(list.items[1].function.driver, "vp-vdpa");
	assert_int_equal(list.items[1].function.takes, NIC_TAKES_FEATURES);
	assert_int_equal(list.items[1].mgmtdev.max_vqs, 3);
	vdpa_place_list_done(&list);
}

static const struct vdpa_state *find(const struct vdpa_state_list *list, const char *name) {
	for (size_t i = 0; i < list->n_items; i++)
		if (strcmp(list->items[i].dev.name, name) == 0)
			return &list->items[i];
	fail_msg("there is no device '%s'", name);
	return NULL;
}

static void device_that_the_kernels_list_leaves_out_is_found(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_state_list list;
	struct error e;

	fake_vdpa_add(v, "", "vdpasim_net", "one");
	fake_vdpa_add(v, "", "vdpasim_net", "two")->negotiated = 1;
	v->left_out = 1;
	assert_int_equal(vdpa_state_list(&v->kernel, &list, &e), 0);
	assert_int_equal(list.n_items, 2);
	assert_string_equal(find(&list, "one")->node, "vhost-vdpa-0");
	assert_false(find(&list, "one")->config.has_negotiated);
	assert_true(find(&list, "two")->config.has_negotiated);
	vdpa_state_list_done(&list);
}

static void foreign_devices_of_every_kind_are_listed(void **state) {
	static const char long_name[] =
		"seventy-characters-of-a-name-that-somebody-found-good-for-his-device--";
	struct fake_vdpa *v = *state;
	struct vdpa_state_list list;
	struct error e;

	fake_vdpa_add(v, "", "vdpasim_net", "a/b");
	fake_vdpa_dev(&v->sysfs, "a!b", "virtio_vdpa"); // as the kernel writes it
	fake_vdpa_add(v, "", "vdpasim_net", long_name);
	fake_vdpa_add(v, "", "", "eni");      // nothing that can be listed made it
	fake_vdpa_dev(&v->sysfs, "gone", ""); // was there a moment ago
	assert_int_equal(vdpa_state_list(&v->kernel, &list, &e), 0);
	assert_string_equal(find(&list, "a/b")->driver, "virtio_vdpa");
	assert_string_equal(find(&list, "a/b")->node, "");
	assert_string_equal(find(&list, long_name)->driver, "vhost_vdpa");
	assert_non_null(find(&list, "eni"));
	assert_int_equal(list.n_items, 3);
	vdpa_state_list_done(&list);
}

static void kernel_without_vdpa_has_nothing(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_state_list states;
	struct vdpa_place_list places;
	struct error e;

	v->absent = true;
	assert_int_equal(vdpa_state_list(&v->kernel, &states, &e), 0);
	assert_int_equal(vdpa_place_list(&v->kernel, &places, &e), 0);
	assert_int_equal(states.n_items + places.n_items, 0);
	vdpa_state_list_done(&states);
	vdpa_place_list_done(&places);
}

static void list_that_the_kernel_refuses_is_no_list(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_state_list list;
	struct error e;

	v->refuse_command = VDPA_CMD_DEV_GET;
	v->refuse_error = ENOENT;
	assert_int_equal(vdpa_state_list(&v->kernel, &list, &e), -EIO);
}

static void check_counter(
	const struct vdpa_counter_list *list, size_t i, const char *name, uint64_t value
) {
	assert_in_range(i, 0, list->n_items - 1);
	assert_string_equal(list->items[i].name, name);
	assert_int_equal(list->items[i].value, value);
}

static void counters_carry_the_name_of_their_ring(void **state) {
	struct fake_vdpa *v = *state;
	struct fake_vdpa_dev *dev = fake_vdpa_add(v, "", "vdpasim_net", "vdpad-1");
	struct vdpa_counter_list list;
	struct error e;

	dev->negotiated = FEATURE_CTRL_VQ | FEATURE_MQ;
	dev->queue_pairs = 2;
	assert_int_equal(vdpa_counter_list(&v->kernel, "vdpad-1", &list, &e), 0);
	assert_int_equal(list.n_items, 5);
	check_counter(&list, 0, "rx0_received_desc", 0);
	check_counter(&list, 1, "tx0_received_desc", 100);
	check_counter(&list, 3, "tx1_received_desc", 300);
	check_counter(&list, 4, "ctrl_received_desc", 400);
	vdpa_counter_list_done(&list);

	// A guest that takes one pair has the control ring right behind it.
	dev->negotiated = FEATURE_CTRL_VQ;
	assert_int_equal(vdpa_counter_list(&v->kernel, "vdpad-1", &list, &e), 0);
	assert_int_equal(list.n_items, 3);
	check_counter(&list, 2, "ctrl_received_desc", 200);
	vdpa_counter_list_done(&list);
}

static void there_are_no_counters_without_a_guest(void **state) {
	struct fake_vdpa *v = *state;
	struct vdpa_counter_list list;
	struct error e;

	fake_vdpa_add(v, "", "vdpasim_net", "vdpad-1");
	assert_int_equal(vdpa_counter_list(&v->kernel, "vdpad-1", &list, &e), 0);
	assert_int_equal(list.n_items, 0);
	vdpa_counter_list_done(&list);
	assert_int_equal(vdpa_counter_list(&v->kernel, "vdpad-2", &list, &e), -EIO);

	fake_vdpa_find(v, "vdpad-1")->negotiated = 1;
	v->refuse_command = VDPA_CMD_DEV_VSTATS_GET;
	v->refuse_error = EAGAIN;
	assert_int_equal(vdpa_counter_list(&v->kernel, "vdpad-1", &list, &e), 0);
	assert_int_equal(list.n_items, 0);
	vdpa_counter_list_done(&list);
	v->refuse_error = EOPNOTSUPP;
	assert_int_equal(vdpa_counter_list(&v->kernel, "vdpad-1", &list, &e), -EOPNOTSUPP);
}

#define WITH_KERNEL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_KERNEL(places_are_those_of_network_devices),
		WITH_KERNEL(device_that_the_kernels_list_leaves_out_is_found),
		WITH_KERNEL(foreign_devices_of_every_kind_are_listed),
		WITH_KERNEL(kernel_without_vdpa_has_nothing),
		WITH_KERNEL(list_that_the_kernel_refuses_is_no_list),
		WITH_KERNEL(counters_carry_the_name_of_their_ring),
		WITH_KERNEL(there_are_no_counters_without_a_guest),
	};

	return cmocka_run_group_tests_name("vdpa_inventory", tests, NULL, NULL);
}
