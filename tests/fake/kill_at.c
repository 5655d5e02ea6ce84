// SPDX-License-Identifier: GPL-2.0-or-later
// To be preloaded into a daemon: it dies of SIGKILL at its Nth step that lasts, so that a test can stop it at each
// of them. A step is what outlives the process: a write of the state file, a change asked of the kernel
// by netlink, a change of a name or an owner in the file system.
//
// The file that KILL_AT names has "N before" or "N after". It is taken away when the daemon starts, so
// that the next one lives; the one that was killed has left "died" in it.

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *path;
static unsigned int at; // 0: never
static bool after;
static unsigned int n_steps;

__attribute__((constructor)) static void arm(void) {
	const char *name = getenv("KILL_AT");
	char when[8] = "";
	FILE *file = name != NULL ? fopen(name, "re") : NULL;

	if (file == NULL)
		return;
	if (fscanf(file, "%u %7s", &at, when) != 2)
		at = 0;
	fclose(file);
	unlink(name);
	after = strcmp(when, "after") == 0;
	path = strdup(name);
}

static void die(void) {
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, "died", 4) != 4)
		abort();
	kill(getpid(), SIGKILL);
	pause();
}

static bool is_the_one(void) {
	bool it_is;

	pthread_mutex_lock(&lock);
	it_is = at != 0 && ++n_steps == at;
	pthread_mutex_unlock(&lock);
	return it_is;
}

// The call itself between the two chances to die.
#define STEP(call)                        \
	do {                              \
		bool dies = is_the_one(); \
		__typeof__(call) result;  \
                                          \
		if (dies && !after)       \
			die();            \
		result = (call);          \
		if (dies)                 \
			die();            \
		return result;            \
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

int fchownat(int dir, const char *name, uid_t uid, gid_t gid, int flags) {
	STEP(NEXT(fchownat)(dir, name, uid, gid, flags));
}

// A request of a generic netlink family that is to change something: no dump, and not the question for a
// family's number.
static bool changes_something(const void *data, size_t size) {
	const struct nlmsghdr *header = data;
	const struct genlmsghdr *genl = NLMSG_DATA(header);

	return size >= NLMSG_HDRLEN + GENL_HDRLEN && header->nlmsg_type > GENL_ID_CTRL &&
		(header->nlmsg_flags & NLM_F_ACK) != 0 &&
		(header->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP &&
		(genl->cmd == 3 || genl->cmd == 4); // VDPA_CMD_DEV_NEW, _DEL
}

ssize_t sendto(
	int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_size
) {
	if (to == NULL || to->sa_family != AF_NETLINK || !changes_something(data, size))
		return NEXT(sendto)(fd, data, size, flags, to, to_size);
	STEP(NEXT(sendto)(fd, data, size, flags, to, to_size));
}
