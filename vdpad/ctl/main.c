// SPDX-License-Identifier: GPL-2.0-or-later
// vdpactl: the command line of vdpad. Nothing on standard output but the answer; a failure is one
// line on standard error and an exit status by its kind.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "vdpad/ctl/client.h"
#include "vdpad/ctl/command.h"
#include "vdpad/ctl/help.h"

// For the script in packaging/completion only, so it is not in the table.
#define COMPLETE_WORD "--complete"

static int exit_status(const struct error *e) {
	if (e->code == CLIENT_UNREACHABLE)
		return error_exit_status(SD_BUS_ERROR_SERVICE_UNKNOWN);
	return error_exit_status(error_dbus_name(e->code));
}

static int fail(struct error *e) {
	for (char *p = e->text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' '; // one line, whatever it quotes
	}
	fprintf(stderr, "vdpactl: %s\n", e->text);
	return exit_status(e);
}

static int run(const struct request *request, struct error *e) {
	if ((request->options & OPTION_VERSION) != 0)
		return printf("vdpactl %s\n", VDPAD_VERSION) < 0 ? -errno : 0;
	if (request->command == NULL) {
		help_print(request);
		return 0;
	}
	return request->command->run(request, e);
}

int main(int argc, char **argv) {
	struct request request;
	struct error e = {0};
	int r;

	if (argc >= 2 && strcmp(argv[1], COMPLETE_WORD) == 0)
		return complete_print((const char *const *)argv + 2, (size_t)argc - 2) ? 0 : 1;
	r = command_parse(argc, argv, &request, &e);
	if (r >= 0)
		r = run(&request, &e);
	if (r >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = error_set(&e, errno, "standard output: %s", strerror(errno));
	return r < 0 ? fail(&e) : 0;
}
