// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/model/qemu_args.h"
#include "vdpad/util/cleanup.h"

static const struct qemu_version old_qemu = {7, 2}, new_qemu = {10, 0};

static struct port make_port(uint32_t queue_pairs) {
	struct port port = {
		.spec =
			{.name = "vm100-net0",
	                 .mac = {{0x52, 0x54, 0, 0xab, 0xcd, 0xef}},
	                 .mtu_bytes = 9000,
	                 .queue_pairs = queue_pairs,
	                 .profile = "fast-1"},
		.backend = BACKEND_SWITCH,
		.path = "/run/vdpad/port/vm100-net0.sock",
	};

	return port;
}

static void versions_are_read_as_qemu_prints_them(void **state) {
	static const struct {
		const char *text;
		struct qemu_version version;
	} cases[] = {
		{"7.2", {7, 2}},
		{"10.0.2", {10, 0}},
		{"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", {7, 2}},
		{"QEMU emulator version 10.1.0 (pve-qemu-kvm_10.1.0-1)", {10, 1}},
		{"QEMU emulator version 9.2.50-dirty", {9, 2}},
		{"11.0-rc2", {11, 0}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct qemu_version version = {0};

		assert_int_equal(qemu_version_parse(cases[i].text, &version), 0);
		assert_int_equal(version.major, cases[i].version.major);
		assert_int_equal(version.minor, cases[i].version.minor);
	}
}

static void what_is_no_version_is_refused(void **state) {
	static const char *const bad[] = {"",     "7",     "v7.2",          " 7.2",
	                                  "-7.2", "7.-2",  "7.2x",          "latest",
	                                  "7,2",  "1e9.1", "QEMU emulator", "12345.1"};
	struct qemu_version version = {1, 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(qemu_version_parse(bad[i], &version), -EINVAL);
	assert_int_equal(version.major, 1);
}

static void one_queue_pair_on_old_qemu(void **state) {
	struct port port = make_port(1);
	static const char head[] = "virtio-net-pci,id=vdpad-vm100-net0,netdev=vdpad-vm100-net0,"
				   "mac=52:54:00:ab:cd:ef,"
				   "rx_queue_size=1024,tx_queue_size=1024,host_mtu=9000,gso=off,";
	struct qemu_nic nic;

	(void)state;
	assert_int_equal(qemu_nic_init(&nic, &port, old_qemu, NULL), 0);
	assert_string_equal(
		nic.chardev,
		"socket,id=vdpad-vm100-net0,path=/run/vdpad/port/vm100-net0.sock,reconnect=1"
	);
	assert_string_equal(
		nic.netdev, "vhost-user,id=vdpad-vm100-net0,chardev=vdpad-vm100-net0,queues=1"
	);
	assert_memory_equal(nic.device, head, strlen(head));
	assert_null(strstr(nic.device, "mq="));
	assert_true(nic.shared_memory);
	assert_false(nic.pins_memory);
	assert_string_equal(nic.kind, "vhost-user");
}

static void the_reconnect_option_follows_the_version(void **state) {
	static const struct {
		struct qemu_version version;
		const char *option;
	} cases[] = {
		{{7, 2}, ",reconnect=1"},       {{9, 1}, ",reconnect=1"},
		{{9, 2}, ",reconnect-ms=200"},  {{10, 0}, ",reconnect-ms=200"},
		{{11, 1}, ",reconnect-ms=200"},
	};
	struct port port = make_port(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct qemu_nic nic;

		assert_int_equal(qemu_nic_init(&nic, &port, cases[i].version, NULL), 0);
		assert_string_equal(strstr(nic.chardev, ",reconnect"), cases[i].option);
	}
}

static void several_queue_pairs_switch_multiqueue_on(void **state) {
	struct port port = make_port(4);
	struct qemu_nic nic;

	(void)state;
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, NULL), 0);
	assert_non_null(strstr(nic.netdev, ",queues=4"));
	assert_non_null(strstr(nic.device, ",mq=on"));
	assert_null(strstr(nic.device, "vectors"));
}

static void every_profile_adds_its_properties(void **state) {
	(void)state;
	for (const struct profile *p = profiles; p->name != NULL; p++) {
		struct port port = make_port(64);
		struct qemu_nic nic;
		char properties[QEMU_OPTION_SIZE];

		profile_qemu_properties(p, PROFILE_QEMU(10, 0), properties, sizeof(properties));
		str_copy(port.spec.profile, sizeof(port.spec.profile), p->name);
		memset(port.spec.name, 'x', PORT_NAME_SIZE - 1); // as long as they get
		assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, NULL), 0);
		assert_non_null(strstr(nic.device, properties));
	}
}

static void a_comma_in_the_path_is_escaped(void **state) {
	struct port port = make_port(1);
	struct qemu_nic nic;

	(void)state;
	strcpy(port.path, "/tmp/a,server=on/p.sock");
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, NULL), 0);
	assert_non_null(strstr(nic.chardev, "path=/tmp/a,,server=on/p.sock,reconnect-ms"));
	memset(port.path, ',', sizeof(port.path) - 1);
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, NULL), 0);
}

static void a_vdpa_device_is_a_netdev_without_chardev(void **state) {
	struct port port = make_port(4);
	struct qemu_nic nic;

	(void)state;
	port.backend = BACKEND_VDPA;
	strcpy(port.path, "/run/vdpad/port/vm100-net0.vdpa");
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, NULL), 0);
	assert_string_equal(nic.kind, "vhost-vdpa");
	assert_string_equal(nic.chardev, "");
	assert_string_equal(
		nic.netdev,
		"vhost-vdpa,id=vdpad-vm100-net0,"
		"vhostdev=/run/vdpad/port/vm100-net0.vdpa,queues=4"
	);
	assert_non_null(
		strstr(nic.device, ",rx_queue_size=256,tx_queue_size=256,host_mtu=9000,mq=on")
	);
	assert_true(nic.pins_memory);
	assert_false(nic.shared_memory);
}

// One may move from one to the other.
static void a_portable_nic_is_the_same_on_a_device_and_a_socket(void **state) {
	struct port port = make_port(2);
	struct qemu_nic on_switch, on_device;

	(void)state;
	strcpy(port.spec.profile, "portable-1");
	assert_int_equal(qemu_nic_init(&on_switch, &port, new_qemu, NULL), 0);
	port.backend = BACKEND_VDPA;
	assert_int_equal(qemu_nic_init(&on_device, &port, new_qemu, NULL), 0);
	assert_string_equal(on_switch.device, on_device.device);
}

static void an_mtu_of_1500_is_not_told(void **state) {
	struct port port = make_port(1);
	struct qemu_nic nic;

	(void)state;
	port.spec.mtu_bytes = 1500;
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, NULL), 0);
	assert_null(strstr(nic.device, "host_mtu"));
	port.backend = BACKEND_VDPA;
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, NULL), 0);
	assert_null(strstr(nic.device, "host_mtu"));
}

static void each_device_pins_ram_and_what_is_beside_it(void **state) {
	(void)state;
	assert_int_equal(qemu_memlock_bytes(UINT64_C(4) << 30, 0), 0);
	assert_int_equal(qemu_memlock_bytes(UINT64_C(4) << 30, 1), UINT64_C(4352) << 20);
	assert_int_equal(qemu_memlock_bytes(UINT64_C(4) << 30, 3), UINT64_C(13056) << 20);
}

static void a_port_without_a_backend_is_refused(void **state) {
	struct port port = make_port(1);
	struct qemu_nic nic;
	struct error e;

	(void)state;
	port.backend = BACKEND_NONE;
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "vm100-net0"));
}

static void a_qemu_that_lacks_properties_is_refused(void **state) {
	struct port port = make_port(1);
	struct qemu_nic nic;
	struct error e;

	(void)state;
	assert_int_equal(qemu_nic_init(&nic, &port, (struct qemu_version){7, 1}, &e), -EOPNOTSUPP);
	assert_string_equal(e.text, "QEMU 7.1 is too old: 7.2 is the oldest that can be used");
}

static void an_unknown_profile_is_refused(void **state) {
	struct port port = make_port(1);
	struct qemu_nic nic;
	struct error e;

	(void)state;
	strcpy(port.spec.profile, "fast-99");
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, &e), -EINVAL);
	assert_non_null(strstr(e.text, "fast-99"));
}

static void ram_is_of_one_size_and_shared_if_need_be(void **state) {
	struct qemu_ram ram;

	(void)state;
	assert_int_equal(qemu_ram_init(&ram, UINT64_C(4) << 30, true, NULL), 0);
	assert_string_equal(ram.size, "4096M");
	assert_string_equal(ram.object, "memory-backend-memfd,id=vdpad-ram,size=4096M,share=on");
	assert_string_equal(ram.machine, "memory-backend=vdpad-ram");
	assert_int_equal(qemu_ram_init(&ram, UINT64_C(4) << 30, false, NULL), 0);
	assert_string_equal(ram.size, "4096M");
	assert_string_equal(ram.object, "");
	assert_string_equal(ram.machine, "");
}

static void ram_of_no_or_odd_size_is_refused(void **state) {
	struct qemu_ram ram;
	struct error e;

	(void)state;
	assert_int_equal(qemu_ram_init(&ram, 0, true, &e), -EINVAL);
	assert_int_equal(qemu_ram_init(&ram, 1024, false, &e), -EINVAL);
	assert_int_equal(qemu_ram_init(&ram, (UINT64_C(1) << 20) + 4096, true, &e), -EINVAL);
}

static void who_listens_is_as_the_port_says(void **state) {
	struct port port = make_port(1);
	struct qemu_nic nic;

	(void)state;
	port.backend = BACKEND_EXTERNAL;
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, NULL), 0);
	assert_string_equal(
		nic.chardev,
		"socket,id=vdpad-vm100-net0,path=/run/vdpad/port/vm100-net0.sock,"
		"reconnect-ms=200"
	);
	assert_true(nic.shared_memory);
	port.qemu_listens = true;
	strcpy(port.path, "/run/other/s1");
	assert_int_equal(qemu_nic_init(&nic, &port, old_qemu, NULL), 0);
	assert_string_equal(
		nic.chardev, "socket,id=vdpad-vm100-net0,path=/run/other/s1,server=on,wait=off"
	);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_listens_is_as_the_port_says),
		cmocka_unit_test(versions_are_read_as_qemu_prints_them),
		cmocka_unit_test(what_is_no_version_is_refused),
		cmocka_unit_test(one_queue_pair_on_old_qemu),
		cmocka_unit_test(the_reconnect_option_follows_the_version),
		cmocka_unit_test(several_queue_pairs_switch_multiqueue_on),
		cmocka_unit_test(every_profile_adds_its_properties),
		cmocka_unit_test(a_comma_in_the_path_is_escaped),
		cmocka_unit_test(a_vdpa_device_is_a_netdev_without_chardev),
		cmocka_unit_test(a_portable_nic_is_the_same_on_a_device_and_a_socket),
		cmocka_unit_test(an_mtu_of_1500_is_not_told),
		cmocka_unit_test(each_device_pins_ram_and_what_is_beside_it),
		cmocka_unit_test(a_port_without_a_backend_is_refused),
		cmocka_unit_test(a_qemu_that_lacks_properties_is_refused),
		cmocka_unit_test(an_unknown_profile_is_refused),
		cmocka_unit_test(ram_is_of_one_size_and_shared_if_need_be),
		cmocka_unit_test(ram_of_no_or_odd_size_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
