// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/eal.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#define MAX_ARGS 16
#define NO_DEVICE "ffff:ff:1f.7" // to allow this one only keeps DPDK's hands off all that exist

// The number behind "KEY:" in /proc/meminfo; 0 when it is not there.
static uint64_t meminfo(const char *key) {
	FILE *f = fopen("/proc/meminfo", "re");
	size_t len = strlen(key);
	uint64_t value = 0;
	char line[128];

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, key, len) == 0 && line[len] == ':')
			value = strtoull(&line[len + 1], NULL, 10);
	}
	fclose(f);
	return value;
}

static bool hugepages_suffice(uint32_t memory_mb) {
	return meminfo("HugePages_Free") * meminfo("Hugepagesize") / 1024 >= memory_mb;
}

// "0@(0,1,4)": one lcore, for the main thread, on the CPUs that the process may use.
static int describe_cpus(char *text, size_t size) {
	size_t len = (size_t)snprintf(text, size, "--lcores=0@(");
	const char *separator = "";
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &cpus))
			continue;
		len += (size_t)snprintf(text + len, size - len, "%s%d", separator, cpu);
		if (len + 2 > size)
			return -E2BIG;
		separator = ",";
	}
	strcpy(text + len, ")");
	return 0;
}

int eal_start(uint32_t memory_mb, bool pci, bool verbose, bool *ret_hugepages, struct error *e) {
	bool hugepages = hugepages_suffice(memory_mb);
	char lcores[4096], memory[32], prefix[] = "--file-prefix=vdpad-switch";
	char *argv[MAX_ARGS];
	int argc = 0, r;

	r = describe_cpus(lcores, sizeof(lcores));
	if (r < 0)
		return error_set(e, -r, "cannot tell the CPUs of this process: %s", strerror(-r));
	snprintf(memory, sizeof(memory), "-m%" PRIu32, memory_mb);

	argv[argc++] = program_invocation_short_name;
	argv[argc++] = lcores;
	argv[argc++] = prefix; // nothing is shared below it, so that several processes may use it
	argv[argc++] = pci ? (char *)"--allow=" NO_DEVICE : (char *)"--no-pci";
	argv[argc++] = (char *)"--no-telemetry";
	argv[argc++] = (char *)"--iova-mode=va";
	argv[argc++] = verbose ? (char *)"--log-level=info" : (char *)"--log-level=warning";
	if (hugepages) { // taken as they are needed
		argv[argc++] = (char *)"--in-memory";
	} else {
		argv[argc++] = (char *)"--no-huge";
		argv[argc++] = (char *)"--no-shconf";
		argv[argc++] = memory;
	}
	argv[argc] = NULL;

	rte_openlog_stream(stderr);
	if (rte_eal_init(argc, argv) < 0)
		return error_set(
			e, rte_errno == 0 ? EIO : rte_errno,
			"DPDK does not start with %" PRIu32 " MiB of memory: %s", memory_mb,
			rte_strerror(rte_errno)
		);
	*ret_hugepages = hugepages;
	return 0;
}
