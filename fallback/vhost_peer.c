// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fallback/socket_path.h"
#include "fallback/vhost/discard.h"
#include "vdpad/util/clock.h"
#include "vdpad/util/log.h"
#include "vdpad/util/parse.h"

#define BACKLOG_PEERS 8
#define TIMER_ACCURACY_US 1000
// When a peer cannot be accepted, and would be announced again at once.
#define ACCEPT_PAUSE_MS 20

struct vhost_peer {
	char path[SOCKET_PATH_SIZE];
	sd_event *event; // borrowed
	struct session_config session_config;
	void (*changed)(void *arg);
	void *arg;

	int listen_fd;
	sd_event_source *listening;
	sd_event_source *accept_pause;

	// Of the session; all NULL while there is none.
	struct session *session;
	sd_event_source *messages, *alerts, *timer;

	uint64_t n_connects;
	char reason[VHOST_PEER_REASON_SIZE];
};

static void end_session(struct vhost_peer *peer) {
	peer->messages = sd_event_source_disable_unref(peer->messages);
	peer->alerts = sd_event_source_disable_unref(peer->alerts);
	peer->timer = sd_event_source_disable_unref(peer->timer);
	session_free(peer->session);
	peer->session = NULL;
}

static void note_reason(struct vhost_peer *peer, int error) {
	if (error == -EPIPE) { // hung up
		peer->reason[0] = '\0';
		return;
	}
	snprintf(
		peer->reason, sizeof(peer->reason), "%s: %s", session_last_request(peer->session),
		error == -EFAULT ? "it took memory away" : strerror(-error)
	);
	log_debug("%s: the peer was sent away after %s", peer->path, peer->reason);
}

// Let the session work, and see to it that it does so again in time.
static void run_session(struct vhost_peer *peer) {
	uint64_t now_ms = clock_now_ms(), next_ms;
	int r = session_run(peer->session, now_ms);

	if (r >= 0) {
		next_ms = r > 0 ? now_ms + (uint64_t)r : session_deadline_ms(peer->session);
		if (sd_event_source_set_enabled(
			    peer->messages, r > 0 ? SD_EVENT_OFF : SD_EVENT_ON
		    ) < 0 ||
		    sd_event_source_set_time(
			    peer->timer, next_ms == UINT64_MAX ? UINT64_MAX : next_ms * 1000
		    ) < 0 ||
		    sd_event_source_set_enabled(peer->timer, SD_EVENT_ONESHOT) < 0)
			r = -ENOMEM;
	}
	if (r < 0) {
		note_reason(peer, r);
		end_session(peer);
	}
	peer->changed(peer->arg);
}

static int on_message(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
	(void)source, (void)fd, (void)revents;
	run_session(userdata);
	return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
	(void)source, (void)usec;
	run_session(userdata);
	return 0;
}

static int begin_session(struct vhost_peer *peer, int fd) {
	int r;

	r = session_new(&peer->session_config, fd, clock_now_ms(), &peer->session);
	if (r < 0) {
		discard_socket(fd, peer->session_config.arg);
		return r;
	}
	r = sd_event_add_io(peer->event, &peer->messages, fd, EPOLLIN, on_message, peer);
	if (r >= 0)
		r = sd_event_add_io(
			peer->event, &peer->alerts, session_alert_fd(peer->session), EPOLLIN,
			on_message, peer
		);
	if (r >= 0)
		r = sd_event_add_time(
			peer->event, &peer->timer, CLOCK_MONOTONIC, UINT64_MAX, TIMER_ACCURACY_US,
			on_time, peer
		);
	if (r < 0) {
		end_session(peer);
		return r;
	}
	peer->reason[0] = '\0';
	peer->n_connects++;
	return 0;
}

static int on_accept_pause(sd_event_source *source, uint64_t usec, void *userdata) {
	struct vhost_peer *peer = userdata;

	(void)source, (void)usec;
	return sd_event_source_set_enabled(peer->listening, SD_EVENT_ON);
}

static void pause_accepting(struct vhost_peer *peer) {
	sd_event_source_set_enabled(peer->listening, SD_EVENT_OFF);
	sd_event_source_set_time_relative(peer->accept_pause, ACCEPT_PAUSE_MS * 1000);
	sd_event_source_set_enabled(peer->accept_pause, SD_EVENT_ONESHOT);
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata) {
	struct vhost_peer *peer = userdata;
	int fd;

	(void)source, (void)revents;
	// A VM that is started again may be here before the end of its last one was seen.
	if (peer->session != NULL)
		run_session(peer);
	// To turn somebody away is to close a socket, which may hang as well. So while descriptors of
	// this port's peers are being closed, others wait in the queue, of which the kernel knows the
	// end. Mostly they wait for a thread of ours to get its turn.
	if (discard_is_hung(peer->session_config.arg)) {
		pause_accepting(peer);
		return 0;
	}
	fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accepting(peer);
		return 0;
	}
	if (peer->session != NULL) {
		discard_socket(fd, peer->session_config.arg);
		return 0;
	}
	if (begin_session(peer, fd) < 0)
		pause_accepting(peer);
	peer->changed(peer->arg);
	return 0;
}

// Bind with no rights for anybody else, then grant them.
static int listen_on_socket(
	struct vhost_peer *peer, const struct vhost_peer_config *config, struct error *e
) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int r;

	r = socket_path_clear(config->path, e);
	if (r < 0)
		return r;
	str_copy(addr.sun_path, sizeof(addr.sun_path), config->path);
	peer->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (peer->listen_fd < 0)
		return error_set(e, errno, "no socket for '%s': %s", config->path, strerror(errno));
	mask = umask(0177);
	r = bind(peer->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return error_set(e, -r, "cannot bind '%s': %s", config->path, strerror(-r));
	str_copy(peer->path, sizeof(peer->path), config->path); // from here on it is ours to remove
	if (listen(peer->listen_fd, BACKLOG_PEERS) < 0)
		return error_set(
			e, errno, "cannot listen on '%s': %s", config->path, strerror(errno)
		);
	return socket_path_grant(config->path, config->socket_group, config->socket_mode, e);
}

static int watch_socket(struct vhost_peer *peer, struct error *e) {
	int r;

	r = sd_event_add_io(
		peer->event, &peer->listening, peer->listen_fd, EPOLLIN, on_connection, peer
	);
	if (r >= 0)
		r = sd_event_add_time(
			peer->event, &peer->accept_pause, CLOCK_MONOTONIC, UINT64_MAX,
			TIMER_ACCURACY_US, on_accept_pause, peer
		);
	return r < 0 ? error_set(e, -r, "event loop: %s", strerror(-r)) : 0;
}

int vhost_peer_new(
	const struct vhost_peer_config *config, struct vhost_peer **ret_peer, struct error *e
) {
	struct vhost_peer *peer = calloc(1, sizeof(*peer));
	int r;

	if (peer == NULL)
		return error_set(e, ENOMEM, "out of memory");
	peer->event = config->event;
	peer->session_config = *config->session;
	peer->changed = config->changed;
	peer->arg = config->arg;
	peer->listen_fd = -EBADF;
	r = listen_on_socket(peer, config, e);
	if (r >= 0)
		r = watch_socket(peer, e);
	if (r < 0) {
		vhost_peer_free(peer);
		return r;
	}
	*ret_peer = peer;
	return 0;
}

void vhost_peer_free(struct vhost_peer *peer) {
	if (peer == NULL)
		return;
	end_session(peer);
	sd_event_source_disable_unref(peer->listening);
	sd_event_source_disable_unref(peer->accept_pause);
	if (peer->path[0] != '\0')
		unlink(peer->path);
	discard_socket(peer->listen_fd, peer->session_config.arg); // with all who wait there
	free(peer);
}

struct session *vhost_peer_session(const struct vhost_peer *peer) {
	return peer->session;
}

uint64_t vhost_peer_connects(const struct vhost_peer *peer) {
	return peer->n_connects;
}

const char *vhost_peer_reason(const struct vhost_peer *peer) {
	return peer->reason;
}
