// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/netlink/fake_devlink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/devlink.h>

#include "tests/unit/netlink/netns.h"
#include "tests/unit/unit.h"

#define PF_PATH "sys/devices/pci0000:3a/" FAKE_PF
#define FIRST_INDEX 32768
#define PARAM_TYPE_FLAG 6
#define ALL_OPS "\1\5\6\7\x08\x1d\x1e\x25\x26\x27\x4a\x4b"

struct fake_port *fake_devlink_find(struct fake_devlink *d, bool is_vf, uint32_t number) {
	for (size_t i = 0; i < FAKE_PORTS_MAX; i++)
		if (d->ports[i].index != 0 && d->ports[i].is_vf == is_vf &&
		    d->ports[i].number == number)
			return &d->ports[i];
	return NULL;
}

static void shell(const char *fmt, ...) _printf_(1, 2);
static void shell(const char *fmt, ...) {
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_true(netns_sh(command));
}

// ---- The node -----------------------------------------------------------------------------------

static struct fake_port *add_port(
	struct fake_devlink *d, bool is_vf, uint32_t number, const char *netdev
) {
	for (uint32_t i = 0; i < FAKE_PORTS_MAX; i++) {
		if (d->ports[i].index != 0)
			continue;
		d->ports[i] = (struct fake_port){
			.index = FIRST_INDEX + i,
			.is_vf = is_vf,
			.number = number,
			.eth = true,
			.rdma = true,
		};
		snprintf(d->ports[i].netdev, sizeof(d->ports[i].netdev), "%s", netdev);
		shell("ip tuntap add name %s mode tap", netdev);
		return &d->ports[i];
	}
	fail_msg("no more ports");
	return NULL;
}

static void aux_path(
	const struct fake_devlink *d, const struct fake_port *port, char path[static 128]
) {
	snprintf(path, 128, PF_PATH "/mlx5_core.sf.%d", (int)(port - d->ports) + 4);
}

static void attach(struct fake_devlink *d, const struct fake_port *port) {
	char path[128], file[160], text[32], target[160];

	aux_path(d, port, path);
	snprintf(file, sizeof(file), "%s/sfnum", path);
	snprintf(text, sizeof(text), "%u\n", port->number);
	fake_file(&d->v.sysfs, file, text);
	snprintf(file, sizeof(file), "sys/bus/auxiliary/devices/%s", strrchr(path, '/') + 1);
	snprintf(target, sizeof(target), "../../../%s", path + strlen("sys/"));
	fake_link(&d->v.sysfs, file, target);
}

static void detach(struct fake_devlink *d, const struct fake_port *port) {
	char path[128];

	aux_path(d, port, path);
	shell("rm -rf '%s/%s' '%s/bus/auxiliary/devices/%s'", d->v.sysfs.top, path, d->v.sysfs.sys,
	      strrchr(path, '/') + 1);
}

static void tell_mgmtdevs(struct fake_devlink *d) {
	char path[128];

	d->v.n_extra = 0;
	for (size_t i = 0; i < FAKE_PORTS_MAX; i++) {
		const struct fake_port *port = &d->ports[i];

		if (port->index == 0 || (!port->is_vf && !port->is_vdpa))
			continue;
		aux_path(d, port, path);
		snprintf(d->v.extra[d->v.n_extra].bus, 16, "%s", port->is_vf ? "pci" : "auxiliary");
		if (port->is_vf)
			snprintf(
				d->v.extra[d->v.n_extra].dev, 32, "0000:3b:00.%u", port->number + 2
			);
		else
			snprintf(d->v.extra[d->v.n_extra].dev, 32, "%s", strrchr(path, '/') + 1);
		d->v.n_extra++;
	}
}

void fake_devlink_add_vf(struct fake_devlink *d, uint32_t vf, const char *netdev) {
	char path[128], target[64];

	snprintf(path, sizeof(path), PF_PATH "/virtfn%u", vf);
	snprintf(target, sizeof(target), "../0000:3b:00.%u", vf + 2);
	fake_link(&d->v.sysfs, path, target);
	snprintf(path, sizeof(path), "sys/devices/pci0000:3a/0000:3b:00.%u/physfn", vf + 2);
	fake_link(&d->v.sysfs, path, "../" FAKE_PF);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/0000:3b:00.%u", vf + 2);
	snprintf(target, sizeof(target), "../../../devices/pci0000:3a/0000:3b:00.%u", vf + 2);
	fake_link(&d->v.sysfs, path, target);
	add_port(d, true, vf, netdev);
	tell_mgmtdevs(d);
}

// ---- Devlink ------------------------------------------------------------------------------------

static const struct nlattr *find(const struct fake_netlink *f, uint16_t type) {
	const struct nlattr *attr;

	mnl_attr_for_each(attr, (const struct nlmsghdr *)f->request, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static struct nlmsghdr *begin(struct fake_netlink *f, uint8_t command) {
	struct nlmsghdr *message = fake_begin_genl(f, command, 0);

	mnl_attr_put_strz(message, DEVLINK_ATTR_BUS_NAME, "pci");
	mnl_attr_put_strz(message, DEVLINK_ATTR_DEV_NAME, FAKE_PF);
	return message;
}

static void reply_port(
	struct fake_devlink *d, struct fake_netlink *f, const struct fake_port *port
) {
	static const uint8_t none[6];
	struct nlmsghdr *message = begin(f, DEVLINK_CMD_PORT_NEW);
	struct nlattr *nest;

	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_INDEX, port->index);
	mnl_attr_put_strz(message, DEVLINK_ATTR_PORT_NETDEV_NAME, port->netdev);
	mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_PCI_PF_NUMBER, 0);
	mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_CONTROLLER_NUMBER, 0);
	if (port->is_vf) {
		mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_FLAVOUR, DEVLINK_PORT_FLAVOUR_PCI_VF);
		mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_PCI_VF_NUMBER, (uint16_t)port->number);
	} else {
		mnl_attr_put_u16(message, DEVLINK_ATTR_PORT_FLAVOUR, DEVLINK_PORT_FLAVOUR_PCI_SF);
		mnl_attr_put_u32(message, DEVLINK_ATTR_PORT_PCI_SF_NUMBER, port->number);
	}
	nest = mnl_attr_nest_start(message, DEVLINK_ATTR_PORT_FUNCTION);
	mnl_attr_put(
		message, DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR, 6, port->has_mac ? port->mac : none
	);
	if (!port->is_vf) {
		mnl_attr_put_u8(message, DEVLINK_PORT_FN_ATTR_STATE, port->active);
		mnl_attr_put_u8(
			message, DEVLINK_PORT_FN_ATTR_OPSTATE, port->active && !d->never_attaches
		);
	}
	mnl_attr_nest_end(message, nest);
	fake_end(f, message);
}

static struct fake_port *requested_port(struct fake_devlink *d, const struct fake_netlink *f) {
	const struct nlattr *index = find(f, DEVLINK_ATTR_PORT_INDEX);

	for (size_t i = 0; i < FAKE_PORTS_MAX && index != NULL; i++)
		if (d->ports[i].index != 0 && d->ports[i].index == mnl_attr_get_u32(index))
			return &d->ports[i];
	return NULL;
}

// The port whose auxiliary device a request is about.
static struct fake_port *requested_aux(struct fake_devlink *d, const struct fake_netlink *f) {
	const char *name = mnl_attr_get_str(find(f, DEVLINK_ATTR_DEV_NAME));
	unsigned int number;

	if (sscanf(name, "mlx5_core.sf.%u", &number) != 1)
		return NULL;
	return &d->ports[number - 4];
}

static bool *param_of(struct fake_devlink *d, const struct fake_netlink *f, uint8_t *ret_when) {
	const char *name = mnl_attr_get_str(find(f, DEVLINK_ATTR_PARAM_NAME));
	struct fake_port *port = requested_aux(d, f);

	*ret_when = port == NULL ? DEVLINK_NOW : DEVLINK_ON_RELOAD;
	if (port == NULL)
		return d->pf_has_vnet && strcmp(name, "enable_vnet") == 0 ? &d->pf_vnet : NULL;
	if (strcmp(name, "enable_vnet") == 0)
		return &port->vnet;
	if (strcmp(name, "enable_eth") == 0)
		return &port->eth;
	return strcmp(name, "enable_rdma") == 0 ? &port->rdma : NULL;
}

static void reply_param(struct fake_netlink *f, bool value, uint8_t when) {
	struct nlmsghdr *message = begin(f, DEVLINK_CMD_PARAM_GET);
	struct nlattr *param = mnl_attr_nest_start(message, DEVLINK_ATTR_PARAM), *list, *item;

	mnl_attr_put_u8(message, DEVLINK_ATTR_PARAM_TYPE, PARAM_TYPE_FLAG);
	list = mnl_attr_nest_start(message, DEVLINK_ATTR_PARAM_VALUES_LIST);
	item = mnl_attr_nest_start(message, DEVLINK_ATTR_PARAM_VALUE);
	if (value)
		mnl_attr_put(message, DEVLINK_ATTR_PARAM_VALUE_DATA, 0, NULL);
	mnl_attr_put_u8(message, DEVLINK_ATTR_PARAM_VALUE_CMODE, when);
	mnl_attr_nest_end(message, item);
	mnl_attr_nest_end(message, list);
	mnl_attr_nest_end(message, param);
	fake_end(f, message);
}

static int change_param(struct fake_devlink *d, const struct fake_netlink *f) {
	uint8_t when;
	bool *param = param_of(d, f, &when);

	if (param == NULL || mnl_attr_get_u8(find(f, DEVLINK_ATTR_PARAM_VALUE_CMODE)) != when)
		return EINVAL;
	*param = find(f, DEVLINK_ATTR_PARAM_VALUE_DATA) != NULL;
	return 0;
}

static int make(struct fake_devlink *d, struct fake_netlink *f) {
	uint32_t number = mnl_attr_get_u32(find(f, DEVLINK_ATTR_PORT_PCI_SF_NUMBER));
	char netdev[16];

	if (d->mode != DEVLINK_MODE_SWITCHDEV)
		return EOPNOTSUPP;
	if (fake_devlink_find(d, false, number) != NULL)
		return EEXIST;
	snprintf(netdev, sizeof(netdev), "rep%u", number);
	reply_port(d, f, add_port(d, false, number, netdev));
	return 0;
}

static void forget_port(struct fake_devlink *d, struct fake_port *port) {
	detach(d, port);
	shell("ip link del %s", port->netdev);
	*port = (struct fake_port){0};
	tell_mgmtdevs(d);
}

static int change_function(struct fake_devlink *d, const struct fake_netlink *f) {
	const struct nlattr *nest = find(f, DEVLINK_ATTR_PORT_FUNCTION), *attr;
	struct fake_port *port = requested_port(d, f);

	if (port == NULL)
		return ENODEV;
	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR) {
			memcpy(port->mac, mnl_attr_get_payload(attr), 6);
			port->has_mac = true;
		} else {
			port->active = mnl_attr_get_u8(attr);
			if (port->active)
				attach(d, port);
			else
				detach(d, port);
			port->is_vdpa = port->is_vdpa && port->active;
			tell_mgmtdevs(d);
		}
	}
	return 0;
}

static int change(struct fake_devlink *d, struct fake_netlink *f, uint8_t command) {
	struct fake_port *port = requested_port(d, f);

	switch (command) {
	case DEVLINK_CMD_ESWITCH_SET:
		d->mode = mnl_attr_get_u16(find(f, DEVLINK_ATTR_ESWITCH_MODE));
		return 0;
	case DEVLINK_CMD_PORT_NEW:
		return make(d, f);
	case DEVLINK_CMD_PORT_DEL:
		if (port == NULL)
			return ENODEV;
		forget_port(d, port);
		return 0;
	case DEVLINK_CMD_PORT_SET:
		return change_function(d, f);
	case DEVLINK_CMD_PARAM_SET:
		return change_param(d, f);
	case DEVLINK_CMD_RELOAD:
		port = requested_aux(d, f);
		port->is_vdpa = port->vnet;
		tell_mgmtdevs(d);
		return 0;
	case DEVLINK_CMD_RATE_SET:
		if (port == NULL)
			return ENODEV;
		port->rate_octets = mnl_attr_get_u64(find(f, DEVLINK_ATTR_RATE_TX_MAX));
		return 0;
	default:
		return EOPNOTSUPP;
	}
}

static int question(struct fake_devlink *d, struct fake_netlink *f, uint8_t command) {
	const struct fake_port *port = requested_port(d, f);
	struct nlmsghdr *message;
	const bool *param;
	uint8_t when;

	switch (command) {
	case DEVLINK_CMD_ESWITCH_GET:
		if (!d->has_eswitch)
			return EOPNOTSUPP;
		message = begin(f, command);
		mnl_attr_put_u16(message, DEVLINK_ATTR_ESWITCH_MODE, d->mode);
		fake_end(f, message);
		return 0;
	case DEVLINK_CMD_PORT_GET:
		if (port == NULL)
			return ENODEV;
		reply_port(d, f, port);
		return 0;
	case DEVLINK_CMD_PARAM_GET:
		param = param_of(d, f, &when);
		if (param == NULL)
			return EINVAL;
		reply_param(f, *param, when);
		return 0;
	case DEVLINK_CMD_RATE_GET:
		if (port == NULL)
			return ENODEV;
		message = begin(f, DEVLINK_CMD_RATE_NEW);
		mnl_attr_put_u64(message, DEVLINK_ATTR_RATE_TX_MAX, port->rate_octets);
		fake_end(f, message);
		return 0;
	default:
		return -1;
	}
}

static void on_request(struct fake_netlink *f, void *ctx) {
	const struct nlmsghdr *request = (const struct nlmsghdr *)f->request;
	uint8_t command = ((const struct genlmsghdr *)mnl_nlmsg_get_payload(request))->cmd;
	struct fake_devlink *d = ctx;
	int error;

	if (request->nlmsg_type == GENL_ID_CTRL) {
		fake_family(f, DEVLINK_ATTR_MAX, ALL_OPS);
		return;
	}
	if ((request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) {
		for (size_t i = 0; i < FAKE_PORTS_MAX; i++)
			if (d->ports[i].index != 0)
				reply_port(d, f, &d->ports[i]);
		fake_done(f);
		return;
	}
	error = question(d, f, command);
	if (error < 0) {
		d->n_changes++;
		if (d->fail_at != 0 &&
		    (d->n_changes == d->fail_at || (d->n_changes > d->fail_at && d->fail_from_there)
		    )) {
			fake_refuse(f, EIO, "mlx5_core: the firmware says no");
			return;
		}
		error = change(d, f, command);
	}
	fake_refuse(f, error, NULL);
}

static int open_fake(void *userdata, struct nl_socket **ret_nl) {
	struct fake_netlink *f = fake_netlink_new();

	f->on_request = on_request;
	f->ctx = userdata;
	return nl_socket_new(&f->base, &devlink_family, ret_nl);
}

void fake_devlink_init(struct fake_devlink *d) {
	*d = (struct fake_devlink){.has_eswitch = true};
	fake_vdpa_init(&d->v);
	fake_file(&d->v.sysfs, PF_PATH "/uevent", "");
	fake_file(&d->v.sysfs, PF_PATH "/sriov_totalvfs", "8\n");
	fake_file(&d->v.sysfs, PF_PATH "/sriov_numvfs", "0\n");
	fake_file(&d->v.sysfs, PF_PATH "/sriov_drivers_autoprobe", "1\n");
	fake_file(&d->v.sysfs, "sys/bus/pci/drivers_probe", "");
	fake_link(
		&d->v.sysfs, "sys/bus/pci/devices/" FAKE_PF, "../../../devices/pci0000:3a/" FAKE_PF
	);
	d->kernel = (struct nic_kernel
	){.vdpa = &d->v.kernel, .open_devlink = open_fake, .userdata = d, .patience_ms = 200};
}

void fake_devlink_done(struct fake_devlink *d) {
	for (size_t i = 0; i < FAKE_PORTS_MAX; i++)
		if (d->ports[i].index != 0)
			forget_port(d, &d->ports[i]);
	fake_vdpa_done(&d->v);
}
