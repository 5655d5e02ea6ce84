// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/subfunction.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/sysfs.h"

static int find_quietly(struct nic *nic, uint32_t number, struct devlink_port *ret_port) {
	_cleanup_port_list_ struct devlink_port_list list = {0};
	int r;

	if (nic->devlink == NULL)
		return -EOPNOTSUPP;
	r = devlink_port_list(nic->devlink, &nic->handle, &list);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n_items; i++) {
		const struct devlink_port *port = &list.items[i];

		if (port->flavour == DEVLINK_PCI_SF && port->controller_number == 0 &&
		    port->has_sf_number && port->sf_number == number) {
			*ret_port = *port;
			return 0;
		}
	}
	return -ENODEV;
}

int subfunction_find(
	struct nic *nic, uint32_t number, struct devlink_port *ret_port, struct error *e
) {
	int r = find_quietly(nic, number, ret_port);

	if (r == 0 || r == -ENODEV)
		return r;
	steps_say(nic->steps, "list the ports of %s", nic->pf);
	return nic_refused(nic, r, NULL, e);
}

// The PF's number is that of the PCI function.
static uint16_t pf_number(const struct nic *nic) {
	const char *dot = strrchr(nic->handle.dev, '.');

	return strcmp(nic->handle.bus, "pci") == 0 && dot != NULL
		? (uint16_t)strtoul(dot + 1, NULL, 16)
		: 0;
}

int subfunction_make(
	struct nic *nic, uint32_t number, struct devlink_port *ret_port, bool *ret_made,
	struct error *e
) {
	int r = subfunction_find(nic, number, ret_port, e);

	*ret_made = false;
	if (r != -ENODEV)
		return r;
	steps_say(nic->steps, "make subfunction %u of %s", number, nic->pf);
	r = devlink_sf_new(nic->devlink, &nic->handle, pf_number(nic), number, ret_port);
	if (r == -ECANCELED) {
		*ret_port = (struct devlink_port){.index = NL_PRINT_NEW_PORT};
		r = 0;
	} else if (r == -ENODATA || r == -EEXIST) {
		// Made without an answer, or in the moment since we looked.
		*ret_made = r == -ENODATA;
		r = find_quietly(nic, number, ret_port);
		return r < 0 ? nic_refused(nic, r, NULL, e) : 0;
	}
	if (r < 0)
		return nic_refused(nic, r, NULL, e);
	*ret_made = true;
	return 0;
}

static int set_active(
	struct nic *nic, uint32_t number, const struct devlink_port *port, bool active,
	struct error *e
) {
	const struct devlink_function_spec spec = {.has_state = true, .is_active = active};
	int r;

	steps_say(
		nic->steps, "%s subfunction %u of %s", active ? "activate" : "deactivate", number,
		nic->pf
	);
	r = devlink_function_set(nic->devlink, &nic->handle, port->index, &spec);
	return r < 0 ? nic_refused(nic, r, NULL, e) : 0;
}

// The auxiliary device with the number in its file sfnum, below this PF.
static int find_auxiliary(const struct nic *nic, uint32_t number, struct nl_handle *ret_handle) {
	const char *sys = nic->kernel->vdpa->roots->sys;
	_cleanup_dir_ DIR *dir = NULL;
	char path[PATH_MAX], name[NIC_FUNCTION_NAME_SIZE], auxiliary[] = "auxiliary";
	const struct dirent *entry;
	int r;

	snprintf(name, sizeof(name), "sf%u", number);
	r = sysfs_path(path, "%s/bus/auxiliary/devices", sys);
	if (r < 0)
		return r;
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		const struct nl_handle handle = {.bus = auxiliary, .dev = (char *)entry->d_name};
		struct nic_function function;

		nic_function_read(sys, &handle, &function);
		if (strcmp(function.name, name) != 0 || strcmp(function.pf, nic->pf) != 0)
			continue;
		ret_handle->bus = strdup(auxiliary);
		ret_handle->dev = strdup(entry->d_name);
		if (ret_handle->bus != NULL && ret_handle->dev != NULL)
			return 0;
		nl_handle_done(ret_handle);
		return -ENOMEM;
	}
	return -ENODEV;
}

static int wait_for_auxiliary(
	struct nic *nic, uint32_t number, const struct devlink_port *port,
	struct nl_handle *ret_handle, struct error *e
) {
	struct devlink_port now = *port;
	int r;

	steps_say(nic->steps, "wait for the device of subfunction %u of %s", number, nic->pf);
	do {
		r = devlink_port_get(nic->devlink, &nic->handle, port->index, &now);
		if (r < 0)
			return nic_refused(nic, r, NULL, e);
		r = now.function.is_attached ? find_auxiliary(nic, number, ret_handle) : -ENODEV;
		if (r != -ENODEV)
			return r < 0 ? nic_refused(nic, r, "", e) : 0;
	} while (nic_wait(nic));
	return nic_refused(
		nic, -ETIMEDOUT,
		now.function.is_attached ? "it is attached, but has no auxiliary device"
					 : "the firmware does not attach it",
		e
	);
}

// A dry run has no device to ask: it says what a new one needs.
static int set_param(
	struct nic *nic, const struct nl_handle *aux, const char *name, bool value,
	bool *ret_changed, struct error *e
) {
	bool is_new = strcmp(aux->dev, NIC_NEW) == 0, now;
	int r = is_new ? 0 : devlink_param_get(nic->devlink, aux, name, DEVLINK_ON_RELOAD, &now);

	// A driver without this parameter: what it says is not to be had otherwise.
	if (r == -EINVAL || r == -ENODATA || r == -EOPNOTSUPP ||
	    (r == 0 && !is_new && now == value))
		return 0;
	steps_say(nic->steps, "%s %s of %s", value ? "switch on" : "switch off", name, aux->dev);
	if (r == 0)
		r = devlink_param_set(nic->devlink, aux, name, DEVLINK_ON_RELOAD, value);
	*ret_changed = true;
	return r < 0 ? nic_refused(nic, r, NULL, e) : 0;
}

// Parameters that were set count after a reload, and look the same before: whether there is a management
// device tells, and there is none here.
static int make_it_vdpa(struct nic *nic, const struct nl_handle *aux, struct error *e) {
	bool changed = false;
	int r = set_param(nic, aux, "enable_vnet", true, &changed, e);

	if (r == 0)
		r = set_param(nic, aux, "enable_eth", false, &changed, e);
	if (r == 0)
		r = set_param(nic, aux, "enable_rdma", false, &changed, e);
	if (r < 0)
		return r;
	steps_say(nic->steps, "reload %s, so that it becomes a vDPA device", aux->dev);
	r = devlink_reload(nic->devlink, aux);
	return r < 0 ? nic_refused(nic, r, NULL, e) : 0;
}

static int take_new_handle(struct nl_handle *ret_handle, struct error *e) {
	*ret_handle = (struct nl_handle){.bus = strdup("auxiliary"), .dev = strdup(NIC_NEW)};
	if (ret_handle->bus != NULL && ret_handle->dev != NULL)
		return 0;
	nl_handle_done(ret_handle);
	return error_set(e, ENOMEM, "out of memory");
}

int subfunction_start(
	struct nic *nic, uint32_t number, const struct devlink_port *port,
	struct nl_handle *ret_mgmtdev, struct error *e
) {
	_cleanup_(nl_handle_done) struct nl_handle aux = {0};
	char name[NIC_FUNCTION_NAME_SIZE];
	bool is_new = port->index == NL_PRINT_NEW_PORT;
	int r = 0;

	snprintf(name, sizeof(name), "sf%u", number);
	if (!is_new)
		r = nic_find_mgmtdev(nic, name, ret_mgmtdev, e);
	if (!is_new && r != -ENODEV)
		return r;

	r = port->function.is_active ? 0 : set_active(nic, number, port, true, e);
	if (r == 0 && (is_new || (nic->steps->dry_run && !port->function.is_attached)))
		r = take_new_handle(&aux, e);
	else if (r == 0)
		r = wait_for_auxiliary(nic, number, port, &aux, e);
	if (r == 0)
		r = make_it_vdpa(nic, &aux, e);
	if (r < 0)
		return r;
	if (nic->steps->dry_run) {
		*ret_mgmtdev = aux;
		aux = (struct nl_handle){0};
		return 0;
	}

	steps_say(nic->steps, "wait for the management device of subfunction %u", number);
	do {
		r = nic_find_mgmtdev(nic, name, ret_mgmtdev, e);
		if (r != -ENODEV)
			return r;
	} while (nic_wait(nic));
	return nic_refused(
		nic, -ETIMEDOUT, "is the vDPA module of the driver loaded, mlx5_vdpa for one?", e
	);
}

int subfunction_delete(
	struct nic *nic, uint32_t number, const struct devlink_port *port, struct error *e
) {
	int r = 0;

	if (port->function.is_active) {
		r = set_active(nic, number, port, false, e);
		if (r < 0)
			return r;
	}
	steps_say(nic->steps, "delete subfunction %u of %s", number, nic->pf);
	r = devlink_port_del(nic->devlink, &nic->handle, port->index);
	return r < 0 && r != -ENODEV ? nic_refused(nic, r, NULL, e) : 0;
}
