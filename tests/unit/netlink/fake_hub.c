// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/netlink/fake_hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "vdpad/util/ipc.h"

static int on_register(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct fake_hub *hub = userdata;
	const char *kind;

	assert_true(sd_bus_message_read(m, "s", &kind) > 0);
	assert_string_equal(kind, "netlink");
	hub->n_registered++;
	if (hub->refuse)
		return sd_bus_error_set(ret_error, "org.vdpad1.Error.Refused", "not you");
	return sd_bus_reply_method_return(m, "a{sv}", 0);
}

static int on_ready(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct fake_hub *hub = userdata;

	(void)ret_error;
	hub->n_ready++;
	return sd_bus_reply_method_return(m, "");
}

static int on_vdpa_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct fake_hub *hub = userdata;

	(void)m;
	(void)ret_error;
	hub->n_vdpa_changed++;
	return 0;
}

static const sd_bus_vtable hub_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Register", "sa{sv}", "a{sv}", on_register, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Ready", "a{sv}", "", on_ready, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

void fake_hub_drop_link(struct fake_hub *hub) {
	if (hub->link == NULL)
		return;
	sd_bus_detach_event(hub->link);
	hub->link = sd_bus_flush_close_unref(hub->link);
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	struct fake_hub *hub = userdata;

	(void)source;
	(void)revents;
	fake_hub_drop_link(hub);
	fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(link_accept(fd, hub->event, &hub->link), 0);
	assert_true(
		sd_bus_add_object_vtable(
			hub->link, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, hub_vtable, hub
		) >= 0
	);
	assert_true(
		sd_bus_match_signal(
			hub->link, NULL, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, "VdpaChanged",
			on_vdpa_changed, hub
		) >= 0
	);
	return 0;
}

void fake_hub_listen(struct fake_hub *hub) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, hub->path);
	unlink(hub->path);
	hub->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(hub->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(hub->listen_fd, 4), 0);
	assert_true(
		sd_event_add_io(
			hub->event, &hub->accepting, hub->listen_fd, EPOLLIN, on_accept, hub
		) >= 0
	);
}

void fake_hub_stop_listening(struct fake_hub *hub) {
	hub->accepting = sd_event_source_disable_unref(hub->accepting);
	if (hub->listen_fd >= 0)
		close(hub->listen_fd);
	hub->listen_fd = -EBADF;
}

void fake_hub_run_until(struct fake_hub *hub, const int *counter, int value) {
	uint64_t start, now;

	sd_event_now(hub->event, CLOCK_MONOTONIC, &start);
	while (*counter < value) {
		assert_true(sd_event_run(hub->event, 100 * 1000) >= 0);
		sd_event_now(hub->event, CLOCK_MONOTONIC, &now);
		if (now - start > HUB_DEADLINE_USEC)
			fail_msg("nothing happened for too long");
	}
}

void fake_hub_connect(struct fake_hub *hub) {
	fake_hub_listen(hub);
	fake_hub_run_until(hub, &hub->n_ready, hub->n_ready + 1);
}

int fake_hub_init(struct fake_hub *hub, const struct nic_kernel *kernel) {
	struct error e;

	*hub = (struct fake_hub){.listen_fd = -EBADF};
	strcpy(hub->dir, "/tmp/test-netlink-XXXXXX");
	if (mkdtemp(hub->dir) == NULL)
		return -1;
	snprintf(hub->path, sizeof(hub->path), "%s/" IPC_NETLINK_LINK, hub->dir);
	if (sd_event_new(&hub->event) < 0)
		return -1;
	return service_new(hub->event, hub->dir, kernel, &hub->service, &e);
}

void fake_hub_done(struct fake_hub *hub) {
	service_free(hub->service);
	fake_hub_drop_link(hub);
	fake_hub_stop_listening(hub);
	sd_event_unref(hub->event);
	unlink(hub->path);
	rmdir(hub->dir);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	static int n_arrived;
	struct fake_answer *answer = userdata;
	struct timespec now;

	(void)ret_error;
	clock_gettime(CLOCK_MONOTONIC, &now);
	answer->usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	answer->m = sd_bus_message_ref(m);
	answer->rank = ++n_arrived;
	answer->arrived++;
	return 0;
}

void fake_hub_send(struct fake_hub *hub, sd_bus_message *m, struct fake_answer *answer) {
	*answer = (struct fake_answer){0};
	assert_true(
		sd_bus_call_async(hub->link, NULL, m, on_answer, answer, HUB_DEADLINE_USEC) >= 0
	);
	sd_bus_message_unref(m);
}

sd_bus_message *fake_hub_call(struct fake_hub *hub, sd_bus_message *m) {
	struct fake_answer answer;

	fake_hub_send(hub, m, &answer);
	fake_hub_run_until(hub, &answer.arrived, 1);
	return answer.m;
}

sd_bus_message *fake_hub_new_call(struct fake_hub *hub, const char *method) {
	sd_bus_message *m = NULL;

	assert_true(
		sd_bus_message_new_method_call(
			hub->link, &m, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, method
		) >= 0
	);
	return m;
}

void fake_hub_refused(sd_bus_message *m, const char *name, const char *text) {
	const sd_bus_error *error = sd_bus_message_get_error(m);

	assert_non_null(error);
	assert_string_equal(error->name, name);
	if (strncmp(error->message, text, strlen(text)) != 0)
		fail_msg("the sentence is '%s'", error->message);
	sd_bus_message_unref(m);
}
