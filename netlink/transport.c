// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/transport.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <linux/netlink.h>

#include "vdpad/util/cleanup.h"

struct kernel_transport {
	struct nl_transport base; // first, so that a pointer to it is one to this
	int fd;
};

static int kernel_send(struct nl_transport *t, const void *data, size_t size) {
	const struct kernel_transport *k = (const struct kernel_transport *)t;
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;

	do {
		sent =
			sendto(k->fd, data, size, 0, (const struct sockaddr *)&kernel,
		               sizeof(kernel));
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == size ? 0 : -EIO;
}

static ssize_t kernel_receive(struct nl_transport *t, void *data, size_t size) {
	const struct kernel_transport *k = (const struct kernel_transport *)t;

	while (true) {
		struct sockaddr_nl from = {0};
		socklen_t from_size = sizeof(from);
		// MSG_TRUNC: the size is that of the message, not of what fitted.
		ssize_t received = recvfrom(
			k->fd, data, size, MSG_TRUNC, (struct sockaddr *)&from, &from_size
		);

		if (received < 0 && errno == EINTR)
			continue;
		if (received < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (from_size == sizeof(from) && from.nl_pid == 0)
			return received;
	}
}

static void kernel_close(struct nl_transport *t) {
	struct kernel_transport *k = (struct kernel_transport *)t;

	close_keep_errno(k->fd);
	free(k);
}

int nl_transport_open(int protocol, struct nl_transport **ret_transport) {
	static const int wanted[] = {NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK};
	const struct timeval timeout = {
		.tv_sec = NL_REPLY_TIMEOUT_MS / 1000,
		.tv_usec = NL_REPLY_TIMEOUT_MS % 1000 * 1000,
	};
	const struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	_cleanup_close_ int fd = -EBADF;
	struct kernel_transport *k;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (setsockopt(fd, SOL_NETLINK, wanted[i], &(int){1}, sizeof(int)) < 0 &&
		    errno != ENOPROTOOPT)
			return -errno;
	if (bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
		return -errno;

	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return -ENOMEM;
	k->base.send = kernel_send;
	k->base.receive = kernel_receive;
	k->base.close = kernel_close;
	k->fd = TAKE_FD(fd);
	*ret_transport = &k->base;
	return 0;
}

int nl_in_initial_netns(void) {
	struct stat own, initial;

	if (stat("/proc/self/ns/net", &own) < 0 || stat("/proc/1/ns/net", &initial) < 0)
		return -errno;
	return own.st_dev == initial.st_dev && own.st_ino == initial.st_ino;
}
