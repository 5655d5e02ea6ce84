// SPDX-License-Identifier: GPL-2.0-or-later
// vdpad-switch: the software switch. It is told what to do by vdpad.

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "fallback/link_client.h"
#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

static const char usage[] =
	"usage: vdpad-switch [--run-dir DIR] [--log-level LEVEL]\n"
	"\n"
	"The software switch of vdpad: vhost-user ports, MAC learning, VLANs, uplinks.\n"
	"It connects to vdpad in DIR (" IPC_RUN_DIR ") and does what vdpad says.\n"
	"\n"
	"  --run-dir DIR      where vdpad's sockets are\n"
	"  --log-level LEVEL  err, warn, info (as without this option) or debug, with DPDK's own "
	"words\n"
	"  --help, --version\n";

enum option_key {
	OPTION_RUN_DIR = 1,
	OPTION_LOG_LEVEL,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option options[] = {
	{"run-dir", required_argument, NULL, OPTION_RUN_DIR},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

// Every thread that is started later inherits the mask: the signals are for the event loop alone.
static int add_signals(sd_event *event) {
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r < 0)
		return r;
	return sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
}

static int run(const char *run_dir, bool verbose) {
	struct link_client *client = NULL;
	sd_event *event = NULL;
	int r;

	r = sd_event_new(&event);
	if (r >= 0)
		r = add_signals(event);
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	if (r >= 0)
		r = link_client_new(event, run_dir, verbose, &client);
	if (r < 0)
		log_err("cannot start: %s", strerror(-r));
	else
		r = sd_event_loop(event);
	sd_notify(0, "STOPPING=1");
	link_client_free(client);
	sd_event_unref(event);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
	const char *run_dir = IPC_RUN_DIR;
	bool verbose = false;
	int key;

	while ((key = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (key) {
		case OPTION_RUN_DIR:
			run_dir = optarg;
			break;
		case OPTION_LOG_LEVEL:
			verbose = strcmp(optarg, "debug") == 0;
			if (log_set_level_name(optarg) == 0)
				break;
			fprintf(stderr,
			        "vdpad-switch: log level '%s' is unknown: err, warn, info or "
			        "debug\n",
			        optarg);
			return 2;
		case OPTION_HELP:
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case OPTION_VERSION:
			puts("vdpad-switch " VDPAD_VERSION);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vdpad-switch: unexpected argument '%s'\n", argv[optind]);
		return 2;
	}
	return run(run_dir, verbose);
}
