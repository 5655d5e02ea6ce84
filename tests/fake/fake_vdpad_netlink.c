// SPDX-License-Identifier: GPL-2.0-or-later
// A vdpad-netlink for tests without a kernel that has vDPA: its kernel is the directory VDPAD_FAKE_KERNEL
// (vdpa_kernel.h). It has no TAPs.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "tests/fake/vdpa_kernel.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

struct worker {
	sd_event *event;
	sd_event_source *retry;
	sd_bus *link;
	const char *kernel;
	char path[128];
};

static int list_taps(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	return sd_bus_reply_method_return(m, "a{sa{sv}}", 0);
}

static int del_tap(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)userdata;
	(void)ret_error;
	return sd_bus_reply_method_return(m, "");
}

static const sd_bus_vtable tap_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("ListTaps", "", "a{sa{sv}}", list_taps, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("DelTap", "s", "", del_tap, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void lose_link(struct worker *worker) {
	if (worker->link != NULL) {
		sd_bus_close(worker->link);
		sd_bus_detach_event(worker->link);
		worker->link = sd_bus_unref(worker->link);
	}
	sd_event_source_set_time_relative(worker->retry, LINK_RETRY_MS * UINT64_C(1000));
	sd_event_source_set_enabled(worker->retry, SD_EVENT_ONESHOT);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	(void)m;
	(void)ret_error;
	lose_link(userdata);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
	struct worker *worker = userdata;

	(void)source;
	(void)usec;
	if (link_connect(worker->path, worker->event, &worker->link) < 0 ||
	    vdpa_kernel_serve(worker->link, worker->kernel) < 0 ||
	    sd_bus_add_object_vtable(
		    worker->link, NULL, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, tap_vtable, worker
	    ) < 0 ||
	    sd_bus_match_signal(
		    worker->link, NULL, NULL, NULL, "org.freedesktop.DBus.Local", "Disconnected",
		    on_disconnected, worker
	    ) < 0 ||
	    sd_bus_call_method_async(
		    worker->link, NULL, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Register", NULL, NULL,
		    "sa{sv}", "netlink", 2, "version", "s", "fake", "pid", "u", (uint32_t)getpid()
	    ) < 0 ||
	    sd_bus_call_method_async(
		    worker->link, NULL, NULL, IPC_HUB_PATH, IPC_HUB_IFACE, "Ready", NULL, NULL,
		    "a{sv}", 0
	    ) < 0)
		lose_link(worker);
	return 0;
}

// Management devices and devices are the kernel's uevents.
static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata) {
	struct worker *worker = userdata;

	(void)source;
	(void)event;
	if (worker->link != NULL)
		sd_bus_emit_signal(
			worker->link, IPC_NETLINK_PATH, IPC_NETLINK_IFACE, "VdpaChanged", ""
		);
	return 0;
}

int main(int argc, char **argv) {
	struct worker worker = {.kernel = getenv("VDPAD_FAKE_KERNEL")};
	char path[256];

	if (argc != 3 || strcmp(argv[1], "--run-dir") != 0 || worker.kernel == NULL) {
		fputs("Usage: VDPAD_FAKE_KERNEL=DIR fake-vdpad-netlink --run-dir DIR\n", stderr);
		return 2;
	}
	snprintf(worker.path, sizeof(worker.path), "%s/" IPC_NETLINK_LINK, argv[2]);
	snprintf(path, sizeof(path), "%s/mgmtdevs", worker.kernel);
	if (sd_event_default(&worker.event) < 0 ||
	    sd_event_add_time_relative(
		    worker.event, &worker.retry, CLOCK_MONOTONIC, 0, 1000, on_retry, &worker
	    ) < 0 ||
	    sd_event_add_inotify(
		    worker.event, NULL, path, IN_MOVED_TO | IN_DELETE, on_change, &worker
	    ) < 0)
		return 1;
	sd_notify(false, "READY=1");
	return sd_event_loop(worker.event) < 0;
}
