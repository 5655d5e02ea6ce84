// SPDX-License-Identifier: GPL-2.0-or-later
// A link goes through: connect, Register(), Ready(). Whatever fails on that way, or later, ends in
// lose_link(), which tries again after LINK_RETRY_MS; while vdpad is not there this is quiet.

#include "netlink/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "netlink/service_function.h"
#include "netlink/service_tap.h"
#include "netlink/service_vdpa.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define USEC_PER_MS 1000
#define RETRY_ACCURACY_USEC (10 * USEC_PER_MS)
#define LOCAL_IFACE "org.freedesktop.DBus.Local" // sd-bus speaks by it of the connection itself

struct service {
	sd_event *event; // borrowed
	sd_event_source *retry;
	struct service_tap taps;
	struct service_vdpa vdpa;
	struct service_function functions;
	sd_bus *link;  // NULL while there is none
	bool is_ready; // vdpad has taken us on this link
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	bool complained; // about vdpad's refusal, since the last success
};

#define METHOD(name, in, out, handler, part)                                                       \
	SD_BUS_METHOD_WITH_OFFSET(                                                                 \
		name, in, out, handler, offsetof(struct service, part), SD_BUS_VTABLE_UNPRIVILEGED \
	)

// Unprivileged: who may call is decided by who listens on vdpad's socket.
static const sd_bus_vtable netlink_vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("OpenTap", "sa{sv}", "h", service_tap_open, taps),
	METHOD("DelTap", "s", "", service_tap_del, taps),
	METHOD("ListTaps", "", "a{sa{sv}}", service_tap_list, taps),
	METHOD("ListMgmtdevs", "", "a{sa{sv}}", service_vdpa_list_mgmtdevs, vdpa),
	METHOD("ListVdpa", "", "a{sa{sv}}", service_vdpa_list, vdpa),
	METHOD("AddVdpa", "sa{sv}", "a{sv}", service_vdpa_add, vdpa),
	METHOD("DelVdpa", "s", "", service_vdpa_del, vdpa),
	METHOD("KeepVdpa", "s", "", service_vdpa_keep, vdpa),
	METHOD("OwnVdpa", "suu", "", service_vdpa_own, vdpa),
	METHOD("VdpaStats", "s", "a{st}", service_vdpa_stats, vdpa),
	METHOD("EnsureVfs", "sub", "a(ss)", service_function_ensure_vfs, functions),
	METHOD("EnsureFunction", "ssa{sv}b", "ssa(ss)", service_function_ensure, functions),
	METHOD("DelFunction", "ssb", "a(ss)", service_function_del, functions),
	METHOD("ListFunctions", "s", "a{sa{sv}}", service_function_list, functions),
	SD_BUS_SIGNAL("VdpaChanged", "", 0),
	SD_BUS_VTABLE_END,
};

// vdpad looks at everything anyway when a link is new.
static void on_vdpa_changed(void *userdata) {
	struct service *service = userdata;

	if (service->is_ready)
		sd_bus_emit_signal(
			service->link, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, "VdpaChanged", NULL
		);
}

// ---- The link -----------------------------------------------------------------------------------

// Give up the link, if there is one, and try again later. The bus that calls us may be this one: it
// is kept alive by its caller.
static void lose_link(struct service *service) {
	service->is_ready = false;
	if (service->link != NULL) {
		sd_bus_close(service->link);
		sd_bus_detach_event(service->link);
		service->link = sd_bus_unref(service->link);
		sd_notify(false, "STATUS=waiting for vdpad");
	}
	sd_event_source_set_time_relative(service->retry, (uint64_t)LINK_RETRY_MS * USEC_PER_MS);
	sd_event_source_set_enabled(service->retry, SD_EVENT_ONESHOT);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)m;
	(void)ret_error;
	lose_link(userdata);
	return 0;
}

// Say once why vdpad does not take us.
static int refused(struct service *service, sd_bus_message *m, const char *method) {
	const sd_bus_error *why = sd_bus_message_get_error(m);

	if (!service->complained && !sd_bus_error_has_name(why, SD_BUS_ERROR_NO_REPLY))
		log_warn(
			"vdpad refused %s: %s", method,
			why->message != NULL ? why->message : why->name
		);
	service->complained = true;
	lose_link(service);
	return 0;
}

static int on_ready(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct service *service = userdata;

	(void)ret_error;
	if (sd_bus_message_is_method_error(m, NULL))
		return refused(service, m, "Ready");
	service->complained = false;
	service->is_ready = true;
	sd_notify(false, "STATUS=serving vdpad");
	return 0;
}

static int on_registered(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct service *service = userdata;

	(void)ret_error;
	if (sd_bus_message_is_method_error(m, NULL))
		return refused(service, m, "Register");
	if (sd_bus_call_method_async(
		    service->link, NULL, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Ready", on_ready,
		    service, "a{sv}", 0
	    ) < 0)
		lose_link(service);
	return 0;
}

static int make_link(struct service *service) {
	int r;

	r = link_connect(service->path, service->event, &service->link);
	if (r < 0)
		return r;
	r = sd_bus_add_object_vtable(
		service->link, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, netlink_vtable, service
	);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(
		service->link, NULL, NULL, NULL, LOCAL_IFACE, "Disconnected", on_disconnected,
		service
	);
	if (r < 0)
		return r;
	return sd_bus_call_method_async(
		service->link, NULL, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Register", on_registered,
		service, "sa{sv}", "netlink", 2, "version", "s", VDPAD_VERSION, "pid", "u",
		(uint32_t)getpid()
	);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
	struct service *service = userdata;

	(void)source;
	(void)usec;
	if (make_link(service) < 0)
		lose_link(service);
	return 0;
}

int service_new(
	sd_event *event, const char *run_dir, const struct nic_kernel *kernel,
	struct service **ret_service, struct error *e
) {
	struct service *service = calloc(1, sizeof(*service));
	int r;

	if (service == NULL)
		return error_set(e, ENOMEM, "out of memory");
	service->event = event;
	if (snprintf(service->path, sizeof(service->path), "%s/" IPC_NETLINK_LINK, run_dir) >=
	    (int)sizeof(service->path)) {
		service_free(service);
		return error_set(e, EINVAL, "run directory '%s' is too long for a socket", run_dir);
	}
	r = netif_open(&service->taps.socket, e);
	if (r == 0)
		r = service_vdpa_init(
			&service->vdpa, event, kernel->vdpa, on_vdpa_changed, service, e
		);
	if (r == 0)
		r = service_function_init(
			&service->functions, event, kernel, &service->vdpa.jobs, e
		);
	if (r < 0) {
		service_free(service);
		return r;
	}
	r = sd_event_add_time_relative(
		event, &service->retry, CLOCK_MONOTONIC, 0, RETRY_ACCURACY_USEC, on_retry, service
	);
	if (r < 0) {
		service_free(service);
		return error_set(e, -r, "cannot start a timer: %s", strerror(-r));
	}
	*ret_service = service;
	return 0;
}

void service_free(struct service *service) {
	if (service == NULL)
		return;
	sd_event_source_disable_unref(service->retry);
	service_function_done(&service->functions);
	service_vdpa_done(&service->vdpa);
	sd_bus_close_unref(service->link); // to flush would wait for vdpad
	netif_close(service->taps.socket);
	free(service);
}
