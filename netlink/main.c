// SPDX-License-Identifier: GPL-2.0-or-later
// vdpad-netlink: does kernel operations for vdpad. It keeps no state and may be killed at any time.

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "netlink/service.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define EXIT_USAGE 2

static void service_freep(struct service **service) {
	service_free(*service);
}

static int run(const char *run_dir, struct error *e) {
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(service_freep) struct service *service = NULL;
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);

	r = sd_event_default(&event);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL); // ends the loop
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	if (r < 0)
		return error_set(e, -r, "cannot start the event loop: %s", strerror(-r));
	r = service_new(event, run_dir, &nic_host_kernel, &service, e);
	if (r < 0)
		return r;

	sd_notify(false, "READY=1\nSTATUS=waiting for vdpad");
	r = sd_event_loop(event);
	sd_notify(false, "STOPPING=1");
	return r < 0 ? error_set(e, -r, "the event loop failed: %s", strerror(-r)) : 0;
}

static void help(void) {
	puts("Usage: vdpad-netlink [OPTION...]\n"
	     "Create and configure network interfaces on behalf of vdpad.\n"
	     "\n"
	     "  --run-dir DIR      where vdpad listens (" IPC_RUN_DIR ")\n"
	     "  --log-level LEVEL  err, warn, info (as without this option) or debug\n"
	     "  --help             show this\n"
	     "  --version          show the version");
}

int main(int argc, char **argv) {
	static const struct option options[] = {
		{"run-dir", required_argument, NULL, 'r'},
		{"log-level", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	const char *run_dir = IPC_RUN_DIR;
	struct error e = {0};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			run_dir = optarg;
			break;
		case 'l':
			if (log_set_level_name(optarg) == 0)
				break;
			log_err("log level '%s' is not err, warn, info or debug", optarg);
			return EXIT_USAGE;
		case 'h':
			help();
			return EXIT_SUCCESS;
		case 'V':
			puts("vdpad-netlink " VDPAD_VERSION);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		log_err("unexpected argument '%s'", argv[optind]);
		return EXIT_USAGE;
	}
	if (run(run_dir, &e) < 0) {
		log_err("%s", e.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
