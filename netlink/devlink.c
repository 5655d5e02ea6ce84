// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/devlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/devlink.h>

#include "vdpad/util/parse.h"

#define PARAM_TYPE_FLAG 6 // NLA_FLAG of the kernel's internal numbering
#define BITS_PER_OCTET 8

static const enum nl_kind devlink_kinds[] = {
	[DEVLINK_ATTR_BUS_NAME] = NL_STR,
	[DEVLINK_ATTR_DEV_NAME] = NL_STR,
	[DEVLINK_ATTR_PORT_INDEX] = NL_U32,
	[DEVLINK_ATTR_PORT_NETDEV_IFINDEX] = NL_U32,
	[DEVLINK_ATTR_PORT_NETDEV_NAME] = NL_STR,
	[DEVLINK_ATTR_ESWITCH_MODE] = NL_U16,
	[DEVLINK_ATTR_PORT_FLAVOUR] = NL_U16,
	[DEVLINK_ATTR_PARAM] = NL_NEST,
	[DEVLINK_ATTR_PARAM_NAME] = NL_STR,
	[DEVLINK_ATTR_PARAM_TYPE] = NL_U8,
	[DEVLINK_ATTR_PARAM_VALUES_LIST] = NL_NEST,
	[DEVLINK_ATTR_PARAM_VALUE] = NL_NEST,
	[DEVLINK_ATTR_PARAM_VALUE_DATA] = NL_FLAG, // of the only type that we read
	[DEVLINK_ATTR_PARAM_VALUE_CMODE] = NL_U8,
	[DEVLINK_ATTR_PORT_PCI_PF_NUMBER] = NL_U16,
	[DEVLINK_ATTR_PORT_PCI_VF_NUMBER] = NL_U16,
	[DEVLINK_ATTR_PORT_FUNCTION] = NL_NEST,
	[DEVLINK_ATTR_PORT_CONTROLLER_NUMBER] = NL_U32,
	[DEVLINK_ATTR_RELOAD_ACTION] = NL_U8,
	[DEVLINK_ATTR_PORT_PCI_SF_NUMBER] = NL_U32,
	[DEVLINK_ATTR_RATE_TX_SHARE] = NL_U64,
	[DEVLINK_ATTR_RATE_TX_MAX] = NL_U64,
};

const struct nl_family devlink_family = {
	.name = DEVLINK_GENL_NAME,
	.version = DEVLINK_GENL_VERSION,
	.table = {devlink_kinds, ARRAY_LEN(devlink_kinds)},
};

// The nest about a function. We give Ethernet addresses; an Infiniband function's has another size.
static const enum nl_kind function_set_kinds[] = {
	[DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR] = NL_MAC,
	[DEVLINK_PORT_FN_ATTR_STATE] = NL_U8,
};
static const enum nl_kind function_kinds[] = {
	[DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR] = NL_BYTES,
	[DEVLINK_PORT_FN_ATTR_STATE] = NL_U8,
	[DEVLINK_PORT_FN_ATTR_OPSTATE] = NL_U8,
};
static const struct nl_table function_set_table = {
	function_set_kinds, ARRAY_LEN(function_set_kinds)};
static const struct nl_table function_table = {function_kinds, ARRAY_LEN(function_kinds)};

int devlink_open(struct nl_socket **ret_nl) {
	return nl_socket_open(&devlink_family, ret_nl);
}

// A request about a device, and about one of its ports.

static void begin(
	struct nl_request *req, struct nl_socket *nl, enum devlink_command command,
	const struct nl_handle *handle
) {
	nl_request_init(req, nl, (uint8_t)command);
	nl_put_str(req, DEVLINK_ATTR_BUS_NAME, handle->bus == NULL ? "" : handle->bus);
	nl_put_str(req, DEVLINK_ATTR_DEV_NAME, handle->dev);
}

static void begin_port(
	struct nl_request *req, struct nl_socket *nl, enum devlink_command command,
	const struct nl_handle *handle, uint32_t index
) {
	begin(req, nl, command, handle);
	nl_put_u32(req, DEVLINK_ATTR_PORT_INDEX, index);
}

// E-switch.

static int read_mode(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	const struct nlattr *mode = attrs->by_type[DEVLINK_ATTR_ESWITCH_MODE];

	(void)command;
	if (mode == NULL)
		return -EOPNOTSUPP;
	if (nl_uint(mode) > DEVLINK_MODE_SWITCHDEV)
		return -EPROTO; // a mode that newer kernels may have
	*(enum devlink_mode *)ctx = (enum devlink_mode)nl_uint(mode);
	return 0;
}

int devlink_mode_get(
	struct nl_socket *nl, const struct nl_handle *handle, enum devlink_mode *ret_mode
) {
	struct nl_request req;

	begin(&req, nl, DEVLINK_CMD_ESWITCH_GET, handle);
	return nl_request_get(&req, read_mode, ret_mode);
}

int devlink_mode_set(struct nl_socket *nl, const struct nl_handle *handle, enum devlink_mode mode) {
	struct nl_request req;

	begin(&req, nl, DEVLINK_CMD_ESWITCH_SET, handle);
	nl_put_u16(&req, DEVLINK_ATTR_ESWITCH_MODE, (uint16_t)mode);
	return nl_request_run(&req);
}

// Ports.

static enum devlink_flavour flavour_of(const struct nlattr *attr) {
	if (attr == NULL)
		return DEVLINK_OTHER;
	switch (nl_uint(attr)) {
	case DEVLINK_PORT_FLAVOUR_PHYSICAL:
		return DEVLINK_PHYSICAL;
	case DEVLINK_PORT_FLAVOUR_PCI_PF:
		return DEVLINK_PCI_PF;
	case DEVLINK_PORT_FLAVOUR_PCI_VF:
		return DEVLINK_PCI_VF;
	case DEVLINK_PORT_FLAVOUR_PCI_SF:
		return DEVLINK_PCI_SF;
	default:
		return DEVLINK_OTHER;
	}
}

static int read_function(const struct nlattr *nest, struct devlink_function *ret_function) {
	const struct nlattr *address, *state, *opstate;
	struct devlink_function function = {0};
	struct nl_attrs attrs;
	int r;

	r = nl_attrs_parse_nest(nest, &function_table, &attrs);
	if (r < 0)
		return r;
	address = attrs.by_type[DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR];
	state = attrs.by_type[DEVLINK_PORT_FN_ATTR_STATE];
	opstate = attrs.by_type[DEVLINK_PORT_FN_ATTR_OPSTATE];

	function.has_mac = address != NULL && nl_size(address) == sizeof(struct mac_addr);
	if (function.has_mac)
		function.mac = nl_mac(address);
	function.has_state = state != NULL && opstate != NULL;
	if (function.has_state) {
		function.is_active = nl_uint(state) == DEVLINK_PORT_FN_STATE_ACTIVE;
		function.is_attached = nl_uint(opstate) == DEVLINK_PORT_FN_OPSTATE_ATTACHED;
	}
	*ret_function = function;
	return 0;
}

// A reply about a port has the command PORT_NEW, or, by an old mistake that stays, NEW.
static int read_port(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	const struct nlattr *const *by_type = attrs->by_type;
	struct devlink_port port = {
		.flavour = flavour_of(by_type[DEVLINK_ATTR_PORT_FLAVOUR]),
		.has_pf_number = by_type[DEVLINK_ATTR_PORT_PCI_PF_NUMBER] != NULL,
		.has_vf_number = by_type[DEVLINK_ATTR_PORT_PCI_VF_NUMBER] != NULL,
		.has_sf_number = by_type[DEVLINK_ATTR_PORT_PCI_SF_NUMBER] != NULL,
		.has_function = by_type[DEVLINK_ATTR_PORT_FUNCTION] != NULL,
	};
	int r = 0;

	if ((command != DEVLINK_CMD_PORT_NEW && command != DEVLINK_CMD_NEW) ||
	    by_type[DEVLINK_ATTR_PORT_INDEX] == NULL)
		return -EBADMSG;
	port.index = (uint32_t)nl_uint(by_type[DEVLINK_ATTR_PORT_INDEX]);
	if (port.has_pf_number)
		port.pf_number = (uint16_t)nl_uint(by_type[DEVLINK_ATTR_PORT_PCI_PF_NUMBER]);
	if (port.has_vf_number)
		port.vf_number = (uint16_t)nl_uint(by_type[DEVLINK_ATTR_PORT_PCI_VF_NUMBER]);
	if (port.has_sf_number)
		port.sf_number = (uint32_t)nl_uint(by_type[DEVLINK_ATTR_PORT_PCI_SF_NUMBER]);
	if (by_type[DEVLINK_ATTR_PORT_CONTROLLER_NUMBER] != NULL)
		port.controller_number =
			(uint32_t)nl_uint(by_type[DEVLINK_ATTR_PORT_CONTROLLER_NUMBER]);
	if (by_type[DEVLINK_ATTR_PORT_NETDEV_IFINDEX] != NULL)
		port.ifindex = (uint32_t)nl_uint(by_type[DEVLINK_ATTR_PORT_NETDEV_IFINDEX]);
	if (by_type[DEVLINK_ATTR_PORT_NETDEV_NAME] != NULL)
		r = str_copy(
			port.netdev_name, sizeof(port.netdev_name),
			nl_str(by_type[DEVLINK_ATTR_PORT_NETDEV_NAME])
		);
	if (r == 0 && port.has_function)
		r = read_function(by_type[DEVLINK_ATTR_PORT_FUNCTION], &port.function);
	if (r == 0)
		*(struct devlink_port *)ctx = port;
	return r;
}

struct port_collector {
	const struct nl_handle *handle;
	struct devlink_port_list list;
};

// Kernels before 6.6 list the ports of every device, whatever was asked for.
static int collect_port(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	struct port_collector *c = ctx;
	const struct nlattr *bus = attrs->by_type[DEVLINK_ATTR_BUS_NAME];
	const struct nlattr *dev = attrs->by_type[DEVLINK_ATTR_DEV_NAME];
	struct devlink_port *larger;
	int r;

	if (bus == NULL || dev == NULL)
		return -EBADMSG;
	if (c->handle->bus == NULL || strcmp(nl_str(bus), c->handle->bus) != 0 ||
	    strcmp(nl_str(dev), c->handle->dev) != 0)
		return 0;
	if (c->list.n_items == DEVLINK_PORTS_MAX)
		return -EOVERFLOW;
	larger = reallocarray(c->list.items, c->list.n_items + 1, sizeof(*larger));
	if (larger == NULL)
		return -ENOMEM;
	c->list.items = larger;
	r = read_port(command, attrs, &larger[c->list.n_items]);
	if (r == 0)
		c->list.n_items++;
	return r;
}

int devlink_port_list(
	struct nl_socket *nl, const struct nl_handle *handle, struct devlink_port_list *ret_list
) {
	struct port_collector collector = {.handle = handle};
	struct nl_request req;
	int r;

	begin(&req, nl, DEVLINK_CMD_PORT_GET, handle);
	r = nl_request_dump(&req, collect_port, &collector);
	if (r < 0) {
		devlink_port_list_done(&collector.list);
		return r;
	}
	*ret_list = collector.list;
	return 0;
}

void devlink_port_list_done(struct devlink_port_list *list) {
	free(list->items);
	*list = (struct devlink_port_list){0};
}

int devlink_port_get(
	struct nl_socket *nl, const struct nl_handle *handle, uint32_t index,
	struct devlink_port *ret_port
) {
	struct nl_request req;

	begin_port(&req, nl, DEVLINK_CMD_PORT_GET, handle, index);
	return nl_request_get(&req, read_port, ret_port);
}

int devlink_sf_new(
	struct nl_socket *nl, const struct nl_handle *handle, uint16_t pf_number,
	uint32_t sf_number, struct devlink_port *ret_port
) {
	struct nl_request req;

	begin(&req, nl, DEVLINK_CMD_PORT_NEW, handle);
	nl_put_u16(&req, DEVLINK_ATTR_PORT_FLAVOUR, DEVLINK_PORT_FLAVOUR_PCI_SF);
	nl_put_u16(&req, DEVLINK_ATTR_PORT_PCI_PF_NUMBER, pf_number);
	nl_put_u32(&req, DEVLINK_ATTR_PORT_PCI_SF_NUMBER, sf_number);
	return nl_request_make(&req, read_port, ret_port);
}

int devlink_port_del(struct nl_socket *nl, const struct nl_handle *handle, uint32_t index) {
	struct nl_request req;

	begin_port(&req, nl, DEVLINK_CMD_PORT_DEL, handle, index);
	return nl_request_run(&req);
}

int devlink_function_set(
	struct nl_socket *nl, const struct nl_handle *handle, uint32_t index,
	const struct devlink_function_spec *spec
) {
	struct nl_request req;
	struct nl_nest nest;

	begin_port(&req, nl, DEVLINK_CMD_PORT_SET, handle, index);
	nest = nl_nest_begin(&req, DEVLINK_ATTR_PORT_FUNCTION, &function_set_table);
	if (spec->has_mac)
		nl_put_mac(&req, DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR, &spec->mac);
	if (spec->has_state)
		nl_put_u8(
			&req, DEVLINK_PORT_FN_ATTR_STATE,
			spec->is_active ? DEVLINK_PORT_FN_STATE_ACTIVE
					: DEVLINK_PORT_FN_STATE_INACTIVE
		);
	nl_nest_end(&req, nest);
	return nl_request_run(&req);
}

// Parameters. A reply is a nest of nests: the parameter has a list of values, one for each moment.

struct param_question {
	enum devlink_when when;
	bool answer;
};

static int read_param_value(const struct nlattr *nest, struct param_question *question) {
	const struct nlattr *mode;
	struct nl_attrs value;
	int r;

	r = nl_attrs_parse_nest(nest, &devlink_family.table, &value);
	if (r < 0)
		return r;
	mode = value.by_type[DEVLINK_ATTR_PARAM_VALUE_CMODE];
	if (mode == NULL || nl_uint(mode) != question->when)
		return -ENODATA;
	question->answer = value.by_type[DEVLINK_ATTR_PARAM_VALUE_DATA] != NULL;
	return 0;
}

static int read_param(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	const struct nlattr *list, *type, *item = NULL;
	struct nl_attrs param, values;
	int r;

	if (command != DEVLINK_CMD_PARAM_GET || attrs->by_type[DEVLINK_ATTR_PARAM] == NULL)
		return -EBADMSG;
	r = nl_attrs_parse_nest(attrs->by_type[DEVLINK_ATTR_PARAM], &devlink_family.table, &param);
	if (r < 0)
		return r;
	list = param.by_type[DEVLINK_ATTR_PARAM_VALUES_LIST];
	type = param.by_type[DEVLINK_ATTR_PARAM_TYPE];
	if (type == NULL || list == NULL)
		return -EBADMSG;
	if (nl_uint(type) != PARAM_TYPE_FLAG)
		return -EPROTO;

	r = nl_attrs_parse_nest(list, &devlink_family.table, &values);
	if (r < 0)
		return r;
	r = -ENODATA;
	while (r == -ENODATA && (item = nl_next(&values, item)) != NULL)
		r = read_param_value(item, ctx);
	return r;
}

int devlink_param_get(
	struct nl_socket *nl, const struct nl_handle *handle, const char *name,
	enum devlink_when when, bool *ret_value
) {
	struct param_question question = {.when = when};
	struct nl_request req;
	int r;

	begin(&req, nl, DEVLINK_CMD_PARAM_GET, handle);
	nl_put_str(&req, DEVLINK_ATTR_PARAM_NAME, name);
	r = nl_request_get(&req, read_param, &question);
	if (r == 0)
		*ret_value = question.answer;
	return r;
}

int devlink_param_set(
	struct nl_socket *nl, const struct nl_handle *handle, const char *name,
	enum devlink_when when, bool value
) {
	struct nl_request req;

	begin(&req, nl, DEVLINK_CMD_PARAM_SET, handle);
	nl_put_str(&req, DEVLINK_ATTR_PARAM_NAME, name);
	nl_put_u8(&req, DEVLINK_ATTR_PARAM_TYPE, PARAM_TYPE_FLAG);
	if (value)
		nl_put_flag(&req, DEVLINK_ATTR_PARAM_VALUE_DATA);
	nl_put_u8(&req, DEVLINK_ATTR_PARAM_VALUE_CMODE, (uint8_t)when);
	return nl_request_run(&req);
}

int devlink_reload(struct nl_socket *nl, const struct nl_handle *handle) {
	struct nl_request req;

	begin(&req, nl, DEVLINK_CMD_RELOAD, handle);
	nl_put_u8(&req, DEVLINK_ATTR_RELOAD_ACTION, DEVLINK_RELOAD_ACTION_DRIVER_REINIT);
	return nl_request_run(&req);
}

// Rates. The kernel counts octets.

static uint64_t octets_of(uint64_t bits) {
	return bits / BITS_PER_OCTET + (bits % BITS_PER_OCTET != 0);
}

static uint64_t bits_of(const struct nlattr *octets) {
	if (octets == NULL)
		return 0;
	if (nl_uint(octets) > UINT64_MAX / BITS_PER_OCTET)
		return UINT64_MAX;
	return nl_uint(octets) * BITS_PER_OCTET;
}

static int read_rate(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	(void)command;
	*(struct devlink_rate *)ctx = (struct devlink_rate){
		.has_share = attrs->by_type[DEVLINK_ATTR_RATE_TX_SHARE] != NULL,
		.share_bps = bits_of(attrs->by_type[DEVLINK_ATTR_RATE_TX_SHARE]),
		.max_bps = bits_of(attrs->by_type[DEVLINK_ATTR_RATE_TX_MAX]),
	};
	return 0;
}

int devlink_rate_get(
	struct nl_socket *nl, const struct nl_handle *handle, uint32_t index,
	struct devlink_rate *ret_rate
) {
	struct nl_request req;

	begin_port(&req, nl, DEVLINK_CMD_RATE_GET, handle, index);
	return nl_request_get(&req, read_rate, ret_rate);
}

int devlink_rate_set(
	struct nl_socket *nl, const struct nl_handle *handle, uint32_t index,
	const struct devlink_rate *rate
) {
	struct nl_request req;

	begin_port(&req, nl, DEVLINK_CMD_RATE_SET, handle, index);
	if (rate->has_share)
		nl_put_u64(&req, DEVLINK_ATTR_RATE_TX_SHARE, octets_of(rate->share_bps));
	nl_put_u64(&req, DEVLINK_ATTR_RATE_TX_MAX, octets_of(rate->max_bps));
	return nl_request_run(&req);
}
