// SPDX-License-Identifier: GPL-2.0-or-later
// LD_PRELOADed: SIGKILL at a durable step. While the file VDPAD_KILL_FILE holds a number N > 0, the process
// is killed at the N-th fsync() or fdatasync() from then on: before it, or after it when N is negative.
// The file is removed first, so that the next process lives.

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int fsync(int fd);
int fdatasync(int fd);

static int n_left;     // until the kill; 0: the file was not read
static int kill_after; // it is to happen after the call

// Whether this call is the one.
static int is_the_one(void) {
	const char *path = getenv("VDPAD_KILL_FILE");
	FILE *file;
	int n = 0;

	if (path == NULL || access(path, F_OK) < 0) {
		n_left = 0; // it was called off
		return 0;
	}
	if (n_left == 0) {
		file = fopen(path, "r");
		if (file == NULL)
			return 0;
		if (fscanf(file, "%d", &n) != 1)
			n = 0;
		fclose(file);
		kill_after = n < 0;
		n_left = abs(n);
		if (n_left == 0)
			return 0;
	}
	if (--n_left > 0)
		return 0;
	(void)unlink(path);
	return 1;
}

static int sync_or_die(const char *name, int fd) {
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	int now = is_the_one(), r;

	if (now && !kill_after)
		raise(SIGKILL);
	r = real(fd);
	if (now)
		raise(SIGKILL);
	return r;
}

int fsync(int fd) {
	return sync_or_die("fsync", fd);
}

int fdatasync(int fd) {
	return sync_or_die("fdatasync", fd);
}
