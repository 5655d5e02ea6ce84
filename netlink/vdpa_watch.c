// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/vdpa_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "netlink/uevent.h"
#include "vdpad/util/cleanup.h"

#define USEC_PER_MS 1000
#define QUIET_MS 50

static int on_quiet(sd_event_source *source, uint64_t usec, void *userdata) {
	struct vdpa_watch *watch = userdata;

	(void)source;
	(void)usec;
	watch->changed(watch->userdata);
	return 0;
}

// The first of a swarm starts the clock; the others do not put it back.
void vdpa_watch_tell(struct vdpa_watch *watch) {
	int enabled;

	if (sd_event_source_get_enabled(watch->on_quiet, &enabled) > 0)
		return;
	sd_event_source_set_time_relative(watch->on_quiet, QUIET_MS * USEC_PER_MS);
	sd_event_source_set_enabled(watch->on_quiet, SD_EVENT_ONESHOT);
}

static int on_uevent(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	struct vdpa_watch *watch = userdata;
	struct uevent uevent;
	int r;

	(void)source;
	(void)revents;
	do {
		r = uevent_receive(fd, &uevent);
		if (r > 0 || r == -ENOBUFS)
			vdpa_watch_tell(watch);
	} while (r > 0);
	return 0;
}

int vdpa_watch_init(
	struct vdpa_watch *watch, sd_event *event, void (*changed)(void *userdata), void *userdata,
	struct error *e
) {
	_cleanup_close_ int fd = -EBADF;
	int r;

	*watch = (struct vdpa_watch){.changed = changed, .userdata = userdata};
	r = sd_event_add_time_relative(
		event, &watch->on_quiet, CLOCK_MONOTONIC, 0, QUIET_MS * USEC_PER_MS / 2, on_quiet,
		watch
	);
	if (r >= 0)
		r = sd_event_source_set_enabled(watch->on_quiet, SD_EVENT_OFF);
	if (r >= 0)
		r = uevent_open(&fd);
	if (r >= 0)
		r = sd_event_add_io(event, &watch->on_uevent, fd, EPOLLIN, on_uevent, watch);
	if (r >= 0)
		r = sd_event_source_set_io_fd_own(watch->on_uevent, true);
	if (r < 0)
		return error_set(e, -r, "cannot watch the kernel's devices: %s", strerror(-r));
	TAKE_FD(fd);
	return 0;
}

void vdpa_watch_done(struct vdpa_watch *watch) {
	sd_event_source_disable_unref(watch->on_uevent);
	sd_event_source_disable_unref(watch->on_quiet);
	*watch = (struct vdpa_watch){0};
}
