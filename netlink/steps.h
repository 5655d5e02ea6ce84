// SPDX-License-Identifier: GPL-2.0-or-later
// What an operation changes, step by step: what for, in words, and the netlink message or the write to sysfs
// behind it, taken from where it is sent. A dry run records the same steps and sends nothing.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "netlink/genl.h"
#include "netlink/netif.h"
#include "netlink/nl_print.h"

#define STEP_WORDS_SIZE 160

struct step {
	char words[STEP_WORDS_SIZE];
	char message[NL_TEXT_SIZE];
};

struct steps {
	bool dry_run;
	char words[STEP_WORDS_SIZE]; // of the changes that follow
	struct step *items;
	size_t n_items;
};

// Say what the following changes are for.
void steps_say(struct steps *steps, const char *fmt, ...) _printf_(2, 3);

// Record what is sent through a devlink socket or an interface socket from now on.
void steps_watch_devlink(struct steps *steps, struct nl_socket *nl);
void steps_watch_netif(struct steps *steps, struct netif_socket *socket);

// Write @value to the file @path of sysfs.
int steps_write(struct steps *steps, const char *path, const char *value);

void steps_done(struct steps *steps);
