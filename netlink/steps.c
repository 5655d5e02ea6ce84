// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/sysfs.h"

void steps_say(struct steps *steps, const char *fmt, ...) {
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(steps->words, sizeof(steps->words), fmt, ap);
	va_end(ap);
}

// A step that finds no memory is missing in the record, not in what is done.
static struct step *add(struct steps *steps) {
	struct step *larger = reallocarray(steps->items, steps->n_items + 1, sizeof(*larger));

	if (larger == NULL)
		return NULL;
	steps->items = larger;
	larger = &larger[steps->n_items++];
	memcpy(larger->words, steps->words, sizeof(larger->words));
	larger->message[0] = 0;
	return larger;
}

static bool on_devlink(void *ctx, const struct nlmsghdr *message) {
	struct steps *steps = ctx;
	struct step *step = add(steps);

	if (step != NULL)
		nl_print_devlink(message, step->message);
	return !steps->dry_run;
}

static bool on_link(void *ctx, const struct nlmsghdr *message) {
	struct steps *steps = ctx;
	struct step *step = add(steps);

	if (step != NULL)
		nl_print_link(message, step->message);
	return !steps->dry_run;
}

void steps_watch_devlink(struct steps *steps, struct nl_socket *nl) {
	nl_socket_watch(nl, on_devlink, steps);
}

void steps_watch_netif(struct steps *steps, struct netif_socket *socket) {
	netif_watch(socket, on_link, steps);
}

int steps_write(struct steps *steps, const char *path, const char *value) {
	struct step *step = add(steps);

	if (step != NULL)
		snprintf(step->message, sizeof(step->message), "write %s to %s", value, path);
	return steps->dry_run ? 0 : sysfs_write(path, value);
}

void steps_done(struct steps *steps) {
	free(steps->items);
	*steps = (struct steps){0};
}
