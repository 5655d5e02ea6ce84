// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/pool_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/bus/bus_dict.h"
#include "vdpad/daemon.h"
#include "vdpad/model/pool.h"
#include "vdpad/model/vdpa_fit.h"
#include "vdpad/provision.h"
#include "vdpad/provision_check.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define DEVICE "vdpad-GENERATION" // whose number is known when the port is added
#define TEXT_SIZE 512

// A question under way.
struct plan {
	struct daemon *d;
	sd_bus_message *request; // owned
	bool is_port;            // else a pool
	char pf[PCI_ADDRESS_SIZE];
	char function[PORT_FUNCTION_SIZE];
	uint32_t count;
	struct port_spec spec;
	struct network network;
	struct candidate chosen; // of a port
};

static struct plan *plan_new(struct daemon *d, sd_bus_message *request) {
	struct plan *plan = calloc(1, sizeof(*plan));

	if (plan == NULL)
		return NULL;
	plan->d = d;
	plan->request = sd_bus_message_ref(request);
	return plan;
}

static void plan_free(struct plan *plan) {
	if (plan == NULL)
		return;
	sd_bus_message_unref(plan->request);
	free(plan);
}

static void freep(struct plan **plan) {
	plan_free(*plan);
}
#define _cleanup_plan_ _cleanup_(freep)

// The steps that are vdpad's own

static void print_values(const struct plan *plan, char *text, size_t size) {
	const struct facts *facts = &plan->d->facts;
	char reason[PORT_REASON_SIZE], mac[MAC_TEXT_SIZE];
	struct vdpa_fit fit;
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < facts->n_mgmtdevs; i++) {
		const struct mgmtdev_facts *dev = &facts->mgmtdevs[i];

		if (strcmp(dev->name, plan->chosen.resource) != 0 ||
		    !vdpa_fits(dev, &plan->spec, plan->function[0] != '\0', &fit, reason))
			continue;
		if (fit.sends_mac)
			len += (size_t)snprintf(
				text + len, size - len, " DEV_NET_CFG_MACADDR=%s",
				mac_addr_format(&plan->spec.mac, mac)
			);
		if (fit.mtu_bytes != 0)
			len += (size_t)snprintf(
				text + len, size - len, " DEV_NET_CFG_MTU=%" PRIu32, fit.mtu_bytes
			);
		if (fit.queue_pairs != 0)
			len += (size_t)snprintf(
				text + len, size - len, " DEV_NET_CFG_MAX_VQP=%" PRIu32,
				fit.queue_pairs
			);
		if (fit.features != 0)
			snprintf(text + len, size - len, " DEV_FEATURES=0x%" PRIx64, fit.features);
		return;
	}
}

static int add_vdpa_steps(const struct plan *plan, sd_bus_message *m) {
	const char *mgmtdev = plan->chosen.resource, *slash = strchr(mgmtdev, '/');
	const char *user = plan->d->config->devices.user;
	char words[TEXT_SIZE], message[TEXT_SIZE], values[256], handle[128];
	bool is_made = strcmp(mgmtdev, plan->pf) == 0; // a subfunction that is not there yet
	int r;

	print_values(plan, values, sizeof(values));
	if (is_made)
		snprintf(handle, sizeof(handle), "of the subfunction");
	else if (slash != NULL)
		snprintf(
			handle, sizeof(handle), "MGMTDEV_BUS_NAME=%.*s MGMTDEV_DEV_NAME=%s",
			(int)(slash - mgmtdev), mgmtdev, slash + 1
		);
	else
		snprintf(handle, sizeof(handle), "MGMTDEV_DEV_NAME=%s", mgmtdev);
	snprintf(
		words, sizeof(words), "make the vDPA device on %s%s",
		is_made ? "the subfunction of " : "", mgmtdev
	);
	snprintf(
		message, sizeof(message), "VDPA_CMD_DEV_NEW{%s DEV_NAME=" DEVICE "%s}", handle,
		values
	);
	r = sd_bus_message_append(m, "(ss)", words, message);
	if (r >= 0)
		r = sd_bus_message_append(
			m, "(ss)", "let driver vhost_vdpa have it, where another one has taken it",
			"write vhost_vdpa to /sys/bus/vdpa/devices/" DEVICE "/driver_override, and "
			"the name to the driver's bind"
		);
	snprintf(words, sizeof(words), "give its node to user %s alone", user);
	snprintf(message, sizeof(message), "chown %s, chmod 0600 /dev/vhost-vdpa-N", user);
	if (r >= 0)
		r = sd_bus_message_append(m, "(ss)", words, message);
	snprintf(
		message, sizeof(message), "symlink %s/%s/%s.vdpa -> /dev/vhost-vdpa-N",
		plan->d->options.run_dir, IPC_PORT_DIR, plan->spec.name
	);
	return r < 0 ? r
		     : sd_bus_message_append(m, "(ss)", "make the link that QEMU opens", message);
}

static int add_switch_steps(const struct plan *plan, sd_bus_message *m) {
	const struct network *network = &plan->network;
	char words[TEXT_SIZE], message[TEXT_SIZE];
	int r = 0;

	if (network->tap[0] != '\0' &&
	    port_set_count_network(&plan->d->ports, network->name) == 0) {
		snprintf(
			words, sizeof(words), "make TAP %s, the uplink of network %s%s%s",
			network->tap, network->name,
			network->bridge[0] != '\0' ? ", and put it into Linux bridge " : "",
			network->bridge
		);
		snprintf(
			message, sizeof(message), "org.vdpad1.Netlink.OpenTap(%s), SetUplink(%s)",
			network->tap, network->name
		);
		r = sd_bus_message_append(m, "(ss)", words, message);
	}
	snprintf(
		words, sizeof(words), "let vdpad-switch listen at %s/%s/%s.sock",
		plan->d->options.run_dir, IPC_PORT_DIR, plan->spec.name
	);
	snprintf(
		message, sizeof(message), "org.vdpad1.Switch.SetPort(%s%s%s)", plan->spec.name,
		plan->chosen.backend == BACKEND_DPDK_VDPA ? ", device " : "",
		plan->chosen.backend == BACKEND_DPDK_VDPA ? plan->chosen.resource : ""
	);
	return r < 0 ? r : sd_bus_message_append(m, "(ss)", words, message);
}

// From the worker's answer to ours

static int copy_steps(sd_bus_message *from, sd_bus_message *to) {
	const char *words, *message;
	int r = sd_bus_message_enter_container(from, 'a', "(ss)");

	while (r >= 0 && (r = sd_bus_message_read(from, "(ss)", &words, &message)) > 0)
		r = sd_bus_message_append(to, "(ss)", words, message);
	return r < 0 ? r : sd_bus_message_exit_container(from);
}

// @steps is the worker's answer, or NULL when it has no part in it.
static int answer(const struct plan *plan, sd_bus_message *steps) {
	_cleanup_message_ sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_new_method_return(plan->request, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(ss)");
	if (r >= 0 && steps != NULL && plan->function[0] != '\0')
		r = sd_bus_message_skip(steps, "ss"); // the management device, the representor
	if (r >= 0 && steps != NULL)
		r = copy_steps(steps, reply);
	if (r >= 0 && plan->is_port)
		r = plan->chosen.backend == BACKEND_VDPA ? add_vdpa_steps(plan, reply)
							 : add_switch_steps(plan, reply);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static void on_steps(void *userdata, sd_bus_message *reply, const struct error *e) {
	_cleanup_bus_error_ sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	_cleanup_plan_ struct plan *plan = userdata;
	int r;

	if (e != NULL) {
		error_to_bus(e, &bus_error);
		r = sd_bus_reply_method_error(plan->request, &bus_error);
	} else {
		r = answer(plan, reply);
		if (r < 0)
			r = sd_bus_reply_method_errno(plan->request, r, NULL);
	}
	if (r < 0)
		log_debug("a client went away before its answer");
}

static int fill_vfs(void *userdata, sd_bus_message *m) {
	const struct plan *plan = userdata;

	return sd_bus_message_append(m, "sub", plan->pf, plan->count, 1);
}

static int fill_function(void *userdata, sd_bus_message *m) {
	const struct plan *plan = userdata;
	char mac[MAC_TEXT_SIZE];

	return sd_bus_message_append(
		m, "ssa{sv}b", plan->pf, plan->function, 5, "mac", "s",
		mac_addr_format(&plan->spec.mac, mac), "mtu", "u", plan->spec.mtu_bytes, "bridge",
		"s", plan->network.bridge, "vlan", "u", plan->spec.vlan, "max_bps", "t",
		UINT64_C(0), 1
	);
}

// Ask vdpad-netlink for its steps, if it has any. Consumes @plan.
static int ask(struct plan *plan) {
	struct vdpa_calls *calls = plan->d->vdpa_calls;
	_cleanup_plan_ struct plan *mine = plan;
	int r;

	if (plan->pf[0] == '\0') {
		r = answer(plan, NULL);
		return r < 0 ? r : 1;
	}
	mine = NULL;
	if (plan->function[0] != '\0')
		vdpa_calls_add(
			calls, "EnsureFunction", fill_function, FUNCTION_CALL_TIMEOUT_MS, on_steps,
			plan
		);
	else
		vdpa_calls_add(
			calls, "EnsureVfs", fill_vfs, FUNCTION_CALL_TIMEOUT_MS, on_steps, plan
		);
	return 1;
}

// Pools

// A port as it may come: on the pool's first network that this node has.
static void imagine_port(struct plan *plan, const struct pool_config *pool) {
	char name[NETWORK_NAME_SIZE];
	const char *rest = pool->networks;
	const struct network *network = NULL;

	while (network == NULL && pool_next_word(&rest, name, sizeof(name)))
		network = networks_find(&plan->d->networks, name);
	if (network != NULL)
		plan->network = *network;
	plan->spec.mtu_bytes = network != NULL ? network->mtu_bytes : MTU_DEFAULT;
	plan->spec.mac = mac_addr_from_seed(pool->name, strlen(pool->name));
	snprintf(plan->function, sizeof(plan->function), "sf%u", PORT_SF_BASE);
}

int plan_pool(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct daemon *d = userdata;
	const struct pool_config *pool;
	struct plan *plan;
	struct error e;
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	pool = config_find_pool(d->config, name);
	if (pool == NULL) {
		error_set(&e, ENOENT, "there is no pool '%.40s' in the configuration", name);
		return error_to_bus(&e, ret_error);
	}
	plan = plan_new(d, m);
	if (plan == NULL)
		return -ENOMEM;
	memcpy(plan->pf, pool->pf, sizeof(plan->pf));
	plan->count = pool->count;
	if (pool->kind == POOL_SF)
		imagine_port(plan, pool);
	return ask(plan);
}

// Ports

// The function that serves the port, where the pool's are vdpad's to set up.
static void find_function(struct plan *plan) {
	const struct pool_config *pool = config_find_pool(plan->d->config, plan->chosen.pool);
	const struct facts *facts = &plan->d->facts;

	if (plan->chosen.backend != BACKEND_VDPA || pool == NULL || pool->pf[0] == '\0')
		return;
	memcpy(plan->pf, pool->pf, sizeof(plan->pf));
	snprintf(plan->function, sizeof(plan->function), "sf%u", PORT_SF_BASE);
	for (size_t i = 0; i < facts->n_mgmtdevs && pool->kind == POOL_VF; i++) {
		if (strcmp(facts->mgmtdevs[i].name, plan->chosen.resource) == 0)
			str_copy(
				plan->function, sizeof(plan->function), facts->mgmtdevs[i].function
			);
	}
}

static int check_port(struct plan *plan, const struct port_spec *request, struct error *e) {
	struct decision decision;
	int r;

	if (port_set_find(&plan->d->ports, request->name) != NULL)
		return error_set(e, EEXIST, "port '%s' exists already", request->name);
	r = provision_check(plan->d, request, &plan->spec, &plan->network, &decision, e);
	if (r < 0)
		return r;
	r = provision_check_new(plan->d, &plan->spec, e);
	if (r < 0)
		return r;
	if (decision.chosen == NULL)
		return error_set(
			e, EPERM, "no backend can serve the port: 'vdpactl explain' says why"
		);
	plan->chosen = *decision.chosen;
	find_function(plan);
	return 0;
}

int plan_port(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	_cleanup_plan_ struct plan *plan = NULL;
	struct port_spec request = {0};
	struct error e;
	const char *name;
	int r;

	r = sd_bus_message_read_basic(m, 's', &name);
	if (r < 0)
		return r;
	if (!port_name_is_valid(name)) {
		error_set(&e, EINVAL, "port name '%.40s' is not valid", name);
		return error_to_bus(&e, ret_error);
	}
	str_copy(request.name, sizeof(request.name), name);
	plan = plan_new(userdata, m);
	if (plan == NULL)
		return -ENOMEM;
	plan->is_port = true;
	if (bus_read_spec(m, false, &request, &e) < 0 || check_port(plan, &request, &e) < 0)
		return error_to_bus(&e, ret_error);
	return ask(TAKE_PTR(plan));
}
