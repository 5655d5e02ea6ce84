// SPDX-License-Identifier: GPL-2.0-or-later
// Strict readers of text: the whole string is the value or it is an error. No function skips white
// space, accepts a sign, or leaves a result behind on failure.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORT_NAME_SIZE 33    // 32 characters and the NUL
#define NETWORK_NAME_SIZE 16 // IFNAMSIZ: a network is named like a Linux interface

// Decimal number within [@min, @max]. Returns 0, -EINVAL (not a number) or -ERANGE.
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

// yes/no, on/off, true/false, 1/0. Returns 0 or -EINVAL.
int parse_bool(const char *text, bool *ret_value);

// Bytes with an optional binary suffix k, m, g or t: "256m" is 268435456.
// Returns 0, -EINVAL, or -ERANGE when it does not fit.
int parse_size(const char *text, uint64_t *ret_bytes);

// Bits in a second with an optional unit bit, kbit, mbit, gbit or tbit (powers of 1000): "10mbit" is
// 10000000. Returns 0, -EINVAL, or -ERANGE when it is 0 or more than RATE_MAX_BPS.
#define RATE_MAX_BPS UINT64_C(1000000000000000)
int parse_rate(const char *text, uint64_t *ret_bps);

// The shortest text that parse_rate() reads as @bps.
#define RATE_TEXT_SIZE 24
char *format_rate(uint64_t bps, char text[static RATE_TEXT_SIZE]);

// Copy @src into @dst of @size bytes with its NUL. Returns 0 or -ENAMETOOLONG (@dst is then empty).
int str_copy(char *dst, size_t size, const char *src);

// ^[a-z0-9][a-z0-9._-]{0,31}$
bool port_name_is_valid(const char *name);

// As Linux wants interface names: 1 to 15 of A-Z a-z 0-9 . _ -, not "." or "..".
bool network_name_is_valid(const char *name);
