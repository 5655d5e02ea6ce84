// SPDX-License-Identifier: GPL-2.0-or-later
// A network goes through
//
//	making ---> ready ---> deleting ---> (gone, or making again for who waits)
//
// and each arrow is a chain of calls: SetNetwork, OpenTap, SetUplink; DelNetwork, DelTap. One chain
// runs on a network at a time (busy); who needs the network meanwhile waits for its end. The chain of
// an uplink that is pushed on its own, after a restart of the switch, leaves the network ready. If
// the switch is lost under a chain, the network is lost too, and the chain ends at its next step:
// what it would do belongs to a switch that is gone.

#include "vdpad/backend/switch_networks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/log.h"

enum network_state {
	NETWORK_MAKING,
	NETWORK_READY,
	NETWORK_DELETING,
	NETWORK_LOST,
};

struct waiter {
	LIST_ENTRY(waiter) entries;
	struct network network; // as it is wanted
	network_ready_fn ready;
	void *userdata;
};

LIST_HEAD(waiters, waiter);

struct switch_network {
	LIST_ENTRY(switch_network) entries;
	const struct switch_networks *networks;
	struct hub *hub;
	struct network network;
	enum network_state state;
	bool busy;         // a chain runs and holds a pointer to this
	bool lacks_uplink; // it should have one
	bool again;        // the uplink is to be pushed again after the chain
	bool renew;        // and its TAP to be deleted before
	bool unused;       // its last port left while the chain ran
	struct waiters waiting;
};

struct switch_networks {
	struct hub *hub;
	bool synced; // what the switch has is known
	LIST_HEAD(, switch_network) list;
};

static void start_making(struct switch_network *n);
static void start_deleting(struct switch_network *n);
static void start_uplink(struct switch_network *n);

static struct switch_network *find(const struct switch_networks *networks, const char *name) {
	struct switch_network *n;

	LIST_FOREACH(n, &networks->list, entries) {
		if (strcmp(n->network.name, name) == 0)
			return n;
	}
	return NULL;
}

static struct switch_network *find_or_add(
	struct switch_networks *networks, const struct network *network
) {
	struct switch_network *n = find(networks, network->name);

	if (n != NULL)
		return n;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->networks = networks;
	n->hub = networks->hub;
	n->network = *network;
	n->state = NETWORK_LOST;
	LIST_INIT(&n->waiting);
	LIST_INSERT_HEAD(&networks->list, n, entries);
	return n;
}

static void forget(struct switch_network *n) {
	LIST_REMOVE(n, entries);
	free(n);
}

// Who waits is told after the network has its next state, as the answer may be anything.
static void take_waiting(struct switch_network *n, struct waiters *ret_waiting) {
	struct waiter *w;

	LIST_INIT(ret_waiting);
	while ((w = LIST_FIRST(&n->waiting)) != NULL) {
		LIST_REMOVE(w, entries);
		LIST_INSERT_HEAD(ret_waiting, w, entries);
	}
}

static void tell(struct waiters *waiting, const struct error *e) {
	struct waiter *w;

	while ((w = LIST_FIRST(waiting)) != NULL) {
		LIST_REMOVE(w, entries);
		w->ready(w->userdata, e);
		free(w);
	}
}

// The ends of chains

static void end_ready(struct switch_network *n) {
	n->busy = false;
	if (n->unused) {
		start_deleting(n);
	} else if (n->again) {
		n->again = false;
		n->busy = true;
		start_uplink(n);
	}
}

static void end_gone(struct switch_network *n) {
	n->busy = false;
	n->unused = false;
	n->again = false;
	n->renew = false;
	n->state = NETWORK_LOST;
	if (LIST_EMPTY(&n->waiting))
		forget(n);
	else if (n->networks->synced)
		start_making(n);
}

static void chain_succeeded(struct switch_network *n) {
	struct waiters waiting;

	if (n->state == NETWORK_LOST) {
		end_gone(n);
		return;
	}
	n->state = NETWORK_READY;
	n->lacks_uplink = false;
	n->again = n->renew; // else it has what was to be pushed again
	take_waiting(n, &waiting);
	end_ready(n);
	tell(&waiting, NULL);
}

// Ports that were pushed after a restart work among themselves.
static void uplink_failed(struct switch_network *n, const struct error *e) {
	struct log_subject subject = {.network = n->network.name, .reason = e->text};

	if (!n->lacks_uplink)
		log_about(
			LOG_WARNING, &subject, "network '%s' is served without its uplink: %s",
			n->network.name, e->text
		);
	n->lacks_uplink = true;
	end_ready(n);
}

static void chain_failed(struct switch_network *n, const struct error *e) {
	struct waiters waiting;

	switch (n->state) {
	case NETWORK_READY:
		uplink_failed(n, e);
		break;
	case NETWORK_MAKING:
		take_waiting(n, &waiting);
		start_deleting(n); // what there is of it
		tell(&waiting, e);
		break;
	case NETWORK_LOST:
	case NETWORK_DELETING:
		end_gone(n);
		break;
	}
}

// Making

static void on_uplink_set(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)reply;
	if (e != NULL)
		chain_failed(userdata, e);
	else
		chain_succeeded(userdata);
}

static void on_tap_opened(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct switch_network *n = userdata;
	sd_bus_message *m;
	struct error unread;
	int tap_fd, r;

	if (n->state == NETWORK_LOST) {
		end_gone(n);
		return;
	}
	if (e == NULL && (r = sd_bus_message_read_basic(reply, 'h', &tap_fd)) < 0) {
		error_set(&unread, -r, "the answer of vdpad-netlink is not understood");
		e = &unread;
	}
	if (e != NULL) {
		chain_failed(n, e);
		return;
	}
	m = hub_message(n->hub, WORKER_SWITCH, "SetUplink");
	r = 0;
	if (m != NULL)
		r = sd_bus_message_append(m, "ssh", n->network.name, n->network.tap, tap_fd);
	hub_call(n->hub, WORKER_SWITCH, m, r, on_uplink_set, n);
}

static void open_tap(struct switch_network *n) {
	const struct network *network = &n->network;
	sd_bus_message *m;
	int r = 0;

	if (network->tap[0] == '\0') {
		chain_succeeded(n);
		return;
	}
	m = hub_message(n->hub, WORKER_NETLINK, "OpenTap");
	if (m != NULL)
		r = sd_bus_message_append(
			m, "sa{sv}", network->tap, 3, "network", "s", network->name, "bridge", "s",
			network->bridge, "mtu", "u", network->mtu_bytes
		);
	hub_call(n->hub, WORKER_NETLINK, m, r, on_tap_opened, n);
}

static void on_wrong_tap_deleted(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)reply;
	if (e != NULL)
		chain_failed(userdata, e);
	else
		open_tap(userdata);
}

static void start_uplink(struct switch_network *n) {
	bool renew = n->renew;

	n->renew = false;
	if (renew)
		hub_call_name(
			n->hub, WORKER_NETLINK, "DelTap", n->network.tap, on_wrong_tap_deleted, n
		);
	else
		open_tap(n);
}

static void on_network_set(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)reply;
	if (e != NULL)
		chain_failed(userdata, e);
	else
		open_tap(userdata);
}

static void set_network(
	struct hub *hub, const struct network *network, hub_reply_fn done, void *userdata
) {
	sd_bus_message *m = hub_message(hub, WORKER_SWITCH, "SetNetwork");
	int r = 0;

	if (m != NULL)
		r = sd_bus_message_append(
			m, "sa{sv}", network->name, 2, "mtu", "u", network->mtu_bytes, "ageing_s",
			"u", network->ageing_s
		);
	hub_call(hub, WORKER_SWITCH, m, r, done, userdata);
}

// For the first who waits.
static void start_making(struct switch_network *n) {
	n->network = LIST_FIRST(&n->waiting)->network;
	n->state = NETWORK_MAKING;
	n->busy = true;
	set_network(n->hub, &n->network, on_network_set, n);
}

void switch_networks_need(
	struct switch_networks *networks, const struct network *network, network_ready_fn ready,
	void *userdata
) {
	struct switch_network *n = find_or_add(networks, network);
	struct waiter *w;
	struct error e;

	if (n != NULL)
		n->unused = false;
	if (n != NULL && n->state == NETWORK_READY) {
		ready(userdata, NULL);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (n == NULL || w == NULL) {
		free(w);
		error_set(&e, ENOMEM, "out of memory");
		ready(userdata, &e);
		return;
	}
	*w = (struct waiter){.network = *network, .ready = ready, .userdata = userdata};
	LIST_INSERT_HEAD(&n->waiting, w, entries);
	if (!n->busy && networks->synced)
		start_making(n);
}

bool switch_networks_are_synced(const struct switch_networks *networks) {
	return networks->synced;
}

void switch_networks_synced(struct switch_networks *networks) {
	struct switch_network *n, *next;
	struct waiters waiting;

	networks->synced = true;
	for (n = LIST_FIRST(&networks->list); n != NULL; n = next) {
		next = LIST_NEXT(n, entries);
		if (n->busy || LIST_EMPTY(&n->waiting))
			continue;
		if (n->state != NETWORK_READY) {
			start_making(n);
			continue;
		}
		take_waiting(n, &waiting);
		tell(&waiting, NULL);
	}
}

// Deleting

static void on_tap_deleted(void *userdata, sd_bus_message *reply, const struct error *e) {
	hub_note_cleanup(NULL, reply, e);
	end_gone(userdata);
}

// The TAP stays while the switch may have it open: when the network is in use by a port that is not
// known here (EBUSY), and when the switch does not answer.
static void on_network_deleted(void *userdata, sd_bus_message *reply, const struct error *e) {
	struct switch_network *n = userdata;
	bool gone = e == NULL || e->code == ENOENT || e->code == ENODEV;

	hub_note_cleanup(NULL, reply, e);
	if (!gone || n->network.tap[0] == '\0')
		end_gone(n);
	else
		hub_call_name(n->hub, WORKER_NETLINK, "DelTap", n->network.tap, on_tap_deleted, n);
}

static void start_deleting(struct switch_network *n) {
	n->state = NETWORK_DELETING;
	n->busy = true;
	hub_call_name(n->hub, WORKER_SWITCH, "DelNetwork", n->network.name, on_network_deleted, n);
}

static void release(struct switch_network *n) {
	if (n->busy)
		n->unused = true;
	else
		start_deleting(n);
}

void switch_networks_release(struct switch_networks *networks, const char *name) {
	struct switch_network *n = find(networks, name);

	if (n != NULL)
		release(n);
}

void switch_networks_drop(struct switch_networks *networks, const char *name, const char *tap) {
	struct network network = {0};
	struct switch_network *n;

	str_copy(network.name, sizeof(network.name), name);
	str_copy(network.tap, sizeof(network.tap), tap);
	n = find_or_add(networks, &network);
	if (n != NULL)
		release(n);
}

// Steps of reconcile

static struct switch_network *make_ready(
	struct switch_networks *networks, const struct network *network, bool uplink_is_right
) {
	struct switch_network *n = find_or_add(networks, network);

	if (n == NULL)
		return NULL;
	n->network = *network;
	n->state = NETWORK_READY;
	n->unused = false;
	if (uplink_is_right)
		n->lacks_uplink = false;
	return n;
}

void switch_networks_adopt(
	struct switch_networks *networks, const struct network *network, bool uplink_is_right
) {
	make_ready(networks, network, uplink_is_right);
}

static void on_network_pushed(void *userdata, sd_bus_message *reply, const struct error *e) {
	(void)userdata;
	(void)reply;
	if (e != NULL)
		log_err("vdpad-switch did not take a network: %s", e->text);
}

void switch_networks_push(
	struct switch_networks *networks, const struct network *network, bool uplink_is_right
) {
	if (make_ready(networks, network, uplink_is_right) != NULL)
		set_network(networks->hub, network, on_network_pushed, NULL);
}

void switch_networks_push_uplink(
	struct switch_networks *networks, const struct network *network, bool renew
) {
	struct switch_network *n = find(networks, network->name);

	if (n == NULL)
		return;
	n->renew = n->renew || renew;
	if (n->busy) {
		n->again = true;
		return;
	}
	n->busy = true;
	start_uplink(n);
}

void switch_networks_lost(struct switch_networks *networks) {
	struct switch_network *n, *next;
	struct waiters waiting;
	struct error e;

	networks->synced = false;
	error_set(&e, EHOSTDOWN, "vdpad-switch went away");
	for (n = LIST_FIRST(&networks->list); n != NULL; n = next) {
		next = LIST_NEXT(n, entries);
		take_waiting(n, &waiting);
		if (n->busy)
			n->state = NETWORK_LOST;
		else
			forget(n);
		tell(&waiting, &e);
	}
}

size_t switch_networks_n_without_uplink(const struct switch_networks *networks) {
	struct switch_network *n;
	size_t count = 0;

	LIST_FOREACH(n, &networks->list, entries)
	count += n->lacks_uplink;
	return count;
}

int switch_networks_new(struct hub *hub, struct switch_networks **ret_networks) {
	struct switch_networks *networks = calloc(1, sizeof(*networks));

	if (networks == NULL)
		return -ENOMEM;
	networks->hub = hub;
	LIST_INIT(&networks->list);
	*ret_networks = networks;
	return 0;
}

void switch_networks_free(struct switch_networks *networks) {
	if (networks == NULL)
		return;
	switch_networks_lost(networks); // fails who still waits; without the hub nothing is busy
	free(networks);
}
