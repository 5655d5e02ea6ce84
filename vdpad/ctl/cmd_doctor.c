// SPDX-License-Identifier: GPL-2.0-or-later
// doctor: the node, then vdpad and its workers. Works with vdpad down, which is then a finding.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/doctor.h"
#include "vdpad/ctl/print.h"

#define DOCTOR_TIMEOUT_US (2 * UINT64_C(1000000)) // a healthy vdpad answers within milliseconds

static int ask(
	sd_bus *bus, const char *method, const char *argument, json_t **ret_json, struct error *e
) {
	_cleanup_message_ sd_bus_message *call = NULL;
	int r;

	r = client_new_call(bus, method, &call, e);
	if (r >= 0 && argument != NULL)
		r = sd_bus_message_append(call, "s", argument);
	if (r < 0)
		return r;
	return client_send(bus, call, DOCTOR_TIMEOUT_US, ret_json, e);
}

static void check_worker(
	struct report *report, const json_t *status, const char *check, const char *unit_advice
) {
	_cleanup_free_ char *state = print_text(json_object_get(status, check));

	if (strcmp(state, "ready") == 0)
		report_add(report, check, VERDICT_OK, "", "ready");
	else
		report_add(report, check, VERDICT_FAIL, unit_advice, "%s", state);
}

static void check_ports(struct report *report, sd_bus *bus) {
	json_t *ports = NULL, *port;
	size_t n_before = report->n;
	struct error e;
	const char *name, *path, *state, *reason;

	if (ask(bus, "ShowPorts", "", &ports, &e) < 0) {
		report_add(
			report, "sockets", VERDICT_FAIL, "See 'journalctl -u vdpad'.", "%s", e.text
		);
		return;
	}
	json_object_foreach (ports, name, port) {
		if (json_unpack(
			    port, "{s:s, s:s, s:s}", "path", &path, "state", &state, "reason",
			    &reason
		    ) == 0)
			doctor_check_port(
				report, name, state, reason, path,
				json_is_true(json_object_get(port, "qemu_listens"))
			);
	}
	if (report->n == n_before)
		report_add(
			report, "sockets", VERDICT_OK, "",
			"ports: %zu, each served and with its socket", json_object_size(ports)
		);
	json_decref(ports);
}

static void check_networks(struct report *report, sd_bus *bus) {
	json_t *networks = NULL, *network;
	struct error e;
	const char *name;

	if (ask(bus, "ShowNetworks", "", &networks, &e) < 0)
		return; // check_ports() says what is wrong
	json_object_foreach (networks, name, network) {
		_cleanup_free_ char *reason = print_text(json_object_get(network, "reason"));

		if (json_is_false(json_object_get(network, "available")))
			report_add(
				report, "networks", VERDICT_WARN,
				"It takes no new ports, and its ports have no uplink, until that "
				"is mended: the bridge made, or vdpad.conf changed and reloaded.",
				"%s", reason
			);
	}
	json_decref(networks);
}

// Without vdpad-netlink there are no lists, which its own check says.
static void check_hardware(
	struct report *report, sd_bus *bus, const json_t *status, bool kernel_has_vdpa
) {
	_cleanup_free_ char *netlink = print_text(json_object_get(status, "netlink"));
	_cleanup_free_ char *vdpa = print_text(json_object_get(status, "vdpa"));
	json_t *pools = NULL, *mgmtdevs = NULL, *devices = NULL;

	if (strcmp(netlink, "ready") != 0)
		return;
	doctor_check_vdpa(report, vdpa, kernel_has_vdpa);
	if (ask(bus, "ShowPools", "", &pools, NULL) == 0 &&
	    ask(bus, "ShowMgmtdevs", "", &mgmtdevs, NULL) == 0)
		doctor_check_pools(report, pools, mgmtdevs);
	if (ask(bus, "ShowDevices", "", &devices, NULL) == 0)
		doctor_check_devices(report, devices);
	json_decref(pools);
	json_decref(mgmtdevs);
	json_decref(devices);
}

static void check_daemon(struct report *report, bool kernel_has_vdpa) {
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *version = NULL;
	json_t *status = NULL;
	struct error e;
	int r;

	if (client_open(&bus, &e) < 0) {
		report_add(
			report, "bus", VERDICT_FAIL,
			"vdpad and vdpactl speak over the system bus: systemctl start dbus.", "%s",
			e.text
		);
		return;
	}
	report_add(report, "bus", VERDICT_OK, "", "the system bus answers");
	r = ask(bus, "Status", NULL, &status, &e);
	if (r == -EACCES) {
		report_add(
			report, "vdpad", VERDICT_WARN,
			"Ask again as root, or as a member of group vdpad, to see more.", "%s",
			e.text
		);
		return;
	}
	if (r < 0) {
		report_add(
			report, "vdpad", VERDICT_FAIL,
			"Nothing can be asked or changed; ports that exist go on working. See "
			"'journalctl -u vdpad'.",
			"%s", e.text
		);
		return;
	}
	version = print_text(json_object_get(status, "version"));
	if (strcmp(version, VDPAD_VERSION) == 0)
		report_add(report, "vdpad", VERDICT_OK, "", "version %s answers", version);
	else
		report_add(
			report, "vdpad", VERDICT_WARN,
			"An upgrade is half done: systemctl restart vdpad. No packet is lost.",
			"version %s answers, vdpactl is %s", version, VDPAD_VERSION
		);
	doctor_check_config(report, json_object_get(status, "config_warnings"));
	check_worker(
		report, status, "switch",
		"No port on the software switch passes packets: systemctl status vdpad-switch. "
		"Ports "
		"come back by themselves when it is back."
	);
	check_worker(
		report, status, "netlink",
		"Ports among each other work; no uplink and no hardware port can be made: "
		"systemctl "
		"status vdpad-netlink."
	);
	check_hardware(report, bus, status, kernel_has_vdpa);
	json_decref(status);
	check_networks(report, bus);
	check_ports(report, bus);
}

static void print_report(const struct request *request, const struct report *report) {
	json_t *list = json_array();

	for (size_t i = 0; i < report->n; i++) {
		const struct finding *f = &report->findings[i];

		json_array_append_new(
			list,
			json_pack(
				"{s:s, s:s, s:s, s:s}", "check", f->check, "verdict",
				verdict_name(f->verdict), "found", f->found, "advice", f->advice
			)
		);
		if (print_wants_json(request))
			continue;
		printf("%-5s %-10s %s\n", verdict_name(f->verdict), f->check, f->found);
		if (f->advice[0] != '\0')
			printf("%16s %s\n", "", f->advice);
	}
	if (print_wants_json(request))
		print_json(request, list);
	json_decref(list);
}

int cmd_doctor(const struct request *request, struct error *e) {
	_cleanup_free_ struct facts *facts = calloc(1, sizeof(*facts)); // both large for a stack
	_cleanup_free_ struct report *report = calloc(1, sizeof(*report));
	size_t n_fails = 0;

	if (facts == NULL || report == NULL)
		return error_set(e, ENOMEM, "out of memory");
	facts_collect("", facts);
	doctor_check_facts(report, facts);
	doctor_check_node(report);
	check_daemon(report, facts->vdpa.bus || facts->vdpa.module);
	print_report(request, report);
	for (size_t i = 0; i < report->n; i++)
		n_fails += report->findings[i].verdict == VERDICT_FAIL;
	if (n_fails > 0)
		return error_set(e, EIO, "%zu of %zu checks failed", n_fails, report->n);
	return 0;
}
