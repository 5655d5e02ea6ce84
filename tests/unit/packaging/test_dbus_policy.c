// SPDX-License-Identifier: GPL-2.0-or-later
// packaging/dbus/org.vdpad1.conf in a real dbus-daemon, with users of the test's own. Needs root.

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "vdpad/util/ipc.h"

// What Debian's system bus allows, without the services of its own folder.
static const char bus_config[] =
	"<busconfig><type>system</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
	"<policy context='default'><allow user='*'/><deny own='*'/><deny send_type='method_call'/>"
	"<allow send_type='signal'/><allow send_requested_reply='true' send_type='method_return'/>"
	"<allow send_requested_reply='true' send_type='error'/><allow receive_type='method_call'/>"
	"<allow receive_type='method_return'/><allow receive_type='error'/>"
	"<allow receive_type='signal'/><allow send_destination='org.freedesktop.DBus'/></policy>"
	"<include>%s</include></busconfig>";

static char dir[] = "/tmp/test-policy-XXXXXX";
static pid_t bus_pid, service_pid;

enum outcome {
	ALLOWED,
	DENIED,
	OTHER,
};

// Copy @path into the test's folder without vdpad's own lines, add @lines, and put it over @path.
static void overlay(const char *path, const char *name, const char *lines) {
	char command[512], copy[64];
	FILE *file;

	snprintf(copy, sizeof(copy), "%s/%s", dir, name);
	snprintf(command, sizeof(command), "sed '/^vdpad/d' %s >%s", path, copy);
	assert_int_equal(system(command), 0);
	file = fopen(copy, "a");
	fputs(lines, file);
	fclose(file);
	assert_int_equal(mount(copy, path, NULL, MS_BIND, NULL), 0);
}

static void start_bus(void) {
	char config[64], print_address[32], byte;
	int ready[2];
	FILE *file;

	snprintf(config, sizeof(config), "%s/bus.conf", dir);
	file = fopen(config, "w");
	fprintf(file, bus_config, dir, POLICY);
	fclose(file);
	assert_int_equal(pipe(ready), 0);
	snprintf(print_address, sizeof(print_address), "--print-address=%d", ready[1]);
	bus_pid = fork();
	if (bus_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (freopen("/dev/null", "w", stderr) == NULL) // it warns of unknown users
			_exit(127);
		execlp("dbus-daemon", "dbus-daemon", "--config-file", config, "--nofork",
		       "--nopidfile", "--nosyslog", print_address, NULL);
		_exit(127);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1); // it listens
	close(ready[0]);
}

static int become(const char *user) {
	const struct passwd *pw = getpwnam(user);

	if (pw == NULL || initgroups(user, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0)
		return -1;
	return setuid(pw->pw_uid);
}

// As a process of @user: own the name, or call @member of @iface there.
static enum outcome try_as(const char *user, const char *iface, const char *member) {
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		sd_bus *bus = NULL;
		int r = -EIO;

		if (become(user) == 0 && sd_bus_open_system(&bus) >= 0) {
			if (member == NULL)
				r = sd_bus_request_name(bus, IPC_BUS_NAME, 0);
			else
				r = sd_bus_call_method(
					bus, IPC_BUS_NAME, IPC_PATH, iface, member, &error, NULL, ""
				);
		}
		if (r >= 0 || r == -EEXIST) // the name is owned by the other one
			_exit(ALLOWED);
		_exit(r == -EACCES ? DENIED : OTHER);
	}
	assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return (enum outcome)WEXITSTATUS(status);
}

static int answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	if (!sd_bus_message_is_method_call(m, NULL, NULL))
		return 0;
	return sd_bus_reply_method_return(m, "");
}

// Own the name as @user and answer everything.
static void start_service(const char *user) {
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	service_pid = fork();
	if (service_pid == 0) {
		sd_bus *bus = NULL;

		if (become(user) < 0 || sd_bus_open_system(&bus) < 0 ||
		    sd_bus_add_filter(bus, NULL, answer, NULL) < 0 ||
		    sd_bus_request_name(bus, IPC_BUS_NAME, 0) < 0)
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGKILL); // setuid() clears it
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		while (sd_bus_process(bus, NULL) > 0 || sd_bus_wait(bus, UINT64_MAX) >= 0)
			;
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static void stop(pid_t pid) {
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int setup_node(const char *users, const char *groups) {
	overlay("/etc/passwd", "passwd", users);
	overlay("/etc/group", "group", groups);
	start_bus();
	return 0;
}

static int without_users(void **state) {
	(void)state;
	return setup_node("", "");
}

static int with_users(void **state) {
	(void)state;
	return setup_node(
		"vdpad:x:64001:64001::/:/bin/false\nlooker:x:64002:64002::/:/bin/false\n",
		"vdpad:x:64001:looker\nlooker:x:64002:\n"
	);
}

static int teardown(void **state) {
	char command[64];

	(void)state;
	stop(service_pid);
	stop(bus_pid);
	umount("/etc/passwd");
	umount("/etc/group");
	snprintf(command, sizeof(command), "rm %s/*", dir);
	return system(command);
}

static void root_manages_where_vdpads_users_do_not_exist(void **state) {
	(void)state;
	start_service("root");
	assert_int_equal(try_as("root", IPC_MANAGER_IFACE, "AddPort"), ALLOWED);
	assert_int_equal(try_as("nobody", IPC_MANAGER_IFACE, "ShowPorts"), DENIED);
}

static void root_manages_and_the_group_looks(void **state) {
	static const char *const readers[] = {
		"ShowPorts", "ShowNetworks", "ShowPools", "ShowMgmtdevs", "ShowDevices", "PlanPool",
		"PlanPort",  "Explain",      "Stats",     "Facts",        "Status"};
	static const char *const writers[] = {"AddPort", "SetPort", "DelPort", "Reload"};

	(void)state;
	start_service("vdpad");
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		assert_int_equal(try_as("root", IPC_MANAGER_IFACE, readers[i]), ALLOWED);
		assert_int_equal(try_as("looker", IPC_MANAGER_IFACE, readers[i]), ALLOWED);
		assert_int_equal(try_as("nobody", IPC_MANAGER_IFACE, readers[i]), DENIED);
	}
	for (size_t i = 0; i < ARRAY_LEN(writers); i++) {
		assert_int_equal(try_as("root", IPC_MANAGER_IFACE, writers[i]), ALLOWED);
		assert_int_equal(try_as("looker", IPC_MANAGER_IFACE, writers[i]), DENIED);
		assert_int_equal(try_as("nobody", IPC_MANAGER_IFACE, writers[i]), DENIED);
	}
}

static void the_group_reads_properties_and_sets_none(void **state) {
	static const char properties[] = "org.freedesktop.DBus.Properties";
	static const char manager[] = "org.freedesktop.DBus.ObjectManager";

	(void)state;
	start_service("vdpad");
	assert_int_equal(try_as("looker", properties, "Get"), ALLOWED);
	assert_int_equal(try_as("looker", properties, "GetAll"), ALLOWED);
	assert_int_equal(try_as("looker", properties, "Set"), DENIED);
	assert_int_equal(try_as("looker", manager, "GetManagedObjects"), ALLOWED);
	assert_int_equal(
		try_as("looker", "org.freedesktop.DBus.Introspectable", "Introspect"), ALLOWED
	);
	assert_int_equal(try_as("nobody", properties, "GetAll"), DENIED);
	assert_int_equal(try_as("nobody", manager, "GetManagedObjects"), DENIED);
}

static void only_vdpad_and_root_own_the_name(void **state) {
	(void)state;
	start_service("vdpad");
	assert_int_equal(try_as("root", NULL, NULL), ALLOWED);
	assert_int_equal(try_as("looker", NULL, NULL), DENIED);
	assert_int_equal(try_as("nobody", NULL, NULL), DENIED);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			root_manages_where_vdpads_users_do_not_exist, without_users, teardown
		),
		cmocka_unit_test_setup_teardown(
			root_manages_and_the_group_looks, with_users, teardown
		),
		cmocka_unit_test_setup_teardown(
			the_group_reads_properties_and_sets_none, with_users, teardown
		),
		cmocka_unit_test_setup_teardown(
			only_vdpad_and_root_own_the_name, with_users, teardown
		),
	};
	char address[64];
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdtemp(dir) == NULL || chmod(dir, 0755) < 0) {
		fprintf(stderr, "this test cannot run: %s (is this root?)\n", strerror(errno));
		return EXIT_FAILURE;
	}
	snprintf(address, sizeof(address), "unix:path=%s/bus", dir);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return r;
}
