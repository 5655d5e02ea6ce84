// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nl_attr.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <libmnl/libmnl.h>

static bool size_fits(enum nl_kind kind, const void *payload, size_t size) {
	switch (kind) {
	case NL_NONE:
	case NL_BYTES:
	case NL_NEST:
		return true;
	case NL_U8:
		return size == 1;
	case NL_U16:
		return size == 2;
	case NL_U32:
		return size == 4;
	case NL_U64:
		return size == 8;
	case NL_UINT:
		return size == 1 || size == 2 || size == 4 || size == 8;
	case NL_STR: // the first NUL is the last octet
		return size > 0 && memchr(payload, 0, size) == (const uint8_t *)payload + size - 1;
	case NL_MAC:
		return size == sizeof(struct mac_addr);
	case NL_FLAG:
		return size == 0;
	}
	return false;
}

enum nl_kind nl_kind_of(const struct nl_table *table, uint16_t type) {
	return type < table->n_kinds ? table->kinds[type] : NL_NONE;
}

const struct nlattr *nl_next(const struct nl_attrs *attrs, const struct nlattr *previous) {
	const struct nlattr *next;
	size_t offset = 0;

	if (previous != NULL)
		offset = (size_t)((const uint8_t *)previous - attrs->data) +
			NLA_ALIGN(previous->nla_len);
	if (offset >= attrs->size) // the last one may lack its padding
		return NULL;
	next = (const struct nlattr *)(attrs->data + offset);
	return mnl_attr_ok(next, (int)(attrs->size - offset)) ? next : NULL;
}

uint16_t nl_type(const struct nlattr *attr) {
	return mnl_attr_get_type(attr);
}

int nl_attrs_parse(
	const void *data, size_t size, const struct nl_table *table, struct nl_attrs *ret_attrs
) {
	struct nl_attrs attrs = {.data = data, .size = size};
	const struct nlattr *attr = NULL;
	size_t used = 0;

	assert(table->n_kinds <= NL_ATTRS_MAX);
	if (size > INT_MAX)
		return -EBADMSG;

	while ((attr = nl_next(&attrs, attr)) != NULL) {
		uint16_t type = nl_type(attr);
		enum nl_kind kind = nl_kind_of(table, type);

		if (!size_fits(kind, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr)))
			return -EBADMSG;
		used = (size_t)((const uint8_t *)attr - attrs.data) + NLA_ALIGN(attr->nla_len);
		if (kind != NL_NONE && attrs.by_type[type] == NULL)
			attrs.by_type[type] = attr;
	}
	if (used < size)
		return -EBADMSG; // what follows is no attribute

	*ret_attrs = attrs;
	return 0;
}

int nl_attrs_parse_nest(
	const struct nlattr *nest, const struct nl_table *table, struct nl_attrs *ret_attrs
) {
	return nl_attrs_parse(
		mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), table, ret_attrs
	);
}

uint64_t nl_uint(const struct nlattr *attr) {
	switch (mnl_attr_get_payload_len(attr)) {
	case 1:
		return mnl_attr_get_u8(attr);
	case 2:
		return mnl_attr_get_u16(attr);
	case 4:
		return mnl_attr_get_u32(attr);
	case 8:
		return mnl_attr_get_u64(attr); // aligns by copying
	}
	assert(!"attribute was not checked");
	return 0;
}

size_t nl_size(const struct nlattr *attr) {
	return mnl_attr_get_payload_len(attr);
}

const char *nl_str(const struct nlattr *attr) {
	return mnl_attr_get_str(attr);
}

struct mac_addr nl_mac(const struct nlattr *attr) {
	struct mac_addr mac;

	memcpy(mac.octets, mnl_attr_get_payload(attr), sizeof(mac.octets));
	return mac;
}
