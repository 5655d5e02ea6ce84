// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/config/config_node.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vdpad/util/cleanup.h"

#define CPUS_ONLINE "/sys/devices/system/cpu/online"
#define CPUS_TEXT_SIZE 256 // "0-127,256-383"
#define CPUS_MAX 1024      // the configuration's

static void warn(struct config_warnings *warnings, const char *fmt, ...) _printf_(2, 3);
static void warn(struct config_warnings *warnings, const char *fmt, ...) {
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(warnings->list[warnings->n++], sizeof(warnings->list[0]), fmt, ap);
	va_end(ap);
}

// "0-3,6", as the kernel and the configuration write it.
static void read_cpus(const char *text, bool cpus[static CPUS_MAX]) {
	memset(cpus, 0, CPUS_MAX * sizeof(*cpus));
	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long cpu = first; cpu <= last && cpu < CPUS_MAX; cpu++)
			cpus[cpu] = true;
		text = *end == ',' ? end + 1 : end;
	}
}

static void check_cpus(
	const struct config *config, const char *root, struct config_warnings *warnings
) {
	bool wanted[CPUS_MAX], online[CPUS_MAX];
	char path[PATH_MAX], text[CPUS_TEXT_SIZE] = "";
	_cleanup_close_ int fd = -EBADF;

	snprintf(path, sizeof(path), "%s" CPUS_ONLINE, root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return; // it cannot be known
	text[strcspn(text, "\n")] = '\0';
	read_cpus(config->fallback.cpus, wanted);
	read_cpus(text, online);
	for (size_t i = 0; i < CPUS_MAX; i++) {
		if (!wanted[i] || online[i])
			continue;
		warn(warnings,
		     "[switch] cpus '%s': this node has CPUs %s, so the switch runs one worker, on "
		     "any of them: name others, then restart vdpad-switch",
		     config->fallback.cpus, text);
		return;
	}
}

void config_check_node(
	const struct config *config, const char *root, struct config_warnings *ret_warnings
) {
	const char *group = config->fallback.socket_group, *user = config->devices.user;

	*ret_warnings = (struct config_warnings){.n = 0};
	check_cpus(config, root, ret_warnings);
	if (group[0] != '\0' && getgrnam(group) == NULL)
		warn(ret_warnings,
		     "[switch] socket_group '%s': this node has no such group, so sockets keep the "
		     "switch's own: make it or name another, then restart vdpad-switch",
		     group);
	if (getpwnam(user) == NULL)
		warn(ret_warnings,
		     "[devices] user '%s': this node has no such user, so no port gets a vDPA "
		     "device: make it or name another, then 'vdpactl reload'",
		     user);
}
