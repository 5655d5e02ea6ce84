// SPDX-License-Identifier: GPL-2.0-or-later
// Locals that clean themselves up when they go out of scope, and the hand-over that stops them.

#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))

static inline void cleanup_freep(void *p) {
	free(*(void **)p);
}

// Keeps errno, so that a failing function may return -errno after its locals were closed.
static inline int close_keep_errno(int fd) {
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -EBADF;
}

static inline void cleanup_closep(int *fd) {
	close_keep_errno(*fd);
}

static inline void cleanup_bus_errorp(sd_bus_error *e) {
	sd_bus_error_free(e);
}

#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)
#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_bus_ _cleanup_(sd_bus_flush_close_unrefp)
#define _cleanup_bus_error_ _cleanup_(cleanup_bus_errorp)

// Take the value out of a variable that would otherwise release it.
#define TAKE_FD(fd)                \
	({                         \
		int *_fd = &(fd);  \
		int _taken = *_fd; \
		*_fd = -EBADF;     \
		_taken;            \
	})
#define TAKE_PTR(p)                          \
	({                                   \
		__typeof__(p) *_pp = &(p);   \
		__typeof__(p) _taken = *_pp; \
		*_pp = NULL;                 \
		_taken;                      \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
