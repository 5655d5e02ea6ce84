// SPDX-License-Identifier: GPL-2.0-or-later
// What vdpa_mgmt reads of a device's configuration and counters, from kernels of several ages.
#include <errno.h>
#include <string.h>

#include "tests/unit/netlink/vdpa_fixture.h"

static struct mac_addr mac = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}};

static struct nlmsghdr *begin_config(struct fixture *x, uint32_t virtio_id) {
	struct nlmsghdr *message = fake_begin_genl(x->fake, VDPA_CMD_DEV_CONFIG_GET, 0);

	mnl_attr_put_strz(message, VDPA_ATTR_DEV_NAME, "d0");
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_ID, virtio_id);
	return message;
}

static void config_of_a_new_kernel_is_read(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = begin_config(x, 1);
	struct vdpa_net_config config;

	mnl_attr_put_u64(message, VDPA_ATTR_DEV_NEGOTIATED_FEATURES, 0x300000000);
	mnl_attr_put_u64(message, VDPA_ATTR_DEV_FEATURES, 0x300010028);
	mnl_attr_put(message, VDPA_ATTR_DEV_NET_CFG_MACADDR, 6, mac.octets);
	mnl_attr_put_u16(message, VDPA_ATTR_DEV_NET_CFG_MTU, 9000);
	mnl_attr_put_u16(message, VDPA_ATTR_DEV_NET_CFG_MAX_VQP, 4);
	mnl_attr_put_u16(message, VDPA_ATTR_DEV_NET_STATUS, 1); // not the u8 of the header
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_config_get(x->nl, "d0", &config), 0);
	fake_assert_request(
		x->fake, "1c000000 2300 0500 02000000 00000000 06 01 0000 0700 0400 643000 00"
	);
	assert_true(config.has_mac && mac_addr_equal(&config.mac, &mac));
	assert_true(config.has_mtu && config.mtu_bytes == 9000);
	assert_true(config.has_queue_pairs && config.queue_pairs == 4);
	assert_true(config.has_status && config.status == 1);
	assert_true(config.has_features && config.features == 0x300010028);
	assert_true(config.has_negotiated && config.negotiated == 0x300000000);
}

static void status_may_be_one_octet(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = begin_config(x, 1);
	struct vdpa_net_config config;

	mnl_attr_put_u8(message, VDPA_ATTR_DEV_NET_STATUS, 1);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_config_get(x->nl, "d0", &config), 0);
	assert_true(config.has_status && config.status == 1);
	assert_false(config.has_mac || config.has_mtu || config.has_negotiated);
}

static void features_of_linux_6_1_are_read_for_a_network_device_only(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = begin_config(x, 1);
	struct vdpa_net_config config = {0};

	mnl_attr_put_u64(message, VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES, 0x300000020);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_config_get(x->nl, "d0", &config), 0);
	assert_true(config.has_features && config.features == 0x300000020);

	// The same attribute of a block device is its capacity.
	message = begin_config(x, 2);
	mnl_attr_put_u64(message, VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES, 4096);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_config_get(x->nl, "d0", &config), -EPROTO);
	assert_int_equal(config.features, 0x300000020);
}

static struct nlmsghdr *begin_stats(struct fixture *x) {
	struct nlmsghdr *message = fake_begin_genl(x->fake, VDPA_CMD_DEV_VSTATS_GET, 0);

	mnl_attr_put_strz(message, VDPA_ATTR_DEV_NAME, "d0");
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_QUEUE_INDEX, 2);
	return message;
}

static void put_stat(struct nlmsghdr *message, const char *name, uint64_t value) {
	mnl_attr_put_strz(message, VDPA_ATTR_DEV_VENDOR_ATTR_NAME, name);
	mnl_attr_put(message, 0, 0, "");
	mnl_attr_put_u64(message, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, value);
}

static void vendor_stats_are_pairs(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = begin_stats(x);
	struct vdpa_vendor_stats stats;
	char name[200];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	put_stat(message, "received_desc", 1ULL << 40);
	put_stat(message, name, 7);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_stats_get(x->nl, "d0", 2, &stats), 0);
	fake_assert_request(
		x->fake,
		"24000000 2300 0500 02000000 00000000 07 01 0000"
		"0700 0400 643000 00 0800 1100 02000000"
	);
	assert_int_equal(stats.queue_index, 2);
	assert_int_equal(stats.n_stats, 2);
	assert_string_equal(stats.stats[0].name, "received_desc");
	assert_int_equal(stats.stats[0].value, 1ULL << 40);
	assert_int_equal(strlen(stats.stats[1].name), VDPA_VENDOR_STAT_NAME_SIZE - 1);
}

static void vendor_stats_without_a_name_or_too_many_are_refused(void **state) {
	struct fixture *x = *state;
	struct nlmsghdr *message = begin_stats(x);
	struct vdpa_vendor_stats stats;

	mnl_attr_put_u64(message, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, 1);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_stats_get(x->nl, "d0", 2, &stats), -EBADMSG);

	message = begin_stats(x);
	for (int i = 0; i <= VDPA_VENDOR_STATS_MAX; i++)
		put_stat(message, "n", 1);
	fake_end(x->fake, message);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_stats_get(x->nl, "d0", 2, &stats), -EOVERFLOW);
}

static void vendor_stats_before_negotiation_are_eagain(void **state) {
	struct fixture *x = *state;
	struct vdpa_vendor_stats stats;

	fake_refuse(x->fake, EAGAIN, "vdpa: feature negotiation not complete");
	assert_int_equal(vdpa_dev_stats_get(x->nl, "d0", 0, &stats), -EAGAIN);
}

int main(void) {
#define with_socket(f) cmocka_unit_test_setup_teardown(f, vdpa_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		with_socket(config_of_a_new_kernel_is_read),
		with_socket(status_may_be_one_octet),
		with_socket(features_of_linux_6_1_are_read_for_a_network_device_only),
		with_socket(vendor_stats_are_pairs),
		with_socket(vendor_stats_without_a_name_or_too_many_are_refused),
		with_socket(vendor_stats_before_negotiation_are_eagain),
	};

	return cmocka_run_group_tests_name("vdpa_config", tests, NULL, NULL);
}
