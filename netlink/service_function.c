// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/service_function.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/function.h"
#include "netlink/sriov.h"
#include "vdpad/util/ipc.h"

#define VLAN_MAX 4094

struct function_job {
	struct service_job
		head; // first, so that a pointer to it is one to this; its name is the PF's
	const struct nic_kernel *kernel;
	uint32_t count;
	char function[NIC_FUNCTION_NAME_SIZE];
	char bridge[NETWORK_NAME_SIZE];
	struct function_spec spec;
	// Results.
	struct steps steps;
	struct function_state state;
	struct function_list list;
};

// ---- Answers ------------------------------------------------------------------------------------

static int append_steps(const struct service_job *head, sd_bus_message *reply) {
	const struct function_job *job = (const struct function_job *)head;
	int r = sd_bus_message_open_container(reply, 'a', "(ss)");

	for (size_t i = 0; i < job->steps.n_items && r >= 0; i++)
		r = sd_bus_message_append(
			reply, "(ss)", job->steps.items[i].words, job->steps.items[i].message
		);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_function(const struct service_job *head, sd_bus_message *reply) {
	const struct function_job *job = (const struct function_job *)head;
	int r = sd_bus_message_append(reply, "ss", job->state.mgmtdev, job->state.representor);

	return r < 0 ? r : append_steps(head, reply);
}

static int append_state(sd_bus_message *reply, const struct function_state *state) {
	char mac[MAC_TEXT_SIZE] = "";

	if (state->has_mac)
		mac_addr_format(&state->mac, mac);
	ipc_entry_open(reply, state->name);
	ipc_dict_add_s(reply, "mgmtdev", state->mgmtdev);
	ipc_dict_add_s(reply, "representor", state->representor);
	ipc_dict_add_s(reply, "mac", mac);
	ipc_dict_add_b(reply, "active", state->is_active);
	return ipc_entry_close(reply);
}

static int append_list(const struct service_job *head, sd_bus_message *reply) {
	const struct function_job *job = (const struct function_job *)head;
	int r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");

	for (size_t i = 0; i < job->list.n_items && r >= 0; i++)
		r = append_state(reply, &job->list.items[i]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

// ---- What the thread does -----------------------------------------------------------------------

static int run_ensure_vfs(struct service_job *head) {
	struct function_job *job = (struct function_job *)head;
	_cleanup_nic_ struct nic nic = {0};
	int r = nic_open(&nic, job->kernel, head->name, &job->steps, &head->error);

	return r < 0 ? r : sriov_ensure(&nic, job->count, &head->error);
}

static int run_ensure(struct service_job *head) {
	struct function_job *job = (struct function_job *)head;
	_cleanup_nic_ struct nic nic = {0};
	int r = nic_open(&nic, job->kernel, head->name, &job->steps, &head->error);

	return r < 0 ? r
		     : function_ensure(&nic, job->function, &job->spec, &job->state, &head->error);
}

static int run_del(struct service_job *head) {
	struct function_job *job = (struct function_job *)head;
	_cleanup_nic_ struct nic nic = {0};
	int r = nic_open(&nic, job->kernel, head->name, &job->steps, &head->error);

	return r < 0 ? r : function_delete(&nic, job->function, &head->error);
}

static int run_list(struct service_job *head) {
	struct function_job *job = (struct function_job *)head;
	_cleanup_nic_ struct nic nic = {0};
	int r = nic_open(&nic, job->kernel, head->name, &job->steps, &head->error);

	return r < 0 ? r : function_list(&nic, &job->list, &head->error);
}

static void done(struct service_job *head) {
	struct function_job *job = (struct function_job *)head;

	steps_done(&job->steps);
	function_list_done(&job->list);
}

#define KIND(kind_words, kind_run, kind_append)                                                \
	{                                                                                      \
		.words = (kind_words), .deadline_ms = FUNCTION_DEADLINE_MS, .run = (kind_run), \
		.append = (kind_append), .done = done                                          \
	}

// ---- Methods ------------------------------------------------------------------------------------

static struct function_job *new_job(
	struct service_function *functions, sd_bus_message *m, const struct service_job_kind *kind,
	const char *pf
) {
	struct function_job *job = service_job_new(&functions->jobs, kind, sizeof(*job), m, pf);

	if (job != NULL)
		job->kernel = functions->kernel;
	return job;
}

static int take_function(struct function_job *job, const char *function, struct error *e) {
	if (str_copy(job->function, sizeof(job->function), function) == 0)
		return 0;
	return error_set(e, EINVAL, "'%.32s' is not a function: vfN or sfN", function);
}

int service_function_ensure_vfs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct service_job_kind kind =
		KIND("making of VFs of", run_ensure_vfs, append_steps);
	struct function_job *job;
	uint32_t count;
	const char *pf;
	int dry_run, r = sd_bus_message_read(m, "sub", &pf, &count, &dry_run);

	(void)ret_error;
	if (r < 0)
		return r;
	job = new_job(userdata, m, &kind, pf);
	if (job == NULL)
		return -ENOMEM;
	job->count = count;
	job->steps.dry_run = dry_run;
	return service_job_submit(&job->head);
}

struct ensure_request {
	const char *mac, *bridge;
	uint32_t mtu_bytes, vlan;
	uint64_t max_bps;
};

static int read_spec(
	const struct ensure_request *request, struct function_job *job, struct error *e
) {
	struct function_spec *spec = &job->spec;

	spec->has_mac = request->mac[0] != 0;
	if (spec->has_mac &&
	    (mac_addr_parse(request->mac, &spec->mac) < 0 || mac_addr_is_multicast(&spec->mac) ||
	     mac_addr_is_zero(&spec->mac)))
		return error_set(e, EINVAL, "'%s' is not the MAC of an interface", request->mac);
	if (request->bridge[0] != 0 && !network_name_is_valid(request->bridge))
		return error_set(e, EINVAL, "bridge '%s' is not valid", request->bridge);
	if (request->vlan > VLAN_MAX)
		return error_set(e, EINVAL, "VLAN %u is past %d", request->vlan, VLAN_MAX);
	str_copy(job->bridge, sizeof(job->bridge), request->bridge);
	spec->representor = (struct representor_spec){
		.bridge = job->bridge,
		.mtu_bytes = request->mtu_bytes,
		.vlan = (uint16_t)request->vlan,
	};
	spec->max_bps = request->max_bps;
	return 0;
}

static int read_ensure(
	struct service_function *functions, sd_bus_message *m, struct function_job **ret_job,
	struct error *e
) {
	static const struct service_job_kind kind =
		KIND("making of a function of", run_ensure, append_function);
	static const struct ipc_field fields[] = {
		{"mac", 's', offsetof(struct ensure_request, mac), false},
		{"mtu", 'u', offsetof(struct ensure_request, mtu_bytes), false},
		{"bridge", 's', offsetof(struct ensure_request, bridge), false},
		{"vlan", 'u', offsetof(struct ensure_request, vlan), false},
		{"max_bps", 't', offsetof(struct ensure_request, max_bps), false},
	};
	struct ensure_request request = {.mac = "", .bridge = ""};
	_cleanup_service_job_ struct function_job *job = NULL;
	const char *pf, *function;
	int dry_run, r;

	r = sd_bus_message_read(m, "ss", &pf, &function);
	if (r < 0)
		return error_set(e, EINVAL, "EnsureFunction wants a PF and a function");
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), &request, e);
	if (r < 0)
		return r;
	if (sd_bus_message_read(m, "b", &dry_run) < 0)
		return error_set(e, EINVAL, "EnsureFunction wants to know whether to act");
	job = new_job(functions, m, &kind, pf);
	if (job == NULL)
		return error_set(e, ENOMEM, "out of memory");
	r = take_function(job, function, e);
	if (r == 0)
		r = read_spec(&request, job, e);
	if (r < 0)
		return r;
	job->steps.dry_run = dry_run;
	*ret_job = TAKE_PTR(job);
	return 0;
}

int service_function_ensure(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct function_job *job = NULL;
	struct error e = {0};

	if (read_ensure(userdata, m, &job, &e) < 0)
		return error_to_bus(&e, ret_error);
	return service_job_submit(&job->head);
}

int service_function_del(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct service_job_kind kind =
		KIND("deletion of a function of", run_del, append_steps);
	_cleanup_service_job_ struct function_job *job = NULL;
	const char *pf, *function;
	struct error e = {0};
	int dry_run, r = sd_bus_message_read(m, "ssb", &pf, &function, &dry_run);

	if (r < 0)
		return r;
	job = new_job(userdata, m, &kind, pf);
	if (job == NULL)
		return -ENOMEM;
	if (take_function(job, function, &e) < 0)
		return error_to_bus(&e, ret_error);
	job->steps.dry_run = dry_run;
	return service_job_submit(&TAKE_PTR(job)->head);
}

int service_function_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct service_job_kind kind =
		KIND("listing of functions of", run_list, append_list);
	struct function_job *job;
	const char *pf;
	int r = sd_bus_message_read(m, "s", &pf);

	(void)ret_error;
	if (r < 0)
		return r;
	job = new_job(userdata, m, &kind, pf);
	return job == NULL ? -ENOMEM : service_job_submit(&job->head);
}

static void on_recovered(void *userdata) {
	(void)userdata; // vdpad asks again what it was refused
}

int service_function_init(
	struct service_function *functions, sd_event *event, const struct nic_kernel *kernel,
	const struct service_jobs *vdpa, struct error *e
) {
	int r;

	*functions = (struct service_function){.kernel = kernel};
	r = service_jobs_init(
		&functions->jobs, event, kernel->vdpa->roots, on_recovered, functions, e
	);
	functions->jobs.before = vdpa;
	return r;
}

void service_function_done(struct service_function *functions) {
	service_jobs_done(&functions->jobs);
}
