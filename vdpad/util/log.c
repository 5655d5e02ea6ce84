// SPDX-License-Identifier: GPL-2.0-or-later

#define SD_JOURNAL_SUPPRESS_LOCATION

#include "vdpad/util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <systemd/sd-journal.h>

#define LINE_SIZE 2048
#define MAX_FIELDS 5

static int max_priority = LOG_INFO;

int log_set_level_name(const char *name) {
	static const struct {
		const char *name;
		int priority;
	} levels[] = {
		{"err", LOG_ERR}, {"warn", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (strcmp(levels[i].name, name) == 0) {
			max_priority = levels[i].priority;
			return 0;
		}
	}
	return -EINVAL;
}

static void add_field(
	struct iovec *fields, int *n_fields, char **ret_text, const char *name, const char *value
) {
	int len;

	*ret_text = NULL;
	if (value == NULL)
		return;
	len = asprintf(ret_text, "%s=%s", name, value);
	if (len < 0) {
		*ret_text = NULL;
		return;
	}
	fields[(*n_fields)++] = (struct iovec){.iov_base = *ret_text, .iov_len = (size_t)len};
}

static void send_to_journal(int priority, const struct log_subject *subject, const char *line) {
	_cleanup_free_ char *message = NULL, *port = NULL, *network = NULL, *reason = NULL;
	struct iovec fields[MAX_FIELDS];
	char priority_field[] = "PRIORITY=0";
	int n_fields = 0;

	priority_field[sizeof(priority_field) - 2] = (char)('0' + priority);
	fields[n_fields++] = (struct iovec){priority_field, sizeof(priority_field) - 1};
	add_field(fields, &n_fields, &message, "MESSAGE", line);
	if (subject != NULL) {
		add_field(fields, &n_fields, &port, "PORT", subject->port);
		add_field(fields, &n_fields, &network, "NETWORK", subject->network);
		add_field(fields, &n_fields, &reason, "REASON", subject->reason);
	}
	sd_journal_sendv(fields, n_fields);
}

void log_about(int priority, const struct log_subject *subject, const char *fmt, ...) {
	static const char *const words[] = {
		[LOG_EMERG] = "err", [LOG_ALERT] = "err",    [LOG_CRIT] = "err",
		[LOG_ERR] = "err",   [LOG_WARNING] = "warn", [LOG_NOTICE] = "info",
		[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
	};
	int saved = errno;
	char line[LINE_SIZE];
	va_list ap;

	if (priority > max_priority)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);

	if (getenv("JOURNAL_STREAM") != NULL)
		send_to_journal(priority, subject, line);
	else
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, words[priority],
		        line);
	errno = saved;
}
