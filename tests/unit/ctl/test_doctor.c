// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "vdpad/ctl/doctor.h"

static const struct finding *find(const struct report *report, const char *check) {
	for (size_t i = 0; i < report->n; i++) {
		if (strcmp(report->findings[i].check, check) == 0)
			return &report->findings[i];
	}
	return NULL;
}

static void a_node_with_everything_gets_no_advice(void **state) {
	static const struct facts facts = {
		.kernel = "6.14.0-1-pve",
		.vdpa = {.bus = true, .module = true, .vhost_vdpa = true, .n_devices = 2},
		.hugepages = {.size_bytes = 2 << 20, .total = 512, .free = 100},
		.iommu = true,
	};
	struct report report = {0};

	(void)state;
	doctor_check_facts(&report, &facts);
	doctor_check_memlock(&report, RLIM_INFINITY);
	doctor_check_qemu_line(&report, "QEMU emulator version 10.0.2");
	assert_int_equal(report.n, 5);
	for (size_t i = 0; i < report.n; i++) {
		assert_int_equal(report.findings[i].verdict, VERDICT_OK);
		assert_string_equal(report.findings[i].advice, "");
	}
	assert_string_equal(
		find(&report, "kernel")->found, "6.14.0-1-pve, vDPA with vhost_vdpa, 2 devices"
	);
}

static json_t *from_text(const char *text) {
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

static void pools_must_have_hardware(void **state) {
	json_t *pools =
		from_text("{\"a\": {\"kind\": \"sf\", \"reason\": \"\", \"n_members\": 0},"
	                  " \"b\": {\"kind\": \"vf\", \"reason\": \"\", \"n_members\": 3}}");
	json_t *bad = from_text(
		"{\"c\": {\"kind\": \"mgmtdevs\", \"hardware\": \"pci/*\", \"reason\": \"\","
		" \"n_members\": 0},"
		" \"d\": {\"kind\": \"sf\", \"hardware\": \"0000:3b:00.0\", \"reason\": \"gone\"}}"
	);
	struct report report = {0};

	(void)state;
	doctor_check_pools(&report, pools, NULL);
	assert_int_equal(report.n, 1);
	assert_int_equal(report.findings[0].verdict, VERDICT_OK);
	assert_string_equal(report.findings[0].found, "pools: 2, each with hardware");
	report.n = 0;
	doctor_check_pools(&report, bad, NULL);
	assert_int_equal(report.n, 2);
	assert_int_equal(report.findings[0].verdict, VERDICT_WARN);
	assert_string_equal(report.findings[0].found, "pool 'c' has no management device: pci/*");
	assert_string_equal(report.findings[1].found, "pool 'd', 0000:3b:00.0: gone");
	json_decref(pools);
	json_decref(bad);
}

static void a_pool_whose_members_are_out_of_reach_is_told(void **state) {
	json_t *unusable = from_text("{\"d\": {\"kind\": \"dpdk\", \"hardware\": \"0000:3b:00.2\","
	                             " \"n_members\": 1, \"ports\": 0, \"free\": 0}}");
	json_t *full = from_text("{\"d\": {\"kind\": \"dpdk\", \"n_members\": 1, \"ports\": 1,"
	                         " \"free\": 0}}");
	struct report report = {0};

	(void)state;
	doctor_check_pools(&report, full, NULL);
	assert_int_equal(report.findings[0].verdict, VERDICT_OK);
	report.n = 0;
	doctor_check_pools(&report, unusable, NULL);
	assert_int_equal(report.n, 1);
	assert_int_equal(report.findings[0].verdict, VERDICT_WARN);
	assert_string_equal(
		report.findings[0].found,
		"pool 'd' serves no port and could serve none: 0000:3b:00.2"
	);
	json_decref(unusable);
	json_decref(full);
}

static void management_devices_without_a_pool_are_told(void **state) {
	json_t *pools = from_text("{}");
	json_t *free = from_text("{\"vdpasim_net\": {\"pools\": \"\"}}");
	struct report report = {0};

	(void)state;
	doctor_check_pools(&report, pools, pools);
	assert_int_equal(report.n, 0); // a node without hardware misses nothing
	doctor_check_pools(&report, pools, free);
	assert_int_equal(report.findings[0].verdict, VERDICT_WARN);
	assert_string_equal(
		report.findings[0].found,
		"no pool has this node's management devices, such as vdpasim_net"
	);
	json_decref(pools);
	json_decref(free);
}

static void devices_in_the_wrong_hands_are_told(void **state) {
	json_t *devices = from_text("{\"x\": {\"driver\": \"virtio_vdpa\", \"port\": \"\"},"
	                            " \"vdpad-1\": {\"driver\": \"\", \"port\": \"vm1\"},"
	                            " \"y\": {\"driver\": \"vhost_vdpa\", \"port\": \"\"}}");
	struct report report = {0};

	(void)state;
	doctor_check_devices(&report, devices);
	assert_int_equal(report.n, 2);
	assert_int_equal(report.findings[0].verdict, VERDICT_WARN);
	assert_string_equal(report.findings[0].found, "device 'x' is driven by virtio_vdpa");
	assert_int_equal(report.findings[1].verdict, VERDICT_FAIL);
	assert_string_equal(
		report.findings[1].found, "device 'vdpad-1' of port 'vm1' is driven by nothing"
	);
	json_decref(devices);
}

static void what_the_configuration_names_and_the_node_lacks_is_told(void **state) {
	json_t *warnings = from_text("[\"[switch] cpus '99': ...\", \"[devices] user 'x': ...\"]");
	json_t *none = from_text("[]");
	struct report report = {0};

	(void)state;
	doctor_check_config(&report, NULL); // an older vdpad
	assert_int_equal(report.n, 0);
	doctor_check_config(&report, none);
	assert_int_equal(find(&report, "config")->verdict, VERDICT_OK);
	report.n = 0;
	doctor_check_config(&report, warnings);
	assert_int_equal(report.n, 2);
	assert_int_equal(report.findings[1].verdict, VERDICT_WARN);
	assert_string_equal(report.findings[1].found, "[devices] user 'x': ...");
	assert_string_not_equal(report.findings[1].advice, "");
	json_decref(none);
	json_decref(warnings);
}

static void a_kernel_that_does_not_answer_fails(void **state) {
	struct report report = {0};

	(void)state;
	doctor_check_vdpa(&report, "ready", true);
	doctor_check_vdpa(&report, "deleting 'x' hangs", true);
	assert_int_equal(report.findings[0].verdict, VERDICT_OK);
	assert_int_equal(report.findings[1].verdict, VERDICT_FAIL);
	assert_string_equal(report.findings[1].found, "deleting 'x' hangs");
}

static void a_kernel_without_vdpa_is_not_said_to_answer(void **state) {
	struct report report = {0};

	(void)state;
	doctor_check_vdpa(&report, "ready", false);
	assert_int_equal(report.n, 0);
}

static void what_is_missing_is_a_warning_with_advice(void **state) {
	static const struct facts facts = {.kernel = "6.1.0"};
	struct report report = {0};

	(void)state;
	doctor_check_facts(&report, &facts);
	doctor_check_memlock(&report, 8 << 20);
	doctor_check_qemu_line(&report, "QEMU emulator version 5.2.0");
	doctor_check_qemu_line(&report, "QEMU emulator version 11.0.0");
	doctor_check_qemu_line(&report, "something else");
	assert_int_equal(report.n, 7);
	assert_int_equal(find(&report, "hugepages")->verdict, VERDICT_OK); // nothing needs them
	for (size_t i = 0; i < report.n; i++) {
		if (&report.findings[i] == find(&report, "hugepages"))
			continue;
		assert_int_equal(report.findings[i].verdict, VERDICT_WARN);
		assert_string_not_equal(report.findings[i].advice, "");
	}
}

static void an_unloaded_module_is_not_a_missing_one(void **state) {
	static const struct facts facts = {.kernel = "6.12.0", .vdpa = {.module = true}};
	struct report report = {0};

	(void)state;
	doctor_check_facts(&report, &facts);
	assert_non_null(strstr(find(&report, "kernel")->advice, "modprobe vhost_vdpa"));
}

static void a_socket_for_everyone_fails(void **state) {
	char path[] = "/tmp/test-doctor.XXXXXX";
	struct report report = {0};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	fchmod(fd, 0660);
	doctor_check_socket(&report, "vm1", path);
	assert_int_equal(report.n, 0);
	fchmod(fd, 0662);
	doctor_check_socket(&report, "vm1", path);
	assert_int_equal(report.findings[0].verdict, VERDICT_FAIL);
	assert_non_null(strstr(report.findings[0].found, "662"));
	close(fd);
	unlink(path);
	doctor_check_socket(&report, "vm1", path);
	assert_int_equal(report.n, 2);
	assert_int_equal(report.findings[1].verdict, VERDICT_FAIL);
}

static void a_port_that_is_not_served_fails_whatever_its_socket(void **state) {
	struct report report = {0};

	(void)state;
	doctor_check_port(
		&report, "vm1", "degraded", "vdpad-switch is not running", "/dev/null", false
	);
	assert_int_equal(report.findings[0].verdict, VERDICT_FAIL);
	assert_string_equal(
		report.findings[0].found, "port 'vm1' is degraded: vdpad-switch is not running"
	);
	doctor_check_port(&report, "vm1", "ready", "", "/nonexistent/socket", false);
	assert_int_equal(report.n, 2);
}

static void a_socket_that_qemu_makes_need_not_be_there(void **state) {
	struct report report = {0};

	(void)state;
	doctor_check_port(&report, "vm1", "ready", "", "/nonexistent/socket", true);
	assert_int_equal(report.n, 0);
	doctor_check_port(&report, "vm1", "degraded", "no section", "/nonexistent/socket", true);
	assert_int_equal(report.findings[0].verdict, VERDICT_FAIL);
}

static void more_findings_than_fit_are_dropped(void **state) {
	struct report report = {0};

	(void)state;
	for (size_t i = 0; i < 2 * DOCTOR_MAX_FINDINGS; i++)
		doctor_check_socket(&report, "vm1", "/nonexistent/socket");
	assert_int_equal(report.n, DOCTOR_MAX_FINDINGS);
}

static void the_real_node_can_be_examined(void **state) {
	struct report report = {0};

	(void)state;
	doctor_check_node(&report);
	assert_non_null(find(&report, "memlock"));
	assert_non_null(find(&report, "qemu"));
	assert_non_null(find(&report, "kvm"));
	assert_non_null(find(&report, "tun"));
	assert_non_null(find(&report, "caller"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_with_everything_gets_no_advice),
		cmocka_unit_test(pools_must_have_hardware),
		cmocka_unit_test(a_pool_whose_members_are_out_of_reach_is_told),
		cmocka_unit_test(management_devices_without_a_pool_are_told),
		cmocka_unit_test(devices_in_the_wrong_hands_are_told),
		cmocka_unit_test(what_the_configuration_names_and_the_node_lacks_is_told),
		cmocka_unit_test(a_kernel_that_does_not_answer_fails),
		cmocka_unit_test(a_kernel_without_vdpa_is_not_said_to_answer),
		cmocka_unit_test(what_is_missing_is_a_warning_with_advice),
		cmocka_unit_test(an_unloaded_module_is_not_a_missing_one),
		cmocka_unit_test(a_socket_for_everyone_fails),
		cmocka_unit_test(a_port_that_is_not_served_fails_whatever_its_socket),
		cmocka_unit_test(a_socket_that_qemu_makes_need_not_be_there),
		cmocka_unit_test(more_findings_than_fit_are_dropped),
		cmocka_unit_test(the_real_node_can_be_examined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
