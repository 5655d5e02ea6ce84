// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/uevent.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define KERNEL_GROUP 1    // group 2 is udev's, whose messages look otherwise
#define MESSAGE_SIZE 8192 // the kernel's limit is 2048 octets of variables and a path
#define MAX_PER_CALL \
	100000 // messages passed over before the caller gets a chance to do other things

int uevent_open(int *ret_fd) {
	const struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	const int size = UEVENT_BUFFER_SIZE;
	_cleanup_close_ int fd = -EBADF;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -errno;
	// Beyond the system's limit only with CAP_NET_ADMIN.
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
		return -errno;

	*ret_fd = TAKE_FD(fd);
	return 0;
}

int uevent_receive(int fd, struct uevent *ret_event) {
	for (int i = 0; i < MAX_PER_CALL; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_size = sizeof(from);
		char data[MESSAGE_SIZE];
		ssize_t size = recvfrom(
			fd, data, sizeof(data), MSG_TRUNC, (struct sockaddr *)&from, &from_size
		);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (from_size != sizeof(from) || (size_t)size > sizeof(data))
			continue;
		if (uevent_parse(&from, data, (size_t)size, ret_event) > 0)
			return 1;
	}
	return -ENOBUFS;
}

static int parse_action(const char *text, enum uevent_action *ret_action) {
	static const char *const names[] = {
		[UEVENT_ADD] = "add",       [UEVENT_REMOVE] = "remove", [UEVENT_BIND] = "bind",
		[UEVENT_UNBIND] = "unbind", [UEVENT_CHANGE] = "change",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret_action = (enum uevent_action)i;
			return 0;
		}
	return -EINVAL;
}

// What stands after "KEY=" in @line, or NULL if that is not its key.
static const char *value_of(const char *line, const char *key) {
	size_t len = strlen(key);

	return strncmp(line, key, len) == 0 && line[len] == '=' ? line + len + 1 : NULL;
}

// "ACTION@PATH", then lines "KEY=VALUE", each with its NUL. The last ACTION and so on would count, and
// the kernel sends one of each.
int uevent_parse(
	const struct sockaddr_nl *from, const void *data, size_t size, struct uevent *ret_event
) {
	const char *line = data, *end = line + size, *value;
	const char *action = NULL, *path = NULL, *subsystem = NULL, *driver = "";
	struct uevent event = {0};

	if (from->nl_family != AF_NETLINK || from->nl_pid != 0 || from->nl_groups != KERNEL_GROUP)
		return -EPERM;
	if (size == 0 || end[-1] != 0 || strchr(line, '@') == NULL)
		return -EBADMSG;

	for (line += strlen(line) + 1; line < end; line += strlen(line) + 1) {
		if ((value = value_of(line, "ACTION")) != NULL)
			action = value;
		else if ((value = value_of(line, "DEVPATH")) != NULL)
			path = value;
		else if ((value = value_of(line, "SUBSYSTEM")) != NULL)
			subsystem = value;
		else if ((value = value_of(line, "DRIVER")) != NULL)
			driver = value;
	}
	if (action == NULL || path == NULL || strchr(path, '/') == NULL || subsystem == NULL)
		return -EBADMSG;

	event.is_vdpa = strcmp(subsystem, "vdpa") == 0;
	if (!event.is_vdpa && strcmp(subsystem, "pci") != 0 && strcmp(subsystem, "auxiliary") != 0)
		return 0;
	if (parse_action(action, &event.action) < 0)
		return 0;
	if (str_copy(event.name, sizeof(event.name), strrchr(path, '/') + 1) < 0 ||
	    str_copy(event.driver, sizeof(event.driver), driver) < 0)
		return -EBADMSG;

	*ret_event = event;
	return 1;
}
