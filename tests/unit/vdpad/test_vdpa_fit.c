// SPDX-License-Identifier: GPL-2.0-or-later

#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "tests/unit/unit.h"
#include "vdpad/model/vdpa_fit.h"
#include "vdpad/util/ipc.h"

#define BIT(name) (UINT64_C(1) << (name))
#define TRANSPORT (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define TAKES_ALL                                                               \
	(IPC_VDPA_TAKES_MAC | IPC_VDPA_TAKES_MTU | IPC_VDPA_TAKES_QUEUE_PAIRS | \
	 IPC_VDPA_TAKES_FEATURES)

static struct mgmtdev_facts dev;
static struct port_spec spec;
static struct vdpa_fit fit;
static char reason[PORT_REASON_SIZE];

// All that portable-1 has, with room for eight queue pairs; a port that asks for little.
static int setup(void **state) {
	(void)state;
	dev = (struct mgmtdev_facts){
		.name = "pci/0000:3b:00.2",
		.driver = "mlx5_core",
		.takes = TAKES_ALL,
		.one_device = true,
		.features = profile_find("portable-1")->features | TRANSPORT,
		.max_vqs = 17,
	};
	spec = (struct port_spec){
		.name = "vm1",
		.mac = {{0x52, 0x54, 0, 0, 0, 1}},
		.mtu_bytes = 1500,
		.queue_pairs = 1,
		.profile = "portable-1",
	};
	return 0;
}

static bool fits(void) {
	return vdpa_fits(&dev, &spec, false, &fit, reason);
}

static void refuses(const char *sentence) {
	fit.features = 1;
	assert_false(fits());
	assert_string_equal(reason, sentence);
	assert_int_equal(fit.features, 1); // untouched
}

static void all_values_are_asked_for_where_they_are_taken(void **state) {
	(void)state;
	spec.mtu_bytes = 9000;
	spec.queue_pairs = 8;
	assert_true(fits());
	assert_true(fit.sends_mac);
	assert_int_equal(fit.mtu_bytes, 9000);
	assert_int_equal(fit.queue_pairs, 8);
	assert_int_equal(fit.features, dev.features);
	assert_int_equal(fit.missing, 0);
}

static void one_queue_pair_and_an_mtu_of_1500_need_no_feature(void **state) {
	(void)state;
	assert_true(fits());
	assert_int_equal(fit.mtu_bytes, 0);
	assert_int_equal(
		fit.features, dev.features & ~(BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_MTU))
	);
	dev.features &= ~(BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_MTU));
	assert_true(fits()); // exact as it is
}

static void queue_pairs_must_be_there(void **state) {
	(void)state;
	spec.queue_pairs = 9;
	refuses("pci/0000:3b:00.2 (driver mlx5_core) has 8 queue pairs, not 9");
	dev.max_vqs = 3;
	spec.queue_pairs = 2;
	refuses("pci/0000:3b:00.2 (driver mlx5_core) has 1 queue pair, not 2");
	dev.max_vqs = 0; // this kernel does not say
	assert_true(fits());
	dev.features &= ~BIT(VIRTIO_NET_F_MQ);
	refuses("pci/0000:3b:00.2 (driver mlx5_core) offers no more than one queue pair, not 2");
}

static void a_driver_without_queue_pairs_has_one_or_its_own(void **state) {
	(void)state;
	dev.takes &= ~IPC_VDPA_TAKES_QUEUE_PAIRS;
	assert_true(fits());
	assert_int_equal(fit.queue_pairs, 0);
	spec.queue_pairs = 8;
	assert_true(fits());
	assert_int_equal(fit.features & BIT(VIRTIO_NET_F_MQ), BIT(VIRTIO_NET_F_MQ));
	spec.queue_pairs = 4;
	refuses("pci/0000:3b:00.2 (driver mlx5_core) takes no number of queue pairs: it has 8, not "
	        "4");
}

static void a_driver_without_mac_keeps_its_own_unless_asked(void **state) {
	(void)state;
	dev.takes &= ~IPC_VDPA_TAKES_MAC;
	assert_true(fits());
	assert_false(fit.sends_mac);
	spec.keys = PORT_KEY_MAC;
	refuses("pci/0000:3b:00.2 (driver mlx5_core) takes no MAC address, so it cannot have "
	        "52:54:00:00:00:01: without key mac the port has the device's own");
	assert_true(vdpa_fits(&dev, &spec, true, &fit, reason)); // the function below has it
	assert_false(fit.sends_mac);
}

static void a_driver_without_mtu_has_1500(void **state) {
	(void)state;
	dev.takes &= ~IPC_VDPA_TAKES_MTU;
	assert_true(fits());
	assert_int_equal(fit.mtu_bytes, 0);
	spec.mtu_bytes = 9000;
	refuses("pci/0000:3b:00.2 (driver mlx5_core) takes no MTU: it has 1500, not 9000");
	spec.mtu_bytes = 1280;
	refuses("pci/0000:3b:00.2 (driver mlx5_core) takes no MTU: it has 1500, not 1280");
}

// The kernel would refuse it.
static void a_value_without_its_feature_is_not_sent(void **state) {
	(void)state;
	strcpy(spec.profile, "fast-1");
	dev.features &= ~(BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MAC));
	assert_true(fits());
	assert_false(fit.sends_mac);
	spec.mtu_bytes = 9000;
	refuses("pci/0000:3b:00.2 (driver mlx5_core) takes no MTU: it has 1500, not 9000");
}

static void a_portable_profile_is_exact(void **state) {
	(void)state;
	dev.features &= ~(BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_GUEST_TSO4));
	refuses("pci/0000:3b:00.2 (driver mlx5_core) lacks GUEST_TSO4, MRG_RXBUF of profile "
	        "portable-1, which is exact");
	dev.features = 0;
	refuses("pci/0000:3b:00.2 (driver mlx5_core): this kernel does not say which features it "
	        "has, so it cannot be one of profile portable-1");
}

static void access_platform_is_no_guests_business(void **state) {
	(void)state;
	dev.features &= ~BIT(VIRTIO_F_ACCESS_PLATFORM);
	assert_true(fits());
	assert_int_equal(fit.missing, 0);
	assert_int_equal(fit.features & BIT(VIRTIO_F_ACCESS_PLATFORM), 0);
}

static void a_fast_profile_takes_what_is_there_and_says_what_is_not(void **state) {
	(void)state;
	strcpy(spec.profile, "fast-1");
	dev.features |= BIT(30); // nobody asked for it
	assert_true(fits());
	assert_int_equal(fit.features & BIT(30), 0);
	assert_int_equal(
		fit.missing,
		profile_find("fast-1")->features & ~profile_find("portable-1")->features
	);
}

static void a_legacy_device_is_refused(void **state) {
	(void)state;
	strcpy(spec.profile, "fast-1");
	dev.features &= ~BIT(VIRTIO_F_VERSION_1);
	refuses("pci/0000:3b:00.2 (driver mlx5_core) offers no VERSION_1: it is a legacy device");
}

// VDUSE takes nothing; what its process offers is what there is.
static void a_driver_that_takes_nothing_is_asked_for_nothing(void **state) {
	(void)state;
	dev = (struct mgmtdev_facts){.name = "vduse", .features = TRANSPORT, .max_vqs = 2};
	strcpy(spec.profile, "fast-1");
	assert_true(fits());
	assert_int_equal(fit.features, 0);
	assert_false(fit.sends_mac);
	assert_int_equal(fit.mtu_bytes, 0);
	assert_int_equal(fit.queue_pairs, 0);
	spec.queue_pairs = 2;
	refuses("vduse has 1 queue pair, not 2");
}

static void an_unknown_profile_is_refused(void **state) {
	(void)state;
	strcpy(spec.profile, "old-9");
	refuses("pci/0000:3b:00.2 (driver mlx5_core): there is no profile 'old-9'");
}

static void features_are_named_and_the_rest_counted(void **state) {
	char text[64];

	(void)state;
	vdpa_features_print(0, text, sizeof(text));
	assert_string_equal(text, "");
	vdpa_features_print(BIT(0) | BIT(63), text, sizeof(text));
	assert_string_equal(text, "CSUM, SPEED_DUPLEX");
	vdpa_features_print(BIT(2) | BIT(52), text, sizeof(text));
	assert_string_equal(text, "CTRL_GUEST_OFFLOADS, bit 52");
	vdpa_features_print(0xff, text, 20); // cut, never over
	assert_true(strlen(text) < 20);
	vdpa_features_print(
		BIT(0) | BIT(1) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(11), text,
		sizeof(text)
	);
	assert_string_equal(text, "CSUM, GUEST_CSUM, MTU, MAC, GUEST_TSO4, GUEST_TSO6 and 2 more");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_values_are_asked_for_where_they_are_taken, setup),
		cmocka_unit_test_setup(one_queue_pair_and_an_mtu_of_1500_need_no_feature, setup),
		cmocka_unit_test_setup(queue_pairs_must_be_there, setup),
		cmocka_unit_test_setup(a_driver_without_queue_pairs_has_one_or_its_own, setup),
		cmocka_unit_test_setup(a_driver_without_mac_keeps_its_own_unless_asked, setup),
		cmocka_unit_test_setup(a_driver_without_mtu_has_1500, setup),
		cmocka_unit_test_setup(a_value_without_its_feature_is_not_sent, setup),
		cmocka_unit_test_setup(a_portable_profile_is_exact, setup),
		cmocka_unit_test_setup(access_platform_is_no_guests_business, setup),
		cmocka_unit_test_setup(
			a_fast_profile_takes_what_is_there_and_says_what_is_not, setup
		),
		cmocka_unit_test_setup(a_legacy_device_is_refused, setup),
		cmocka_unit_test_setup(a_driver_that_takes_nothing_is_asked_for_nothing, setup),
		cmocka_unit_test_setup(an_unknown_profile_is_refused, setup),
		cmocka_unit_test_setup(features_are_named_and_the_rest_counted, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
