// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/qemu_args.h"
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
				   "mac=52:54:00:ab:cd:ef,host_mtu=9000,"
				   "rx_queue_size=1024,tx_queue_size=1024,gso=off,";
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
	assert_int_equal(nic.memlock_bytes, 0);
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

static void a_port_without_a_socket_is_refused(void **state) {
	struct port port = make_port(1);
	struct qemu_nic nic;
	struct error e;

	(void)state;
	port.backend = BACKEND_VDPA;
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "vm100-net0"));
	port.backend = BACKEND_NONE;
	assert_int_equal(qemu_nic_init(&nic, &port, new_qemu, &e), -EOPNOTSUPP);
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

static void ram_is_shared_and_of_one_size(void **state) {
	struct qemu_ram ram;

	(void)state;
	assert_int_equal(qemu_ram_init(&ram, UINT64_C(4) << 30, NULL), 0);
	assert_string_equal(ram.size, "4096M");
	assert_string_equal(ram.object, "memory-backend-memfd,id=vdpad-ram,size=4096M,share=on");
	assert_string_equal(ram.machine, "memory-backend=vdpad-ram");
}

static void ram_of_no_or_odd_size_is_refused(void **state) {
	struct qemu_ram ram;
	struct error e;

	(void)state;
	assert_int_equal(qemu_ram_init(&ram, 0, &e), -EINVAL);
	assert_int_equal(qemu_ram_init(&ram, 1024, &e), -EINVAL);
	assert_int_equal(qemu_ram_init(&ram, (UINT64_C(1) << 20) + 4096, &e), -EINVAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_read_as_qemu_prints_them),
		cmocka_unit_test(what_is_no_version_is_refused),
		cmocka_unit_test(one_queue_pair_on_old_qemu),
		cmocka_unit_test(the_reconnect_option_follows_the_version),
		cmocka_unit_test(several_queue_pairs_switch_multiqueue_on),
		cmocka_unit_test(every_profile_adds_its_properties),
		cmocka_unit_test(a_comma_in_the_path_is_escaped),
		cmocka_unit_test(a_port_without_a_socket_is_refused),
		cmocka_unit_test(a_qemu_that_lacks_properties_is_refused),
		cmocka_unit_test(an_unknown_profile_is_refused),
		cmocka_unit_test(ram_is_shared_and_of_one_size),
		cmocka_unit_test(ram_of_no_or_odd_size_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
