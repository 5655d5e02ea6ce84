// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "netlink/sysfs.h"
#include "vdpad/util/parse.h"

#define MS_PER_SEC 1000
#define NSEC_PER_MS 1000000
#define PATIENCE_MS 15000 // within FUNCTION_DEADLINE_MS, with time left to undo

static int open_host(void *userdata, struct nl_socket **ret_nl) {
	(void)userdata;
	return devlink_open(ret_nl);
}

const struct nic_kernel nic_host_kernel = {
	.vdpa = &vdpa_host_kernel, .open_devlink = open_host, .patience_ms = PATIENCE_MS};

static uint64_t now_ms(void) {
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * MS_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_MS;
}

static int parse_pf(struct nic *nic, const char *pf, struct error *e) {
	char handle[NIC_PF_SIZE + sizeof("pci/")];
	int r = str_copy(nic->pf, sizeof(nic->pf), pf);

	if (r == 0 && (pf[0] == 0 || strstr(pf, "..") != NULL))
		r = -EINVAL;
	if (r == 0) {
		snprintf(handle, sizeof(handle), "%s%s", strchr(pf, '/') == NULL ? "pci/" : "", pf);
		r = nl_handle_parse(handle, &nic->handle);
	}
	if (r == -ENOMEM)
		return error_set(e, ENOMEM, "out of memory");
	return r < 0 ? error_set(e, EINVAL, "'%s' is not the PCI address of a PF", pf) : 0;
}

int nic_open(
	struct nic *nic, const struct nic_kernel *kernel, const char *pf, struct steps *steps,
	struct error *e
) {
	char path[PATH_MAX];
	int r;

	*nic = (struct nic){.kernel = kernel, .steps = steps};
	nic->deadline_ms = now_ms() + kernel->patience_ms;
	r = parse_pf(nic, pf, e);
	if (r < 0)
		return r;
	r = nic_path(nic, path, "uevent");
	if (r < 0 || access(path, F_OK) < 0)
		return error_set(e, EIO, "there is no device '%s'", nic->pf);
	r = kernel->open_devlink(kernel->userdata, &nic->devlink);
	if (r < 0 && r != -ENOENT)
		return error_set(e, EIO, "cannot talk to devlink: %s", strerror(-r));
	r = netif_open(&nic->netif, e);
	if (r < 0)
		return r;
	if (nic->devlink != NULL)
		steps_watch_devlink(steps, nic->devlink);
	steps_watch_netif(steps, nic->netif);
	return 0;
}

void nic_close(struct nic *nic) {
	nl_handle_done(&nic->handle);
	nl_socket_close(nic->devlink);
	netif_close(nic->netif);
	*nic = (struct nic){0};
}

int nic_path(const struct nic *nic, char path[static PATH_MAX], const char *fmt, ...) {
	char name[NAME_MAX + 1];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (len < 0 || len >= (int)sizeof(name))
		return -ENAMETOOLONG;
	return sysfs_path(
		path, "%s/bus/%s/devices/%s/%s", nic->kernel->vdpa->roots->sys, nic->handle.bus,
		nic->handle.dev, name
	);
}

int nic_read_number(const struct nic *nic, const char *name, uint64_t *ret_number) {
	char path[PATH_MAX], text[32];
	int r = nic_path(nic, path, "%s", name);

	if (r == 0)
		r = sysfs_read(path, text, sizeof(text));
	if (r < 0)
		return r;
	return parse_u64(text, 0, UINT32_MAX, ret_number) < 0 ? -EBADMSG : 0;
}

int nic_refused(const struct nic *nic, int r, const char *words, struct error *e) {
	int code = r == -EBUSY || r == -ENOSPC || r == -EOPNOTSUPP || r == -EPERM ? -r : EIO;

	if (words == NULL)
		words = nic->devlink == NULL ? "" : nl_socket_error_text(nic->devlink);
	return error_set(
		e, code, "cannot %s: %s%s%s%s", nic->steps->words, strerror(-r),
		words[0] != 0 ? " (\"" : "", words, words[0] != 0 ? "\")" : ""
	);
}

int nic_mode(const struct nic *nic, enum devlink_mode *ret_mode) {
	int r = nic->devlink == NULL ? -EOPNOTSUPP
				     : devlink_mode_get(nic->devlink, &nic->handle, ret_mode);

	// A device that devlink does not know, and a command that its driver does not.
	return r == -ENODEV || r == -EINVAL ? -EOPNOTSUPP : r;
}

bool nic_wait(struct nic *nic) {
	const struct timespec pause = {.tv_nsec = NIC_POLL_MS * NSEC_PER_MS};

	if (nic->steps->dry_run || now_ms() >= nic->deadline_ms)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

int nic_find_mgmtdev(
	const struct nic *nic, const char *name, struct nl_handle *ret_handle, struct error *e
) {
	_cleanup_mgmtdev_list_ struct vdpa_mgmtdev_list list = {0};
	_cleanup_nl_socket_ struct nl_socket *nl = NULL;
	struct nic_function function;
	int r = vdpa_kernel_open(nic->kernel->vdpa, &nl, e);

	if (r == -ENOENT)
		return -ENODEV;
	if (r == 0)
		r = vdpa_mgmtdev_list(nl, &list);
	if (r < 0)
		return vdpa_refused(e, r, "cannot list the vDPA management devices", nl);
	for (size_t i = 0; i < list.n_items; i++) {
		struct nl_handle *handle = &list.items[i].handle;

		nic_function_read(nic->kernel->vdpa->roots->sys, handle, &function);
		if (strcmp(function.pf, nic->pf) == 0 && strcmp(function.name, name) == 0) {
			*ret_handle = *handle;
			*handle = (struct nl_handle){0};
			return 0;
		}
	}
	return -ENODEV;
}
