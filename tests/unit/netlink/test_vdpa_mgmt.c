// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vdpa_mgmt.h"

#include <errno.h>
#include <string.h>

#include "netlink/vdpa_uapi.h"
#include "tests/unit/netlink/vdpa_fixture.h"

static struct mac_addr mac = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}};

static void reply_mgmtdev(struct fixture *x, const char *bus, const char *dev) {
	struct nlmsghdr *message = fake_begin_genl(x->fake, VDPA_CMD_MGMTDEV_NEW, NLM_F_MULTI);

	if (bus != NULL)
		mnl_attr_put_strz(message, VDPA_ATTR_MGMTDEV_BUS_NAME, bus);
	mnl_attr_put_strz(message, VDPA_ATTR_MGMTDEV_DEV_NAME, dev);
	mnl_attr_put(message, 0, 0, ""); // the kernel pads before what is 64 bits wide
	mnl_attr_put_u64(message, VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES, 2);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_MGMTDEV_MAX_VQS, 65);
	mnl_attr_put_u64(message, VDPA_ATTR_DEV_SUPPORTED_FEATURES, 0x300010028);
	fake_end(x->fake, message);
}

static void reply_dev_of(struct fixture *x, const char *name, const char *bus) {
	struct nlmsghdr *message = fake_begin_genl(x->fake, VDPA_CMD_DEV_NEW, NLM_F_MULTI);

	if (bus != NULL)
		mnl_attr_put_strz(message, VDPA_ATTR_MGMTDEV_BUS_NAME, bus);
	mnl_attr_put_strz(message, VDPA_ATTR_MGMTDEV_DEV_NAME, "vdpasim_net");
	mnl_attr_put_strz(message, VDPA_ATTR_DEV_NAME, name);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_ID, 1);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_VENDOR_ID, 0x15b3);
	mnl_attr_put_u32(message, VDPA_ATTR_DEV_MAX_VQS, 3);
	mnl_attr_put_u16(message, VDPA_ATTR_DEV_MAX_VQ_SIZE, 256);
	mnl_attr_put_u16(message, VDPA_ATTR_DEV_MIN_VQ_SIZE, 1);
	fake_end(x->fake, message);
}

static void reply_dev(struct fixture *x, const char *name) {
	reply_dev_of(x, name, NULL);
}

static void add_sends_all_that_is_asked_for(void **state) {
	struct fixture *x = *state;
	struct vdpa_dev_spec spec = {
		.name = "vd100n0g1",
		.mgmtdev = {.bus = (char *)"pci", .dev = (char *)"0000:3b:00.2"},
		.has_mac = true,
		.mac = mac,
		.mtu_bytes = 1500,
		.queue_pairs = 4,
		.has_features = true,
		.features = 0x300421020,
	};

	fake_done(x->fake);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_add(x->nl, &spec), 0);
	fake_assert_request(
		x->fake,
		"68000000 2300 0500 03000000 00000000 03 01 0000"
		"0800 0100 70636900"
		"1100 0200 303030303a33623a30302e3200 000000"
		"0e00 0400 76643130306e30673100 0000"
		"0a00 0a00 525400123456 0000"
		"0600 0d00 dc05 0000"
		"0600 0c00 0400 0000"
		"0c00 1400 2010420003000000"
	);
}

static void add_sends_nothing_that_is_not_asked_for(void **state) {
	struct fixture *x = *state;
	struct vdpa_dev_spec spec = {.name = "d0", .mgmtdev = {.dev = (char *)"vdpasim_net"}};

	fake_done(x->fake);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_add(x->nl, &spec), 0);
	fake_assert_request(
		x->fake,
		"2c000000 2300 0500 03000000 00000000 03 01 0000"
		"1000 0200 7664706173696d5f6e657400 0700 0400 643000 00"
	);
}

static void refused_add_keeps_the_kernels_words(void **state) {
	struct fixture *x = *state;
	struct vdpa_dev_spec spec = {
		.name = "d0", .mgmtdev = {.dev = (char *)"v"}, .queue_pairs = 2};

	fake_done(x->fake);
	fake_refuse(
		x->fake, EOPNOTSUPP, "vdpa: Some provided attributes are not supported: 0x1000"
	);
	assert_int_equal(vdpa_dev_add(x->nl, &spec), -EOPNOTSUPP);
	assert_string_equal(
		nl_socket_error_text(x->nl),
		"vdpa: Some provided attributes are not supported: 0x1000"
	);
}

// With vp_vdpa the request alone would do the damage.
static void add_that_must_fail_is_not_sent(void **state) {
	struct fixture *x = *state;
	struct vdpa_dev_spec taken = {.name = "d0", .mgmtdev = {.dev = (char *)"other"}};
	struct vdpa_dev_spec full = {
		.name = "d1", .mgmtdev = {.bus = (char *)"pci", .dev = (char *)"vdpasim_net"}};
	struct vdpa_dev_spec shared = {.name = "d1", .mgmtdev = {.dev = (char *)"vdpasim_net"}};

	reply_dev(x, "d0");
	fake_done(x->fake);
	assert_int_equal(vdpa_dev_add(x->nl, &taken), -EEXIST);
	assert_string_equal(nl_socket_error_text(x->nl), "a device of this name exists");
	fake_assert_request(x->fake, "14000000 2300 0103 02000000 00000000 05 01 0000");

	reply_dev_of(x, "d0", "pci");
	fake_done(x->fake);
	assert_int_equal(vdpa_dev_add(x->nl, &full), -ENOSPC);
	fake_assert_request(x->fake, "14000000 2300 0103 03000000 00000000 05 01 0000");

	// A management device of software has room.
	reply_dev(x, "d0");
	fake_done(x->fake);
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_add(x->nl, &shared), 0);

	// Who cannot look does not ask.
	fake_refuse(x->fake, EIO, NULL);
	assert_int_equal(vdpa_dev_add(x->nl, &shared), -EIO);
}

static void name_that_fits_no_request_is_refused(void **state) {
	struct fixture *x = *state;
	char name[5000];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(vdpa_dev_del(x->nl, name), -EMSGSIZE);
}

static void del_has_its_bytes(void **state) {
	struct fixture *x = *state;

	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_del(x->nl, "d0"), 0);
	fake_assert_request(
		x->fake, "1c000000 2300 0500 02000000 00000000 04 01 0000 0700 0400 643000 00"
	);
}

static void lists_are_dumps(void **state) {
	struct fixture *x = *state;
	_cleanup_mgmtdev_list_ struct vdpa_mgmtdev_list mgmtdevs = {0};
	_cleanup_dev_list_ struct vdpa_dev_list devs = {0};

	reply_mgmtdev(x, NULL, "vdpasim_net");
	reply_mgmtdev(x, "pci", "0000:3b:00.2");
	fake_done(x->fake);
	assert_int_equal(vdpa_mgmtdev_list(x->nl, &mgmtdevs), 0);
	fake_assert_request(x->fake, "14000000 2300 0103 02000000 00000000 02 01 0000");
	assert_int_equal(mgmtdevs.n_items, 2);
	assert_null(mgmtdevs.items[0].handle.bus);
	assert_string_equal(mgmtdevs.items[0].handle.dev, "vdpasim_net");
	assert_string_equal(mgmtdevs.items[1].handle.bus, "pci");
	assert_int_equal(mgmtdevs.items[1].max_vqs, 65);
	assert_int_equal(mgmtdevs.items[1].classes, 2);
	assert_int_equal(mgmtdevs.items[1].features, 0x300010028);

	reply_dev(x, "d0");
	reply_dev(x, "d1");
	fake_done(x->fake);
	assert_int_equal(vdpa_dev_list(x->nl, &devs), 0);
	fake_assert_request(x->fake, "14000000 2300 0103 03000000 00000000 05 01 0000");
	assert_int_equal(devs.n_items, 2);
	assert_string_equal(devs.items[1].name, "d1");
	assert_string_equal(devs.items[1].mgmtdev.dev, "vdpasim_net");
	assert_int_equal(devs.items[1].vendor_id, 0x15b3);
	assert_int_equal(devs.items[1].max_vqs, 3);
	assert_int_equal(devs.items[1].max_vq_size, 256);
	assert_int_equal(devs.items[1].min_vq_size, 1);
}

static void foreign_names_are_kept_whole(void **state) {
	struct fixture *x = *state;
	_cleanup_dev_list_ struct vdpa_dev_list devs = {0};
	char name[1000];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	reply_dev(x, name);
	reply_dev(x, "a!b");
	reply_dev(x, "");
	reply_dev(x, "\xff\n");
	fake_done(x->fake);
	assert_int_equal(vdpa_dev_list(x->nl, &devs), 0);
	assert_int_equal(devs.n_items, 4);
	assert_string_equal(devs.items[0].name, name);
	assert_string_equal(devs.items[1].name, "a!b");
	assert_string_equal(devs.items[3].name, "\xff\n");
}

static void device_without_a_management_device_is_listed(void **state) {
	struct fixture *x = *state;
	_cleanup_dev_list_ struct vdpa_dev_list devs = {0};
	struct nlmsghdr *message = fake_begin_genl(x->fake, VDPA_CMD_DEV_NEW, NLM_F_MULTI);

	mnl_attr_put_strz(message, VDPA_ATTR_DEV_NAME, "snet0");
	fake_end(x->fake, message);
	fake_done(x->fake);
	assert_int_equal(vdpa_dev_list(x->nl, &devs), 0);
	assert_null(devs.items[0].mgmtdev.dev);
	assert_int_equal(devs.items[0].max_vqs, 0);
}

static void failed_dump_returns_nothing_of_it(void **state) {
	struct fixture *x = *state;
	struct vdpa_dev_list devs = {0};

	reply_dev(x, "d0");
	fake_end(x->fake, fake_begin_genl(x->fake, VDPA_CMD_DEV_NEW, NLM_F_MULTI)); // no name
	reply_dev(x, "d1");
	fake_done(x->fake);
	assert_int_equal(vdpa_dev_list(x->nl, &devs), -EBADMSG);
	assert_null(devs.items);
}

static void reply_of_another_command_is_refused(void **state) {
	struct fixture *x = *state;
	struct vdpa_mgmtdev mgmtdev = {0};
	struct vdpa_dev dev = {0};

	reply_mgmtdev(x, NULL, "vdpasim_net");
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_get(x->nl, "d0", &dev), -EBADMSG);
	reply_dev(x, "d0");
	fake_ack(x->fake);
	assert_int_equal(
		vdpa_mgmtdev_get(x->nl, &(struct nl_handle){.dev = (char *)"v"}, &mgmtdev), -EBADMSG
	);
	assert_null(dev.name);
	assert_null(mgmtdev.handle.dev);
}

static void get_names_one(void **state) {
	struct fixture *x = *state;
	struct vdpa_mgmtdev mgmtdev;
	struct vdpa_dev dev;

	reply_dev(x, "d0");
	fake_ack(x->fake);
	assert_int_equal(vdpa_dev_get(x->nl, "d0", &dev), 0);
	fake_assert_request(
		x->fake, "1c000000 2300 0500 02000000 00000000 05 01 0000 0700 0400 643000 00"
	);
	assert_string_equal(dev.name, "d0");
	vdpa_dev_done(&dev);

	reply_mgmtdev(x, "pci", "0");
	fake_ack(x->fake);
	assert_int_equal(
		vdpa_mgmtdev_get(
			x->nl, &(struct nl_handle){.bus = (char *)"pci", .dev = (char *)"0"},
			&mgmtdev
		),
		0
	);
	fake_assert_request(
		x->fake,
		"24000000 2300 0500 03000000 00000000 02 01 0000"
		"0800 0100 70636900 0600 0200 3000 0000"
	);
	vdpa_mgmtdev_done(&mgmtdev);

	fake_refuse(x->fake, ENODEV, "vdpa: device not found");
	assert_int_equal(vdpa_dev_get(x->nl, "d0", &dev), -ENODEV);
}

// The attribute counts and operations that each kernel tells.
static void each_kernel_is_asked_only_for_what_it_has(void **state) {
	static const struct {
		uint32_t max_attr;
		const char *ops;
		bool config, mac_mtu, queue_pairs, stats, features;
	} kernels[] = {
		{9, OPS_5_12, false, false, false, false, false},
		{14, OPS_5_16, true, true, false, false, false},
		{17, OPS_5_16, true, true, true, false, false}, // 5.17
		{20, OPS_5_19, true, true, true, true, false},
		{22, OPS_5_19, true, true, true, true, true}, // 6.1
		{21, OPS_5_19, true, true, true, true, true}, // 6.2
		{37, OPS_6_12, true, true, true, true, true},
	};
	struct vdpa_dev_spec plain = {.name = "d", .mgmtdev = {.dev = (char *)"v"}};
	struct vdpa_vendor_stats stats;
	struct vdpa_net_config config;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
		struct fixture *x = vdpa_open_as(kernels[i].max_attr, kernels[i].ops);
		struct vdpa_dev_spec spec = plain;
		size_t n_requests = x->fake->n_requests;

		assert_int_equal(vdpa_can_get_config(x->nl), kernels[i].config);
		assert_int_equal(vdpa_can_add_with_mac_and_mtu(x->nl), kernels[i].mac_mtu);
		assert_int_equal(vdpa_can_add_with_queue_pairs(x->nl), kernels[i].queue_pairs);
		assert_int_equal(vdpa_can_get_stats(x->nl), kernels[i].stats);
		assert_int_equal(vdpa_can_add_with_features(x->nl), kernels[i].features);

		spec.has_features = true;
		if (!kernels[i].features)
			assert_int_equal(vdpa_dev_add(x->nl, &spec), -EOPNOTSUPP);
		spec = plain;
		spec.queue_pairs = 2;
		if (!kernels[i].queue_pairs)
			assert_int_equal(vdpa_dev_add(x->nl, &spec), -EOPNOTSUPP);
		spec = plain;
		spec.mtu_bytes = 1500;
		if (!kernels[i].mac_mtu)
			assert_int_equal(vdpa_dev_add(x->nl, &spec), -EOPNOTSUPP);
		if (!kernels[i].config)
			assert_int_equal(vdpa_dev_config_get(x->nl, "d", &config), -EOPNOTSUPP);
		if (!kernels[i].stats)
			assert_int_equal(vdpa_dev_stats_get(x->nl, "d", 0, &stats), -EOPNOTSUPP);
		assert_int_equal(x->fake->n_requests, n_requests);
		fixture_close(x);
	}
}

static void handles_divide_at_the_first_slash(void **state) {
	static const char *const bad[] = {"", "/", "/dev", "bus/"};
	struct nl_handle a, b;

	(void)state;
	assert_int_equal(nl_handle_parse("pci/0000:3b:00.2", &a), 0);
	assert_string_equal(a.bus, "pci");
	assert_string_equal(a.dev, "0000:3b:00.2");
	assert_int_equal(nl_handle_parse("vdpasim_net", &b), 0);
	assert_null(b.bus);
	assert_false(nl_handle_equal(&a, &b));
	assert_true(nl_handle_equal(&a, &a));
	nl_handle_done(&b);
	assert_int_equal(nl_handle_parse("auxiliary/a/b", &b), 0);
	assert_string_equal(b.dev, "a/b");
	nl_handle_done(&a);
	nl_handle_done(&b);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(nl_handle_parse(bad[i], &a), -EINVAL);
}

static void printed_names_are_printable_and_short(void **state) {
	char text[VDPA_PRINTED_NAME_SIZE], name[200];

	(void)state;
	assert_string_equal(vdpa_name_print("a!b", text), "a!b");
	assert_string_equal(vdpa_name_print("", text), "");
	assert_string_equal(vdpa_name_print("a b\\\n\xff", text), "a\\x20b\\x5c\\x0a\\xff");
	for (size_t len = 60; len < 70; len++) {
		memset(name, 'n', len);
		name[len] = 0;
		vdpa_name_print(name, text);
		if (len < VDPA_PRINTED_NAME_SIZE)
			assert_string_equal(text, name);
		else
			assert_string_equal(text + VDPA_PRINTED_NAME_SIZE - 4, "...");
		name[len - 1] = '\n';
		vdpa_name_print(name, text);
		assert_true(strlen(text) < VDPA_PRINTED_NAME_SIZE);
	}
}

int main(void) {
#define with_socket(f) cmocka_unit_test_setup_teardown(f, vdpa_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		with_socket(add_sends_all_that_is_asked_for),
		with_socket(add_sends_nothing_that_is_not_asked_for),
		with_socket(refused_add_keeps_the_kernels_words),
		with_socket(add_that_must_fail_is_not_sent),
		with_socket(name_that_fits_no_request_is_refused),
		with_socket(del_has_its_bytes),
		with_socket(lists_are_dumps),
		with_socket(foreign_names_are_kept_whole),
		with_socket(device_without_a_management_device_is_listed),
		with_socket(failed_dump_returns_nothing_of_it),
		with_socket(reply_of_another_command_is_refused),
		with_socket(get_names_one),
		cmocka_unit_test(each_kernel_is_asked_only_for_what_it_has),
		cmocka_unit_test(handles_divide_at_the_first_slash),
		cmocka_unit_test(printed_names_are_printable_and_short),
	};

	return cmocka_run_group_tests_name("vdpa_mgmt", tests, NULL, NULL);
}
