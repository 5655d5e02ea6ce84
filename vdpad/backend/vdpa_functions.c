// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/vdpa_functions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/daemon.h"
#include "vdpad/model/pool.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

// One call about a PF, or about a subfunction of it that nobody wants.
struct work {
	struct daemon *d;
	char pf[PCI_ADDRESS_SIZE];
	uint32_t count;
	uint64_t generation; // of the lease that the subfunction was made for
};

static struct work *work_new(struct daemon *d, const char *pf) {
	struct work *work = calloc(1, sizeof(*work));

	if (work == NULL) {
		d->functions_due = true;
		return NULL;
	}
	work->d = d;
	str_copy(work->pf, sizeof(work->pf), pf);
	return work;
}

// VFs

static int fill_ensure_vfs(void *userdata, sd_bus_message *m) {
	const struct work *work = userdata;

	return sd_bus_message_append(m, "sub", work->pf, work->count, 0);
}

static void on_vfs(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct work *work = userdata;

	(void)reply;
	if (e == NULL)
		vdpa_restore_look(work->d);
	else if (e->code == ETIMEDOUT)
		work->d->functions_due = true; // the kernel hangs, which was logged: it may go on
	else if (e->code != EHOSTDOWN)
		log_err("cannot make %u VFs of %s: %s", work->count, work->pf, e->text);
	free(work);
}

static void ensure_vfs(struct daemon *d, const struct pool_config *pool) {
	struct work *work = work_new(d, pool->pf);

	if (work == NULL)
		return;
	work->count = pool->count;
	vdpa_calls_add(
		d->vdpa_calls, "EnsureVfs", fill_ensure_vfs, FUNCTION_CALL_TIMEOUT_MS, on_vfs, work
	);
}

// Subfunctions that nobody wants

static int fill_del_function(void *userdata, sd_bus_message *m) {
	const struct work *work = userdata;
	char function[PORT_FUNCTION_SIZE];

	snprintf(function, sizeof(function), "sf%" PRIu64, PORT_SF_BASE + work->generation);
	return sd_bus_message_append(m, "ssb", work->pf, function, 0);
}

static void on_deleted(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct work *work = userdata;

	(void)reply;
	if (e == NULL)
		log_info(
			"subfunction %" PRIu64 " of %s, which nobody wants, was deleted",
			PORT_SF_BASE + work->generation, work->pf
		);
	else
		work->d->functions_due = true;
	free(work);
}

static int fill_del_vdpa(void *userdata, sd_bus_message *m) {
	const struct work *work = userdata;
	char name[VDPA_DEVICE_NAME_SIZE];

	vdpa_device_name(work->generation, name);
	return sd_bus_message_append(m, "s", name);
}

static void on_closed(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct work *work = userdata;

	if (e != NULL)
		on_deleted(work, reply, e);
	else
		vdpa_calls_add(
			work->d->vdpa_calls, "DelFunction", fill_del_function,
			FUNCTION_CALL_TIMEOUT_MS, on_deleted, work
		);
}

static bool is_wanted(const struct daemon *d, const char *pf, const char *function) {
	char whole[PORT_FUNCTION_SIZE + PCI_ADDRESS_SIZE];

	snprintf(whole, sizeof(whole), "%s/%.31s", pf, function);
	for (size_t i = 0; i < d->ports.n; i++) {
		if (strcmp(d->ports.list[i]->port.function, whole) == 0)
			return true;
	}
	return false;
}

static void consider(struct daemon *d, const char *pf, const char *function) {
	struct work *work;
	uint64_t number;

	if (strncmp(function, "sf", 2) != 0 ||
	    parse_u64(function + 2, PORT_SF_BASE + 1, UINT32_MAX, &number) < 0 ||
	    is_wanted(d, pf, function))
		return;
	work = work_new(d, pf);
	if (work == NULL)
		return;
	work->generation = number - PORT_SF_BASE;
	vdpa_calls_add(
		d->vdpa_calls, "DelVdpa", fill_del_vdpa, LINK_CALL_TIMEOUT_MS, on_closed, work
	);
}

static int fill_pf(void *userdata, sd_bus_message *m) {
	return sd_bus_message_append(m, "s", ((const struct work *)userdata)->pf);
}

static void on_functions(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct work *work = userdata;
	const char *function;
	int r;

	if (e != NULL) {
		log_debug("the functions of %s are not known: %s", work->pf, e->text);
		work->d->functions_due = true;
		free(work);
		return;
	}
	r = sd_bus_message_enter_container(reply, 'a', "{sa{sv}}");
	while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sa{sv}")) > 0) {
		r = sd_bus_message_read_basic(reply, 's', &function);
		if (r > 0)
			consider(work->d, work->pf, function);
		if (r >= 0)
			r = sd_bus_message_skip(reply, "a{sv}");
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	free(work);
}

static void sweep(struct daemon *d, const struct pool_config *pool) {
	struct work *work = work_new(d, pool->pf);

	if (work != NULL)
		vdpa_calls_add(
			d->vdpa_calls, "ListFunctions", fill_pf, FUNCTION_CALL_TIMEOUT_MS,
			on_functions, work
		);
}

void vdpa_functions_look(struct daemon *d) {
	d->functions_due = true;
	vdpa_restore_look(d);
}

void vdpa_functions_run(struct daemon *d) {
	if (!d->functions_due)
		return;
	d->functions_due = false;
	for (size_t i = 0; i < d->config->n_pools; i++) {
		const struct pool_config *pool = &d->config->pools[i];

		if (pool->kind == POOL_VF)
			ensure_vfs(d, pool);
		else if (pool->kind == POOL_SF && store_is_trusted(d->store))
			sweep(d, pool);
		else if (pool->kind == POOL_SF)
			d->functions_due = true;
	}
}
