// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "org.vdpad1.Error."

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_CONFLICT = 4,
	EXIT_REFUSED = 5,
	EXIT_UNREACHABLE = 6,
};

// The first row of a code names it on the bus; rows with code 0 are only read.
static const struct {
	int code;
	const char *dbus_name;
	int exit_status;
} error_kinds[] = {
	{EINVAL, PREFIX "Invalid", EXIT_USAGE},
	{ENOENT, PREFIX "NoSuchPort", EXIT_NOT_FOUND},
	{ENODEV, PREFIX "NoSuchNetwork", EXIT_NOT_FOUND},
	{ENOTSOCK, PREFIX "NoSuchSocket", EXIT_NOT_FOUND},
	{EEXIST, PREFIX "Conflict", EXIT_CONFLICT},
	{EPERM, PREFIX "Refused", EXIT_REFUSED},
	{EACCES, SD_BUS_ERROR_ACCESS_DENIED, EXIT_REFUSED},
	{EHOSTDOWN, PREFIX "Unavailable", EXIT_FAILED},
	{EBUSY, PREFIX "Busy", EXIT_FAILED},
	{ENOSPC, PREFIX "NoRoom", EXIT_FAILED},
	{EOPNOTSUPP, PREFIX "NotSupported", EXIT_FAILED},
	{ETIMEDOUT, PREFIX "TimedOut", EXIT_FAILED},
	{0, SD_BUS_ERROR_SERVICE_UNKNOWN, EXIT_UNREACHABLE},
	{0, SD_BUS_ERROR_NAME_HAS_NO_OWNER, EXIT_UNREACHABLE},
	{0, SD_BUS_ERROR_NO_REPLY, EXIT_UNREACHABLE},
	{0, SD_BUS_ERROR_DISCONNECTED, EXIT_UNREACHABLE},
	{0, "org.freedesktop.DBus.Error.Spawn.ServiceNotFound", EXIT_UNREACHABLE},
};

int error_set(struct error *e, int code, const char *fmt, ...) {
	char text[ERROR_TEXT_SIZE]; // an argument may be e->text itself
	va_list ap;

	if (e != NULL) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		for (char *p = text; *p != '\0'; p++) {
			if (*p < ' ' || *p > '~')
				*p = '?';
		}
		e->code = code;
		memcpy(e->text, text, sizeof(text));
	}
	return -code;
}

const char *error_dbus_name(int code) {
	for (size_t i = 0; i < ARRAY_LEN(error_kinds); i++) {
		if (error_kinds[i].code == code && code != 0)
			return error_kinds[i].dbus_name;
	}
	return PREFIX "Failed";
}

int error_exit_status(const char *dbus_name) {
	for (size_t i = 0; i < ARRAY_LEN(error_kinds); i++) {
		if (strcmp(error_kinds[i].dbus_name, dbus_name) == 0)
			return error_kinds[i].exit_status;
	}
	return EXIT_FAILED;
}

int error_to_bus(const struct error *e, sd_bus_error *ret_error) {
	int code = e->code > 0 ? e->code : EIO; // 0 would be a method that never answers

	sd_bus_error_set(ret_error, error_dbus_name(code), e->text);
	return -code;
}

int error_from_bus(struct error *e, int r, const sd_bus_error *bus_error) {
	int code = -r;

	if (bus_error == NULL || bus_error->name == NULL)
		return error_set(e, code, "%s", strerror(code));

	for (size_t i = 0; i < ARRAY_LEN(error_kinds); i++) {
		if (strcmp(error_kinds[i].dbus_name, bus_error->name) == 0 &&
		    error_kinds[i].code != 0)
			code = error_kinds[i].code;
	}
	return error_set(
		e, code, "%s", bus_error->message != NULL ? bus_error->message : bus_error->name
	);
}
