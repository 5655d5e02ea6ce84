// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/log.h"
#include "vdpad/util/parse.h"

// The holder wrote its id after it got the lock; a record lock of the "open file description" kind
// does not know one.
static int refuse(int fd, const char *run_dir, struct error *e) {
	char text[16] = "";
	uint64_t pid;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	if (n > 0 && parse_u64(text, 1, INT_MAX, &pid) == 0)
		return error_set(
			e, EEXIST, "another vdpad, process %u, already runs on %s", (unsigned)pid,
			run_dir
		);
	return error_set(e, EEXIST, "another vdpad already runs on %s", run_dir);
}

int lock_take(const char *run_dir, int *ret_fd, struct error *e) {
	struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];

	if (mkdir(run_dir, 0755) < 0 && errno != EEXIST)
		return error_set(e, errno, "cannot make the run directory %s: %m", run_dir);
	snprintf(path, sizeof(path), "%s/lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return error_set(e, errno, "cannot open the lock %s: %m", path);
	if (fcntl(fd, F_OFD_SETLK, &whole_file) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return refuse(fd, run_dir, e);
		return error_set(e, errno, "cannot lock %s: %m", path);
	}
	// Only the message of a second instance needs it, so a full file system does not matter.
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		log_debug("cannot write to the lock %s: %m", path);

	*ret_fd = TAKE_FD(fd);
	return 0;
}
