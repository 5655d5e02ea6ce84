// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/sriov.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "netlink/sysfs.h"

static int set_mode(struct nic *nic, enum devlink_mode mode, struct error *e) {
	int r;

	steps_say(
		nic->steps, "put the e-switch of %s into %s mode", nic->pf,
		mode == DEVLINK_MODE_SWITCHDEV ? "switchdev" : "legacy"
	);
	r = devlink_mode_set(nic->devlink, &nic->handle, mode);
	return r < 0 ? nic_refused(nic, r, NULL, e) : 0;
}

static uint64_t count_vfs(const struct nic *nic) {
	uint64_t n;

	return nic_read_number(nic, "sriov_numvfs", &n) < 0 ? 0 : n;
}

int sriov_ensure_switchdev(struct nic *nic, bool *ret_switched, struct error *e) {
	enum devlink_mode mode;
	int r = nic_mode(nic, &mode);

	*ret_switched = false;
	if (r == -EOPNOTSUPP)
		return error_set(e, EOPNOTSUPP, "%s has no e-switch", nic->pf);
	if (r < 0) {
		steps_say(nic->steps, "read the mode of the e-switch of %s", nic->pf);
		return nic_refused(nic, r, NULL, e);
	}
	if (mode == DEVLINK_MODE_SWITCHDEV)
		return 0;
	if (count_vfs(nic) != 0)
		return error_set(
			e, EBUSY,
			"the e-switch of %s is in legacy mode and there are VFs, which "
			"switchdev mode would take away; remove them first",
			nic->pf
		);
	r = set_mode(nic, DEVLINK_MODE_SWITCHDEV, e);
	*ret_switched = r == 0;
	return r;
}

static int write_number(struct nic *nic, const char *file, uint32_t number, struct error *e) {
	char path[PATH_MAX], text[16];
	int r = nic_path(nic, path, "%s", file);

	snprintf(text, sizeof(text), "%u", number);
	if (r == 0)
		r = steps_write(nic->steps, path, text);
	return r < 0 ? nic_refused(nic, r, "", e) : 0;
}

static int check_total(const struct nic *nic, uint32_t count, struct error *e) {
	uint64_t total;
	int r = nic_read_number(nic, "sriov_totalvfs", &total);

	if (r == -ENOENT) // not a PCI device: the number shows itself
		return 0;
	if (r < 0)
		return error_set(
			e, EIO, "cannot read how many VFs %s can have: %s", nic->pf, strerror(-r)
		);
	if (count > total)
		return error_set(
			e, ENOSPC,
			"%s can have %u VFs and not %u; its firmware's settings say how "
			"many",
			nic->pf, (unsigned int)total, count
		);
	return 0;
}

static int make(struct nic *nic, uint32_t count, struct error *e) {
	uint64_t probes;
	int r = 0;

	if (nic_read_number(nic, "sriov_drivers_autoprobe", &probes) == 0 && probes == 0) {
		steps_say(nic->steps, "have new VFs of %s bound to their driver", nic->pf);
		r = write_number(nic, "sriov_drivers_autoprobe", 1, e);
	}
	if (r < 0)
		return r;
	steps_say(nic->steps, "make %u VFs of %s", count, nic->pf);
	return write_number(nic, "sriov_numvfs", count, e);
}

int sriov_vf_address(const struct nic *nic, uint32_t vf, char address[static NAME_MAX + 1]) {
	char path[PATH_MAX];
	int r = nic_path(nic, path, "virtfn%u", vf);

	return r < 0 ? r : sysfs_link_name(path, address);
}

// A VF that was made while autoprobe was off, or unbound since, has no driver.
static int bind_vf(struct nic *nic, uint32_t vf, struct error *e) {
	const char *sys = nic->kernel->vdpa->roots->sys;
	char address[NAME_MAX + 1], driver[NAME_MAX + 1], path[PATH_MAX];
	int r = sriov_vf_address(nic, vf, address);

	if (r < 0 || address[0] == 0)
		return 0;
	r = sysfs_path(path, "%s/bus/%s/devices/%s/driver", sys, nic->handle.bus, address);
	if (r == 0)
		r = sysfs_link_name(path, driver);
	if (r == 0 && driver[0] != 0)
		return 0;
	steps_say(nic->steps, "bind VF %u of %s (%s) to its driver", vf, nic->pf, address);
	if (r == 0)
		r = sysfs_path(path, "%s/bus/%s/drivers_probe", sys, nic->handle.bus);
	if (r == 0)
		r = steps_write(nic->steps, path, address);
	return r < 0 ? nic_refused(nic, r, "", e) : 0;
}

// Drivers with a switch of their own at the PF for vDPA on its VFs (pds_core).
static int enable_vdpa(struct nic *nic, struct error *e) {
	bool enabled;
	int r;

	if (nic->devlink == NULL ||
	    devlink_param_get(nic->devlink, &nic->handle, "enable_vnet", DEVLINK_NOW, &enabled) <
	            0 ||
	    enabled)
		return 0;
	steps_say(nic->steps, "enable vDPA on the VFs of %s", nic->pf);
	r = devlink_param_set(nic->devlink, &nic->handle, "enable_vnet", DEVLINK_NOW, true);
	return r < 0 ? nic_refused(nic, r, NULL, e) : 0;
}

int sriov_ensure(struct nic *nic, uint32_t count, struct error *e) {
	bool switched = false, made = false;
	struct error ignored;
	uint64_t n;
	int r = nic_read_number(nic, "sriov_numvfs", &n);

	if (r < 0)
		return error_set(
			e, EOPNOTSUPP,
			"%s cannot have VFs: it is not a PF with SR-IOV, or its "
			"firmware has it off",
			nic->pf
		);
	if (n != 0 && n != count)
		return error_set(
			e, EBUSY,
			"%s has %u VFs and not %u; to change that takes all of them away: "
			"write 0 to its sriov_numvfs first",
			nic->pf, (unsigned int)n, count
		);
	r = check_total(nic, count, e);
	if (r == 0 && n == 0 && count != 0) {
		r = sriov_ensure_switchdev(nic, &switched, e);
		if (r == -EOPNOTSUPP) // no e-switch, or one that wants its VFs first: legacy
			r = 0;
	}
	if (r == 0 && n == 0 && count != 0) {
		r = make(nic, count, e);
		made = r == 0;
	}
	if (r == 0)
		r = enable_vdpa(nic, e);
	for (uint32_t vf = 0; vf < count && r == 0; vf++)
		r = bind_vf(nic, vf, e);
	if (r == 0)
		return 0;
	if (made)
		write_number(nic, "sriov_numvfs", 0, &ignored);
	if (switched)
		set_mode(nic, DEVLINK_MODE_LEGACY, &ignored);
	return r;
}
