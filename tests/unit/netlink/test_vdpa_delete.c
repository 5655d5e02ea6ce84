// SPDX-License-Identifier: GPL-2.0-or-later
// What matters most is what is not sent.
#include "netlink/vdpa_delete.h"

#include <errno.h>
#include <unistd.h>

#include "netlink/vdpa_mgmt.h"
#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/fake_netlink.h"
#include "tests/unit/netlink/fake_sysfs.h"
#include "tests/unit/unit.h"

#define DEL_D0 "1c000000 2300 0500 02000000 00000000 04 01 0000 0700 0400 643000 00"
#define GET_D0 "1c000000 2300 0500 03000000 00000000 05 01 0000 0700 0400 643000 00"

struct deletion {
	struct fake_sysfs node;
	struct fake_terminal terminal; // of device d0, vhost-vdpa-0
	struct vhost_roots roots;
	struct fake_netlink *fake; // owned by nl
	struct nl_socket *nl;
	size_t n_requests; // before the test
	struct vhost_holder holder;
};

static int setup(void **state) {
	static struct deletion x;

	x = (struct deletion){0};
	fake_sysfs_init(&x.node);
	fake_vdpa_dev(&x.node, "d0", "vhost_vdpa");
	fake_chardev(&x.node, "d0", 0, &x.terminal);
	x.roots = x.node.roots;
	x.roots.proc = "/proc";
	x.fake = fake_netlink_new();
	fake_family(x.fake, 37, "\2\3\4\5\6\7\x08");
	assert_int_equal(nl_socket_new(&x.fake->base, &vdpa_family, &x.nl), 0);
	x.n_requests = x.fake->n_requests;
	*state = &x;
	return 0;
}

static int teardown(void **state) {
	struct deletion *x = *state;

	nl_socket_close(x->nl);
	fake_terminal_done(&x->terminal);
	fake_sysfs_done(&x->node);
	return 0;
}

static int del(struct deletion *x) {
	return vdpa_delete(x->nl, &x->roots, "d0", &x->holder);
}

static void closed_device_is_deleted_and_its_absence_confirmed(void **state) {
	struct deletion *x = *state;

	fake_ack(x->fake);
	fake_refuse(x->fake, ENODEV, "vdpa: device not found");
	assert_int_equal(del(x), 0);
	assert_int_equal(x->fake->n_requests, x->n_requests + 2);
	fake_assert_request(x->fake, GET_D0);
	assert_false(fake_exists(&x->node, "dev/vhost-vdpa-0"));
	assert_false(fake_exists(&x->node, "dev/.vdpad-vhost-vdpa-0"));
}

static void open_device_gets_no_netlink_at_all(void **state) {
	struct deletion *x = *state;

	fake_terminal_hold(&x->terminal);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(del(x), -EBUSY);
		assert_int_equal(x->fake->n_requests, x->n_requests);
		assert_int_equal(x->holder.pid, getpid());
		assert_false(fake_exists(&x->node, "dev/vhost-vdpa-0"));
	}

	fake_terminal_release(&x->terminal);
	fake_ack(x->fake);
	fake_refuse(x->fake, ENODEV, NULL);
	assert_int_equal(del(x), 0);
	assert_int_equal(x->holder.pid, 0);
}

static void abandoned_deletion_gives_the_node_back(void **state) {
	struct deletion *x = *state;

	fake_terminal_hold(&x->terminal);
	assert_int_equal(del(x), -EBUSY);
	assert_int_equal(vdpa_delete_abandon(&x->roots, "d0"), 0);
	assert_true(fake_exists(&x->node, "dev/vhost-vdpa-0"));
	assert_int_equal(vdpa_delete_abandon(&x->roots, "d0"), 0);
}

static void device_that_another_is_removing_gets_no_netlink(void **state) {
	struct deletion *x = *state;

	fake_vdpa_dev(&x->node, "going", "vhost_vdpa");
	assert_int_equal(vdpa_delete(x->nl, &x->roots, "going", &x->holder), -EBUSY);
	assert_int_equal(x->fake->n_requests, x->n_requests);
}

static void device_whose_node_is_missing_is_not_deleted(void **state) {
	struct deletion *x = *state;

	fake_link(&x->node, "dev/vhost-vdpa-0", "/nonexistent");
	assert_int_equal(del(x), -ENXIO);
	fake_link(&x->node, "dev/vhost-vdpa-0", "/dev/null");
	assert_int_equal(del(x), -ESTALE);
	assert_int_equal(x->fake->n_requests, x->n_requests);
}

static void refused_deletion_gives_the_node_back_and_keeps_the_words(void **state) {
	struct deletion *x = *state;

	fake_refuse(x->fake, EINVAL, "vdpa: Only user created device can be deleted by user");
	assert_int_equal(del(x), -EINVAL);
	fake_assert_request(x->fake, DEL_D0);
	assert_string_equal(
		nl_socket_error_text(x->nl), "vdpa: Only user created device can be deleted by user"
	);
	assert_true(fake_exists(&x->node, "dev/vhost-vdpa-0"));
}

static void device_that_is_gone_is_success(void **state) {
	struct deletion *x = *state;

	fake_refuse(x->fake, ENODEV, NULL);
	assert_int_equal(vdpa_delete(x->nl, &x->roots, "nosuch", &x->holder), 0);
	assert_int_equal(x->fake->n_requests, x->n_requests + 1);

	// Gone between our look and our request.
	fake_refuse(x->fake, ENODEV, NULL);
	fake_refuse(x->fake, ENODEV, NULL);
	assert_int_equal(del(x), 0);
}

static void device_without_a_character_device_is_deleted(void **state) {
	struct deletion *x = *state;

	fake_vdpa_dev(&x->node, "unbound", "");
	fake_ack(x->fake);
	fake_refuse(x->fake, ENODEV, NULL);
	assert_int_equal(vdpa_delete(x->nl, &x->roots, "unbound", &x->holder), 0);
	assert_int_equal(x->fake->n_requests, x->n_requests + 2);
}

int main(void) {
#define on_node(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		on_node(closed_device_is_deleted_and_its_absence_confirmed),
		on_node(open_device_gets_no_netlink_at_all),
		on_node(abandoned_deletion_gives_the_node_back),
		on_node(device_that_another_is_removing_gets_no_netlink),
		on_node(device_whose_node_is_missing_is_not_deleted),
		on_node(refused_deletion_gives_the_node_back_and_keeps_the_words),
		on_node(device_that_is_gone_is_success),
		on_node(device_without_a_character_device_is_deleted),
	};

	return cmocka_run_group_tests_name("vdpa_delete", tests, NULL, NULL);
}
