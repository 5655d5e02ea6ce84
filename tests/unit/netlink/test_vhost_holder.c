// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vhost_holder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/unit/netlink/fake_sysfs.h"
#include "tests/unit/unit.h"

struct node {
	struct fake_sysfs fake;
	struct fake_terminal terminal; // stands for a device whose deletion waits
	unsigned int minor_number;
};

// Process 70 has the device open, process 80 deletes it. procfs is a folder like any other here.
static int setup(void **state) {
	static struct node n;
	char text[64];
	struct stat st;

	n = (struct node){0};
	fake_sysfs_init(&n.fake);
	fake_vdpa_dev(&n.fake, "held", "vhost_vdpa");
	fake_chardev(&n.fake, "held", 0, &n.terminal);
	assert_int_equal(stat(n.terminal.path, &st), 0);
	n.minor_number = minor(st.st_rdev);
	snprintf(
		text, sizeof(text), "Character devices:\n  1 mem\n%3u vhost-vdpa\n",
		major(st.st_rdev)
	);
	fake_file(&n.fake, "proc/devices", text);
	fake_link(&n.fake, "proc/70/fd/5", n.terminal.path);
	fake_file(&n.fake, "proc/70/fdinfo/5", "pos:\t0\nflags:\t02100002\n");
	fake_file(&n.fake, "proc/70/comm", "qemu-system-x86\n");
	fake_file(&n.fake, "proc/70/task/70/wchan", "poll_schedule_timeout");
	fake_file(&n.fake, "proc/80/comm", "vdpa\n");
	fake_file(&n.fake, "proc/80/cmdline", "vdpa dev del held");
	fake_file(&n.fake, "proc/80/task/80/wchan", "vhost_vdpa_remove");
	*state = &n;
	return 0;
}

static int teardown(void **state) {
	struct node *n = *state;

	fake_terminal_done(&n->terminal);
	fake_sysfs_done(&n->fake);
	return 0;
}

static void hang_names_who_deletes_and_who_has_it_open(void **state) {
	struct node *n = *state;
	char text[VHOST_HANG_TEXT_SIZE], expected[VHOST_HANG_TEXT_SIZE];

	vhost_hang_explain(&n->fake.roots, text);
	snprintf(
		expected, sizeof(expected),
		"process 80 (vdpa dev del held) deletes a device that process 70 (qemu-system-x86) "
		"has "
		"open (vhost-vdpa-%u); it goes on when that process closes it",
		n->minor_number
	);
	assert_string_equal(text, expected);
}

static void our_own_deletion_is_named_as_such(void **state) {
	struct node *n = *state;
	char text[VHOST_HANG_TEXT_SIZE];

	fake_file(&n->fake, "proc/self/task/91/wchan", "vhost_vdpa_remove");
	vhost_hang_explain(&n->fake.roots, text);
	assert_non_null(strstr(text, "vdpad itself deletes a device that process 70"));
}

static void device_that_is_still_there_holds_nobody_up(void **state) {
	struct node *n = *state;
	char text[VHOST_HANG_TEXT_SIZE], path[64];
	struct stat st;

	assert_int_equal(stat(n->terminal.path, &st), 0);
	snprintf(
		path, sizeof(path), "sys/dev/char/%u:%u/uevent", major(st.st_rdev),
		minor(st.st_rdev)
	);
	fake_file(&n->fake, path, "");
	vhost_hang_explain(&n->fake.roots, text);
	assert_string_equal(
		text, "process 80 (vdpa dev del held) deletes a device that somebody has open"
	);
}

static void descriptor_that_only_names_the_device_does_not_hold_it(void **state) {
	struct node *n = *state;
	char text[VHOST_HANG_TEXT_SIZE];

	fake_file(&n->fake, "proc/70/fdinfo/5", "pos:\t0\nflags:\t012100000\n");
	vhost_hang_explain(&n->fake.roots, text);
	assert_null(strstr(text, "qemu"));
}

// A file of a server that is gone: a look at it would not return.
static void descriptor_of_another_file_is_not_touched(void **state) {
	struct node *n = *state;
	char text[VHOST_HANG_TEXT_SIZE], disk[PATH_MAX];

	fake_link(&n->fake, "mnt/disk", n->terminal.path);
	snprintf(disk, sizeof(disk), "%s/mnt/disk", n->fake.top);
	fake_link(&n->fake, "proc/70/fd/5", disk);
	vhost_hang_explain(&n->fake.roots, text);
	assert_null(strstr(text, "process 70"));
}

static void hang_is_confessed_where_nothing_can_be_seen(void **state) {
	struct node *n = *state;
	struct vhost_roots roots = n->fake.roots;
	char text[VHOST_HANG_TEXT_SIZE];

	roots.proc = "/nonexistent";
	vhost_hang_explain(&roots, text);
	assert_string_equal(text, "who or what it waits for cannot be seen");
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_NODE(hang_names_who_deletes_and_who_has_it_open),
		WITH_NODE(our_own_deletion_is_named_as_such),
		WITH_NODE(device_that_is_still_there_holds_nobody_up),
		WITH_NODE(descriptor_that_only_names_the_device_does_not_hold_it),
		WITH_NODE(descriptor_of_another_file_is_not_touched),
		WITH_NODE(hang_is_confessed_where_nothing_can_be_seen),
	};

	return cmocka_run_group_tests_name("vhost_holder", tests, NULL, NULL);
}
