// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost_waker.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "fallback/socket_path.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define NAME ".waker"
#define ANSWER_TIMEOUT_US 100000

// vhost-user specification, "Message Specification": the header, and the payload of the answer.
#define REQUEST_GET_FEATURES 1
#define FLAGS_VERSION 1

int vhost_waker_listen(const char *port_path, char *ret_path, size_t size) {
	int dir_len = (int)(strrchr(port_path, '/') + 1 - port_path);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -EBADF;
	int r;

	// No port's socket has a name that begins with a dot.
	if (snprintf(ret_path, size, "%.*s" NAME, dir_len, port_path) >= (int)size)
		return -ENAMETOOLONG;
	r = str_copy(addr.sun_path, sizeof(addr.sun_path), ret_path);
	if (r < 0)
		return r;
	r = socket_path_clear(ret_path, NULL);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int vhost_waker_wake(int fd) {
	static const uint32_t request[] = {REQUEST_GET_FEATURES, FLAGS_VERSION, 0};
	const struct timeval timeout = {.tv_usec = ANSWER_TIMEOUT_US};
	uint32_t answer[5];

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	if (send(fd, request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(request))
		return -EIO;
	// Read, so that the answers never fill the socket and block the thread.
	return recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer) ? 0 : -ETIMEDOUT;
}
