// SPDX-License-Identifier: GPL-2.0-or-later
// api-times status COUNT: ask vdpad for its status so often over one connection;
// api-times add NAME NETWORK MAC: add a port. Prints how many milliseconds each answer took. A program
// started for each would cost more than the answer.

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define NAME "org.vdpad1"
#define PATH "/org/vdpad1"
#define MANAGER "org.vdpad1.Manager"

static double now_ms(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void ask_status(sd_bus *bus) {
	sd_bus_error error = SD_BUS_ERROR_NULL;

	if (sd_bus_call_method(bus, NAME, PATH, MANAGER, "Status", &error, NULL, "") < 0)
		errx(1, "Status: %s", error.message);
}

static void add_port(sd_bus *bus, const char *name, const char *network, const char *mac) {
	sd_bus_error error = SD_BUS_ERROR_NULL;

	if (sd_bus_call_method(
		    bus, NAME, PATH, MANAGER, "AddPort", &error, NULL, "sa{sv}b", name, 2,
		    "network", "s", network, "mac", "s", mac, 0
	    ) < 0)
		errx(1, "AddPort: %s", error.message);
}

int main(int argc, char **argv) {
	bool adds = argc == 5 && strcmp(argv[1], "add") == 0;
	sd_bus *bus = NULL;
	int r;

	if (!adds && (argc != 3 || strcmp(argv[1], "status") != 0))
		errx(2, "usage: api-times status COUNT | add NAME NETWORK MAC");
	r = sd_bus_open_system(&bus);
	if (r < 0)
		errx(1, "bus: %s", strerror(-r));
	ask_status(bus); // the connection is up
	for (int left = adds ? 1 : atoi(argv[2]); left > 0; left--) {
		double started = now_ms();

		if (adds)
			add_port(bus, argv[2], argv[3], argv[4]);
		else
			ask_status(bus);
		printf("%.3f\n", now_ms() - started);
	}
	sd_bus_flush_close_unref(bus);
	return 0;
}
