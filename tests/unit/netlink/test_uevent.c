// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/uevent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "vdpad/util/cleanup.h"

static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = 1};

#define parse(text, ret) uevent_parse(&kernel, text, sizeof(text), ret)
#define ADD_D0                                        \
	"add@/devices/vdpasim_net/d0\0ACTION=add\0"   \
	"DEVPATH=/devices/vdpasim_net/d0\0SUBSYSTEM=" \
	"vdpa\0SEQNUM=1234"

static void vdpa_device_comes(void **state) {
	struct uevent event;

	(void)state;
	assert_int_equal(parse(ADD_D0, &event), 1);
	assert_int_equal(event.action, UEVENT_ADD);
	assert_true(event.is_vdpa);
	assert_string_equal(event.name, "d0");
	assert_string_equal(event.driver, "");
}

static void driver_takes_a_vdpa_device(void **state) {
	struct uevent event;

	(void)state;
	assert_int_equal(
		parse("bind@/devices/pci0000:00/0000:00:10.0/n0\0ACTION=bind\0"
	              "DEVPATH=/devices/pci0000:00/0000:00:10.0/n0\0SUBSYSTEM=vdpa\0"
	              "DRIVER=vhost_vdpa\0SEQNUM=5",
	              &event),
		1
	);
	assert_int_equal(event.action, UEVENT_BIND);
	assert_string_equal(event.name, "n0");
	assert_string_equal(event.driver, "vhost_vdpa");
}

static void parents_of_management_devices_are_told_apart(void **state) {
	struct uevent event;

	(void)state;
	assert_int_equal(
		parse("unbind@/devices/pci0000:00/0000:00:10.0\0ACTION=unbind\0"
	              "DEVPATH=/devices/pci0000:00/0000:00:10.0\0SUBSYSTEM=pci\0DRIVER=vp-vdpa",
	              &event),
		1
	);
	assert_false(event.is_vdpa);
	assert_string_equal(event.name, "0000:00:10.0");
	assert_int_equal(
		parse("remove@/d/mlx5_core.vnet.2\0ACTION=remove\0DEVPATH=/d/mlx5_core.vnet.2\0"
	              "SUBSYSTEM=auxiliary",
	              &event),
		1
	);
	assert_int_equal(event.action, UEVENT_REMOVE);
}

static void other_events_are_passed_over(void **state) {
	struct uevent event;

	(void)state;
	assert_int_equal(parse("add@/d/e\0ACTION=add\0DEVPATH=/d/e\0SUBSYSTEM=net", &event), 0);
	assert_int_equal(parse("move@/d/e\0ACTION=move\0DEVPATH=/d/e\0SUBSYSTEM=vdpa", &event), 0);
}

static void only_the_kernel_is_believed(void **state) {
	struct sockaddr_nl from = kernel;
	struct uevent event;

	(void)state;
	from.nl_pid = 1234;
	assert_int_equal(uevent_parse(&from, ADD_D0, sizeof(ADD_D0), &event), -EPERM);
	from = kernel;
	from.nl_groups = 2; // udev's
	assert_int_equal(uevent_parse(&from, ADD_D0, sizeof(ADD_D0), &event), -EPERM);
	from = kernel;
	from.nl_family = AF_UNIX;
	assert_int_equal(uevent_parse(&from, ADD_D0, sizeof(ADD_D0), &event), -EPERM);
}

static void every_beginning_of_an_event_is_survived(void **state) {
	static const char whole[] = ADD_D0;
	struct uevent event;

	(void)state;
	for (size_t size = 0; size < sizeof(whole); size++) {
		char part[sizeof(whole)];

		memcpy(part, whole, size);
		(void)uevent_parse(&kernel, part, size, &event);
	}
	assert_int_equal(uevent_parse(&kernel, whole, sizeof(whole) - 1, &event), -EBADMSG);
}

static void events_without_what_counts_are_refused(void **state) {
	struct uevent event;

	(void)state;
	assert_int_equal(parse("libudev", &event), -EBADMSG);
	assert_int_equal(parse("add@/d/e", &event), -EBADMSG);
	assert_int_equal(parse("add@/d/e\0ACTION=add\0SUBSYSTEM=vdpa", &event), -EBADMSG);
	assert_int_equal(
		parse("add@/d/e\0ACTION=add\0DEVPATH=e\0SUBSYSTEM=vdpa", &event), -EBADMSG
	);
	assert_int_equal(parse("add@/d/e\0ACTION=add\0DEVPATH=/d/e", &event), -EBADMSG);
}

static void name_or_driver_that_does_not_fit_is_refused(void **state) {
	char text[1024] = "add@/d/e\0ACTION=add\0SUBSYSTEM=vdpa\0DEVPATH=/d/";
	size_t start = sizeof("add@/d/e\0ACTION=add\0SUBSYSTEM=vdpa\0DEVPATH=/d/") - 1;
	struct uevent event;

	(void)state;
	memset(text + start, 'n', UEVENT_NAME_SIZE - 1);
	assert_int_equal(uevent_parse(&kernel, text, start + UEVENT_NAME_SIZE, &event), 1);
	memset(text + start, 'n', UEVENT_NAME_SIZE);
	assert_int_equal(
		uevent_parse(&kernel, text, start + UEVENT_NAME_SIZE + 1, &event), -EBADMSG
	);
}

static void messages_that_are_not_netlink_are_passed_over(void **state) {
	struct uevent event;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_true(write(fds[1], ADD_D0, sizeof(ADD_D0)) > 0);
	assert_int_equal(uevent_receive(fds[0], &event), 0);
	close(fds[0]);
	close(fds[1]);
}

static void kernel_socket_opens_and_is_quiet(void **state) {
	struct uevent event;
	int fd = -1, r;

	(void)state;
	assert_int_equal(uevent_open(&fd), 0);
	r = uevent_receive(fd, &event);
	assert_true(r == 0 || r == 1);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vdpa_device_comes),
		cmocka_unit_test(driver_takes_a_vdpa_device),
		cmocka_unit_test(parents_of_management_devices_are_told_apart),
		cmocka_unit_test(other_events_are_passed_over),
		cmocka_unit_test(only_the_kernel_is_believed),
		cmocka_unit_test(every_beginning_of_an_event_is_survived),
		cmocka_unit_test(events_without_what_counts_are_refused),
		cmocka_unit_test(name_or_driver_that_does_not_fit_is_refused),
		cmocka_unit_test(messages_that_are_not_netlink_are_passed_over),
		cmocka_unit_test(kernel_socket_opens_and_is_quiet),
	};

	return cmocka_run_group_tests_name("uevent", tests, NULL, NULL);
}
