// SPDX-License-Identifier: GPL-2.0-or-later
// The log: the journal with structured fields under systemd, standard error otherwise.
//
// err    an operator must act
// warn   vdpad went on without something
// info   a port or a process came or went
// debug  the rest; off unless log_set_level_name("debug")

#pragma once

#include <syslog.h>

#include "vdpad/util/cleanup.h"

// What a message is about; members may be NULL. They become PORT=, NETWORK= and REASON=.
struct log_subject {
	const char *port;
	const char *network;
	const char *reason;
};

// Messages above the level "err", "warn", "info" or "debug" are dropped; it is "info" at start. Returns 0 or
// -EINVAL.
int log_set_level_name(const char *name);

// Write one line. @subject may be NULL. Keeps errno.
void log_about(int priority, const struct log_subject *subject, const char *fmt, ...)
	_printf_(3, 4);

#define log_err(...) log_about(LOG_ERR, NULL, __VA_ARGS__)
#define log_warn(...) log_about(LOG_WARNING, NULL, __VA_ARGS__)
#define log_info(...) log_about(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_about(LOG_DEBUG, NULL, __VA_ARGS__)
