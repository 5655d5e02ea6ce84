// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vdpa_mgmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/vdpa_uapi.h"
#include "vdpad/util/parse.h"

static const enum nl_kind vdpa_kinds[VDPA_ATTR_LAST + 1] = {
	[VDPA_ATTR_MGMTDEV_BUS_NAME] = NL_STR,
	[VDPA_ATTR_MGMTDEV_DEV_NAME] = NL_STR,
	[VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES] = NL_U64,
	[VDPA_ATTR_DEV_NAME] = NL_STR,
	[VDPA_ATTR_DEV_ID] = NL_U32,
	[VDPA_ATTR_DEV_VENDOR_ID] = NL_U32,
	[VDPA_ATTR_DEV_MAX_VQS] = NL_U32,
	[VDPA_ATTR_DEV_MAX_VQ_SIZE] = NL_U16,
	[VDPA_ATTR_DEV_MIN_VQ_SIZE] = NL_U16,
	[VDPA_ATTR_DEV_NET_CFG_MACADDR] = NL_MAC,
	[VDPA_ATTR_DEV_NET_STATUS] = NL_UINT,
	[VDPA_ATTR_DEV_NET_CFG_MAX_VQP] = NL_U16,
	[VDPA_ATTR_DEV_NET_CFG_MTU] = NL_U16,
	[VDPA_ATTR_DEV_NEGOTIATED_FEATURES] = NL_U64,
	[VDPA_ATTR_DEV_MGMTDEV_MAX_VQS] = NL_U32,
	[VDPA_ATTR_DEV_SUPPORTED_FEATURES] = NL_U64,
	[VDPA_ATTR_DEV_QUEUE_INDEX] = NL_U32,
	[VDPA_ATTR_DEV_VENDOR_ATTR_NAME] = NL_STR,
	[VDPA_ATTR_DEV_VENDOR_ATTR_VALUE] = NL_U64,
	[VDPA_ATTR_DEV_FEATURES] = NL_U64,
	[VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES] = NL_U64,
};

const struct nl_family vdpa_family = {
	.name = VDPA_GENL_NAME,
	.version = VDPA_GENL_VERSION,
	.table = {vdpa_kinds, ARRAY_LEN(vdpa_kinds)},
};

int vdpa_open(struct nl_socket **ret_nl) {
	int r = nl_in_initial_netns();

	if (r < 0 && r != -EACCES) // only who may look at process 1 can compare
		return r;
	if (r == 0)
		return -EXDEV;
	return nl_socket_open(&vdpa_family, ret_nl);
}

// Feature detection. Requests of old operations are not checked strictly: a kernel that does not know an
// attribute passes over it, and the device would lack what was asked for. So we look before we
// send. The family tells one more than its highest attribute; what it tells grew with Linux:
#define MAX_ATTR_5_16 14 // MAC and MTU at add
#define MAX_ATTR_5_17 17 // queue pairs at add

bool vdpa_can_get_config(const struct nl_socket *nl) {
	return nl_socket_has_op(nl, VDPA_CMD_DEV_CONFIG_GET);
}

bool vdpa_can_get_stats(const struct nl_socket *nl) {
	return nl_socket_has_op(nl, VDPA_CMD_DEV_VSTATS_GET);
}

bool vdpa_can_add_with_mac_and_mtu(const struct nl_socket *nl) {
	return nl_socket_max_attr(nl) >= MAX_ATTR_5_16;
}

bool vdpa_can_add_with_queue_pairs(const struct nl_socket *nl) {
	return nl_socket_max_attr(nl) >= MAX_ATTR_5_17;
}

bool vdpa_can_add_with_features(const struct nl_socket *nl) {
	return nl_socket_max_attr(nl) > VDPA_ATTR_DEV_FEATURES;
}

// Names and handles.

char *vdpa_name_print(const char *name, char text[static VDPA_PRINTED_NAME_SIZE]) {
	static const char more[] = "...";
	size_t len = 0, cut_at = 0;

	for (const char *c = name; *c != 0; c++) {
		bool plain = *c > ' ' && *c <= '~' && *c != '\\';
		size_t width = plain ? 1 : strlen("\\xNN");

		// Where to cut so that the dots fit, in case this does not.
		if (len + sizeof(more) <= VDPA_PRINTED_NAME_SIZE)
			cut_at = len;
		if (len + width >= VDPA_PRINTED_NAME_SIZE) {
			memcpy(text + cut_at, more, sizeof(more));
			return text;
		}
		if (plain)
			text[len] = *c;
		else
			snprintf(text + len, width + 1, "\\x%02x", (unsigned char)*c);
		len += width;
	}
	text[len] = 0;
	return text;
}

static void put_handle(struct nl_request *req, const struct nl_handle *handle) {
	if (handle->bus != NULL)
		nl_put_str(req, VDPA_ATTR_MGMTDEV_BUS_NAME, handle->bus);
	nl_put_str(req, VDPA_ATTR_MGMTDEV_DEV_NAME, handle->dev);
}

// Reading replies.

static int take_str(const struct nl_attrs *attrs, enum vdpa_attr type, char **ret_text) {
	if (attrs->by_type[type] == NULL)
		return 0;
	*ret_text = strdup(nl_str(attrs->by_type[type]));
	return *ret_text == NULL ? -ENOMEM : 0;
}

static uint64_t uint_or_0(const struct nl_attrs *attrs, enum vdpa_attr type) {
	return attrs->by_type[type] == NULL ? 0 : nl_uint(attrs->by_type[type]);
}

static int read_handle(const struct nl_attrs *attrs, struct nl_handle *ret_handle) {
	struct nl_handle handle = {0};
	int r;

	r = take_str(attrs, VDPA_ATTR_MGMTDEV_BUS_NAME, &handle.bus);
	if (r == 0)
		r = take_str(attrs, VDPA_ATTR_MGMTDEV_DEV_NAME, &handle.dev);
	if (r < 0) {
		nl_handle_done(&handle);
		return r;
	}
	*ret_handle = handle;
	return 0;
}

static int read_mgmtdev(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	struct vdpa_mgmtdev mgmtdev = {
		.classes = uint_or_0(attrs, VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES),
		.features = uint_or_0(attrs, VDPA_ATTR_DEV_SUPPORTED_FEATURES),
		.max_vqs = (uint32_t)uint_or_0(attrs, VDPA_ATTR_DEV_MGMTDEV_MAX_VQS),
	};
	int r;

	if (command != VDPA_CMD_MGMTDEV_NEW || attrs->by_type[VDPA_ATTR_MGMTDEV_DEV_NAME] == NULL)
		return -EBADMSG;
	r = read_handle(attrs, &mgmtdev.handle);
	if (r == 0)
		*(struct vdpa_mgmtdev *)ctx = mgmtdev;
	return r;
}

static int read_dev(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	struct vdpa_dev dev = {
		.virtio_id = (uint32_t)uint_or_0(attrs, VDPA_ATTR_DEV_ID),
		.vendor_id = (uint32_t)uint_or_0(attrs, VDPA_ATTR_DEV_VENDOR_ID),
		.max_vqs = (uint32_t)uint_or_0(attrs, VDPA_ATTR_DEV_MAX_VQS),
		.max_vq_size = (uint16_t)uint_or_0(attrs, VDPA_ATTR_DEV_MAX_VQ_SIZE),
		.min_vq_size = (uint16_t)uint_or_0(attrs, VDPA_ATTR_DEV_MIN_VQ_SIZE),
	};
	int r;

	if (command != VDPA_CMD_DEV_NEW || attrs->by_type[VDPA_ATTR_DEV_NAME] == NULL)
		return -EBADMSG;
	r = take_str(attrs, VDPA_ATTR_DEV_NAME, &dev.name);
	if (r == 0)
		r = read_handle(attrs, &dev.mgmtdev);
	if (r < 0) {
		vdpa_dev_done(&dev);
		return r;
	}
	*(struct vdpa_dev *)ctx = dev;
	return 0;
}

// Make room for one more of @size bytes in an array of @n.
static int grow(void *items, size_t n, size_t size) {
	void **array = items;
	void *larger;

	if (n >= VDPA_LIST_MAX)
		return -EOVERFLOW;
	larger = reallocarray(*array, n + 1, size);
	if (larger == NULL)
		return -ENOMEM;
	*array = larger;
	return 0;
}

static int collect_mgmtdev(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	struct vdpa_mgmtdev_list *list = ctx;
	int r = grow(&list->items, list->n_items, sizeof(*list->items));

	if (r == 0)
		r = read_mgmtdev(command, attrs, &list->items[list->n_items]);
	if (r == 0)
		list->n_items++;
	return r;
}

static int collect_dev(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	struct vdpa_dev_list *list = ctx;
	int r = grow(&list->items, list->n_items, sizeof(*list->items));

	if (r == 0)
		r = read_dev(command, attrs, &list->items[list->n_items]);
	if (r == 0)
		list->n_items++;
	return r;
}

static int read_config(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	const struct nlattr *const *by_type = attrs->by_type;
	struct vdpa_net_config config = {
		.has_mac = by_type[VDPA_ATTR_DEV_NET_CFG_MACADDR] != NULL,
		.has_mtu = by_type[VDPA_ATTR_DEV_NET_CFG_MTU] != NULL,
		.has_queue_pairs = by_type[VDPA_ATTR_DEV_NET_CFG_MAX_VQP] != NULL,
		.has_status = by_type[VDPA_ATTR_DEV_NET_STATUS] != NULL,
		.has_features = by_type[VDPA_ATTR_DEV_FEATURES] != NULL,
		.has_negotiated = by_type[VDPA_ATTR_DEV_NEGOTIATED_FEATURES] != NULL,
		.mtu_bytes = (uint16_t)uint_or_0(attrs, VDPA_ATTR_DEV_NET_CFG_MTU),
		.queue_pairs = (uint16_t)uint_or_0(attrs, VDPA_ATTR_DEV_NET_CFG_MAX_VQP),
		.status = (uint16_t)uint_or_0(attrs, VDPA_ATTR_DEV_NET_STATUS),
		.features = uint_or_0(attrs, VDPA_ATTR_DEV_FEATURES),
		.negotiated = uint_or_0(attrs, VDPA_ATTR_DEV_NEGOTIATED_FEATURES),
	};

	if (command != VDPA_CMD_DEV_CONFIG_GET)
		return -EBADMSG;
	if (uint_or_0(attrs, VDPA_ATTR_DEV_ID) != VDPA_VIRTIO_ID_NET)
		return -EPROTO;
	if (config.has_mac)
		config.mac = nl_mac(by_type[VDPA_ATTR_DEV_NET_CFG_MACADDR]);
	if (!config.has_features && by_type[VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES] != NULL) {
		config.has_features = true;
		config.features = nl_uint(by_type[VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES]);
	}
	*(struct vdpa_net_config *)ctx = config;
	return 0;
}

// Counters are pairs of attributes, the name first.
static int read_stats(uint8_t command, const struct nl_attrs *attrs, void *ctx) {
	struct vdpa_vendor_stats *stats = ctx;
	const struct nlattr *attr = NULL;
	const char *name = NULL;

	if (command != VDPA_CMD_DEV_VSTATS_GET || attrs->by_type[VDPA_ATTR_DEV_QUEUE_INDEX] == NULL)
		return -EBADMSG;
	stats->queue_index = (uint32_t)nl_uint(attrs->by_type[VDPA_ATTR_DEV_QUEUE_INDEX]);
	stats->n_stats = 0;

	while ((attr = nl_next(attrs, attr)) != NULL) {
		struct vdpa_vendor_stat *stat = &stats->stats[stats->n_stats];

		if (nl_type(attr) == VDPA_ATTR_DEV_VENDOR_ATTR_NAME) {
			name = nl_str(attr);
		} else if (nl_type(attr) == VDPA_ATTR_DEV_VENDOR_ATTR_VALUE) {
			if (name == NULL)
				return -EBADMSG;
			if (stats->n_stats == VDPA_VENDOR_STATS_MAX)
				return -EOVERFLOW;
			snprintf(stat->name, sizeof(stat->name), "%s", name);
			stat->value = nl_uint(attr);
			stats->n_stats++;
			name = NULL;
		}
	}
	return 0;
}

// Operations.

int vdpa_mgmtdev_list(struct nl_socket *nl, struct vdpa_mgmtdev_list *ret_list) {
	_cleanup_mgmtdev_list_ struct vdpa_mgmtdev_list list = {0};
	struct nl_request req;
	int r;

	nl_request_init(&req, nl, VDPA_CMD_MGMTDEV_GET);
	r = nl_request_dump(&req, collect_mgmtdev, &list);
	if (r < 0)
		return r;
	*ret_list = list;
	list = (struct vdpa_mgmtdev_list){0};
	return 0;
}

int vdpa_dev_list(struct nl_socket *nl, struct vdpa_dev_list *ret_list) {
	_cleanup_dev_list_ struct vdpa_dev_list list = {0};
	struct nl_request req;
	int r;

	nl_request_init(&req, nl, VDPA_CMD_DEV_GET);
	r = nl_request_dump(&req, collect_dev, &list);
	if (r < 0)
		return r;
	*ret_list = list;
	list = (struct vdpa_dev_list){0};
	return 0;
}

void vdpa_mgmtdev_done(struct vdpa_mgmtdev *mgmtdev) {
	nl_handle_done(&mgmtdev->handle);
}

void vdpa_dev_done(struct vdpa_dev *dev) {
	free(dev->name);
	dev->name = NULL;
	nl_handle_done(&dev->mgmtdev);
}

void vdpa_mgmtdev_list_done(struct vdpa_mgmtdev_list *list) {
	for (size_t i = 0; i < list->n_items; i++)
		vdpa_mgmtdev_done(&list->items[i]);
	free(list->items);
	*list = (struct vdpa_mgmtdev_list){0};
}

void vdpa_dev_list_done(struct vdpa_dev_list *list) {
	for (size_t i = 0; i < list->n_items; i++)
		vdpa_dev_done(&list->items[i]);
	free(list->items);
	*list = (struct vdpa_dev_list){0};
}

int vdpa_mgmtdev_get(
	struct nl_socket *nl, const struct nl_handle *handle, struct vdpa_mgmtdev *ret_mgmtdev
) {
	_cleanup_(vdpa_mgmtdev_done) struct vdpa_mgmtdev mgmtdev = {0};
	struct nl_request req;
	int r;

	nl_request_init(&req, nl, VDPA_CMD_MGMTDEV_GET);
	put_handle(&req, handle);
	r = nl_request_get(&req, read_mgmtdev, &mgmtdev);
	if (r < 0)
		return r;
	*ret_mgmtdev = mgmtdev;
	mgmtdev = (struct vdpa_mgmtdev){0};
	return 0;
}

int vdpa_dev_get(struct nl_socket *nl, const char *name, struct vdpa_dev *ret_dev) {
	_cleanup_(vdpa_dev_done) struct vdpa_dev dev = {0};
	struct nl_request req;
	int r;

	nl_request_init(&req, nl, VDPA_CMD_DEV_GET);
	nl_put_str(&req, VDPA_ATTR_DEV_NAME, name);
	r = nl_request_get(&req, read_dev, &dev);
	if (r < 0)
		return r;
	*ret_dev = dev;
	dev = (struct vdpa_dev){0};
	return 0;
}

// The driver vp_vdpa forgets its first device when it is asked for a second one, even in vain, even by
// the same name; deleting the first then crashes in the kernel with the family's lock held. So what
// the kernel would refuse is not asked for. A function of a bus has one device with every driver; only
// management devices of software have more.
static int check_room(struct nl_socket *nl, const struct vdpa_dev_spec *spec) {
	_cleanup_dev_list_ struct vdpa_dev_list list = {0};
	int r;

	r = vdpa_dev_list(nl, &list);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n_items; i++) {
		if (strcmp(list.items[i].name, spec->name) == 0)
			return nl_socket_refuse(nl, EEXIST, "a device of this name exists");
		if (spec->mgmtdev.bus != NULL &&
		    nl_handle_equal(&list.items[i].mgmtdev, &spec->mgmtdev))
			return nl_socket_refuse(
				nl, ENOSPC, "the management device has a device already"
			);
	}
	return 0;
}

int vdpa_dev_add(struct nl_socket *nl, const struct vdpa_dev_spec *spec) {
	struct nl_request req;
	int r;

	if ((spec->has_mac || spec->mtu_bytes != 0) && !vdpa_can_add_with_mac_and_mtu(nl))
		return nl_socket_refuse(
			nl, EOPNOTSUPP, "MAC and MTU of a new device need Linux 5.16"
		);
	if (spec->queue_pairs != 0 && !vdpa_can_add_with_queue_pairs(nl))
		return nl_socket_refuse(
			nl, EOPNOTSUPP, "queue pairs of a new device need Linux 5.17"
		);
	if (spec->has_features && !vdpa_can_add_with_features(nl))
		return nl_socket_refuse(nl, EOPNOTSUPP, "features of a new device need Linux 6.1");
	r = check_room(nl, spec);
	if (r < 0)
		return r;

	nl_request_init(&req, nl, VDPA_CMD_DEV_NEW);
	put_handle(&req, &spec->mgmtdev);
	nl_put_str(&req, VDPA_ATTR_DEV_NAME, spec->name);
	if (spec->has_mac)
		nl_put_mac(&req, VDPA_ATTR_DEV_NET_CFG_MACADDR, &spec->mac);
	if (spec->mtu_bytes != 0)
		nl_put_u16(&req, VDPA_ATTR_DEV_NET_CFG_MTU, spec->mtu_bytes);
	if (spec->queue_pairs != 0)
		nl_put_u16(&req, VDPA_ATTR_DEV_NET_CFG_MAX_VQP, spec->queue_pairs);
	if (spec->has_features)
		nl_put_u64(&req, VDPA_ATTR_DEV_FEATURES, spec->features);
	return nl_request_run(&req);
}

int vdpa_dev_del(struct nl_socket *nl, const char *name) {
	struct nl_request req;

	nl_request_init(&req, nl, VDPA_CMD_DEV_DEL);
	nl_put_str(&req, VDPA_ATTR_DEV_NAME, name);
	return nl_request_run(&req);
}

int vdpa_dev_config_get(
	struct nl_socket *nl, const char *name, struct vdpa_net_config *ret_config
) {
	struct nl_request req;

	if (!vdpa_can_get_config(nl))
		return nl_socket_refuse(
			nl, EOPNOTSUPP, "reading the configuration needs Linux 5.16"
		);
	nl_request_init(&req, nl, VDPA_CMD_DEV_CONFIG_GET);
	nl_put_str(&req, VDPA_ATTR_DEV_NAME, name);
	return nl_request_get(&req, read_config, ret_config);
}

int vdpa_dev_stats_get(
	struct nl_socket *nl, const char *name, uint32_t queue_index,
	struct vdpa_vendor_stats *ret_stats
) {
	struct nl_request req;

	if (!vdpa_can_get_stats(nl))
		return nl_socket_refuse(nl, EOPNOTSUPP, "vendor statistics need Linux 5.19");
	nl_request_init(&req, nl, VDPA_CMD_DEV_VSTATS_GET);
	nl_put_str(&req, VDPA_ATTR_DEV_NAME, name);
	nl_put_u32(&req, VDPA_ATTR_DEV_QUEUE_INDEX, queue_index);
	return nl_request_get(&req, read_stats, ret_stats);
}
