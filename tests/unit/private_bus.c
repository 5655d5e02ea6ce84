// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/private_bus.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/test-bus.XXXXXX";
static pid_t bus_pid;

pid_t child_start(void (*child)(int ready_fd)) {
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe(fds) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		child(fds[1]);
		_exit(1);
	}
	close(fds[1]);
	if (pid < 0 || read(fds[0], &byte, 1) != 1) {
		fprintf(stderr, "a child did not start\n");
		exit(1);
	}
	close(fds[0]);
	return pid;
}

void child_stop(pid_t pid) {
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void run_bus(int ready_fd) {
	char address[64], print[32];

	// It may complain of its limits, in the midst of a line of the test's results.
	if (freopen("/dev/null", "w", stderr) == NULL)
		abort();
	snprintf(address, sizeof(address), "--address=unix:path=%s/bus", directory);
	snprintf(print, sizeof(print), "--print-address=%d", ready_fd);
	execlp("dbus-daemon", "dbus-daemon", "--session", "--nofork", "--nosyslog", address, print,
	       NULL);
}

int private_bus_setup(void **state) {
	char address[64];

	(void)state;
	if (mkdtemp(directory) == NULL)
		abort();
	snprintf(address, sizeof(address), "unix:path=%s/bus", directory);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
	bus_pid = child_start(run_bus);
	return 0;
}

int private_bus_teardown(void **state) {
	char path[64];

	(void)state;
	child_stop(bus_pid);
	snprintf(path, sizeof(path), "%s/bus", directory);
	unlink(path);
	rmdir(directory);
	return 0;
}
