// SPDX-License-Identifier: GPL-2.0-or-later
// api-times COUNT: ask vdpad for its status so often over one connection, and print how many milliseconds
// each answer took. A program started for each would cost more than the answer.

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

static double now_ms(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
	sd_bus *bus = NULL;
	int r;

	if (argc != 2)
		errx(2, "usage: api-times COUNT");
	r = sd_bus_open_system(&bus);
	if (r < 0)
		errx(1, "bus: %s", strerror(-r));
	for (int left = atoi(argv[1]); left > 0; left--) {
		double started = now_ms();

		r = sd_bus_call_method(
			bus, "org.vdpad1", "/org/vdpad1", "org.vdpad1.Manager", "Status", NULL,
			NULL, ""
		);
		if (r < 0)
			errx(1, "Status: %s", strerror(-r));
		printf("%.3f\n", now_ms() - started);
	}
	sd_bus_flush_close_unref(bus);
	return 0;
}
