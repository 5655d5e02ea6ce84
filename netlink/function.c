// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/function.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/sriov.h"
#include "netlink/subfunction.h"
#include "netlink/sysfs.h"
#include "vdpad/util/parse.h"

#define MAX_VF 65535

// One function and what has been done to it here, to be undone.
struct work {
	struct nic *nic;
	const char *name;
	bool is_vf;
	bool is_legacy; // a VF without a port: the PF itself keeps what belongs to it
	uint32_t number;
	struct devlink_port port;
	struct nl_handle mgmtdev;
	struct devlink_function before;
	uint64_t max_bps_before;
	bool switched, made, set_mac, joined, set_rate;
};

static void work_done(struct work *work) {
	nl_handle_done(&work->mgmtdev);
}
#define _cleanup_work_ _cleanup_(work_done)

static int parse_name(struct work *work, const char *name, struct error *e) {
	uint64_t number = 0;
	int r = -EINVAL;

	work->name = name;
	work->is_vf = strncmp(name, "vf", 2) == 0;
	if (work->is_vf || strncmp(name, "sf", 2) == 0)
		r = parse_u64(name + 2, 0, work->is_vf ? MAX_VF : UINT32_MAX, &number);
	if (r < 0)
		return error_set(e, EINVAL, "'%s' is not a function: vfN or sfN", name);
	work->number = (uint32_t)number;
	if (!work->is_vf && number < SUBFUNCTION_OURS_FIRST)
		return error_set(
			e, EPERM, "subfunction %u is not vdpad's: those have numbers from %d",
			work->number, SUBFUNCTION_OURS_FIRST
		);
	return 0;
}

// ---- VFs ----------------------------------------------------------------------------------------

// The port of a VF in switchdev mode, or is_legacy. -ENODEV: there is no such VF.
static int find_vf(struct work *work, struct error *e) {
	_cleanup_port_list_ struct devlink_port_list list = {0};
	struct nic *nic = work->nic;
	char address[NAME_MAX + 1];
	enum devlink_mode mode;
	int r = nic_mode(nic, &mode);

	if (r == 0 && mode == DEVLINK_MODE_SWITCHDEV) {
		r = devlink_port_list(nic->devlink, &nic->handle, &list);
		steps_say(nic->steps, "list the ports of %s", nic->pf);
		if (r < 0)
			return nic_refused(nic, r, NULL, e);
		for (size_t i = 0; i < list.n_items; i++) {
			work->port = list.items[i];
			if (work->port.flavour == DEVLINK_PCI_VF && work->port.has_vf_number &&
			    work->port.vf_number == work->number &&
			    work->port.controller_number == 0)
				return 0;
		}
	}
	work->is_legacy = true;
	work->port = (struct devlink_port){0};
	r = sriov_vf_address(nic, work->number, address);
	return r < 0 || address[0] == 0 ? -ENODEV : 0;
}

// The PF's own interface, through which a VF is set up where there is no e-switch.
static int find_pf_netif(const struct nic *nic, struct netif *ret_netif, struct error *e) {
	_cleanup_dir_ DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];
	int r = nic_path(nic, path, "net");

	dir = r < 0 ? NULL : opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			return netif_find(nic->netif, entry->d_name, ret_netif, e);
	return error_set(
		e, EOPNOTSUPP,
		"%s has neither an e-switch nor an interface of its own through "
		"which its VFs could be set up",
		nic->pf
	);
}

static int set_legacy(
	struct work *work, const struct netif_vf *values, const char *what, struct error *e
) {
	struct netif pf;
	int r = find_pf_netif(work->nic, &pf, e);

	if (r < 0)
		return r;
	steps_say(work->nic->steps, "set %s of VF %u of %s", what, work->number, work->nic->pf);
	r = netif_set_vf(work->nic->netif, &pf, work->number, values, e);
	return r < 0 && r != -EBUSY && r != -EOPNOTSUPP ? error_set(e, EIO, "%s", e->text) : r;
}

static int ensure_legacy(struct work *work, const struct function_spec *spec, struct error *e) {
	const struct netif_vf values = {
		.has_mac = spec->has_mac,
		.has_vlan = true,
		.has_rate = spec->max_bps != 0,
		.mac = spec->mac,
		.vlan = spec->representor.vlan,
		.max_bps = spec->max_bps,
	};

	return set_legacy(work, &values, "MAC, VLAN and rate", e);
}

// Nobody's VLAN and rate are left for the next who gets the VF. Not every driver has rates.
static int reset_legacy(struct work *work, struct error *e) {
	struct error ignored;

	set_legacy(work, &(struct netif_vf){.has_rate = true}, "the rate", &ignored);
	return set_legacy(work, &(struct netif_vf){.has_vlan = true}, "the VLAN", e);
}

// ---- Parts of both ------------------------------------------------------------------------------

static int ensure_mac(struct work *work, const struct function_spec *spec, struct error *e) {
	const struct devlink_function_spec change = {.has_mac = true, .mac = spec->mac};
	const struct devlink_function *now = &work->port.function;
	char text[MAC_TEXT_SIZE];
	int r;

	if (!spec->has_mac || (now->has_mac && mac_addr_equal(&now->mac, &spec->mac)))
		return 0;
	steps_say(
		work->nic->steps, "give %s of %s the MAC %s", work->name, work->nic->pf,
		mac_addr_format(&spec->mac, text)
	);
	r = devlink_function_set(work->nic->devlink, &work->nic->handle, work->port.index, &change);
	if (r < 0)
		return nic_refused(work->nic, r, NULL, e);
	work->set_mac = true;
	return 0;
}

static int set_rate(struct work *work, uint64_t max_bps, struct error *e) {
	const struct devlink_rate rate = {.max_bps = max_bps};
	struct devlink_rate now = {0};
	struct nic *nic = work->nic;
	int r = 0;

	if (work->port.index != NL_PRINT_NEW_PORT)
		r = devlink_rate_get(nic->devlink, &nic->handle, work->port.index, &now);
	if (max_bps == 0 && (r < 0 || now.max_bps == 0))
		return 0;
	if (r == 0 && now.max_bps == (max_bps + 7) / 8 * 8) // the kernel counts octets
		return 0;
	steps_say(
		nic->steps, "limit %s of %s to %llu bit/s", work->name, nic->pf,
		(unsigned long long)max_bps
	);
	r = devlink_rate_set(nic->devlink, &nic->handle, work->port.index, &rate);
	if (r < 0)
		return nic_refused(nic, r, NULL, e);
	work->max_bps_before = now.max_bps;
	work->set_rate = true;
	return 0;
}

// The representor's name comes with the port, or a moment later.
static int wait_for_representor(struct work *work, struct error *e) {
	struct nic *nic = work->nic;
	int r;

	if (work->port.index == NL_PRINT_NEW_PORT)
		return 0;
	steps_say(nic->steps, "wait for the representor of %s of %s", work->name, nic->pf);
	do {
		r = devlink_port_get(nic->devlink, &nic->handle, work->port.index, &work->port);
		if (r < 0)
			return nic_refused(nic, r, NULL, e);
		if (work->port.netdev_name[0] != 0)
			return 0;
	} while (nic_wait(nic));
	return nic_refused(nic, -ETIMEDOUT, "", e);
}

static int wait_for_mgmtdev(struct work *work, struct error *e) {
	struct nic *nic = work->nic;
	int r;

	steps_say(nic->steps, "find the management device of %s of %s", work->name, nic->pf);
	do {
		r = nic_find_mgmtdev(nic, work->name, &work->mgmtdev, e);
		if (r != -ENODEV)
			return r;
	} while (nic_wait(nic));
	if (nic->steps->dry_run)
		return 0;
	return nic_refused(
		nic, -ETIMEDOUT, "is the vDPA module of the driver loaded, mlx5_vdpa or pds_vdpa?",
		e
	);
}

// ---- All of it ----------------------------------------------------------------------------------

// In reverse. What fails is left; the failure that made us undo is the one to tell.
static void undo(struct work *work) {
	const struct function_spec before = {
		.has_mac = work->before.has_mac, .mac = work->before.mac};
	struct nic *nic = work->nic;
	struct error ignored;

	if (work->joined)
		representor_leave(nic, work->port.netdev_name, &ignored);
	if (work->set_rate && !work->made)
		set_rate(work, work->max_bps_before, &ignored);
	if (work->made) {
		devlink_port_get(nic->devlink, &nic->handle, work->port.index, &work->port);
		subfunction_delete(nic, work->number, &work->port, &ignored);
	} else if (work->set_mac) {
		work->port.function.has_mac = false; // it has ours
		ensure_mac(work, &before, &ignored);
	}
	if (work->switched) {
		steps_say(nic->steps, "put the e-switch of %s into legacy mode", nic->pf);
		devlink_mode_set(nic->devlink, &nic->handle, DEVLINK_MODE_LEGACY);
	}
}

static int ensure_port(struct work *work, const struct function_spec *spec, struct error *e) {
	int r;

	if (work->is_vf) {
		r = find_vf(work, e);
		if (r == -ENODEV)
			return error_set(
				e, EIO, "%s has no VF %u; EnsureVfs makes them", work->nic->pf,
				work->number
			);
		return r;
	}
	r = representor_check(work->nic, &spec->representor, e);
	if (r == 0)
		r = sriov_ensure_switchdev(work->nic, &work->switched, e);
	if (r == 0)
		r = subfunction_make(work->nic, work->number, &work->port, &work->made, e);
	return r;
}

static int ensure(struct work *work, const struct function_spec *spec, struct error *e) {
	int r = ensure_port(work, spec, e);

	if (r < 0)
		return r;
	work->before = work->port.function;
	// One of ours that was never activated is left over from an attempt that was interrupted: it goes
	// as if it were made here.
	if (!work->is_vf && !work->port.function.is_active)
		work->made = true;
	if (work->is_legacy) {
		r = wait_for_mgmtdev(work, e);
		return r < 0 ? r : ensure_legacy(work, spec, e);
	}
	if (work->is_vf)
		r = representor_check(work->nic, &spec->representor, e);
	if (r == 0)
		r = ensure_mac(work, spec, e);
	if (r == 0)
		r = work->is_vf ? wait_for_mgmtdev(work, e)
				: subfunction_start(
					  work->nic, work->number, &work->port, &work->mgmtdev, e
				  );
	if (r == 0)
		r = set_rate(work, spec->max_bps, e);
	if (r == 0)
		r = wait_for_representor(work, e);
	if (r == 0)
		r = representor_join(
			work->nic, work->port.netdev_name, &spec->representor, &work->joined, e
		);
	return r;
}

int function_ensure(
	struct nic *nic, const char *name, const struct function_spec *spec,
	struct function_state *ret_state, struct error *e
) {
	_cleanup_work_ struct work work = {.nic = nic};
	struct function_state state = {.is_active = true};
	int r = parse_name(&work, name, e);

	if (r < 0)
		return r;
	r = ensure(&work, spec, e);
	if (r < 0) {
		if (!nic->steps->dry_run)
			undo(&work);
		return r;
	}
	str_copy(state.name, sizeof(state.name), name);
	str_copy(state.representor, sizeof(state.representor), work.port.netdev_name);
	vdpa_handle_print(&work.mgmtdev, state.mgmtdev);
	*ret_state = state;
	return 0;
}

// -EBUSY if the function has a vDPA device.
static int check_unused(struct work *work, struct error *e) {
	_cleanup_dev_list_ struct vdpa_dev_list list = {0};
	_cleanup_nl_socket_ struct nl_socket *nl = NULL;
	char name[VDPA_PRINTED_NAME_SIZE];
	int r = nic_find_mgmtdev(work->nic, work->name, &work->mgmtdev, e);

	if (r == -ENODEV)
		return 0;
	if (r == 0)
		r = vdpa_kernel_open(work->nic->kernel->vdpa, &nl, e);
	if (r < 0)
		return r;
	r = vdpa_dev_list(nl, &list);
	if (r < 0)
		return vdpa_refused(e, r, "cannot list the vDPA devices", nl);
	for (size_t i = 0; i < list.n_items; i++)
		if (nl_handle_equal(&list.items[i].mgmtdev, &work->mgmtdev))
			return error_set(
				e, EBUSY, "%s of %s has vDPA device '%s'; delete that first",
				work->name, work->nic->pf, vdpa_name_print(list.items[i].name, name)
			);
	return 0;
}

int function_delete(struct nic *nic, const char *name, struct error *e) {
	_cleanup_work_ struct work work = {.nic = nic};
	int r = parse_name(&work, name, e);

	if (r < 0)
		return r;
	r = work.is_vf ? find_vf(&work, e) : subfunction_find(nic, work.number, &work.port, e);
	if (r == -ENODEV || (r == -EOPNOTSUPP && !work.is_vf)) // no devlink, no subfunctions
		return 0;
	if (r == 0)
		r = check_unused(&work, e);
	if (r < 0)
		return r;
	if (!work.is_vf)
		return subfunction_delete(nic, work.number, &work.port, e);
	if (work.is_legacy)
		return reset_legacy(&work, e);
	r = representor_leave(nic, work.port.netdev_name, e);
	return r < 0 ? r : set_rate(&work, 0, e);
}

// ---- Listing ------------------------------------------------------------------------------------

static struct function_state *add(struct function_list *list, const char *kind, uint32_t number) {
	struct function_state *larger =
		reallocarray(list->items, list->n_items + 1, sizeof(*larger));

	if (larger == NULL)
		return NULL;
	list->items = larger;
	larger = &larger[list->n_items++];
	*larger = (struct function_state){0};
	snprintf(larger->name, sizeof(larger->name), "%s%u", kind, number);
	return larger;
}

static int add_port(struct function_list *list, const struct devlink_port *port) {
	bool is_vf = port->flavour == DEVLINK_PCI_VF && port->has_vf_number;
	struct function_state *state;

	if (port->controller_number != 0 ||
	    (!is_vf && !(port->flavour == DEVLINK_PCI_SF && port->has_sf_number)))
		return 0;
	state = add(list, is_vf ? "vf" : "sf", is_vf ? port->vf_number : port->sf_number);
	if (state == NULL)
		return -ENOMEM;
	memcpy(state->representor, port->netdev_name, sizeof(state->representor));
	state->has_mac = port->function.has_mac;
	state->mac = port->function.mac;
	state->is_active = is_vf || port->function.is_active;
	return 0;
}

static bool has_function(const struct function_list *list, const char *name) {
	for (size_t i = 0; i < list->n_items; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return true;
	return false;
}

// VFs without a port: there is no e-switch.
static int add_legacy(const struct nic *nic, struct function_list *list) {
	char address[NAME_MAX + 1], name[NIC_FUNCTION_NAME_SIZE];

	for (uint32_t vf = 0; vf < MAX_VF; vf++) {
		struct function_state *state;

		if (sriov_vf_address(nic, vf, address) < 0 || address[0] == 0)
			return 0;
		snprintf(name, sizeof(name), "vf%u", vf);
		if (has_function(list, name))
			continue;
		state = add(list, "vf", vf);
		if (state == NULL)
			return -ENOMEM;
		state->is_active = true;
	}
	return 0;
}

static int add_mgmtdevs(struct nic *nic, struct function_list *list, struct error *e) {
	for (size_t i = 0; i < list->n_items; i++) {
		_cleanup_(nl_handle_done) struct nl_handle handle = {0};
		int r = nic_find_mgmtdev(nic, list->items[i].name, &handle, e);

		if (r < 0 && r != -ENODEV)
			return r;
		vdpa_handle_print(&handle, list->items[i].mgmtdev);
	}
	return 0;
}

int function_list(struct nic *nic, struct function_list *ret_list, struct error *e) {
	_cleanup_(function_list_done) struct function_list list = {0};
	_cleanup_port_list_ struct devlink_port_list ports = {0};
	int r = 0;

	steps_say(nic->steps, "list the ports of %s", nic->pf);
	if (nic->devlink != NULL)
		r = devlink_port_list(nic->devlink, &nic->handle, &ports);
	for (size_t i = 0; i < ports.n_items && r == 0; i++)
		r = add_port(&list, &ports.items[i]);
	if (r == 0)
		r = add_legacy(nic, &list);
	if (r < 0)
		return nic_refused(nic, r, NULL, e);
	r = add_mgmtdevs(nic, &list, e);
	if (r < 0)
		return r;
	*ret_list = list;
	list = (struct function_list){0};
	return 0;
}

void function_list_done(struct function_list *list) {
	free(list->items);
	*list = (struct function_list){0};
}
