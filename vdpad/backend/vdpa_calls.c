// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/vdpa_calls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/log.h"

struct call {
	TAILQ_ENTRY(call) entries;
	struct vdpa_calls *calls;
	const char *member;
	vdpa_fill_fn fill;
	uint32_t timeout_ms;
	hub_reply_fn done;
	void *userdata;
};

struct vdpa_calls {
	struct hub *hub;
	TAILQ_HEAD(, call) waiting;
	bool under_way; // one was sent, and its answer has not come
	bool sending;   // in send_waiting(), whose loop takes the next
	char wedged[ERROR_TEXT_SIZE];
};

static void send_waiting(struct vdpa_calls *calls);

static void note_answer(struct vdpa_calls *calls, const struct error *e) {
	bool was_wedged = calls->wedged[0] != '\0';

	if (e != NULL && e->code == EHOSTDOWN)
		return; // not the worker's answer
	if (e != NULL && e->code == ETIMEDOUT) {
		snprintf(calls->wedged, sizeof(calls->wedged), "%s", e->text);
		if (!was_wedged)
			log_err("the kernel's vDPA does not answer: %s; no new port gets hardware "
			        "until it does",
			        e->text);
	} else if (was_wedged) {
		calls->wedged[0] = '\0';
		log_info("the kernel's vDPA answers again");
	}
}

static void on_answer(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct call *call = userdata;
	struct vdpa_calls *calls = call->calls;

	calls->under_way = false;
	note_answer(calls, e);
	call->done(call->userdata, reply, e);
	free(call);
	send_waiting(calls);
}

static void send_waiting(struct vdpa_calls *calls) {
	struct call *call;

	if (calls->sending)
		return;
	calls->sending = true;
	while (!calls->under_way && (call = TAILQ_FIRST(&calls->waiting)) != NULL) {
		sd_bus_message *m = hub_message(calls->hub, WORKER_NETLINK, call->member);
		int r = 0;

		TAILQ_REMOVE(&calls->waiting, call, entries);
		if (m != NULL && call->fill != NULL)
			r = call->fill(call->userdata, m);
		calls->under_way = true;
		hub_call_within(
			calls->hub, WORKER_NETLINK, m, r, call->timeout_ms, on_answer, call
		);
	}
	calls->sending = false;
}

void vdpa_calls_add(
	struct vdpa_calls *calls, const char *member, vdpa_fill_fn fill, uint32_t timeout_ms,
	hub_reply_fn done, void *userdata
) {
	struct call *call = calloc(1, sizeof(*call));
	struct error e;

	if (call == NULL) {
		error_set(&e, ENOMEM, "out of memory");
		done(userdata, NULL, &e);
		return;
	}
	*call = (struct call){
		.calls = calls,
		.member = member,
		.fill = fill,
		.timeout_ms = timeout_ms,
		.done = done,
		.userdata = userdata,
	};
	TAILQ_INSERT_TAIL(&calls->waiting, call, entries);
	send_waiting(calls);
}

const char *vdpa_calls_wedged(const struct vdpa_calls *calls) {
	return calls->wedged;
}

int vdpa_calls_new(struct hub *hub, struct vdpa_calls **ret_calls) {
	struct vdpa_calls *calls = calloc(1, sizeof(*calls));

	if (calls == NULL)
		return -ENOMEM;
	calls->hub = hub;
	TAILQ_INIT(&calls->waiting);
	*ret_calls = calls;
	return 0;
}

void vdpa_calls_free(struct vdpa_calls *calls) {
	free(calls); // the end of the link has failed what was under way, and so all that waited
}
