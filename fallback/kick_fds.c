// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/kick_fds.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include "vdpad/util/cleanup.h"

void kick_fds_init(struct kick_fds *kicks, int epoll_fd) {
	kicks->epoll_fd = epoll_fd;
	kicks->missing = 0;
	for (uint16_t pair = 0; pair < KICK_FDS_MAX_PAIRS; pair++)
		kicks->fds[pair] = -EBADF;
}

void kick_fds_done(struct kick_fds *kicks) {
	for (uint16_t pair = 0; pair < KICK_FDS_MAX_PAIRS; pair++)
		kick_fds_drop(kicks, pair);
}

void kick_fds_take(struct kick_fds *kicks, uint16_t pair, int fd) {
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	_cleanup_close_ int own_fd = fd < 0 ? -EBADF : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	kick_fds_drop(kicks, pair);
	if (own_fd < 0 || epoll_ctl(kicks->epoll_fd, EPOLL_CTL_ADD, own_fd, &event) < 0) {
		atomic_fetch_or(&kicks->missing, UINT64_C(1) << pair);
		return;
	}
	kicks->fds[pair] = TAKE_FD(own_fd);
}

void kick_fds_drop(struct kick_fds *kicks, uint16_t pair) {
	atomic_fetch_and(&kicks->missing, ~(UINT64_C(1) << pair));
	if (kicks->fds[pair] < 0)
		return;
	// Closing does not suffice: the set knows what the descriptor stands for.
	epoll_ctl(kicks->epoll_fd, EPOLL_CTL_DEL, kicks->fds[pair], NULL);
	kicks->fds[pair] = close_keep_errno(kicks->fds[pair]);
}
