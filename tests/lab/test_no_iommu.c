// SPDX-License-Identifier: GPL-2.0-or-later
// vp_vdpa where the IOMMU is off: the device can be made, nobody can open it, and it can be deleted.

#include <unistd.h>

#include "netlink/vdpa_delete.h"
#include "tests/lab/lab.h"

#define KERNEL_ENOTSUPP 524 // what the driver's open() answers, not in errno.h

static void device_that_nobody_can_open_is_deleted(void **state) {
	struct vdpa_dev_spec spec = lab_spec("n0", "pci/0000:00:10.0");
	struct nl_socket *nl = lab_open();

	(void)state;
	assert_int_equal(vdpa_dev_add(nl, &spec), 0);
	assert_int_equal(lab_open_chardev("n0"), -KERNEL_ENOTSUPP);
	lab_delete(nl, "n0");
	assert_false(lab_list_has(nl, "n0"));
	assert_int_equal(access("/dev/.vdpad-vhost-vdpa-0", F_OK), -1);
	nl_socket_close(nl);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_that_nobody_can_open_is_deleted),
	};

	return cmocka_run_group_tests_name("no_iommu", tests, NULL, NULL);
}
