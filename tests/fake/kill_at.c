// SPDX-License-Identifier: GPL-2.0-or-later
// To be preloaded into a daemon: it dies of SIGKILL at a step that lasts, so that a test can stop it at each
// of them. A step is what outlives the process: a synced write of the state file, a change asked of the
// kernel by netlink or by sysfs, a change of a name or an owner in the file system.
//
// KILL_AT is a path; the program `vdpad` shares a struct plan with the test in the file KILL_AT.vdpad.
// Without that file nothing happens.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#define DEVICE_NEW 3 // VDPA_CMD_DEV_NEW
#define DEVICE_DEL 4 // VDPA_CMD_DEV_DEL

// What the test writes and reads at any time, whichever process of that name runs.
struct plan {
	uint32_t n_steps;     // made so far
	uint32_t n_left;      // until the process dies; 0: never
	uint32_t after;       // it dies after the step, not before it
	uint32_t n_left_next; // the same for the process that follows
	uint32_t after_next;
	uint32_t n_deaths;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct plan *plan; // NULL: no test asks for anything

__attribute__((constructor)) static void share_plan(void) {
	const char *prefix = getenv("KILL_AT");
	char path[256];
	void *map;
	int fd;

	if (prefix == NULL)
		return;
	snprintf(path, sizeof(path), "%s.%s", prefix, program_invocation_short_name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		plan = map;
	close(fd);
}

static void die(void) {
	plan->n_left = plan->n_left_next;
	plan->after = plan->after_next;
	plan->n_left_next = 0;
	plan->n_deaths++;
	kill(getpid(), SIGKILL);
	pause();
}

static bool is_the_one(void) {
	bool it_is = false;

	if (plan == NULL)
		return false;
	pthread_mutex_lock(&lock);
	plan->n_steps++;
	if (plan->n_left > 0)
		it_is = --plan->n_left == 0;
	pthread_mutex_unlock(&lock);
	return it_is;
}

// The call itself between the two chances to die.
#define STEP(call)                                \
	do {                                      \
		bool dies = is_the_one();         \
		bool after = dies && plan->after; \
		__typeof__(call) result;          \
                                                  \
		if (dies && !after)               \
			die();                    \
		result = (call);                  \
		if (dies)                         \
			die();                    \
		return result;                    \
	} while (0)

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) {
	STEP(NEXT(fsync)(fd));
}

int fdatasync(int fd) {
	STEP(NEXT(fdatasync)(fd));
}

int rename(const char *from, const char *to) {
	STEP(NEXT(rename)(from, to));
}

int unlink(const char *path) {
	STEP(NEXT(unlink)(path));
}

int fchownat(int dir, const char *name, uid_t uid, gid_t gid, int flags) {
	STEP(NEXT(fchownat)(dir, name, uid, gid, flags));
}

static bool changes_a_device(const void *data, size_t size) {
	const struct nlmsghdr *header = data;
	const struct genlmsghdr *genl = NLMSG_DATA(header);

	return size >= NLMSG_HDRLEN + GENL_HDRLEN && header->nlmsg_type > GENL_ID_CTRL &&
		(header->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP &&
		(genl->cmd == DEVICE_NEW || genl->cmd == DEVICE_DEL);
}

ssize_t sendto(
	int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_size
) {
	if (to == NULL || to->sa_family != AF_NETLINK || !changes_a_device(data, size))
		return NEXT(sendto)(fd, data, size, flags, to, to_size);
	STEP(NEXT(sendto)(fd, data, size, flags, to, to_size));
}

static bool is_sysfs(int fd) {
	char link[32], path[8];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return readlink(link, path, sizeof(path)) >= 5 && memcmp(path, "/sys/", 5) == 0;
}

ssize_t write(int fd, const void *data, size_t size) {
	if (plan == NULL || !is_sysfs(fd))
		return NEXT(write)(fd, data, size);
	STEP(NEXT(write)(fd, data, size));
}
