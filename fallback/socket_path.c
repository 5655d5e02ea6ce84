// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/socket_path.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

// Whether any socket is bound to @addr. Connecting with another type of socket than the one that
// vhost-user has tells without being noticed: EPROTOTYPE from a bound one, ECONNREFUSED from a
// leftover.
static bool is_bound(const struct sockaddr_un *addr) {
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
		errno != ECONNREFUSED;
}

int socket_path_clear(const char *path, struct error *e) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	int r;

	_Static_assert(sizeof(addr.sun_path) == SOCKET_PATH_SIZE, "as unix(7) says");
	r = str_copy(addr.sun_path, sizeof(addr.sun_path), path);
	if (r < 0)
		return error_set(
			e, -r, "socket path '%s' is longer than %d bytes", path,
			SOCKET_PATH_SIZE - 1
		);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_set(e, errno, "'%s': %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, EEXIST, "'%s' exists and is no socket", path);
	if (st.st_uid != geteuid())
		return error_set(e, EEXIST, "'%s' belongs to another user", path);
	if (is_bound(&addr))
		return error_set(e, EADDRINUSE, "another process has the socket '%s'", path);
	if (unlink(path) < 0)
		return error_set(e, errno, "cannot remove '%s': %s", path, strerror(errno));
	return 0;
}

int socket_path_grant(const char *path, gid_t group, mode_t mode, struct error *e) {
	if (group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0)
		return error_set(
			e, errno, "cannot give '%s' to its group: %s", path, strerror(errno)
		);
	if (chmod(path, mode) < 0)
		return error_set(
			e, errno, "cannot set the mode of '%s': %s", path, strerror(errno)
		);
	return 0;
}
