// SPDX-License-Identifier: GPL-2.0-or-later
// The path of a unix socket to listen on: what may be there before, and who may open it afterwards.

#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include "vdpad/util/error.h"

#define SOCKET_PATH_SIZE 108 // sun_path

// Make sure that nothing is at @path: a socket that our user left behind is removed. Returns 0,
// -EEXIST for anything else there, -EADDRINUSE for a socket that somebody has bound, -ENAMETOOLONG,
// or another -errno.
int socket_path_clear(const char *path, struct error *e);

// Give the socket at @path to @group ((gid_t)-1: leave it) and set its mode.
int socket_path_grant(const char *path, gid_t group, mode_t mode, struct error *e);
