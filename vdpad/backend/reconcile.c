// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/backend/reconcile.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct context {
	const struct wanted *wanted;
	const struct switch_report *on_switch;
	const struct tap_report *taps;
	struct plan plan;
};

static void add(struct context *c, struct step step) {
	c->plan.steps[c->plan.n++] = step;
}

static int compare_wanted(const void *name, const void *wanted) {
	return strcmp(name, ((const struct wanted_port *)wanted)->port->spec.name);
}

static const struct wanted_port *find_wanted(const struct wanted *wanted, const char *name) {
	if (wanted->n_ports == 0)
		return NULL;
	return bsearch(
		name, wanted->ports, wanted->n_ports, sizeof(*wanted->ports), compare_wanted
	);
}

static const struct network *find_network(const struct wanted *wanted, const char *name) {
	for (size_t i = 0; i < wanted->n_networks; i++) {
		if (strcmp(wanted->networks[i].name, name) == 0)
			return &wanted->networks[i];
	}
	return NULL;
}

static const struct network *find_by_tap(const struct wanted *wanted, const char *tap) {
	for (size_t i = 0; i < wanted->n_networks; i++) {
		if (strcmp(wanted->networks[i].tap, tap) == 0)
			return &wanted->networks[i];
	}
	return NULL;
}

// Networks of ports with an act running are made and deleted by that act. Ports of devices that DPDK
// drives use none.
static bool network_needs_care(const struct wanted *wanted, const char *network) {
	for (size_t i = 0; i < wanted->n_ports; i++) {
		const struct wanted_port *w = &wanted->ports[i];

		if (!w->busy && !w->deleting && w->port->backend != BACKEND_DPDK_VDPA &&
		    strcmp(w->port->spec.network, network) == 0)
			return true;
	}
	return false;
}

enum uplink_verdict {
	UPLINK_IS_RIGHT,
	UPLINK_IS_MISSING,
	UPLINK_IS_WRONG,
};

static enum uplink_verdict judge_uplink(
	const struct context *c, const struct network *n, const struct reported_network *r
) {
	const struct reported_tap *tap;

	if (n->tap[0] == '\0')
		return UPLINK_IS_RIGHT; // one that is no longer wanted goes with the network
	if (r == NULL || strcmp(r->uplink, n->tap) != 0)
		return UPLINK_IS_MISSING;
	if (c->taps == NULL)
		return UPLINK_IS_RIGHT; // nobody says that it is not
	tap = tap_report_find(c->taps, n->tap);
	if (tap == NULL)
		return UPLINK_IS_MISSING;
	// A TAP has the MTU of its bridge where that is larger, so that it does not lower it.
	if (strcmp(tap->bridge, n->bridge) != 0 || tap->mtu_bytes < n->mtu_bytes)
		return UPLINK_IS_WRONG;
	return UPLINK_IS_RIGHT;
}

static void plan_networks(struct context *c) {
	for (size_t i = 0; i < c->wanted->n_networks; i++) {
		const struct network *n = &c->wanted->networks[i];
		const struct reported_network *r;
		enum uplink_verdict uplink;
		bool same;

		if (!network_needs_care(c->wanted, n->name))
			continue;
		r = switch_report_find_network(c->on_switch, n->name);
		same = r != NULL && r->mtu_bytes == n->mtu_bytes && r->ageing_s == n->ageing_s;
		uplink = judge_uplink(c, n, r);
		add(c,
		    (struct step){
			    .kind = same ? STEP_ADOPT_NETWORK : STEP_SET_NETWORK,
			    .name = n->name,
			    .network = n,
			    .uplink_is_right = uplink == UPLINK_IS_RIGHT,
		    });
		if (uplink != UPLINK_IS_RIGHT)
			add(c,
			    (struct step){
				    .kind = STEP_SET_UPLINK,
				    .name = n->name,
				    .network = n,
				    .renew = uplink == UPLINK_IS_WRONG,
			    });
	}
}

static enum step_kind compare(const struct port *port, const struct reported_port *reported) {
	const struct port_spec *spec = &port->spec;
	const char *device = port->backend == BACKEND_DPDK_VDPA ? port->resource : "";
	uint64_t features = port_features(port);

	if (reported->generation != port->generation || strcmp(reported->path, port->path) != 0 ||
	    reported->mtu_bytes != spec->mtu_bytes || reported->queue_pairs != spec->queue_pairs ||
	    (features != 0 && reported->features != features) ||
	    strcmp(reported->device, device) != 0)
		return STEP_REPLACE_PORT;
	if (strcmp(reported->network, spec->network) != 0 || reported->vlan != spec->vlan ||
	    reported->link_up != spec->link_up)
		return STEP_SET_PORT;
	return STEP_ADOPT_PORT;
}

static void plan_unknown_ports(struct context *c) {
	for (size_t i = 0; i < c->on_switch->n_ports; i++) {
		const struct reported_port *r = &c->on_switch->ports[i];

		if (find_wanted(c->wanted, r->name) != NULL)
			continue;
		if (c->wanted->may_delete)
			add(c,
			    (struct step){.kind = STEP_DEL_PORT, .name = r->name, .reported = r});
		else
			c->plan.n_unknown++;
	}
}

static void plan_wanted_ports(struct context *c) {
	for (size_t i = 0; i < c->wanted->n_ports; i++) {
		const struct wanted_port *w = &c->wanted->ports[i];
		const char *name = w->port->spec.name;
		const struct reported_port *r = switch_report_find_port(c->on_switch, name);
		enum step_kind kind;

		if (w->busy)
			continue;
		if (w->deleting)
			kind = r != NULL ? STEP_DEL_PORT : STEP_PORT_GONE;
		else
			kind = r != NULL ? compare(w->port, r) : STEP_SET_PORT;
		add(c, (struct step){.kind = kind, .name = name, .port = w->port, .reported = r});
	}
}

static void plan_unknown_networks(struct context *c) {
	for (size_t i = 0; i < c->on_switch->n_networks; i++) {
		const struct reported_network *r = &c->on_switch->networks[i];

		if (find_network(c->wanted, r->name) != NULL)
			continue;
		if (c->wanted->may_delete)
			add(c,
			    (struct step
			    ){.kind = STEP_DEL_NETWORK, .name = r->name, .uplink = r->uplink});
		else
			c->plan.n_unknown++;
	}
}

static bool is_uplink(const struct switch_report *report, const char *tap) {
	for (size_t i = 0; i < report->n_networks; i++) {
		if (strcmp(report->networks[i].uplink, tap) == 0)
			return true;
	}
	return false;
}

static void plan_unknown_taps(struct context *c) {
	for (size_t i = 0; i < c->taps->n; i++) {
		const char *name = c->taps->list[i].name;

		// The TAP of a network that the switch still has goes after that network.
		if (find_by_tap(c->wanted, name) != NULL || is_uplink(c->on_switch, name))
			continue;
		if (c->wanted->may_delete)
			add(c, (struct step){.kind = STEP_DEL_TAP, .name = name});
		else
			c->plan.n_unknown++;
	}
}

static int compare_steps(const void *a, const void *b) {
	const struct step *s = a, *t = b;

	if (s->kind != t->kind)
		return (int)s->kind - (int)t->kind;
	return strcmp(s->name, t->name);
}

int reconcile(
	const struct wanted *wanted, const struct switch_report *on_switch,
	const struct tap_report *taps, struct plan *ret_plan
) {
	struct context c = {.wanted = wanted, .on_switch = on_switch, .taps = taps};
	size_t n_max;

	if (on_switch == NULL) {
		*ret_plan = c.plan; // nothing can be pushed, and nothing may be deleted
		return 0;
	}
	n_max = 2 * wanted->n_networks + wanted->n_ports + on_switch->n_ports +
		on_switch->n_networks + (taps != NULL ? taps->n : 0);
	c.plan.complete = taps != NULL;
	if (n_max > 0) {
		c.plan.steps = calloc(n_max, sizeof(*c.plan.steps));
		if (c.plan.steps == NULL)
			return -ENOMEM;
	}
	plan_networks(&c);
	plan_unknown_ports(&c);
	plan_wanted_ports(&c);
	plan_unknown_networks(&c);
	if (taps != NULL)
		plan_unknown_taps(&c);
	assert(c.plan.n <= n_max);
	if (c.plan.n > 0)
		qsort(c.plan.steps, c.plan.n, sizeof(*c.plan.steps), compare_steps);
	*ret_plan = c.plan;
	return 0;
}

void plan_done(struct plan *plan) {
	free(plan->steps);
	*plan = (struct plan){0};
}
