// SPDX-License-Identifier: GPL-2.0-or-later
// A PF, opened for one operation on it or its functions. Whatever is changed is recorded as steps, and only
// recorded in a dry run.
//
// Errors of all that works on a PF: EBUSY somebody uses what would have to go; ENOSPC the device has no
// more; EOPNOTSUPP it, its driver or the kernel cannot; EPERM not ours; EIO anything else, with the
// kernel's words. The sentence names the step.

#pragma once

#include "netlink/devlink.h"
#include "netlink/netif.h"
#include "netlink/nic_function.h"
#include "netlink/steps.h"
#include "netlink/vdpa_device.h"
#include "vdpad/util/error.h"

#define NIC_PF_SIZE 64
#define NIC_POLL_MS 50
#define NIC_NEW "(new)" // in a dry run: the name of what is not there yet

struct nic_kernel {
	const struct vdpa_kernel *vdpa;
	int (*open_devlink)(void *userdata, struct nl_socket **ret_nl);
	void *userdata;
	uint32_t patience_ms; // for what firmware and drivers do after they were asked
};
extern const struct nic_kernel nic_host_kernel;

struct nic {
	const struct nic_kernel *kernel; // borrowed
	struct steps *steps;             // borrowed
	char pf[NIC_PF_SIZE];            // a PCI address, or BUS/DEV
	struct nl_handle handle;
	struct nl_socket *devlink; // NULL where the kernel has no devlink
	struct netif_socket *netif;
	uint64_t deadline_ms; // when patience ends
};

// -EINVAL: @pf is not the name of a device. To be closed in either case.
int nic_open(
	struct nic *nic, const struct nic_kernel *kernel, const char *pf, struct steps *steps,
	struct error *e
);
void nic_close(struct nic *nic);
#define _cleanup_nic_ _cleanup_(nic_close)

// "@sys/bus/BUS/devices/DEV/..."
int nic_path(const struct nic *nic, char path[static PATH_MAX], const char *fmt, ...)
	_printf_(3, 4);

// A number in a file of the device. -ENOENT, -EBADMSG or another -errno.
int nic_read_number(const struct nic *nic, const char *name, uint64_t *ret_number);

// The step that is being done failed with @r; the words are devlink's, or @words if that is not NULL.
int nic_refused(const struct nic *nic, int r, const char *words, struct error *e);

// The mode of the e-switch. -EOPNOTSUPP: it has none, or nothing of the kind.
int nic_mode(const struct nic *nic, enum devlink_mode *ret_mode);

// Wait a little. False when patience has ended.
bool nic_wait(struct nic *nic);

// The management device of the function @name of this PF. -ENODEV: there is none (yet).
int nic_find_mgmtdev(
	const struct nic *nic, const char *name, struct nl_handle *ret_handle, struct error *e
);
