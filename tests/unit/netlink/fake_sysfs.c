// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/netlink/fake_sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/capability.h>

#include "tests/unit/unit.h"

#define PATH_SIZE 512

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk) {
	(void)st;
	(void)kind;
	(void)walk;
	return remove(path);
}

void fake_sysfs_init(struct fake_sysfs *f) {
	strcpy(f->top, "/tmp/vdpad-sysfs.XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->sys, sizeof(f->sys), "%s/sys", f->top);
	snprintf(f->dev, sizeof(f->dev), "%s/dev", f->top);
	snprintf(f->proc, sizeof(f->proc), "%s/proc", f->top);
	f->roots = (struct vhost_roots){.sys = f->sys, .dev = f->dev, .proc = f->proc};
	assert_int_equal(mkdir(f->sys, 0700), 0);
	assert_int_equal(mkdir(f->dev, 0700), 0);
	assert_int_equal(mkdir(f->proc, 0700), 0);
}

void fake_sysfs_done(struct fake_sysfs *f) {
	nftw(f->top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void full_path(const struct fake_sysfs *f, const char *path, char full[static PATH_SIZE]) {
	assert_in_range(snprintf(full, PATH_SIZE, "%s/%s", f->top, path), 1, PATH_SIZE - 1);
}

static void make_parents(char *full) {
	for (char *slash = strchr(full + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
}

void fake_file(const struct fake_sysfs *f, const char *path, const char *text) {
	char full[PATH_SIZE];
	FILE *file;

	full_path(f, path, full);
	make_parents(full);
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

void fake_link(const struct fake_sysfs *f, const char *path, const char *target) {
	char full[PATH_SIZE];

	full_path(f, path, full);
	make_parents(full);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

bool fake_exists(const struct fake_sysfs *f, const char *path) {
	char full[PATH_SIZE];

	full_path(f, path, full);
	return access(full, F_OK) == 0;
}

void fake_assert_file(const struct fake_sysfs *f, const char *path, const char *text) {
	char full[PATH_SIZE], have[256] = "";
	FILE *file;

	full_path(f, path, full);
	file = fopen(full, "r");
	assert_non_null(file);
	have[fread(have, 1, sizeof(have) - 1, file)] = 0;
	fclose(file);
	assert_string_equal(have, text);
}

void fake_vdpa_dev(const struct fake_sysfs *f, const char *name, const char *driver) {
	char path[PATH_SIZE], target[PATH_SIZE];

	snprintf(path, sizeof(path), "sys/bus/vdpa/devices/%s/driver_override", name);
	fake_file(f, path, "(null)\n");
	if (driver[0] == 0)
		return;
	snprintf(path, sizeof(path), "sys/bus/vdpa/drivers/%s/bind", driver);
	fake_file(f, path, "");
	snprintf(path, sizeof(path), "sys/bus/vdpa/drivers/%s/unbind", driver);
	fake_file(f, path, "");
	snprintf(path, sizeof(path), "sys/bus/vdpa/devices/%s/driver", name);
	snprintf(target, sizeof(target), "../../drivers/%s", driver);
	fake_link(f, path, target);
}

void fake_chardev(
	const struct fake_sysfs *f, const char *name, unsigned int index,
	struct fake_terminal *terminal
) {
	char path[PATH_SIZE], text[64];
	struct stat st;

	terminal->slave = -1;
	terminal->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal->master >= 0);
	assert_int_equal(grantpt(terminal->master), 0);
	assert_int_equal(unlockpt(terminal->master), 0);
	assert_int_equal(ptsname_r(terminal->master, terminal->path, sizeof(terminal->path)), 0);
	assert_int_equal(stat(terminal->path, &st), 0);

	snprintf(path, sizeof(path), "sys/bus/vdpa/devices/%s/vhost-vdpa-%u/dev", name, index);
	snprintf(text, sizeof(text), "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
	fake_file(f, path, text);
	snprintf(path, sizeof(path), "dev/vhost-vdpa-%u", index);
	fake_link(f, path, terminal->path);
}

void fake_terminal_done(struct fake_terminal *terminal) {
	fake_terminal_release(terminal);
	close(terminal->master);
}

// Whoever administers the system may open an exclusive terminal; the test may not want to be that.
static void drop_sys_admin(void) {
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

void fake_terminal_hold(struct fake_terminal *terminal) {
	drop_sys_admin();
	terminal->slave = open(terminal->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal->slave >= 0);
	assert_int_equal(ioctl(terminal->slave, TIOCEXCL), 0);
}

void fake_terminal_release(struct fake_terminal *terminal) {
	if (terminal->slave < 0)
		return;
	ioctl(terminal->slave, TIOCNXCL);
	close(terminal->slave);
	terminal->slave = -1;
}
