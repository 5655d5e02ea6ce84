// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/netlink/fake_vdpa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/vdpa_fixture.h"

#define MAX_ATTR 37

struct fake_vdpa_dev *fake_vdpa_find(struct fake_vdpa *v, const char *name) {
	for (size_t i = 0; i < FAKE_VDPA_MAX; i++)
		if (v->devs[i].name[0] != 0 && strcmp(v->devs[i].name, name) == 0)
			return &v->devs[i];
	return NULL;
}

struct fake_vdpa_dev *fake_vdpa_add(
	struct fake_vdpa *v, const char *bus, const char *dev, const char *name
) {
	unsigned int node = 0;

	while (v->devs[node].name[0] != 0)
		assert_in_range(++node, 1, FAKE_VDPA_MAX - 1);
	v->devs[node] = (struct fake_vdpa_dev){.node = node};
	snprintf(v->devs[node].name, sizeof(v->devs[node].name), "%s", name);
	snprintf(v->devs[node].bus, sizeof(v->devs[node].bus), "%s", bus);
	snprintf(v->devs[node].dev, sizeof(v->devs[node].dev), "%s", dev);
	if (strchr(name, '/') != NULL)
		return &v->devs[node];
	fake_vdpa_dev(&v->sysfs, name, v->driver);
	if (strcmp(v->driver, "vhost_vdpa") == 0)
		fake_chardev(&v->sysfs, name, node, &v->devs[node].terminal);
	return &v->devs[node];
}

static void remove_dev(struct fake_vdpa *v, struct fake_vdpa_dev *dev) {
	char command[512];

	// The kernel removes its node by its own name.
	snprintf(
		command, sizeof(command), "rm -rf '%s/bus/vdpa/devices/%s' '%s/vhost-vdpa-%u'",
		v->sysfs.sys, dev->name, v->sysfs.dev, dev->node
	);
	assert_int_equal(system(command), 0);
	if (dev->terminal.path[0] != 0)
		fake_terminal_done(&dev->terminal);
	*dev = (struct fake_vdpa_dev){0};
}

// ---- Replies ------------------------------------------------------------------------------------

static const struct nlattr *find(const struct fake_netlink *f, uint16_t type) {
	const struct nlmsghdr *message = (const struct nlmsghdr *)f->request;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, message, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static const char *find_str(const struct fake_netlink *f, uint16_t type) {
	const struct nlattr *attr = find(f, type);

	return attr == NULL ? "" : mnl_attr_get_str(attr);
}

static void reply_dev(struct fake_netlink *f, const struct fake_vdpa_dev *dev) {
	struct nlmsghdr *message = fake_begin_genl(f, VDPA_CMD_DEV_NEW, 0);

	mnl_attr_put_strz(message, VDPA_ATTR_DEV_NAME, dev->name);
	if (dev->bus[0] != 0)
		mnl_attr_put_strz(message, VDPA_ATTR_MGMTDEV_BUS_NAME, dev->bus);
	mnl_attr_put_strz(message, VDPA_ATTR_MGMTDEV_DEV_NAME, dev->dev);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_ID, 1);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_MAX_VQS, 3);
	fake_end(f, message);
}

static void reply_config(struct fake_netlink *f, const struct fake_vdpa_dev *dev) {
	struct nlmsghdr *message = fake_begin_genl(f, VDPA_CMD_DEV_CONFIG_GET, 0);

	mnl_attr_put_strz(message, VDPA_ATTR_DEV_NAME, dev->name);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_ID, 1);
	if (dev->has_mac)
		mnl_attr_put(message, VDPA_ATTR_DEV_NET_CFG_MACADDR, 6, dev->mac);
	if (dev->mtu_bytes != 0)
		mnl_attr_put_u16(message, VDPA_ATTR_DEV_NET_CFG_MTU, (uint16_t)dev->mtu_bytes);
	if (dev->queue_pairs != 0)
		mnl_attr_put_u16(
			message, VDPA_ATTR_DEV_NET_CFG_MAX_VQP, (uint16_t)dev->queue_pairs
		);
	if (dev->features != 0)
		mnl_attr_put_u64(message, VDPA_ATTR_DEV_FEATURES, dev->features);
	if (dev->negotiated != 0)
		mnl_attr_put_u64(message, VDPA_ATTR_DEV_NEGOTIATED_FEATURES, dev->negotiated);
	fake_end(f, message);
}

static void reply_mgmtdev(
	struct fake_netlink *f, const char *bus, const char *dev, uint64_t classes
) {
	struct nlmsghdr *message = fake_begin_genl(f, VDPA_CMD_MGMTDEV_NEW, 0);

	if (bus[0] != 0)
		mnl_attr_put_strz(message, VDPA_ATTR_MGMTDEV_BUS_NAME, bus);
	mnl_attr_put_strz(message, VDPA_ATTR_MGMTDEV_DEV_NAME, dev);
	mnl_attr_put_u64(message, VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES, classes);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_MGMTDEV_MAX_VQS, 3);
	mnl_attr_put_u64(message, VDPA_ATTR_DEV_SUPPORTED_FEATURES, 0x300010028);
	fake_end(f, message);
}

// Each ring counts what it received: 100 times its number.
static void reply_stats(struct fake_netlink *f, const struct fake_vdpa_dev *dev) {
	uint32_t ring = mnl_attr_get_u32(find(f, VDPA_ATTR_DEV_QUEUE_INDEX));
	struct nlmsghdr *message = fake_begin_genl(f, VDPA_CMD_DEV_VSTATS_GET, 0);

	mnl_attr_put_strz(message, VDPA_ATTR_DEV_NAME, dev->name);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_QUEUE_INDEX, ring);
	mnl_attr_put_strz(message, VDPA_ATTR_DEV_VENDOR_ATTR_NAME, "received_desc");
	mnl_attr_put_u64(message, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, 100 * ring);
	fake_end(f, message);
}

// ---- Requests -----------------------------------------------------------------------------------

static void make(struct fake_vdpa *v, struct fake_netlink *f) {
	const struct nlattr *mac = find(f, VDPA_ATTR_DEV_NET_CFG_MACADDR);
	const struct nlattr *mtu = find(f, VDPA_ATTR_DEV_NET_CFG_MTU);
	const struct nlattr *pairs = find(f, VDPA_ATTR_DEV_NET_CFG_MAX_VQP);
	const struct nlattr *features = find(f, VDPA_ATTR_DEV_FEATURES);
	struct fake_vdpa_dev *dev = fake_vdpa_add(
		v, find_str(f, VDPA_ATTR_MGMTDEV_BUS_NAME), find_str(f, VDPA_ATTR_MGMTDEV_DEV_NAME),
		find_str(f, VDPA_ATTR_DEV_NAME)
	);

	dev->has_mac = mac != NULL;
	if (mac != NULL)
		memcpy(dev->mac, mnl_attr_get_payload(mac), sizeof(dev->mac));
	dev->mtu_bytes = mtu == NULL ? 0 : mnl_attr_get_u16(mtu);
	dev->queue_pairs = pairs == NULL ? 0 : mnl_attr_get_u16(pairs);
	dev->features = features == NULL ? 0 : mnl_attr_get_u64(features);
	fake_ack(f);
}

static void dump(struct fake_vdpa *v, struct fake_netlink *f, uint8_t command) {
	size_t left_out = v->left_out;

	if (command == VDPA_CMD_MGMTDEV_GET) {
		reply_mgmtdev(f, "", "vdpasim_net", 1 << 1);
		reply_mgmtdev(f, "", "vdpasim_blk", 1 << 2);
		reply_mgmtdev(f, "pci", "0000:00:10.0", 1 << 1);
		for (size_t i = 0; i < v->n_extra; i++)
			reply_mgmtdev(f, v->extra[i].bus, v->extra[i].dev, 1 << 1);
	}
	for (size_t i = 0; i < FAKE_VDPA_MAX && command == VDPA_CMD_DEV_GET; i++)
		if (v->devs[i].dev[0] != 0 && (left_out == 0 || left_out-- == 0))
			reply_dev(f, &v->devs[i]);
	fake_done(f);
}

static void serve(struct fake_vdpa *v, struct fake_netlink *f, uint8_t command) {
	struct fake_vdpa_dev *dev = fake_vdpa_find(v, find_str(f, VDPA_ATTR_DEV_NAME));

	if (command == VDPA_CMD_DEV_NEW) {
		make(v, f);
		return;
	}
	if (dev == NULL) {
		fake_refuse(f, ENODEV, "vdpa: device not found");
		return;
	}
	if (dev->dev[0] == 0) {
		fake_refuse(f, EINVAL, "vdpa: unmanaged vdpa device");
		return;
	}
	if (command == VDPA_CMD_DEV_GET)
		reply_dev(f, dev);
	else if (command == VDPA_CMD_DEV_CONFIG_GET)
		reply_config(f, dev);
	else if (command == VDPA_CMD_DEV_VSTATS_GET)
		reply_stats(f, dev);
	else
		remove_dev(v, dev);
	fake_ack(f);
}

static void on_request(struct fake_netlink *f, void *ctx) {
	const struct nlmsghdr *message = (const struct nlmsghdr *)f->request;
	uint8_t command = ((const struct genlmsghdr *)mnl_nlmsg_get_payload(message))->cmd;
	struct fake_vdpa *v = ctx;

	if (message->nlmsg_type == GENL_ID_CTRL) {
		if (v->absent)
			fake_refuse(f, ENOENT, NULL);
		else
			fake_family(f, MAX_ATTR, OPS_6_12);
		return;
	}
	v->n_sent[command]++;
	if (command == v->hang_command) {
		sem_post(&v->hanging);
		sem_wait(&v->gate);
	}
	if (command == v->refuse_command)
		fake_refuse(f, v->refuse_error, v->refuse_text);
	else if ((message->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
		dump(v, f, command);
	else
		serve(v, f, command);
}

static int open_fake(void *userdata, struct nl_socket **ret_nl) {
	struct fake_netlink *f = fake_netlink_new();

	f->on_request = on_request;
	f->ctx = userdata;
	return nl_socket_new(&f->base, &vdpa_family, ret_nl);
}

void fake_vdpa_init(struct fake_vdpa *v) {
	*v = (struct fake_vdpa){.driver = "vhost_vdpa"};
	fake_sysfs_init(&v->sysfs);
	fake_file(&v->sysfs, "sys/bus/vdpa/drivers/vhost_vdpa/bind", "");
	fake_link(&v->sysfs, "sys/bus/pci/devices/0000:00:10.0/driver", "../../drivers/vp-vdpa");
	sem_init(&v->gate, 0, 0);
	sem_init(&v->hanging, 0, 0);
	v->kernel =
		(struct vdpa_kernel){.open = open_fake, .userdata = v, .roots = &v->sysfs.roots};
}

void fake_vdpa_done(struct fake_vdpa *v) {
	for (size_t i = 0; i < FAKE_VDPA_MAX; i++)
		if (v->devs[i].terminal.path[0] != 0)
			fake_terminal_done(&v->devs[i].terminal);
	fake_sysfs_done(&v->sysfs);
}
