// SPDX-License-Identifier: GPL-2.0-or-later

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <linux/if_tun.h>

#include "netlink/tap.h"
#include "tests/unit/netlink/netns.h"
#include "tests/unit/unit.h"
#include "vdpad/util/cleanup.h"

#define TAP "vdp-test"

static struct netif_socket *nl;
static struct error e;

static int open_tap(const char *bridge, uint32_t mtu_bytes, int *ret_fd) {
	struct tap_spec spec = {
		.ifname = TAP, .network = "test", .bridge = bridge, .mtu_bytes = mtu_bytes};

	e = (struct error){0};
	return tap_open(nl, &spec, ret_fd, &e);
}

static int must_open(const char *bridge, uint32_t mtu_bytes) {
	int fd = -EBADF;

	if (open_tap(bridge, mtu_bytes, &fd) < 0)
		fail_msg("%s", e.text);
	return fd;
}

static struct netif look(const char *name) {
	struct netif netif = {0};

	netif_find(nl, name, &netif, &e);
	return netif;
}

// Each test begins without interfaces.
static int clean(void **state) {
	(void)state;
	return netns_sh("for i in $(ls /sys/class/net); do [ $i = lo ] || ip link del $i "
	                "2>/dev/null; done; true")
		? 0
		: -1;
}

static void a_new_tap_is_marked_up_and_persistent(void **state) {
	int fd = must_open("", 4000);
	struct netif tap = look(TAP);

	(void)state;
	assert_string_equal(tap_network(&tap), "test");
	assert_int_equal(tap.mtu_bytes, 4000);
	assert_int_equal(tap.master_index, 0);
	assert_true(netns_sh("ip link show up dev " TAP " | grep -q " TAP));
	close(fd);
	assert_string_equal(look(TAP).name, TAP);
}

static void the_descriptor_is_what_the_switch_expects(void **state) {
	_cleanup_close_ int fd = must_open("", 1500);
	struct ifreq request = {0};
	int header_size = 0;
	char frame[64];

	(void)state;
	assert_int_equal(ioctl(fd, TUNGETIFF, &request), 0);
	assert_int_equal(
		request.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR),
		IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
	);
	assert_int_equal(ioctl(fd, TUNGETVNETHDRSZ, &header_size), 0);
	assert_int_equal(header_size, 12);
	assert_int_not_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	while (read(fd, frame, sizeof(frame)) > 0)
		; // what the kernel sends by itself
	assert_int_equal(errno, EAGAIN);
}

static void only_root_may_attach(void **state) {
	(void)state;
	close(must_open("", 1500));
	assert_true(netns_sh("[ $(cat /sys/class/net/" TAP "/owner) = 0 ]"));
}

static void it_is_attached_to_again_and_brought_into_the_asked_state(void **state) {
	_cleanup_close_ int fd = -EBADF;
	int index;

	(void)state;
	close(must_open("", 1500));
	index = look(TAP).index;
	fd = must_open("", 2000);
	assert_int_equal(look(TAP).index, index);
	assert_int_equal(look(TAP).mtu_bytes, 2000);
}

static void a_tap_in_use_is_refused(void **state) {
	_cleanup_close_ int fd = -EBADF;
	int second = -EBADF;

	(void)state;
	fd = must_open("", 1500);
	assert_int_equal(open_tap("", 1500, &second), -EBUSY);
	assert_string_equal(e.text, "TAP 'vdp-test' is still open in another process");
}

static void a_foreign_interface_is_never_touched(void **state) {
	int fd = -EBADF;

	(void)state;
	assert_true(netns_sh("ip tuntap add dev " TAP " mode tap && ip link set " TAP " mtu 1234"));
	assert_int_equal(open_tap("", 1500, &fd), -EPERM);
	assert_string_equal(
		e.text,
		"interface 'vdp-test' exists and is not vdpad's (its alias is ''); remove or "
		"rename it"
	);
	assert_int_equal(tap_delete(nl, TAP, &e), -EPERM);
	assert_int_equal(look(TAP).mtu_bytes, 1234);
	assert_true(netns_sh("ip link del " TAP));

	// The mark alone does not make a bridge our TAP.
	assert_true(netns_sh("ip link add " TAP " type bridge && "
	                     "ip link set " TAP " alias 'vdpad test'"));
	assert_int_equal(open_tap("", 1500, &fd), -EPERM);
	assert_int_equal(tap_delete(nl, TAP, &e), -EPERM);
}

static void a_missing_bridge_leaves_nothing_behind(void **state) {
	int fd = -EBADF;

	(void)state;
	assert_int_equal(open_tap("vmbr9", 1500, &fd), -ENXIO);
	assert_string_equal(e.text, "there is no Linux bridge 'vmbr9'");
	assert_int_equal(look(TAP).index, 0);
	assert_int_equal(open_tap("lo", 1500, &fd), -ENXIO);
	assert_string_equal(e.text, "interface 'lo' is not a Linux bridge");
}

static void a_refusal_of_the_kernel_leaves_nothing_behind_and_is_told(void **state) {
	int fd = -EBADF;

	(void)state;
	assert_int_equal(open_tap("", 70000, &fd), -EINVAL);
	assert_string_equal(
		e.text,
		"cannot set the MTU of interface 'vdp-test' to 70000: Invalid argument (\"mtu "
		"greater than device maximum\")"
	);
	assert_int_equal(look(TAP).index, 0);
}

static void in_a_bridge_it_changes_neither_its_mtu_nor_its_mac_and_has_no_address(void **state) {
	_cleanup_close_ int fd = -EBADF;

	(void)state;
	assert_true(netns_sh("ip link add vmbr0 type bridge && ip tuntap add dev p0 mode tap && "
	                     "ip link set p0 mtu 9000 address 02:00:00:00:00:01 master vmbr0 && "
	                     "ip link set vmbr0 up && ip link set p0 up"));
	assert_int_equal(look("vmbr0").mtu_bytes, 9000);
	fd = must_open("vmbr0", 1500);
	assert_int_equal(look(TAP).master_index, look("vmbr0").index);
	assert_int_equal(look("vmbr0").mtu_bytes, 9000);
	assert_true(netns_sh("grep -q 02:00:00:00:00:01 /sys/class/net/vmbr0/address"));
	assert_true(netns_sh("[ -z \"$(ip -6 addr show dev " TAP ")\" ]"));
	assert_true(netns_sh("[ $(cat /sys/class/net/" TAP "/tx_queue_len) = 1000 ]"));
}

static void it_moves_between_bridges_and_out_of_them(void **state) {
	(void)state;
	assert_true(netns_sh("ip link add br0 type bridge && ip link add br1 type bridge"));
	close(must_open("br0", 1500));
	assert_int_equal(look(TAP).master_index, look("br0").index);
	close(must_open("br1", 1500));
	assert_int_equal(look(TAP).master_index, look("br1").index);
	close(must_open("", 1500));
	assert_int_equal(look(TAP).master_index, 0);
}

// Where the kernel has no filtering bridges there is nothing to let through; what would be asked for
// is what test_netif.c checks.
static void a_filtering_bridge_lets_all_vlans_through_and_keeps_its_own_untagged(void **state) {
	(void)state;
	if (!netns_sh(
		    "ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 10 2>/dev/null"
	    )) {
		assert_true(netns_sh(
			"! grep -q BRIDGE_VLAN_FILTERING=y /boot/config-$(uname -r) 2>/dev/null"
		));
		return;
	}
	close(must_open("br0", 1500));
	close(must_open("br0", 1500));
	assert_true(netns_sh("bridge vlan show dev " TAP " | grep -q '10 PVID Egress Untagged'"));
	assert_true(netns_sh("for v in 1 9 11 4094; do bridge vlan show dev " TAP
	                     " vid $v | grep -q . || exit 1; done"));
}

static void delete_is_done_once_and_again(void **state) {
	(void)state;
	close(must_open("", 1500));
	assert_int_equal(tap_delete(nl, TAP, &e), 0);
	assert_int_equal(look(TAP).index, 0);
	assert_int_equal(tap_delete(nl, TAP, &e), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_new_tap_is_marked_up_and_persistent, clean),
		cmocka_unit_test_setup(the_descriptor_is_what_the_switch_expects, clean),
		cmocka_unit_test_setup(only_root_may_attach, clean),
		cmocka_unit_test_setup(
			it_is_attached_to_again_and_brought_into_the_asked_state, clean
		),
		cmocka_unit_test_setup(a_tap_in_use_is_refused, clean),
		cmocka_unit_test_setup(a_foreign_interface_is_never_touched, clean),
		cmocka_unit_test_setup(a_missing_bridge_leaves_nothing_behind, clean),
		cmocka_unit_test_setup(
			a_refusal_of_the_kernel_leaves_nothing_behind_and_is_told, clean
		),
		cmocka_unit_test_setup(
			in_a_bridge_it_changes_neither_its_mtu_nor_its_mac_and_has_no_address, clean
		),
		cmocka_unit_test_setup(it_moves_between_bridges_and_out_of_them, clean),
		cmocka_unit_test_setup(
			a_filtering_bridge_lets_all_vlans_through_and_keeps_its_own_untagged, clean
		),
		cmocka_unit_test_setup(delete_is_done_once_and_again, clean),
	};
	int r = netns_enter();

	if (r != 0)
		return r;
	if (netif_open(&nl, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return EXIT_FAILURE;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	netif_close(nl);
	return r;
}
