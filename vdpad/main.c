// SPDX-License-Identifier: GPL-2.0-or-later

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vdpad/daemon.h"
#include "vdpad/util/ipc.h"
#include "vdpad/util/log.h"

#define EXIT_USAGE 2

enum {
	OPTION_CONFIG = 256,
	OPTION_CLUSTER_CONFIG,
	OPTION_RUN_DIR,
	OPTION_STATE_DIR,
	OPTION_FACTS_ROOT,
	OPTION_LOG_LEVEL,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"cluster-config", required_argument, NULL, OPTION_CLUSTER_CONFIG},
	{"run-dir", required_argument, NULL, OPTION_RUN_DIR},
	{"state-dir", required_argument, NULL, OPTION_STATE_DIR},
	{"facts-root", required_argument, NULL, OPTION_FACTS_ROOT},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

static const char help[] =
	"Usage: vdpad [OPTION...]\n"
	"\n"
	"Gives the virtual machines of this node their network ports. Controlled with vdpactl.\n"
	"\n"
	"  --config FILE          default /etc/vdpad/vdpad.conf\n"
	"  --cluster-config FILE  default /etc/pve/vdpad.cfg\n"
	"  --run-dir DIR          sockets; default /run/vdpad\n"
	"  --state-dir DIR        default /var/lib/vdpad\n"
	"  --facts-root DIR       below which /sys, /proc and /lib are read; default /\n"
	"  --log-level LEVEL      err, warn, info or debug; default info\n"
	"  --help, --version\n";

// Returns 0 to go on, or 1 + the exit status.
static int parse_options(int argc, char **argv, struct daemon_options *ret_options) {
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case OPTION_CONFIG:
			ret_options->config_path = optarg;
			break;
		case OPTION_CLUSTER_CONFIG:
			ret_options->cluster_path = optarg;
			break;
		case OPTION_RUN_DIR:
			ret_options->run_dir = optarg;
			break;
		case OPTION_STATE_DIR:
			ret_options->state_dir = optarg;
			break;
		case OPTION_FACTS_ROOT:
			ret_options->facts_root = optarg;
			break;
		case OPTION_LOG_LEVEL:
			if (log_set_level_name(optarg) == 0)
				break;
			fprintf(stderr,
			        "vdpad: log level '%s' is unknown: err, warn, info or debug\n",
			        optarg);
			return 1 + EXIT_USAGE;
		case OPTION_HELP:
			fputs(help, stdout);
			return 1 + EXIT_SUCCESS;
		case OPTION_VERSION:
			puts("vdpad " VDPAD_VERSION);
			return 1 + EXIT_SUCCESS;
		default:
			fputs("See 'vdpad --help'.\n", stderr);
			return 1 + EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vdpad: argument '%s' is one too many\n", argv[optind]);
		return 1 + EXIT_USAGE;
	}
	return 0;
}

int main(int argc, char **argv) {
	struct daemon_options daemon_options = {
		.config_path = "/etc/vdpad/vdpad.conf",
		.cluster_path = "/etc/pve/vdpad.cfg",
		.run_dir = IPC_RUN_DIR,
		.state_dir = IPC_STATE_DIR,
	};
	struct daemon *d;
	struct error e;
	int r;

	r = parse_options(argc, argv, &daemon_options);
	if (r > 0)
		return r - 1;
	if (daemon_new(&daemon_options, &d, &e) < 0) {
		log_err("%s", e.text);
		return EXIT_FAILURE;
	}
	r = daemon_run(d);
	daemon_free(d);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
