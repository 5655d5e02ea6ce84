// SPDX-License-Identifier: GPL-2.0-or-later
// A network namespace of the test's own, with a sysfs that shows it. Needs root and /dev/net/tun; a
// machine without them fails the test with the reason, because a skipped test proves nothing.

#pragma once

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static inline int netns_fail(const char *what) {
	fprintf(stderr, "this test cannot run: %s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

// Returns 0, or the exit status for main().
static inline int netns_enter(void) {
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return netns_fail("/dev/net/tun");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return netns_fail("a network namespace (is this root?)");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return netns_fail("a mount namespace");
	if (mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
		return netns_fail("sysfs of the namespace");
	return 0;
}

// Run a shell command; true when it succeeds.
static inline int netns_sh(const char *command) {
	return system(command) == 0;
}
