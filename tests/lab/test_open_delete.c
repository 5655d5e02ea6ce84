// SPDX-License-Identifier: GPL-2.0-or-later
// Deleting a device that somebody has open: never freezes the node, and happens soon after he is gone.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "netlink/vdpa_delete.h"
#include "tests/lab/lab.h"

#define ROUNDS 20
#define ANSWER_MS 1000     // for devlink, from exec to exit
#define COMPLETION_MS 2000 // from the holder's death to the device's absence
#define POLL_MS 50

// One attempt as vdpad-netlink makes it: in a process of its own, with a socket of its own.
// Returns its exit status: 0 gone, 1 busy and @holder named, 2 anything else.
static pid_t start_worker(const char *name, pid_t holder) {
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct nl_socket *nl = NULL;
		struct vhost_holder found;
		int r = vdpa_open(&nl);

		if (r == 0)
			r = vdpa_delete(nl, &vhost_host_roots, name, &found);
		if (r == -EBUSY && (holder == 0 || found.pid == holder))
			_exit(1);
		_exit(r == 0 ? 0 : 2);
	}
	return pid;
}

static void deletion_waits_while_the_node_answers(void **state) {
	const struct timespec poll = {.tv_nsec = POLL_MS * 1000000};
	uint64_t slowest_ms = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct nl_socket *nl = lab_open();
		uint64_t killed_ms;
		pid_t holder;
		int status;

		lab_add(nl, "held");
		holder = lab_start_holder("held");
		assert_int_equal(lab_reap(start_worker("held", holder), ANSWER_MS), 1);

		assert_int_equal(lab_shell("devlink dev show >/dev/null", ANSWER_MS), 0);
		assert_true(lab_list_has(nl, "held"));

		lab_kill(holder);
		killed_ms = lab_now_ms();
		do {
			status = lab_reap(start_worker("held", 0), COMPLETION_MS);
			assert_in_range(status, 0, 1);
			if (status == 1)
				nanosleep(&poll, NULL);
		} while (status == 1);
		if (lab_now_ms() - killed_ms > slowest_ms)
			slowest_ms = lab_now_ms() - killed_ms;
		assert_false(lab_list_has(nl, "held"));
		nl_socket_close(nl);
	}
	printf("# slowest deletion after the holder's death: %u ms\n", (unsigned int)slowest_ms);
	assert_in_range(slowest_ms, 0, COMPLETION_MS);
}

// The same with the plain tool, which shows that the test above tests something: generic netlink hangs,
// and with it whoever asks, however he is killed. So it must be a process that can be spared.
static void deletion_by_the_plain_tool_freezes_whoever_asks(void **state) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	struct nl_socket *nl = lab_open();
	pid_t holder, tool, devlink, worker;

	(void)state;
	lab_add(nl, "held");
	holder = lab_start_holder("held");
	tool = lab_start("exec vdpa dev del held");
	assert_int_equal(lab_reap(tool, ANSWER_MS), -ETIMEDOUT);
	devlink = lab_start("exec devlink dev show >/dev/null");
	worker = start_worker("held", 0);
	assert_int_equal(lab_reap(devlink, ANSWER_MS), -ETIMEDOUT);
	assert_int_equal(kill(worker, SIGKILL), 0);
	assert_int_equal(lab_reap(worker, ANSWER_MS), -ETIMEDOUT);

	// Sysfs still answers: the device has left the bus.
	assert_int_equal(vhost_chardev_find(&vhost_host_roots, "held", &chardev), -ENODEV);

	lab_kill(holder);
	assert_int_equal(lab_reap(tool, COMPLETION_MS), 0);
	assert_int_equal(lab_reap(devlink, COMPLETION_MS), 0);
	assert_int_equal(lab_reap(worker, COMPLETION_MS), -ECHILD); // killed
	assert_false(lab_list_has(nl, "held"));
	nl_socket_close(nl);
}

static void abandoned_deletion_leaves_a_working_device(void **state) {
	struct nl_socket *nl = lab_open();
	pid_t holder;
	int fd;

	(void)state;
	lab_add(nl, "kept");
	holder = lab_start_holder("kept");
	assert_int_equal(lab_reap(start_worker("kept", holder), ANSWER_MS), 1);
	assert_int_equal(access("/dev/vhost-vdpa-0", F_OK), -1);
	assert_int_equal(vdpa_delete_abandon(&vhost_host_roots, "kept"), 0);
	lab_kill(holder);
	fd = lab_open_chardev("kept");
	assert_true(fd >= 0);
	close(fd);
	lab_delete(nl, "kept");
	nl_socket_close(nl);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deletion_waits_while_the_node_answers),
		cmocka_unit_test(deletion_by_the_plain_tool_freezes_whoever_asks),
		cmocka_unit_test(abandoned_deletion_leaves_a_working_device),
	};

	return cmocka_run_group_tests_name("open_delete", tests, NULL, NULL);
}
