// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/daemon_state.h"

#include <string.h>
#include <unistd.h>

#include "vdpad/daemon.h"
#include "vdpad/util/log.h"

static int load_port(void *userdata, const struct port *port, enum store_intent intent) {
	struct daemon *d = userdata;
	struct managed_port *managed;
	int r = port_set_add(&d->ports, port, &managed);

	if (r < 0)
		return r;
	managed->unrecorded = intent == STORE_CHANGE;
	if (intent == STORE_DELETE)
		port_enter(managed, PORT_DELETING, "vdpad ended while the port was being deleted");
	else if (intent == STORE_CREATE)
		port_enter(managed, PORT_CREATING, "");
	else if (port->backend == BACKEND_EXTERNAL)
		port_enter(managed, PORT_DEGRADED, "its socket was not looked at yet");
	else if (port->backend == BACKEND_VDPA)
		port_enter(managed, PORT_DEGRADED, "vdpad-netlink has not come yet");
	else
		port_enter(managed, PORT_DEGRADED, "vdpad-switch has not come yet");
	return 0;
}

// Ports whose creation was not finished: nobody was told that they exist.
static int undo_unfinished(struct daemon *d, struct error *e) {
	size_t i = 0;

	while (i < d->ports.n) {
		struct managed_port *port = d->ports.list[i];
		struct log_subject subject = {.port = port->port.spec.name};
		int r;

		if (port->port.state != PORT_CREATING) {
			i++;
			continue;
		}
		// What it had on a worker is found there by reconcile, as of nobody.
		if (port->port.backend == BACKEND_VDPA)
			(void)unlink(port->port.path);
		r = store_forget(d->store, subject.port, e);
		if (r < 0)
			return r;
		log_about(
			LOG_INFO, &subject, "port '%s' was being created when vdpad ended: undone",
			subject.port
		);
		port_set_remove(&d->ports, port);
	}
	return 0;
}

int daemon_open_state(struct daemon *d, struct error *e) {
	char boot_id[SD_ID128_STRING_MAX];
	sd_id128_t id;
	int r;

	r = sd_id128_get_boot(&id);
	if (r < 0)
		return error_set(e, -r, "cannot read the node's boot id: %s", strerror(-r));
	r = store_open(d->options.state_dir, sd_id128_to_string(id, boot_id), &d->store, e);
	if (r < 0)
		return r;
	if (store_n_dropped(d->store) > 0)
		log_info(
			"the node was booted: %u ports with lifetime runtime are gone",
			store_n_dropped(d->store)
		);
	r = store_each_port(d->store, load_port, d, e);
	return r < 0 ? r : undo_unfinished(d, e);
}
