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

#include "netlink/netif.h"
#include "netlink/tap.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"
#include "vdpad/util/parse.h"

#define USEC_PER_MS 1000
#define RETRY_ACCURACY_USEC (10 * USEC_PER_MS)
#define LOCAL_IFACE "org.freedesktop.DBus.Local" // sd-bus speaks by it of the connection itself

struct service {
	sd_event *event; // borrowed
	sd_event_source *retry;
	struct netif_socket *socket;
	sd_bus *link; // NULL while there is none
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	bool complained; // about vdpad's refusal, since the last success
};

// ---- Methods ------------------------------------------------------------------------------------

static int check_name(const char *key, const char *name, struct error *e) {
	if (network_name_is_valid(name))
		return 0;
	return error_set(
		e, EINVAL, "%s '%s' is not valid: 1 to 15 of A-Z a-z 0-9 . _ -", key, name
	);
}

static int read_open_tap(sd_bus_message *m, struct tap_spec *ret_spec, struct error *e) {
	static const struct ipc_field fields[] = {
		{"network", 's', offsetof(struct tap_spec, network), true},
		{"bridge", 's', offsetof(struct tap_spec, bridge), true},
		{"mtu", 'u', offsetof(struct tap_spec, mtu_bytes), true},
	};
	int r;

	r = sd_bus_message_read(m, "s", &ret_spec->ifname);
	if (r < 0)
		return error_set(e, EINVAL, "OpenTap wants an interface name and a dictionary");
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), ret_spec, e);
	if (r < 0)
		return r;
	r = check_name("interface", ret_spec->ifname, e);
	if (r == 0)
		r = check_name("network", ret_spec->network, e);
	if (r == 0 && ret_spec->bridge[0] != '\0')
		r = check_name("bridge", ret_spec->bridge, e);
	return r;
}

static int method_open_tap(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct service *service = userdata;
	_cleanup_close_ int fd = -EBADF;
	struct tap_spec spec = {0};
	struct error e = {0};

	if (read_open_tap(m, &spec, &e) < 0 || tap_open(service->socket, &spec, &fd, &e) < 0)
		return error_to_bus(&e, ret_error);
	return sd_bus_reply_method_return(m, "h", fd);
}

static int method_del_tap(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct service *service = userdata;
	struct error e = {0};
	const char *ifname;
	int r;

	r = sd_bus_message_read(m, "s", &ifname);
	if (r < 0)
		return r;
	if (check_name("interface", ifname, &e) < 0 || tap_delete(service->socket, ifname, &e) < 0)
		return error_to_bus(&e, ret_error);
	return sd_bus_reply_method_return(m, "");
}

static const char *name_of(const struct netif *list, size_t n, int index) {
	for (size_t i = 0; i < n; i++) {
		if (list[i].index == index)
			return list[i].name;
	}
	return "";
}

static int append_tap(
	sd_bus_message *reply, const struct netif *tap, const char *network, const char *bridge
) {
	int r;

	r = sd_bus_message_open_container(reply, 'e', "sa{sv}");
	if (r >= 0)
		r = sd_bus_message_append_basic(reply, 's', tap->name);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{sv}");
	if (r >= 0)
		r = ipc_dict_add_s(reply, "network", network);
	if (r >= 0)
		r = ipc_dict_add_s(reply, "bridge", bridge);
	if (r >= 0)
		r = ipc_dict_add_u(reply, "mtu", tap->mtu_bytes);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r;
}

static int method_list_taps(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct service *service = userdata;
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_free_ struct netif *list = NULL;
	struct error e = {0};
	size_t n = 0;
	int r;

	if (netif_list(service->socket, &list, &n, &e) < 0)
		return error_to_bus(&e, ret_error);
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
	for (size_t i = 0; i < n && r >= 0; i++) {
		const char *network = tap_network(&list[i]);

		if (network != NULL)
			r = append_tap(
				reply, &list[i], network, name_of(list, n, list[i].master_index)
			);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

// Unprivileged: who may call is decided by who listens on vdpad's socket.
static const sd_bus_vtable netlink_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("OpenTap", "sa{sv}", "h", method_open_tap, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DelTap", "s", "", method_del_tap, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ListTaps", "", "a{sa{sv}}", method_list_taps, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

// ---- The link -----------------------------------------------------------------------------------

// Give up the link, if there is one, and try again later. The bus that calls us may be this one: it
// is kept alive by its caller.
static void lose_link(struct service *service) {
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
	sd_event *event, const char *run_dir, struct service **ret_service, struct error *e
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
	r = netif_open(&service->socket, e);
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
	sd_bus_close_unref(service->link); // to flush would wait for vdpad
	netif_close(service->socket);
	free(service);
}
