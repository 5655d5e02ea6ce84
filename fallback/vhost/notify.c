// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/notify.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vdpad/util/cleanup.h"

#define REQUESTS 8 // at once; each is complete when io_submit() returns

// The head of the ring of completions, which the kernel maps at the address that io_setup()
// returns.
struct completions {
	uint32_t id;
	uint32_t size;
	uint32_t head; // ours
	uint32_t tail; // the kernel's
};

int notifier_init(struct notifier *n) {
	_cleanup_close_ int file = -EBADF;
	aio_context_t context = 0;

	file = memfd_create("notify", MFD_CLOEXEC);
	if (file < 0)
		return -errno;
	if (syscall(SYS_io_setup, REQUESTS, &context) < 0)
		return -errno;
	*n = (struct notifier){.context = context, .file = TAKE_FD(file)};
	return 0;
}

void notifier_done(struct notifier *n) {
	if (n->context != 0)
		syscall(SYS_io_destroy, n->context);
	if (n->file >= 0)
		close(n->file);
	*n = (struct notifier){.file = -EBADF};
}

int notifier_signal(struct notifier *n, int fd) {
	struct completions *done = (struct completions *)n->context;
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)n->file,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *requests[] = {&request};

	if (syscall(SYS_io_submit, n->context, 1, requests) < 0)
		return -errno;
	// Take the completion: nobody wants its result.
	__atomic_store_n(
		&done->head, __atomic_load_n(&done->tail, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE
	);
	return 0;
}

bool notify_is_eventfd(int fd) {
	static const char expected[] = "anon_inode:[eventfd]";
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	char target[sizeof(expected)];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	return n == sizeof(expected) - 1 && memcmp(target, expected, (size_t)n) == 0;
}
