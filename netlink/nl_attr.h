// SPDX-License-Identifier: GPL-2.0-or-later
// Netlink attributes: what each holds is said once for a family, in a struct nl_table that the builder
// and the parser share, so that a wrong size can be neither sent nor taken for a value.
//
// Source: include/uapi/linux/netlink.h; Documentation/userspace-api/netlink/intro.rst.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "vdpad/util/mac_addr.h"

// What an attribute holds.
enum nl_kind {
	NL_NONE, // not known: neither sent nor parsed
	NL_U8,
	NL_U16,
	NL_U32,
	NL_U64,
	NL_UINT,  // an integer whose width depends on the kernel's version; parsed, never sent
	NL_STR,   // with its NUL
	NL_MAC,   // six octets
	NL_BYTES, // octets of any number; parsed, never sent
	NL_FLAG,  // there or not
	NL_NEST,  // attributes
};

struct nl_table {
	const enum nl_kind *kinds; // by attribute type
	uint16_t n_kinds;
};

// What an attribute of @type holds; NL_NONE for one that @table does not know.
enum nl_kind nl_kind_of(const struct nl_table *table, uint16_t type);

// The attributes of one reply or nest.
#define NL_ATTRS_MAX 256
struct nl_attrs {
	const struct nlattr *by_type[NL_ATTRS_MAX]; // the first of its type, NULL if absent
	const uint8_t *data;                        // all of them, in their order, for nl_next()
	size_t size;
};

// Check @size bytes of attributes against @table and index them. Unknown types and padding are
// passed over. Returns 0, or -EBADMSG for a broken one or one of the wrong size.
int nl_attrs_parse(
	const void *data, size_t size, const struct nl_table *table, struct nl_attrs *ret_attrs
);
int nl_attrs_parse_nest(
	const struct nlattr *nest, const struct nl_table *table, struct nl_attrs *ret_attrs
);

// All attributes in their order, for those that come more than once: start with NULL, ends with NULL.
const struct nlattr *nl_next(const struct nl_attrs *attrs, const struct nlattr *previous);
uint16_t nl_type(const struct nlattr *attr);

// The value of an attribute that nl_attrs_parse() has checked.
uint64_t nl_uint(const struct nlattr *attr); // of any width
size_t nl_size(const struct nlattr *attr);   // of the value, for NL_BYTES
const char *nl_str(const struct nlattr *attr);
struct mac_addr nl_mac(const struct nlattr *attr); // NL_BYTES: only if it is six octets
