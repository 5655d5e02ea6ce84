// SPDX-License-Identifier: GPL-2.0-or-later
// The commands against something that answers as vdpad does, and against all that does not answer.

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/unit/ctl/capture.h"
#include "tests/unit/ctl/fake_vdpad.h"
#include "tests/unit/private_bus.h"
#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/help.h"
#include "vdpad/ctl/port_qemu.h"

#define SHORT_US (200 * UINT64_C(1000))

// Run a command line written with blanks. @ret_text is what it printed, until the next call.
static int run(const char *line, const char **ret_text, struct error *e) {
	static char program[] = "vdpactl";
	char text[512], *argv[32] = {program}, *rest = NULL;
	struct request request;
	int argc = 1, r;

	strcpy(text, line);
	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	r = command_parse(argc, argv, &request, e);
	if (r < 0)
		return r;
	capture_start();
	r = request.command->run(&request, e);
	*ret_text = capture_stop();
	return r;
}

static void ports_are_shown_sorted(void **state) {
	const char *text;
	struct error e;
	json_t *ports;

	(void)state;
	assert_int_equal(run("-j port show", &text, &e), 0);
	ports = json_loads(text, 0, NULL);
	assert_int_equal(json_array_size(ports), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(ports, 0), "name")), "a"
	);
	assert_true(json_is_integer(json_object_get(json_array_get(ports, 0), "mtu")));
	json_decref(ports);

	assert_int_equal(run("port", &text, &e), 0);
	assert_memory_equal(text, "NAME        NETWORK  STATE", 26);
	assert_int_equal(run("port show vm100-net0", &text, &e), 0);
	assert_memory_equal(text, "name         vm100-net0\nstate        ready\n", 43);
}

static void a_port_that_does_not_exist_is_told(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("port show vm9", &text, &e), -ENOENT);
	assert_string_equal(e.text, "there is no port 'vm9'");
	assert_string_equal(text, "");
}

static void add_sends_its_keys_and_its_flag(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("port add vm1 network vmbr0 vlan 10 -j", &text, &e), 0);
	assert_non_null(strstr(text, "\"reason\":\"network=vmbr0 vlan=10 must_be_new\""));
	assert_int_equal(run("port add vm1 network vmbr0 -j --may-exist", &text, &e), 0);
	assert_non_null(strstr(text, "\"reason\":\"network=vmbr0 may_exist\""));
	assert_int_equal(run("port add vm1 network vmbr0", &text, &e), 0);
	assert_string_equal(text, "vm1: ready, served by switch at /run/with blank/port.sock\n");
}

static void add_reports_the_conflict(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("port add conflict network vmbr0", &text, &e), -EEXIST);
	assert_string_equal(e.text, "port 'conflict' exists with another mac");
}

static void stats_show_drops_by_name(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("stats", &text, &e), 0);
	assert_non_null(strstr(text, "tx_drop_ring_full=3\n"));
	assert_null(strstr(text, "rx_drop_bad_header"));
	assert_int_equal(run("stats -j", &text, &e), 0);
	assert_non_null(strstr(text, "\"rx_drop_bad_header\":0"));
}

static void qemu_arguments_come_quoted_in_lines_and_as_json(void **state) {
	static const char chardev[] =
		"socket,id=vdpad-a,path=/run/with blank/port.sock,reconnect-ms=200";
	const char *text;
	struct error e;
	json_t *answer, *port;

	(void)state;
	assert_int_equal(run("port qemu a qemu_version 10.0 memory 256m", &text, &e), 0);
	assert_memory_equal(text, "-m 256M -object memory-backend-memfd", 36);
	assert_non_null(strstr(text, "-chardev 'socket,id=vdpad-a,path=/run/with blank/"));
	assert_int_equal(strcspn(text, "\n"), strlen(text) - 1); // one line

	assert_int_equal(
		run("port qemu a qemu_version 10.0 memory none format lines", &text, &e), 0
	);
	assert_memory_equal(text, "-chardev\nsocket,", 16);
	assert_null(strchr(text, '\''));

	assert_int_equal(run("-j port qemu a,vm100-net0 qemu_version 10.0", &text, &e), 0);
	answer = json_loads(text, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(answer, "args")), 6 + 2 * 6);
	port = json_array_get(json_object_get(answer, "ports"), 0);
	assert_string_equal(json_string_value(json_object_get(port, "kind")), "vhost-user");
	assert_string_equal(json_string_value(json_object_get(port, "chardev")), chardev);
	assert_true(json_is_true(json_object_get(port, "shared_memory")));
	json_decref(answer);
}

static void hardware_is_shown_as_tables_objects_and_json(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("pool", &text, &e), 0);
	assert_string_equal(
		text,
		"NAME  KIND      NETWORKS  PORTS  LIMIT  MEMBERS  FREE  HARDWARE  REASON\n"
		"fast  mgmtdevs  vmbr0         1      -        1     -  pci/*     -\n"
	);
	assert_int_equal(run("pool show fast", &text, &e), 0);
	assert_non_null(strstr(text, "hardware  pci/*\n"));
	assert_non_null(
		strstr(text,
	               "\nMEMBER            DRIVER     PORT  REASON\n"
	               "pci/0000:3b:00.2  mlx5_core  hw0   -\n")
	);
	assert_int_equal(run("pool show -j", &text, &e), 0);
	assert_non_null(strstr(text, "\"members\":[{\"name\":\"pci/0000:3b:00.2\""));
	assert_int_equal(run("mgmtdev show", &text, &e), 0);
	assert_non_null(strstr(text, "vdpasim_net"));
	assert_non_null(strstr(text, "mac mtu"));
	assert_int_equal(run("dev show a/b", &text, &e), 0);
	assert_non_null(strstr(text, "mgmtdev  vdpasim_net\n"));
	assert_int_equal(run("dev -j", &text, &e), 0);
	assert_string_equal(
		text,
		"[{\"name\":\"a/b\",\"mgmtdev\":\"vdpasim_net\",\"owner\":\"\",\"port\":\"\","
		"\"active\":true}]\n"
	);
}

static void a_plan_is_numbered_steps_or_json(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("pool plan fast", &text, &e), 0);
	assert_string_equal(text, "  1. make it\n     MAKE{IT=1}\n");
	assert_int_equal(run("pool plan fast -j", &text, &e), 0);
	assert_string_equal(text, "[{\"step\":\"make it\",\"message\":\"MAKE{IT=1}\"}]\n");
}

static void a_dry_run_is_the_decision_and_the_steps(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("port add vm1 network vmbr0 --dry-run", &text, &e), 0);
	assert_non_null(strstr(text, "vdpa     fast  yes     vm1       for a reason\n"));
	assert_non_null(strstr(text, "The port would be served by vdpa.\n"));
	assert_non_null(strstr(text, "This would be done:\n  1. make it\n     MAKE{IT=1}\n"));
	assert_int_equal(run("port add vm1 network vmbr0 --dry-run -j", &text, &e), 0);
	assert_non_null(
		strstr(text, "\"steps\":[{\"step\":\"make it\",\"message\":\"MAKE{IT=1}\"}]")
	);
	assert_int_equal(run("port add nothing network vmbr0 --dry-run", &text, &e), -EPERM);
	assert_string_equal(e.text, "no backend can serve port 'nothing'; vdpa: for a reason");
	assert_string_equal(text, "");
	assert_int_equal(run("port add vm1 network vmbr0 vlan x --dry-run", &text, &e), -EINVAL);
}

static void set_memlock_mib(uint64_t mib) {
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = mib << 20;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

static void ports_on_hardware_pin_memory_and_share_none(void **state) {
	const char *text;
	struct error e;
	json_t *answer, *port;

	(void)state;
	assert_int_equal(run("-j port qemu hw0 qemu_version 10.0 memory 1g", &text, &e), 0);
	answer = json_loads(text, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(answer, "args")), 2 + 4);
	assert_int_equal(
		json_integer_value(json_object_get(answer, "memlock_bytes")), 1280LL << 20
	);
	assert_true(json_is_false(json_object_get(answer, "shared_memory")));
	port = json_array_get(json_object_get(answer, "ports"), 0);
	assert_string_equal(json_string_value(json_object_get(port, "kind")), "vhost-vdpa");
	assert_null(json_object_get(port, "chardev"));
	json_decref(answer);

	assert_int_equal(run("-j port qemu hw0,a,hw1 qemu_version 10.0 memory 1g", &text, &e), 0);
	answer = json_loads(text, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(answer, "args")), 6 + 4 + 6 + 4);
	assert_int_equal(
		json_integer_value(json_object_get(answer, "memlock_bytes")), 2560LL << 20
	);
	assert_true(json_is_true(json_object_get(answer, "shared_memory")));
	json_decref(answer);

	assert_int_equal(run("-j port qemu hw0 qemu_version 10.0 memory none", &text, &e), 0);
	answer = json_loads(text, 0, NULL);
	assert_true(json_is_null(json_object_get(answer, "memlock_bytes")));
	json_decref(answer);
}

static void too_low_a_memlock_limit_is_refused_before_qemu_starts(void **state) {
	static const char sentence[] =
		"ports on hardware pin the guest's RAM: QEMU must be allowed to lock 1310720 KiB, "
		"and "
		"what is started from here may lock 8192 KiB. Say 'ulimit -l 1310720' first, start "
		"QEMU with 'prlimit --memlock=1342177280', or give its unit "
		"LimitMEMLOCK=1342177280; --ignore-memlock prints the arguments all the same";
	const char *text;
	struct rlimit before;
	struct error e;

	(void)state;
	getrlimit(RLIMIT_MEMLOCK, &before);
	set_memlock_mib(8);
	assert_int_equal(run("port qemu hw0 qemu_version 10.0 memory 1g", &text, &e), -EPERM);
	assert_string_equal(e.text, sentence);
	assert_string_equal(text, "");
	assert_int_equal(run("port qemu a qemu_version 10.0 memory 1g", &text, &e), 0);
	assert_int_equal(
		run("port qemu hw0 qemu_version 10.0 memory 1g --ignore-memlock", &text, &e), 0
	);
	assert_memory_equal(text, "-m 1024M -netdev 'vhost-vdpa,", 29);
	assert_int_equal(run("-j port qemu hw0 qemu_version 10.0 memory 1g", &text, &e), 0);
	assert_int_equal(run("port qemu hw0 qemu_version 10.0 memory none", &text, &e), 0);
	setrlimit(RLIMIT_MEMLOCK, &before);
}

static void a_limit_that_suffices_is_not_refused(void **state) {
	struct error e;

	(void)state;
	assert_int_equal(port_qemu_check_memlock(1 << 20, 1 << 20, &e), 0);
	assert_int_equal(port_qemu_check_memlock(UINT64_MAX - 1, RLIM_INFINITY, &e), 0);
	assert_int_equal(port_qemu_check_memlock((1 << 20) + 1, 1 << 20, &e), -EPERM);
	assert_int_equal(port_qemu_check_memlock(0, 0, &e), 0);
}

static void wrong_values_cost_no_question(void **state) {
	static const struct {
		const char *line;
		const char *named;
	} cases[] = {
		{"port add vm1", "network"},
		{"port add vm1 network vmbr0 vlan 4095", "vlan"},
		{"port add vm1 network vmbr0 mac 01:00:00:00:00:01", "mac"},
		{"port add vm1 network vmbr0 mtu x", "mtu"},
		{"port set vm1", "vlan"},
		{"port set vm1 link maybe", "link"},
		{"port qemu a memory lots", "memory"},
		{"port qemu a memory 1000", "memory"},
		{"port qemu a qemu_version new", "qemu_version"},
		{"port qemu a format xml", "format"},
		{"explain vmbr0 policy best", "policy"},
		{"explain vmbr0 --config x", "--facts"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text;
		struct error e = {0};

		assert_int_equal(run(cases[i].line, &text, &e), -EINVAL);
		assert_non_null(strstr(e.text, cases[i].named));
	}
}

static void names_complete(void **state) {
	static const char *const words[] = {"port", "show", "vm"};
	static const char *const list[] = {"port", "qemu", "a,v"};

	(void)state;
	capture_start();
	complete_print(words, ARRAY_LEN(words));
	assert_string_equal(capture_stop(), "vm100-net0\n");
	capture_start();
	complete_print(list, ARRAY_LEN(list));
	assert_string_equal(capture_stop(), "a,vm100-net0\n");
}

static void a_vdpad_that_does_not_answer_in_time_is_unreachable(void **state) {
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *call = NULL;
	struct error e;

	(void)state;
	assert_int_equal(client_open(&bus, &e), 0);
	assert_int_equal(client_new_call(bus, "AddPort", &call, &e), 0);
	assert_true(sd_bus_message_append(call, "sa{sv}b", "sleep", 0, 0) >= 0);
	assert_int_equal(client_send(bus, call, SHORT_US, NULL, &e), -CLIENT_UNREACHABLE);
	assert_non_null(strstr(e.text, "in time"));
}

static void a_vdpad_that_dies_over_the_call_is_unreachable(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("port add die network vmbr0", &text, &e), -CLIENT_UNREACHABLE);
	assert_non_null(strstr(e.text, "before it answered"));
}

static void an_absent_vdpad_is_unreachable(void **state) {
	const char *text;
	struct error e;

	(void)state;
	assert_int_equal(run("port show", &text, &e), -CLIENT_UNREACHABLE);
	assert_string_equal(
		e.text,
		"vdpad does not answer on the system bus: is vdpad.service running? "
		"(systemctl status vdpad)"
	);
}

static void an_absent_bus_is_unreachable(void **state) {
	const char *text;
	struct error e;

	(void)state;
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
	assert_int_equal(run("port show", &text, &e), -CLIENT_UNREACHABLE);
	assert_non_null(strstr(e.text, "system bus does not answer"));
}

static int with_vdpad(void **state) {
	(void)state;
	fake_vdpad_start();
	return 0;
}

static int without_vdpad(void **state) {
	(void)state;
	fake_vdpad_stop();
	return 0;
}

#define VDPAD_TEST(f) cmocka_unit_test_setup_teardown(f, with_vdpad, without_vdpad)

int main(void) {
	const struct CMUnitTest tests[] = {
		VDPAD_TEST(ports_are_shown_sorted),
		VDPAD_TEST(a_port_that_does_not_exist_is_told),
		VDPAD_TEST(add_sends_its_keys_and_its_flag),
		VDPAD_TEST(add_reports_the_conflict),
		VDPAD_TEST(stats_show_drops_by_name),
		VDPAD_TEST(qemu_arguments_come_quoted_in_lines_and_as_json),
		VDPAD_TEST(hardware_is_shown_as_tables_objects_and_json),
		VDPAD_TEST(a_plan_is_numbered_steps_or_json),
		VDPAD_TEST(a_dry_run_is_the_decision_and_the_steps),
		VDPAD_TEST(ports_on_hardware_pin_memory_and_share_none),
		VDPAD_TEST(too_low_a_memlock_limit_is_refused_before_qemu_starts),
		VDPAD_TEST(a_limit_that_suffices_is_not_refused),
		VDPAD_TEST(names_complete),
		VDPAD_TEST(a_vdpad_that_does_not_answer_in_time_is_unreachable),
		VDPAD_TEST(a_vdpad_that_dies_over_the_call_is_unreachable),
		cmocka_unit_test(an_absent_vdpad_is_unreachable),
		cmocka_unit_test(an_absent_bus_is_unreachable),
		cmocka_unit_test(wrong_values_cost_no_question),
	};

	return cmocka_run_group_tests(tests, private_bus_setup, private_bus_teardown);
}
