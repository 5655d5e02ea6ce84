// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/ctl/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/clock.h"

#define QEMU_TIMEOUT_MS 5000 // a cold start from a slow disk

// Start @argv with its output into @output_fd and no input.
static int start(const char *const argv[], int output_fd, pid_t *ret_pid) {
	posix_spawn_file_actions_t actions;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(
			&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0
		);
	if (r == 0)
		r = posix_spawnp(ret_pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

// Read until the end of the stream; what does not fit is read and forgotten.
static int read_all(int fd, uint64_t deadline_ms, char *text, size_t size) {
	size_t len = 0;
	char rest[256];

	while (true) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		uint64_t now_ms = clock_now_ms();
		bool full = len + 1 >= size;
		ssize_t n;

		if (now_ms >= deadline_ms || poll(&wait, 1, (int)(deadline_ms - now_ms)) == 0)
			return -ETIMEDOUT;
		n = read(fd, full ? rest : text + len, full ? sizeof(rest) : size - 1 - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			text[len] = '\0';
			return 0;
		}
		if (n > 0 && !full)
			len += (size_t)n;
	}
}

// Wait until the process is a zombie: it may have closed its output and go on.
static int wait_end(pid_t pid, uint64_t deadline_ms) {
	_cleanup_close_ int pid_fd = pidfd_open(pid, 0);
	uint64_t now_ms = clock_now_ms();
	struct pollfd wait = {.fd = pid_fd, .events = POLLIN};

	if (pid_fd < 0)
		return -errno;
	if (now_ms >= deadline_ms || poll(&wait, 1, (int)(deadline_ms - now_ms)) <= 0)
		return -ETIMEDOUT;
	return 0;
}

int program_first_line(const char *const argv[], int timeout_ms, char *line, size_t size) {
	_cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF;
	uint64_t deadline_ms = clock_now_ms() + (uint64_t)timeout_ms;
	int fds[2], status = 0, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = fds[0];
	write_fd = fds[1];
	r = start(argv, write_fd, &pid);
	if (r < 0)
		return r;
	close(TAKE_FD(write_fd));

	r = read_all(read_fd, deadline_ms, line, size);
	if (r >= 0)
		r = wait_end(pid, deadline_ms);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	line[strcspn(line, "\n")] = '\0';
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 && line[0] != '\0' ? 0 : -EIO;
}

int program_find_qemu(struct qemu_version *ret_version, char *line, size_t size, struct error *e) {
	const char *candidates[] = {
		getenv("QEMU"),
#ifdef __aarch64__
		"qemu-system-aarch64",
#endif
		"qemu-system-x86_64",
		"kvm",
	};

	for (size_t i = 0; i < ARRAY_LEN(candidates); i++) {
		const char *argv[] = {candidates[i], "--version", NULL};
		int r;

		if (candidates[i] == NULL || candidates[i][0] == '\0')
			continue;
		r = program_first_line(argv, QEMU_TIMEOUT_MS, line, size);
		if (r == 0)
			r = qemu_version_parse(line, ret_version);
		if (r == 0)
			return 0;
		if (r != -ENOENT || i == 0) // $QEMU is meant
			return error_set(
				e, EIO, "'%s --version' does not say QEMU's version (%s)",
				candidates[i], strerror(-r)
			);
	}
	return error_set(e, ENOENT, "no QEMU is installed: 'apt install qemu-system-x86' has one");
}
