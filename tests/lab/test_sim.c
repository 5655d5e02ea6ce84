// SPDX-License-Identifier: GPL-2.0-or-later
// The whole family against the kernel's own simulator, vdpa_sim_net.

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netlink/uevent.h"
#include "netlink/vdpa_delete.h"
#include "tests/lab/lab.h"

#define MANY_DEVICES 150
#define DUMPS 60
#define NOBODY 65534

static const struct mac_addr mac = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}};

static int setup(void **state) {
	*state = lab_open();
	return 0;
}

static int teardown(void **state) {
	nl_socket_close(*state);
	return 0;
}

static void family_of_this_kernel_has_everything(void **state) {
	assert_true(vdpa_can_get_config(*state));
	assert_true(vdpa_can_get_stats(*state));
	assert_true(vdpa_can_add_with_mac_and_mtu(*state));
	assert_true(vdpa_can_add_with_queue_pairs(*state));
	assert_true(vdpa_can_add_with_features(*state));
	assert_int_equal(nl_socket_max_attr(*state), 37);
}

static void management_device_is_listed(void **state) {
	_cleanup_mgmtdev_list_ struct vdpa_mgmtdev_list list = {0};
	struct vdpa_mgmtdev one;

	assert_int_equal(vdpa_mgmtdev_list(*state, &list), 0);
	assert_int_equal(list.n_items, 1);
	assert_null(list.items[0].handle.bus);
	assert_string_equal(list.items[0].handle.dev, "vdpasim_net");
	assert_int_equal(list.items[0].classes, 1 << 1);
	assert_int_equal(list.items[0].max_vqs, 3);
	assert_true(list.items[0].features & LAB_FEATURE_MTU);
	assert_true(list.items[0].features & LAB_FEATURE_VERSION_1);

	assert_int_equal(vdpa_mgmtdev_get(*state, &list.items[0].handle, &one), 0);
	assert_int_equal(one.features, list.items[0].features);
	vdpa_mgmtdev_done(&one);
}

static void device_is_what_was_asked_for(void **state) {
	struct vdpa_dev_spec spec = lab_spec("asked", "vdpasim_net");
	struct vdpa_net_config config;
	struct vdpa_dev dev;

	spec.has_mac = true;
	spec.mac = mac;
	spec.mtu_bytes = 1400;
	spec.has_features = true;
	spec.features = LAB_FEATURE_MAC | LAB_FEATURE_MTU | LAB_FEATURE_VERSION_1 |
		LAB_FEATURE_ACCESS_PLATFORM;
	assert_int_equal(vdpa_dev_add(*state, &spec), 0);

	assert_int_equal(vdpa_dev_get(*state, "asked", &dev), 0);
	assert_string_equal(dev.mgmtdev.dev, "vdpasim_net");
	assert_int_equal(dev.virtio_id, 1);
	assert_int_equal(dev.max_vqs, 3);
	vdpa_dev_done(&dev);

	assert_int_equal(vdpa_dev_config_get(*state, "asked", &config), 0);
	assert_true(config.has_mac && mac_addr_equal(&config.mac, &mac));
	assert_true(config.has_mtu && config.mtu_bytes == 1400);
	assert_true(config.has_features && config.features == spec.features);
	assert_false(config.has_negotiated);
	lab_delete(*state, "asked");
}

static void refusals_carry_the_kernels_words(void **state) {
	static const struct {
		const char *name, *handle;
		uint16_t mtu_bytes, queue_pairs;
		bool has_mac, has_features;
		uint64_t features;
		int error;
		const char *text;
	} refused[] = {
		{.name = "taken",
	         .handle = "vdpasim_net",
	         .error = EEXIST,
	         .text = "a device of this name exists"},
		{.name = "x",
	         .handle = "nosuch",
	         .error = ENODEV,
	         .text = "vdpa: Fail to find the specified management device"},
		{.name = "x",
	         .handle = "pci/vdpasim_net",
	         .error = ENODEV,
	         .text = "vdpa: Fail to find the specified management device"},
		{.name = "x",
	         .handle = "vdpasim_net",
	         .queue_pairs = 2,
	         .error = EOPNOTSUPP,
	         .text = "vdpa: Some provided attributes are not supported: 0x1000"},
		{.name = "x",
	         .handle = "vdpasim_net",
	         .mtu_bytes = 10,
	         .error = ERANGE,
	         .text = "integer out of range"},
		{.name = "x",
	         .handle = "vdpasim_net",
	         .has_mac = true,
	         .has_features = true,
	         .features = LAB_FEATURE_VERSION_1,
	         .error = EINVAL,
	         .text = "vdpa: Missing features 0x20 for provided attributes"},
		{.name = "x",
	         .handle = "vdpasim_net",
	         .has_features = true,
	         .features = 1ULL << 22,
	         .error = EINVAL,
	         .text = ""},
	};

	lab_add(*state, "taken");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct vdpa_dev_spec spec = lab_spec(refused[i].name, refused[i].handle);

		spec.mtu_bytes = refused[i].mtu_bytes;
		spec.queue_pairs = refused[i].queue_pairs;
		spec.has_mac = refused[i].has_mac;
		spec.mac = mac;
		spec.has_features = refused[i].has_features;
		spec.features = refused[i].features;
		assert_int_equal(vdpa_dev_add(*state, &spec), -refused[i].error);
		// Some kernels end the sentence with a full stop.
		assert_memory_equal(
			nl_socket_error_text(*state), refused[i].text, strlen(refused[i].text)
		);
	}
	lab_delete(*state, "taken");
}

static void names_that_are_not_there_are_enodev(void **state) {
	struct vdpa_vendor_stats stats;
	struct vdpa_net_config config;
	struct vhost_holder holder;
	struct vdpa_dev dev;

	assert_int_equal(vdpa_dev_get(*state, "nosuch", &dev), -ENODEV);
	assert_non_null(strstr(nl_socket_error_text(*state), "device not found"));
	assert_int_equal(vdpa_dev_config_get(*state, "nosuch", &config), -ENODEV);
	assert_int_equal(vdpa_dev_stats_get(*state, "nosuch", 0, &stats), -ENODEV);
	assert_int_equal(vdpa_dev_del(*state, "nosuch"), -ENODEV);
	assert_int_equal(vdpa_delete(*state, &vhost_host_roots, "nosuch", &holder), 0);
}

static void vendor_stats_need_a_guest(void **state) {
	uint64_t features = LAB_FEATURE_VERSION_1 | LAB_FEATURE_ACCESS_PLATFORM;
	struct vdpa_vendor_stats stats;
	struct vdpa_net_config config;
	int fd;

	lab_add(*state, "stats");
	assert_int_equal(vdpa_dev_stats_get(*state, "stats", 0, &stats), -EAGAIN);
	assert_non_null(strstr(nl_socket_error_text(*state), "feature negotiation not complete"));

	fd = lab_open_chardev("stats");
	assert_true(fd >= 0);
	lab_negotiate(fd, features);
	assert_int_equal(vdpa_dev_config_get(*state, "stats", &config), 0);
	assert_true(config.has_negotiated && config.negotiated == features);
	assert_int_equal(vdpa_dev_stats_get(*state, "stats", 0, &stats), 0);
	assert_true(stats.n_stats >= 2);
	assert_string_equal(stats.stats[0].name, "rx packets");
	assert_int_equal(stats.stats[0].value, 0);
	assert_true(vdpa_dev_stats_get(*state, "stats", 70000, &stats) < 0);
	close(fd);
	lab_delete(*state, "stats");
}

static void foreign_names_are_listed_and_survive_us(void **state) {
	static const char *const asked[] = {
		"a/b",
		"d 5",
		"..",
		"\xff\xfe",
		"n123456789012345678901234567890123456789012345678901234567890123456789",
	};
	static const char *const told[] = {
		"a!b",
		"d 5",
		"..",
		"\xff\xfe",
		"n123456789012345678901234567890123456789012345678901234567890123456789",
	};
	struct vhost_holder holder;

	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		lab_add(*state, asked[i]);
	lab_add(*state, "ours");
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		assert_true(lab_list_has(*state, told[i]));
	lab_delete(*state, "ours");
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		assert_true(lab_list_has(*state, told[i]));

	// What cannot be looked up in sysfs is not deleted; the rest can be.
	assert_int_equal(vdpa_delete(*state, &vhost_host_roots, "..", &holder), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		if (strcmp(told[i], "..") != 0)
			lab_delete(*state, told[i]);
	assert_int_equal(vdpa_dev_del(*state, ".."), 0);
}

static void character_device_is_the_owners_alone(void **state) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;
	struct stat st;
	char path[64];
	int fd;

	lab_add(*state, "node");
	assert_int_equal(vhost_chardev_find(&vhost_host_roots, "node", &chardev), 0);
	assert_int_equal(vhost_chardev_set_owner(&chardev, NOBODY, NOBODY), 0);
	snprintf(path, sizeof(path), "/dev/%s", chardev.node_name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_rdev, chardev.number);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, NOBODY);

	// One opener at a time.
	fd = lab_open_chardev("node");
	assert_true(fd >= 0);
	assert_int_equal(lab_open_chardev("node"), -EBUSY);
	close(fd);
	vhost_chardev_done(&chardev);
	lab_delete(*state, "node");
	assert_int_equal(access(path, F_OK), -1);
}

static void numbers_are_used_again_and_found_again(void **state) {
	_cleanup_chardev_ struct vhost_chardev first = VHOST_CHARDEV_NONE;
	_cleanup_chardev_ struct vhost_chardev third = VHOST_CHARDEV_NONE;

	lab_add(*state, "first");
	lab_add(*state, "second");
	assert_int_equal(vhost_chardev_find(&vhost_host_roots, "first", &first), 0);
	lab_delete(*state, "first");
	lab_add(*state, "third");
	assert_int_equal(vhost_chardev_find(&vhost_host_roots, "third", &third), 0);
	assert_string_equal(third.node_name, first.node_name);
	assert_int_equal(vhost_chardev_prove_closed(&third), 0);
	lab_delete(*state, "second");
	lab_delete(*state, "third");
}

static void device_is_taken_from_virtio_vdpa(void **state) {
	_cleanup_chardev_ struct vhost_chardev chardev = VHOST_CHARDEV_NONE;

	lab_add(*state, "moved");
	assert_int_equal(
		lab_shell(
			"modprobe virtio_vdpa && cd /sys/bus/vdpa && "
			"echo virtio_vdpa >devices/moved/driver_override && "
			"echo moved >drivers/vhost_vdpa/unbind && echo moved >drivers_probe",
			20000
		),
		0
	);
	assert_int_equal(vhost_chardev_find(&vhost_host_roots, "moved", &chardev), -ENOENT);
	assert_int_equal(vhost_chardev_bind(&vhost_host_roots, "moved"), 0);
	assert_int_equal(vhost_chardev_find(&vhost_host_roots, "moved", &chardev), 0);
	assert_int_equal(vhost_chardev_bind(&vhost_host_roots, "moved"), 0);

	// One that is nobody's, and one of virtio_vdpa, can be deleted as well.
	vhost_chardev_done(&chardev);
	assert_int_equal(lab_shell("echo moved >/sys/bus/vdpa/drivers/vhost_vdpa/unbind", 5000), 0);
	lab_delete(*state, "moved");
	assert_int_equal(lab_shell("rmmod virtio_vdpa", 5000), 0);
}

static struct uevent next_vdpa_event(int fd) {
	struct uevent event = {0};

	do {
		assert_int_equal(uevent_receive(fd, &event), 1);
	} while (!event.is_vdpa);
	return event;
}

static void uevents_tell_the_life_of_a_device(void **state) {
	static const enum uevent_action life[] = {
		UEVENT_ADD,
		UEVENT_BIND,
		UEVENT_UNBIND,
		UEVENT_REMOVE,
	};
	struct uevent event;
	int fd;

	assert_int_equal(uevent_open(&fd), 0);
	lab_add(*state, "event");
	lab_delete(*state, "event");
	for (size_t i = 0; i < ARRAY_LEN(life); i++) {
		event = next_vdpa_event(fd);
		assert_int_equal(event.action, life[i]);
		assert_string_equal(event.name, "event");
		if (life[i] == UEVENT_BIND)
			assert_string_equal(event.driver, "vhost_vdpa");
	}
	assert_int_equal(uevent_receive(fd, &event), 0);
	close(fd);
}

static void lost_uevents_are_said_to_be_lost(void **state) {
	struct uevent event;
	int fd, r, n_lost = 0;

	assert_int_equal(uevent_open(&fd), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){1}, sizeof(int)), 0);
	for (int i = 0; i < 10; i++) {
		lab_add(*state, "flood");
		lab_delete(*state, "flood");
	}
	while ((r = uevent_receive(fd, &event)) != 0)
		n_lost += r == -ENOBUFS;
	assert_int_equal(n_lost, 1);

	// It goes on afterwards.
	lab_add(*state, "flood");
	assert_int_equal(next_vdpa_event(fd).action, UEVENT_ADD);
	lab_delete(*state, "flood");
	close(fd);
}

static void churn(void) {
	struct nl_socket *nl = lab_open();
	char name[16];

	for (int i = 0;; i++) {
		snprintf(name, sizeof(name), "churn%d", i % 12);
		lab_add(nl, name);
		lab_delete(nl, name);
	}
}

static void list_under_churn_misses_nothing_that_stays(void **state) {
	char name[16];
	pid_t pid;

	for (int i = 0; i < MANY_DEVICES; i++) {
		snprintf(name, sizeof(name), "stays%d", i);
		lab_add(*state, name);
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		churn();
	for (int dump = 0; dump < DUMPS; dump++) {
		_cleanup_dev_list_ struct vdpa_dev_list list = {0};
		int n_staying = 0;

		assert_int_equal(vdpa_dev_list(*state, &list), 0);
		for (size_t i = 0; i < list.n_items; i++)
			n_staying += strncmp(list.items[i].name, "stays", 5) == 0;
		assert_int_equal(n_staying, MANY_DEVICES);
	}
	lab_kill(pid);
	for (int i = 0; i < MANY_DEVICES; i++) {
		snprintf(name, sizeof(name), "stays%d", i);
		lab_delete(*state, name);
	}
}

// Exit status 0 of a child without rights means that it saw what it should.
static void caller_without_rights_may_look_only(void **state) {
	int status;
	pid_t pid;

	lab_add(*state, "seen");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct vdpa_dev_spec spec = lab_spec("mine", "vdpasim_net");
		struct nl_socket *nl;
		bool good;

		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(2);
		good = vdpa_open(&nl) == 0 && lab_list_has(nl, "seen") &&
			vdpa_dev_add(nl, &spec) == -EPERM && vdpa_dev_del(nl, "seen") == -EPERM;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	lab_delete(*state, "seen");
}

static void another_network_namespace_is_told(void **state) {
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		struct nl_socket *nl;

		_exit(unshare(CLONE_NEWNET) == 0 && vdpa_open(&nl) == -EXDEV ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
#define with_socket(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_socket(family_of_this_kernel_has_everything),
		with_socket(management_device_is_listed),
		with_socket(device_is_what_was_asked_for),
		with_socket(refusals_carry_the_kernels_words),
		with_socket(names_that_are_not_there_are_enodev),
		with_socket(vendor_stats_need_a_guest),
		with_socket(foreign_names_are_listed_and_survive_us),
		with_socket(character_device_is_the_owners_alone),
		with_socket(numbers_are_used_again_and_found_again),
		with_socket(device_is_taken_from_virtio_vdpa),
		with_socket(uevents_tell_the_life_of_a_device),
		with_socket(lost_uevents_are_said_to_be_lost),
		with_socket(list_under_churn_misses_nothing_that_stays),
		with_socket(caller_without_rights_may_look_only),
		cmocka_unit_test(another_network_namespace_is_told),
	};

	return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
