// SPDX-License-Identifier: GPL-2.0-or-later
// Who listens on unix sockets and whether anybody is connected, without connecting: a vhost-user
// socket often serves one peer only, so a connection that only looks would take the place of a VM.
//
// The kernel's table of sockets has a line for each. A listening one has the flag __SO_ACCEPTCON. One
// that was accepted from it has its path as well, so that the peers of a path can be counted.
//
// Source: net/unix/af_unix.c, unix_seq_show().

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct socket_use {
	const char *path; // absolute; in
	bool listening;   // out
	bool connected;   // out: a peer of whoever listens or listened
};

// Read @table (/proc/net/unix) and fill @uses. A path that was bound under another name of its folder
// (/var/run and /run) is recognised by that folder's real path.
void socket_scan(FILE *table, struct socket_use *uses, size_t n);
