// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "netlink/vdpa_delete.h"
#include "vdpad/util/clock.h"

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_FEATURES_OK 8

struct nl_socket *lab_open(void) {
	struct nl_socket *nl = NULL;

	assert_int_equal(vdpa_open(&nl), 0);
	return nl;
}

struct vdpa_dev_spec lab_spec(const char *name, const char *handle) {
	static struct nl_handle parsed;

	nl_handle_done(&parsed);
	assert_int_equal(nl_handle_parse(handle, &parsed), 0);
	return (struct vdpa_dev_spec){.name = name, .mgmtdev = parsed};
}

void lab_add(struct nl_socket *nl, const char *name) {
	struct vdpa_dev_spec spec = lab_spec(name, "vdpasim_net");

	assert_int_equal(vdpa_dev_add(nl, &spec), 0);
}

void lab_delete(struct nl_socket *nl, const char *name) {
	struct vhost_holder holder;

	assert_int_equal(vdpa_delete(nl, &vhost_host_roots, name, &holder), 0);
}

bool lab_list_has(struct nl_socket *nl, const char *name) {
	_cleanup_dev_list_ struct vdpa_dev_list list = {0};

	assert_int_equal(vdpa_dev_list(nl, &list), 0);
	for (size_t i = 0; i < list.n_items; i++)
		if (strcmp(list.items[i].name, name) == 0)
			return true;
	return false;
}

int lab_open_chardev(const char *name) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	char path[64];
	int fd;

	assert_int_equal(vhost_chardev_find(&vhost_host_roots, name, &chardev), 0);
	snprintf(path, sizeof(path), "/dev/%s", chardev.node_name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void set_status(int fd, uint8_t status) {
	assert_int_equal(ioctl(fd, VHOST_VDPA_SET_STATUS, &status), 0);
}

void lab_negotiate(int fd, uint64_t features) {
	assert_int_equal(ioctl(fd, VHOST_SET_OWNER), 0);
	set_status(fd, STATUS_ACKNOWLEDGE);
	set_status(fd, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	assert_int_equal(ioctl(fd, VHOST_SET_FEATURES, &features), 0);
	set_status(fd, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
}

pid_t lab_start_holder(const char *name) {
	int ready[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (lab_open_chardev(name) >= 0)
			c = 1;
		if (write(ready[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_int_equal(c, 1);
	return pid;
}

void lab_kill(pid_t pid) {
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

uint64_t lab_now_ms(void) {
	return clock_now_ms();
}

int lab_reap(pid_t pid, unsigned int limit_ms) {
	const struct timespec pause_10ms = {.tv_nsec = 10000000};
	uint64_t until = lab_now_ms() + limit_ms;
	int status;

	while (true) {
		pid_t done = waitpid(pid, &status, WNOHANG);

		assert_true(done >= 0);
		if (done == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
		if (lab_now_ms() >= until)
			return -ETIMEDOUT;
		nanosleep(&pause_10ms, NULL);
	}
}

pid_t lab_start(const char *shell) {
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", shell, NULL);
		_exit(127);
	}
	return pid;
}

int lab_shell(const char *shell, unsigned int limit_ms) {
	int status = lab_reap(lab_start(shell), limit_ms);

	assert_int_not_equal(status, -ETIMEDOUT);
	return status;
}
