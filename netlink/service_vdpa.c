// SPDX-License-Identifier: GPL-2.0-or-later
// A method reads its arguments into a job, whose kind says what the thread does and what is answered.

#include "netlink/service_vdpa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/vdpa_inventory.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define KIND(kind_words, kind_run, kind_append)                                            \
	{                                                                                  \
		.words = (kind_words), .deadline_ms = VDPA_DEADLINE_MS, .run = (kind_run), \
		.append = (kind_append), .done = done                                      \
	}

struct vdpa_job {
	struct service_job head; // first, so that a pointer to it is one to this
	const struct vdpa_kernel *kernel;
	struct vdpa_dev_spec spec;
	uint32_t uid, gid;
	// Results, each of one kind of job.
	struct vdpa_place_list places;
	struct vdpa_state_list states;
	struct vdpa_state state;
	struct vdpa_counter_list counters;
};

// ---- Answers ------------------------------------------------------------------------------------

static int append_place(sd_bus_message *reply, const struct vdpa_place *place) {
	char name[VDPA_PRINTED_HANDLE_SIZE];

	vdpa_handle_print(&place->mgmtdev.handle, name);
	ipc_entry_open(reply, name);
	ipc_dict_add_s(reply, "driver", place->function.driver);
	ipc_dict_add_u(reply, "takes", place->function.takes);
	ipc_dict_add_b(reply, "one_device", place->function.one_device);
	ipc_dict_add_t(reply, "features", place->mgmtdev.features);
	ipc_dict_add_u(reply, "max_vqs", place->mgmtdev.max_vqs);
	ipc_dict_add_s(reply, "pf", place->function.pf);
	ipc_dict_add_s(reply, "function", place->function.name);
	return ipc_entry_close(reply);
}

static int append_places(const struct service_job *head, sd_bus_message *reply) {
	const struct vdpa_job *job = (const struct vdpa_job *)head;
	int r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");

	for (size_t i = 0; i < job->places.n_items && r >= 0; i++)
		r = append_place(reply, &job->places.items[i]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_config(sd_bus_message *reply, const struct vdpa_net_config *config) {
	char mac[MAC_TEXT_SIZE];

	if (config->has_mac)
		ipc_dict_add_s(reply, "mac", mac_addr_format(&config->mac, mac));
	if (config->has_mtu)
		ipc_dict_add_u(reply, "mtu", config->mtu_bytes);
	if (config->has_queue_pairs)
		ipc_dict_add_u(reply, "queue_pairs", config->queue_pairs);
	if (config->has_features)
		ipc_dict_add_t(reply, "features", config->features);
	return ipc_dict_add_b(reply, "active", config->has_negotiated);
}

static int append_state(sd_bus_message *reply, const struct vdpa_state *state) {
	char mgmtdev[VDPA_PRINTED_HANDLE_SIZE], node[sizeof("/dev/") + VHOST_NODE_NAME_SIZE];

	snprintf(node, sizeof(node), "%s%s", state->node[0] != 0 ? "/dev/" : "", state->node);
	sd_bus_message_open_container(reply, 'a', "{sv}");
	ipc_dict_add_s(reply, "mgmtdev", vdpa_handle_print(&state->dev.mgmtdev, mgmtdev));
	ipc_dict_add_s(reply, "driver", state->driver);
	ipc_dict_add_s(reply, "node", node);
	ipc_dict_add_u(reply, "virtio_id", state->dev.virtio_id);
	ipc_dict_add_u(reply, "max_vqs", state->dev.max_vqs);
	ipc_dict_add_u(reply, "uid", state->uid);
	ipc_dict_add_b(reply, "parked", state->is_parked);
	append_config(reply, &state->config);
	return sd_bus_message_close_container(reply);
}

static int append_states(const struct service_job *head, sd_bus_message *reply) {
	const struct vdpa_job *job = (const struct vdpa_job *)head;
	int r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");

	for (size_t i = 0; i < job->states.n_items && r >= 0; i++) {
		const struct vdpa_state *state = &job->states.items[i];
		char name[VDPA_PRINTED_NAME_SIZE];

		vdpa_name_print(state->dev.name, name);
		sd_bus_message_open_container(reply, 'e', "sa{sv}");
		sd_bus_message_append_basic(reply, 's', name);
		append_state(reply, state);
		r = sd_bus_message_close_container(reply);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_one_state(const struct service_job *head, sd_bus_message *reply) {
	return append_state(reply, &((const struct vdpa_job *)head)->state);
}

static int append_counters(const struct service_job *head, sd_bus_message *reply) {
	const struct vdpa_job *job = (const struct vdpa_job *)head;
	int r = sd_bus_message_open_container(reply, 'a', "{st}");

	for (size_t i = 0; i < job->counters.n_items && r >= 0; i++)
		r = sd_bus_message_append(
			reply, "{st}", job->counters.items[i].name, job->counters.items[i].value
		);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

// ---- What the thread does -----------------------------------------------------------------------

static int run_list_mgmtdevs(struct service_job *head) {
	struct vdpa_job *job = (struct vdpa_job *)head;

	return vdpa_place_list(job->kernel, &job->places, &head->error);
}

static int run_list(struct service_job *head) {
	struct vdpa_job *job = (struct vdpa_job *)head;

	return vdpa_state_list(job->kernel, &job->states, &head->error);
}

static int run_add(struct service_job *head) {
	struct vdpa_job *job = (struct vdpa_job *)head;

	return vdpa_device_add(
		job->kernel, &job->spec, job->uid, job->gid, &job->state, &head->error
	);
}

static int run_del(struct service_job *head) {
	struct vdpa_job *job = (struct vdpa_job *)head;

	return vdpa_device_delete(job->kernel, head->name, &head->error);
}

static int run_keep(struct service_job *head) {
	struct vdpa_job *job = (struct vdpa_job *)head;

	return vdpa_device_keep(job->kernel, head->name, &head->error);
}

static int run_own(struct service_job *head) {
	struct vdpa_job *job = (struct vdpa_job *)head;

	return vdpa_device_own(job->kernel, head->name, job->uid, job->gid, &head->error);
}

static int run_stats(struct service_job *head) {
	struct vdpa_job *job = (struct vdpa_job *)head;

	return vdpa_counter_list(job->kernel, head->name, &job->counters, &head->error);
}

static void done(struct service_job *head) {
	struct vdpa_job *job = (struct vdpa_job *)head;

	nl_handle_done(&job->spec.mgmtdev);
	vdpa_place_list_done(&job->places);
	vdpa_state_list_done(&job->states);
	vdpa_state_done(&job->state);
	vdpa_counter_list_done(&job->counters);
}

// ---- Methods ------------------------------------------------------------------------------------

static struct vdpa_job *new_job(
	struct service_vdpa *vdpa, sd_bus_message *m, const struct service_job_kind *kind,
	const char *name
) {
	struct vdpa_job *job = service_job_new(&vdpa->jobs, kind, sizeof(*job), m, name);

	if (job != NULL)
		job->kernel = vdpa->kernel;
	return job;
}

static int submit(
	struct service_vdpa *vdpa, sd_bus_message *m, const struct service_job_kind *kind,
	const char *name
) {
	struct vdpa_job *job = new_job(vdpa, m, kind, name);

	return job == NULL ? -ENOMEM : service_job_submit(&job->head);
}

static int submit_name(
	struct service_vdpa *vdpa, sd_bus_message *m, const struct service_job_kind *kind
) {
	const char *name;
	int r = sd_bus_message_read(m, "s", &name);

	return r < 0 ? r : submit(vdpa, m, kind, name);
}

int service_vdpa_list_mgmtdevs(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	static const struct service_job_kind kind =
		KIND("listing of management devices", run_list_mgmtdevs, append_places);

	return submit(userdata, m, &kind, NULL);
}

int service_vdpa_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	static const struct service_job_kind kind =
		KIND("listing of devices", run_list, append_states);

	return submit(userdata, m, &kind, NULL);
}

int service_vdpa_del(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	static const struct service_job_kind kind = KIND("deletion of vDPA device", run_del, NULL);

	return submit_name(userdata, m, &kind);
}

int service_vdpa_keep(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	static const struct service_job_kind kind =
		KIND("giving back of vDPA device", run_keep, NULL);

	return submit_name(userdata, m, &kind);
}

int service_vdpa_stats(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)ret_error;
	static const struct service_job_kind kind =
		KIND("counting of vDPA device", run_stats, append_counters);

	return submit_name(userdata, m, &kind);
}

int service_vdpa_own(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static const struct service_job_kind kind =
		KIND("handing over of vDPA device", run_own, NULL);
	struct service_vdpa *vdpa = userdata;
	struct vdpa_job *job;
	uint32_t uid, gid;
	const char *name;
	int r = sd_bus_message_read(m, "suu", &name, &uid, &gid);

	(void)ret_error;
	if (r < 0)
		return r;
	job = new_job(vdpa, m, &kind, name);
	if (job == NULL)
		return -ENOMEM;
	job->uid = uid;
	job->gid = gid;
	return service_job_submit(&job->head);
}

struct add_request {
	const char *mgmtdev, *mac;
	uint32_t mtu_bytes, queue_pairs, uid, gid;
	uint64_t features;
};

static int read_spec(
	const struct add_request *request, struct vdpa_dev_spec *spec, struct error *e
) {
	int r = nl_handle_parse(request->mgmtdev, &spec->mgmtdev);

	if (r == -ENOMEM)
		return error_set(e, ENOMEM, "out of memory");
	if (r < 0)
		return error_set(
			e, EINVAL, "'%s' is not the name of a management device", request->mgmtdev
		);
	spec->has_mac = request->mac[0] != 0;
	if (spec->has_mac &&
	    (mac_addr_parse(request->mac, &spec->mac) < 0 || mac_addr_is_multicast(&spec->mac) ||
	     mac_addr_is_zero(&spec->mac)))
		return error_set(e, EINVAL, "'%s' is not the MAC of an interface", request->mac);
	if (request->mtu_bytes != 0 &&
	    (request->mtu_bytes < VDPA_MTU_MIN || request->mtu_bytes > UINT16_MAX))
		return error_set(
			e, EINVAL, "MTU %u is not between %u and %u", request->mtu_bytes,
			VDPA_MTU_MIN, UINT16_MAX
		);
	if (request->queue_pairs > UINT16_MAX)
		return error_set(e, EINVAL, "%u queue pairs are too many", request->queue_pairs);
	spec->mtu_bytes = (uint16_t)request->mtu_bytes;
	spec->queue_pairs = (uint16_t)request->queue_pairs;
	spec->has_features = request->features != 0;
	spec->features = request->features;
	return 0;
}

static int read_add(
	struct service_vdpa *vdpa, sd_bus_message *m, struct vdpa_job **ret_job, struct error *e
) {
	static const struct service_job_kind kind =
		KIND("creation of vDPA device", run_add, append_one_state);
	static const struct ipc_field fields[] = {
		{"mgmtdev", 's', offsetof(struct add_request, mgmtdev), true},
		{"mac", 's', offsetof(struct add_request, mac), false},
		{"mtu", 'u', offsetof(struct add_request, mtu_bytes), false},
		{"queue_pairs", 'u', offsetof(struct add_request, queue_pairs), false},
		{"features", 't', offsetof(struct add_request, features), false},
		{"uid", 'u', offsetof(struct add_request, uid), true},
		{"gid", 'u', offsetof(struct add_request, gid), true},
	};
	struct add_request request = {.mac = ""};
	_cleanup_service_job_ struct vdpa_job *job = NULL;
	const char *name;
	int r;

	r = sd_bus_message_read(m, "s", &name);
	if (r < 0)
		return error_set(e, EINVAL, "AddVdpa wants a name and a dictionary");
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), &request, e);
	if (r < 0)
		return r;
	job = new_job(vdpa, m, &kind, name);
	if (job == NULL)
		return error_set(e, ENOMEM, "out of memory");
	r = read_spec(&request, &job->spec, e);
	if (r < 0)
		return r;
	job->spec.name = job->head.name;
	job->uid = request.uid;
	job->gid = request.gid;
	*ret_job = TAKE_PTR(job);
	return 0;
}

int service_vdpa_add(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct vdpa_job *job = NULL;
	struct error e = {0};

	if (read_add(userdata, m, &job, &e) < 0)
		return error_to_bus(&e, ret_error);
	return service_job_submit(&job->head);
}

// ---- The service --------------------------------------------------------------------------------

static void on_recovered(void *userdata) {
	struct service_vdpa *vdpa = userdata;

	vdpa_watch_tell(&vdpa->watch);
}

int service_vdpa_init(
	struct service_vdpa *vdpa, sd_event *event, const struct vdpa_kernel *kernel,
	void (*changed)(void *userdata), void *userdata, struct error *e
) {
	int r;

	*vdpa = (struct service_vdpa){.kernel = kernel};
	r = vdpa_watch_init(&vdpa->watch, event, changed, userdata, e);
	if (r < 0)
		return r;
	return service_jobs_init(&vdpa->jobs, event, kernel->roots, on_recovered, vdpa, e);
}

void service_vdpa_done(struct service_vdpa *vdpa) {
	service_jobs_done(&vdpa->jobs);
	vdpa_watch_done(&vdpa->watch);
}
