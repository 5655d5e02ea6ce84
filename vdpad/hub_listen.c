// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/hub_listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define BACKLOG_CONNS 4
#define LINK_UMASK 0117 // the sockets get mode 0660

int hub_listen(const char *path, int *ret_fd, struct error *e) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -EBADF;
	mode_t old_mask;
	int r;

	if (str_copy(addr.sun_path, sizeof(addr.sun_path), path) < 0)
		return error_set(
			e, ENAMETOOLONG,
			"the socket's path %s is too long: choose a shorter run directory", path
		);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(e, errno, "cannot make a socket: %m");
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(e, errno, "cannot remove the old socket %s: %m", path);
	old_mask = umask(LINK_UMASK);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(old_mask);
	if (r == 0 && listen(fd, BACKLOG_CONNS) < 0)
		r = -errno;
	if (r < 0)
		return error_set(e, -r, "cannot listen on %s: %s", path, strerror(-r));
	*ret_fd = TAKE_FD(fd);
	return 0;
}
