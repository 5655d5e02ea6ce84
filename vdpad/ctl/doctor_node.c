// SPDX-License-Identifier: GPL-2.0-or-later
// What the node itself tells, with vdpad running or not.

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "vdpad/ctl/doctor.h"
#include "vdpad/ctl/program.h"

#define MEMLOCK_USEFUL_BYTES (UINT64_C(1) << 30) // the smallest guest worth hardware

const char *verdict_name(enum verdict verdict) {
	switch (verdict) {
	case VERDICT_OK:
		return "ok";
	case VERDICT_WARN:
		return "warn";
	case VERDICT_FAIL:
		return "fail";
	}
	return "fail";
}

void report_add(
	struct report *report, const char *check, enum verdict verdict, const char *advice,
	const char *fmt, ...
) {
	struct finding *finding;
	va_list ap;

	if (report->n == DOCTOR_MAX_FINDINGS)
		return;
	finding = &report->findings[report->n++];
	*finding = (struct finding){.check = check, .verdict = verdict, .advice = advice};
	va_start(ap, fmt);
	vsnprintf(finding->found, sizeof(finding->found), fmt, ap);
	va_end(ap);
}

static void check_kernel(struct report *report, const struct facts *facts) {
	if (facts->vdpa.bus && facts->vdpa.vhost_vdpa)
		report_add(
			report, "kernel", VERDICT_OK, "",
			"%s, vDPA with vhost_vdpa, %" PRIu32 " devices", facts->kernel,
			facts->vdpa.n_devices
		);
	else if (facts->vdpa.bus || facts->vdpa.module)
		report_add(
			report, "kernel", VERDICT_WARN,
			"Ports on hardware need it: modprobe vhost_vdpa, and a line 'vhost_vdpa' "
			"in "
			"/etc/modules-load.d/vdpad.conf. The software switch does not.",
			"%s, module vhost_vdpa is not loaded", facts->kernel
		);
	else
		report_add(
			report, "kernel", VERDICT_WARN,
			"Ports on hardware are not possible with this kernel; the software switch "
			"serves all ports.",
			"%s, without vDPA", facts->kernel
		);
}

void doctor_check_facts(struct report *report, const struct facts *facts) {
	uint64_t size_mib = facts->hugepages.size_bytes >> 20;

	check_kernel(report, facts);
	if (facts->hugepages.total > 0)
		report_add(
			report, "hugepages", VERDICT_OK, "",
			"%" PRIu64 " of %" PRIu64 " pages of %" PRIu64 " MiB are free",
			facts->hugepages.free, facts->hugepages.total, size_mib
		);
	else
		report_add(
			report, "hugepages", VERDICT_OK, "",
			"none are reserved; the switch needs none"
		);
	if (facts->iommu)
		report_add(report, "iommu", VERDICT_OK, "", "on");
	else
		report_add(
			report, "iommu", VERDICT_WARN,
			"Ports on hardware need it: switch it on in the firmware and with "
			"intel_iommu=on or amd_iommu=on on the kernel's command line. The software "
			"switch does not.",
			"off, or not there"
		);
}

void doctor_check_memlock(struct report *report, uint64_t limit_bytes) {
	static const char advice[] =
		"A NIC on hardware pins all RAM of its guest against this limit, root's too: start "
		"QEMU with 'prlimit --memlock=unlimited'. A NIC on the software switch pins none.";

	if (limit_bytes == RLIM_INFINITY)
		report_add(report, "memlock", VERDICT_OK, "", "unlimited");
	else
		report_add(
			report, "memlock",
			limit_bytes >= MEMLOCK_USEFUL_BYTES ? VERDICT_OK : VERDICT_WARN,
			limit_bytes >= MEMLOCK_USEFUL_BYTES ? "" : advice,
			"a QEMU started from here may lock %" PRIu64 " KiB", limit_bytes >> 10
		);
}

void doctor_check_qemu_line(struct report *report, const char *line) {
	struct qemu_version version;

	if (qemu_version_parse(line, &version) < 0)
		report_add(
			report, "qemu", VERDICT_WARN,
			"Tell vdpactl: port qemu NAME qemu_version 7.2.", "unknown version: %s",
			line
		);
	else if (version.major < 7 || (version.major == 7 && version.minor < 2))
		report_add(
			report, "qemu", VERDICT_WARN,
			"vdpad is tested with QEMU 7.2 and newer; an older one may lack what "
			"'port qemu' prints.",
			"%s", line
		);
	else if (version.major == 11 && version.minor == 0)
		report_add(
			report, "qemu", VERDICT_WARN,
			"QEMU 11.0.0 aborts when the switch is not there as it starts: check with "
			"'vdpactl port show NAME' first, or upgrade.",
			"%s", line
		);
	else
		report_add(report, "qemu", VERDICT_OK, "", "%s", line);
}

static void check_qemu(struct report *report) {
	struct qemu_version version;
	struct error e;
	char line[128];

	if (program_find_qemu(&version, line, sizeof(line), &e) == 0)
		doctor_check_qemu_line(report, line);
	else
		report_add(
			report, "qemu", VERDICT_WARN,
			"Without it no virtual machine starts here; $QEMU may name one outside "
			"PATH.",
			"%s", e.text
		);
}

// That the device is there says little: inside a container or a guest it may not make machines. That
// it makes one does not prove that a guest runs, which only running one would.
static void check_kvm(struct report *report) {
	static const char advice[] =
		"Guests run, many times slower. Switch virtualisation on in the "
		"firmware; check that module kvm_intel or kvm_amd is loaded "
		"and that this user is in group kvm.";
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int vm_fd = -EBADF;

	if (fd < 0) {
		report_add(report, "kvm", VERDICT_WARN, advice, "/dev/kvm: %s", strerror(errno));
		return;
	}
	vm_fd = ioctl(fd, KVM_CREATE_VM, 0);
	if (vm_fd < 0)
		report_add(
			report, "kvm", VERDICT_WARN, advice,
			"/dev/kvm makes no virtual machine: %s", strerror(errno)
		);
	else
		report_add(
			report, "kvm", VERDICT_OK, "",
			"/dev/kvm makes an empty virtual machine; none was run"
		);
}

static void check_tun(struct report *report) {
	struct stat st;

	if (stat("/dev/net/tun", &st) == 0 && S_ISCHR(st.st_mode))
		report_add(report, "tun", VERDICT_OK, "", "/dev/net/tun");
	else
		report_add(
			report, "tun", VERDICT_FAIL,
			"Networks reach their Linux bridges through a TAP: modprobe tun. In a "
			"container, let its manager pass the device in.",
			"/dev/net/tun is missing"
		);
}

static bool is_in_group(gid_t gid) {
	gid_t groups[256];
	int n = getgroups(ARRAY_LEN(groups), groups);

	for (int i = 0; i < n; i++) {
		if (groups[i] == gid)
			return true;
	}
	return getegid() == gid;
}

static void check_caller(struct report *report) {
	const struct group *group = getgrnam("vdpad");

	if (geteuid() == 0)
		report_add(report, "caller", VERDICT_OK, "", "root may ask and change everything");
	else if (group == NULL)
		report_add(
			report, "caller", VERDICT_WARN,
			"It comes with the package: systemd-sysusers makes it.",
			"group vdpad does not exist, so only root may ask"
		);
	else if (is_in_group(group->gr_gid))
		report_add(
			report, "caller", VERDICT_OK, "",
			"a member of group vdpad may ask; changes are for root"
		);
	else
		report_add(
			report, "caller", VERDICT_WARN,
			"adduser USER vdpad lets USER ask; changes are for root.",
			"user %d is not in group vdpad", (int)geteuid()
		);
}

void doctor_check_socket(struct report *report, const char *port, const char *path) {
	struct stat st;
	int r = stat(path, &st) < 0 ? -errno : 0;

	if (r == -EACCES)
		report_add(
			report, "sockets", VERDICT_WARN, "Ask again as root.",
			"port '%s': this user may not look at %s", port, path
		);
	else if (r < 0)
		report_add(
			report, "sockets", VERDICT_FAIL,
			"QEMU cannot attach to this port: 'vdpactl port show NAME' says what vdpad "
			"knows of it.",
			"port '%s': %s: %s", port, path, strerror(-r)
		);
	else if ((st.st_mode & (S_IWOTH | S_IROTH)) != 0)
		report_add(
			report, "sockets", VERDICT_FAIL,
			"Any user of this node can take the port over. Check socket_mode in "
			"section "
			"[switch] of vdpad.conf(5).",
			"port '%s': %s has mode %03o", port, path, (unsigned int)st.st_mode & 0777
		);
}

// A switch that was killed leaves the files of its sockets, so they alone say nothing.
void doctor_check_port(
	struct report *report, const char *port, const char *state, const char *reason,
	const char *path, bool qemu_listens
) {
	bool served = strcmp(state, "ready") == 0 || strcmp(state, "connected") == 0;

	if (served && !qemu_listens)
		doctor_check_socket(report, port, path);
	else if (!served)
		report_add(
			report, "sockets", VERDICT_FAIL,
			"The port passes no packets. vdpad goes on trying; the reason says what is "
			"in the way.",
			"port '%s' is %s: %.150s", port, state, reason
		);
}

void doctor_check_config(struct report *report, const json_t *warnings) {
	json_t *warning;
	size_t i;

	json_array_foreach (warnings, i, warning)
		report_add(
			report, "config", VERDICT_WARN,
			"vdpad works on without it. The sections are of vdpad.conf(5).", "%s",
			json_string_value(warning)
		);
	if (warnings != NULL && json_array_size(warnings) == 0)
		report_add(
			report, "config", VERDICT_OK, "",
			"the users, groups and CPUs that it names are there"
		);
}

void doctor_check_node(struct report *report) {
	struct rlimit limit = {0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	doctor_check_memlock(report, limit.rlim_cur);
	check_qemu(report);
	check_kvm(report);
	check_tun(report);
	check_caller(report);
}
