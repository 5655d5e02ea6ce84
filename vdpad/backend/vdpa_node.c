// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/vdpa_node.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vdpad/util/parse.h"

int vdpa_owner_find(struct vdpa_owner *owner, const struct config *config, struct error *e) {
	const struct passwd *user;
	const struct group *group;

	if (strcmp(owner->user, config->devices.user) == 0 &&
	    strcmp(owner->group, config->fallback.socket_group) == 0)
		return 0;
	user = getpwnam(config->devices.user);
	if (user == NULL)
		return error_set(
			e, ESRCH,
			"there is no user '%s' to own vDPA devices: see [devices] user in "
			"vdpad.conf(5)",
			config->devices.user
		);
	group = getgrnam(config->fallback.socket_group);
	owner->uid = user->pw_uid;
	owner->gid = group != NULL ? group->gr_gid : user->pw_gid;
	str_copy(owner->user, sizeof(owner->user), config->devices.user);
	str_copy(owner->group, sizeof(owner->group), config->fallback.socket_group);
	return 0;
}

int vdpa_link_set(const struct port *port, const char *node, struct error *e) {
	char temporary[PORT_PATH_SIZE + 8];

	snprintf(temporary, sizeof(temporary), "%s.new", port->path);
	(void)unlink(temporary);
	if (symlink(node, temporary) < 0 || rename(temporary, port->path) < 0) {
		int code = errno;

		(void)unlink(temporary);
		return error_set(
			e, code, "cannot make the link %s to %s: %s", port->path, node,
			strerror(code)
		);
	}
	return 0;
}

void vdpa_link_read(const struct port *port, char *node, size_t size) {
	ssize_t n = readlink(port->path, node, size - 1);

	node[n > 0 ? n : 0] = '\0';
}
