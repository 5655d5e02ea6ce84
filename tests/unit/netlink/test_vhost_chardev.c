// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vhost_chardev.h"
#include "netlink/vhost_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/unit/netlink/fake_sysfs.h"
#include "tests/unit/unit.h"

struct fixture {
	struct fake_sysfs node;
	struct fake_terminal terminal; // of device d0, vhost-vdpa-7
};

static int setup(void **state) {
	static struct fixture x;

	fake_sysfs_init(&x.node);
	fake_vdpa_dev(&x.node, "d0", "vhost_vdpa");
	fake_chardev(&x.node, "d0", 7, &x.terminal);
	*state = &x;
	return 0;
}

static int teardown(void **state) {
	struct fixture *x = *state;

	fake_terminal_done(&x->terminal);
	fake_sysfs_done(&x->node);
	return 0;
}

static int find(const struct fixture *x, const char *name) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;

	return vhost_chardev_find(&x->node.roots, name, &chardev);
}

static void node_is_found_through_sysfs(void **state) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	struct fixture *x = *state;
	struct stat st;

	assert_int_equal(vhost_chardev_find(&x->node.roots, "d0", &chardev), 0);
	assert_string_equal(chardev.node_name, "vhost-vdpa-7");
	assert_int_equal(stat(x->terminal.path, &st), 0);
	assert_int_equal(chardev.number, st.st_rdev);
	assert_false(chardev.is_parked);
}

static void node_of_another_device_is_refused(void **state) {
	struct fixture *x = *state;
	struct fake_terminal other;

	fake_vdpa_dev(&x->node, "d1", "vhost_vdpa");
	fake_chardev(&x->node, "d1", 8, &other);
	fake_link(&x->node, "dev/vhost-vdpa-7", other.path);
	assert_int_equal(find(x, "d0"), -ESTALE);
	fake_file(&x->node, "file", "");
	fake_link(&x->node, "dev/vhost-vdpa-7", "../file"); // no device at all
	assert_int_equal(find(x, "d0"), -ESTALE);
	fake_terminal_done(&other);
}

static void each_way_of_not_being_there_has_its_errno(void **state) {
	struct fixture *x = *state;

	assert_int_equal(find(x, "nosuch"), -ENODEV);
	fake_vdpa_dev(&x->node, "unbound", "");
	assert_int_equal(find(x, "unbound"), -ENOENT);
	fake_vdpa_dev(&x->node, "netdev", "virtio_vdpa");
	assert_int_equal(find(x, "netdev"), -ENOENT);
	fake_vdpa_dev(&x->node, "going", "vhost_vdpa");
	assert_int_equal(find(x, "going"), -EBUSY);
	fake_vdpa_dev(&x->node, "nonode", "vhost_vdpa");
	fake_file(&x->node, "sys/bus/vdpa/devices/nonode/vhost-vdpa-9/dev", "1:3\n");
	assert_int_equal(find(x, "nonode"), -ENXIO);
}

static void names_that_leave_the_folder_are_refused(void **state) {
	static const char *const names[] = {"", ".", "..", "a/b", "../d0", "/etc"};
	struct fixture *x = *state;
	char name[300];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(find(x, names[i]), -EINVAL);
		assert_int_equal(vhost_chardev_bind(&x->node.roots, names[i]), -EINVAL);
	}
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(find(x, name), -EINVAL);
}

static void odd_names_are_found(void **state) {
	struct fixture *x = *state;
	struct fake_terminal terminals[3];
	const char *names[] = {
		"a!b", "d 5",
		"n234567890123456789012345678901234567890123456789012345678901234567890"};

	for (unsigned int i = 0; i < ARRAY_LEN(names); i++) {
		fake_vdpa_dev(&x->node, names[i], "vhost_vdpa");
		fake_chardev(&x->node, names[i], i, &terminals[i]);
		assert_int_equal(find(x, names[i]), 0);
	}
	for (unsigned int i = 0; i < ARRAY_LEN(names); i++)
		fake_terminal_done(&terminals[i]);
}

static void entries_that_only_look_like_the_node_are_passed_over(void **state) {
	struct fixture *x = *state;

	fake_vdpa_dev(&x->node, "d1", "virtio_vdpa");
	fake_file(&x->node, "sys/bus/vdpa/devices/d1/vhost-vdpa-", "");
	fake_file(&x->node, "sys/bus/vdpa/devices/d1/vhost-vdpa-1x", "");
	fake_file(&x->node, "sys/bus/vdpa/devices/d1/vhost-vdpa--1", "");
	fake_file(&x->node, "sys/bus/vdpa/devices/d1/vhost-vdpa-99999999999999999999", "");
	assert_int_equal(find(x, "d1"), -ENOENT);
}

static void broken_number_is_refused(void **state) {
	static const char *const texts[] = {"",   "1", "1:", ":3", "1:3:4", "-1:3", "1:99999999999",
	                                    "x:y"};
	struct fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		fake_file(&x->node, "sys/bus/vdpa/devices/d0/vhost-vdpa-7/dev", texts[i]);
		assert_int_equal(find(x, "d0"), -EBADMSG);
	}
}

static void parked_node_is_found_and_comes_back(void **state) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	_cleanup_chardev_ struct vhost_chardev again = VHOST_CHARDEV_NONE;
	struct fixture *x = *state;

	assert_int_equal(vhost_chardev_find(&x->node.roots, "d0", &chardev), 0);
	assert_int_equal(vhost_chardev_park(&x->node.roots, &chardev), 0);
	assert_int_equal(vhost_chardev_park(&x->node.roots, &chardev), 0);
	assert_false(fake_exists(&x->node, "dev/vhost-vdpa-7"));

	// As another process would.
	assert_int_equal(vhost_chardev_find(&x->node.roots, "d0", &again), 0);
	assert_true(again.is_parked);
	assert_int_equal(vhost_chardev_unpark(&x->node.roots, &again), 0);
	assert_true(fake_exists(&x->node, "dev/vhost-vdpa-7"));

	assert_int_equal(vhost_chardev_park(&x->node.roots, &again), 0);
	vhost_chardev_forget_parked(&x->node.roots, &again);
	assert_false(fake_exists(&x->node, "dev/.vdpad-vhost-vdpa-7"));
	assert_int_equal(find(x, "d0"), -ENXIO);
}

static void node_left_parked_by_an_older_device_is_not_taken(void **state) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	struct fixture *x = *state;

	fake_link(&x->node, "dev/.vdpad-vhost-vdpa-7", "/dev/null");
	assert_int_equal(vhost_chardev_find(&x->node.roots, "d0", &chardev), 0);
	assert_false(chardev.is_parked);
	assert_int_equal(vhost_chardev_park(&x->node.roots, &chardev), 0);
	assert_int_equal(find(x, "d0"), 0);
}

static void closed_device_is_proved_closed(void **state) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	struct fixture *x = *state;

	assert_int_equal(vhost_chardev_find(&x->node.roots, "d0", &chardev), 0);
	assert_int_equal(vhost_chardev_park(&x->node.roots, &chardev), 0);
	assert_int_equal(vhost_chardev_prove_closed(&chardev), 0);
}

static void open_device_is_busy_and_its_holder_has_a_name(void **state) {
	struct vhost_roots roots;
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	struct fixture *x = *state;
	struct vhost_holder holder;

	roots = x->node.roots;
	roots.proc = "/proc";
	assert_int_equal(vhost_chardev_find(&roots, "d0", &chardev), 0);

	// The descriptor that names the node does not count.
	vhost_holder_find(&roots, chardev.number, &holder);
	assert_int_equal(holder.pid, 0);

	fake_terminal_hold(&x->terminal);
	assert_int_equal(vhost_chardev_prove_closed(&chardev), -EBUSY);
	vhost_holder_find(&roots, chardev.number, &holder);
	assert_int_equal(holder.pid, getpid());
	assert_non_null(strstr(holder.command, "test_netlink"));

	fake_terminal_release(&x->terminal);
	assert_int_equal(vhost_chardev_prove_closed(&chardev), 0);
}

static void holder_is_unknown_without_proc(void **state) {
	struct fixture *x = *state;
	struct vhost_roots roots = x->node.roots;
	struct vhost_holder holder;

	roots.proc = "/nonexistent";
	vhost_holder_find(&roots, 1, &holder);
	assert_int_equal(holder.pid, 0);
}

static void owner_is_the_only_one_who_may_open(void **state) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	struct fixture *x = *state;
	struct stat st;

	assert_int_equal(chmod(x->terminal.path, 0666), 0);
	assert_int_equal(vhost_chardev_find(&x->node.roots, "d0", &chardev), 0);
	assert_int_equal(vhost_chardev_set_owner(&chardev, getuid(), getgid()), 0);
	assert_int_equal(stat(x->terminal.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, getuid());
	assert_int_equal(st.st_gid, getgid());
}

static void bound_device_stays_and_is_kept(void **state) {
	struct fixture *x = *state;

	assert_int_equal(vhost_chardev_bind(&x->node.roots, "d0"), 0);
	fake_assert_file(&x->node, "sys/bus/vdpa/devices/d0/driver_override", "vhost_vdpa");
	fake_assert_file(&x->node, "sys/bus/vdpa/drivers/vhost_vdpa/bind", "");
}

// The files do not act here; what is written to them is the promise.
static void device_of_another_driver_is_taken_from_it(void **state) {
	struct fixture *x = *state;

	fake_vdpa_dev(&x->node, "d1", "virtio_vdpa");
	assert_int_equal(vhost_chardev_bind(&x->node.roots, "d1"), -ENXIO);
	fake_assert_file(&x->node, "sys/bus/vdpa/devices/d1/driver_override", "vhost_vdpa");
	fake_assert_file(&x->node, "sys/bus/vdpa/drivers/virtio_vdpa/unbind", "d1");
	fake_assert_file(&x->node, "sys/bus/vdpa/drivers/vhost_vdpa/bind", "d1");
}

static void bind_without_device_or_module_says_which(void **state) {
	struct fixture *x = *state;
	struct fake_sysfs bare;

	assert_int_equal(vhost_chardev_bind(&x->node.roots, "nosuch"), -ENODEV);
	fake_sysfs_init(&bare);
	fake_vdpa_dev(&bare, "d0", "");
	assert_int_equal(vhost_chardev_bind(&bare.roots, "d0"), -ENOENT);
	fake_assert_file(&bare, "sys/bus/vdpa/devices/d0/driver_override", "(null)\n");
	fake_sysfs_done(&bare);
}

int main(void) {
#define on_node(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		on_node(node_is_found_through_sysfs),
		on_node(node_of_another_device_is_refused),
		on_node(each_way_of_not_being_there_has_its_errno),
		on_node(names_that_leave_the_folder_are_refused),
		on_node(odd_names_are_found),
		on_node(entries_that_only_look_like_the_node_are_passed_over),
		on_node(broken_number_is_refused),
		on_node(parked_node_is_found_and_comes_back),
		on_node(node_left_parked_by_an_older_device_is_not_taken),
		on_node(closed_device_is_proved_closed),
		on_node(open_device_is_busy_and_its_holder_has_a_name),
		on_node(holder_is_unknown_without_proc),
		on_node(owner_is_the_only_one_who_may_open),
		on_node(bound_device_stays_and_is_kept),
		on_node(device_of_another_driver_is_taken_from_it),
		on_node(bind_without_device_or_module_says_which),
	};

	return cmocka_run_group_tests_name("vhost_chardev", tests, NULL, NULL);
}
