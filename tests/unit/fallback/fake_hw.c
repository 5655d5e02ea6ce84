// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/unit.h"

#include "tests/unit/fallback/fake_hw.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fake_hw fake_hw;

// Whether the call is the one that fails.
static int said(const char *call) {
	strncat(fake_hw.log, call, sizeof(fake_hw.log) - strlen(fake_hw.log) - 1);
	strncat(fake_hw.log, " ", sizeof(fake_hw.log) - strlen(fake_hw.log) - 1);
	return fake_hw.failing != NULL && strcmp(fake_hw.failing, call) == 0 ? fake_hw.error : 0;
}

// DPDK

static struct rte_vdpa_device *the_device(void) {
	return (struct rte_vdpa_device *)&fake_hw;
}

static int probe(const char *devargs) {
	int r = said("probe");

	str_copy(fake_hw.devargs, sizeof(fake_hw.devargs), devargs);
	if (r == 0 || r == -EEXIST)
		fake_hw.n_probed = 1;
	return r;
}

static struct rte_vdpa_device *find(const char *address) {
	(void)address;
	return fake_hw.n_probed == 0 || fake_hw.other_class ? NULL : the_device();
}

static int read_limits(struct rte_vdpa_device *device, struct hw_limits *ret_limits) {
	assert_ptr_equal(device, the_device());
	*ret_limits = fake_hw.limits;
	return said("read_limits");
}

static int watch(const char *address, const struct hw_events *events) {
	(void)address;
	fake_hw.watching = events;
	return said("watch");
}

static void unwatch(const char *address, const struct hw_events *events) {
	(void)address;
	assert_ptr_equal(fake_hw.watching, events);
	fake_hw.watching = NULL;
	said("unwatch");
}

static int remove_device(const char *address) {
	int r = said("remove");

	(void)address;
	assert_false(fake_hw.attached); // a session would go on with freed memory
	if (r == 0)
		fake_hw.n_probed = 0;
	return r;
}

static int stat_names(
	struct rte_vdpa_device *device, struct rte_vdpa_stat_name *names, unsigned int n
) {
	static const char *const words[] = {"Received descriptors", "bad descriptor errors"};

	(void)device;
	if (fake_hw.n_counters == 0)
		return -ENOTSUP;
	assert_true(n >= fake_hw.n_counters);
	for (unsigned int i = 0; i < fake_hw.n_counters; i++)
		strcpy(names[i].name, words[i]);
	return (int)fake_hw.n_counters;
}

static int stats(
	struct rte_vdpa_device *device, uint16_t ring, struct rte_vdpa_stat *values, unsigned int n
) {
	(void)device;
	if (ring >= fake_hw.n_rings)
		return -EINVAL;
	for (unsigned int i = 0; i < n; i++)
		values[i] = (struct rte_vdpa_stat){.id = i, .value = 100 * (ring + 1) + i};
	return (int)n;
}

static int add_socket(const char *path) {
	str_copy(fake_hw.path, sizeof(fake_hw.path), path);
	return said("add_socket");
}

static int attach(const char *path, struct rte_vdpa_device *device) {
	int r = said("attach");

	assert_string_equal(path, fake_hw.path);
	assert_ptr_equal(device, the_device());
	assert_int_equal(fake_hw.n_probed, 1);
	fake_hw.attached = r == 0;
	return r;
}

static int allow_features(const char *path, uint64_t features) {
	assert_string_equal(path, fake_hw.path);
	fake_hw.allowed_features = features;
	return said("allow_features");
}

static int listen_to(const char *path, const struct hw_events *events) {
	assert_string_equal(path, fake_hw.path);
	fake_hw.events = events;
	return said("listen_to");
}

static int start(const char *path) {
	int r = said("start");

	assert_non_null(fake_hw.events); // librte_vhost does not check
	if (r == 0 && !fake_hw.no_file) {
		close(open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0777));
		fake_hw.created = true;
	}
	return r;
}

// As librte_vhost: destroy_device comes in the caller's thread, destroy_connection does not come.
static int remove_socket(const char *path) {
	assert_string_equal(path, fake_hw.path);
	if (fake_hw.driver_runs)
		fake_hw_stop_driver();
	if (fake_hw.created)
		unlink(path);
	fake_hw.created = false;
	fake_hw.attached = false;
	fake_hw.events = NULL;
	return said("remove_socket");
}

const struct hw_vdpa_ops fake_hw_ops = {
	.probe = probe,
	.find = find,
	.read_limits = read_limits,
	.watch = watch,
	.unwatch = unwatch,
	.remove = remove_device,
	.stat_names = stat_names,
	.stats = stats,
	.add_socket = add_socket,
	.attach = attach,
	.allow_features = allow_features,
	.listen_to = listen_to,
	.start = start,
	.remove_socket = remove_socket,
};

// The kernel

static void path_of(const char *file, char path[static 256]) {
	snprintf(path, 256, "%s/%s", fake_hw.directory, file);
}

void fake_hw_create(const char *file) {
	char path[256];

	path_of(file, path);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void write_file(const char *address, const char *name, const char *text) {
	char file[128], path[256];
	FILE *f;

	snprintf(file, sizeof(file), "sys/bus/pci/devices/%s/%s", address, name);
	fake_hw_create(file);
	path_of(file, path);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "%s\n", text);
	fclose(f);
}

static void write_link(const char *address, const char *name, const char *target) {
	char file[128], path[256];

	snprintf(file, sizeof(file), "sys/bus/pci/devices/%s/%s", address, name);
	path_of(file, path);
	assert_int_equal(symlink(target, path), 0);
}

void fake_hw_plug(
	const char *address, const char *vendor, const char *subsystem_vendor, const char *driver,
	const char *group
) {
	char target[128];

	write_file(address, "vendor", vendor);
	write_file(address, "device", "0x1041");
	write_file(address, "subsystem_vendor", subsystem_vendor);
	if (driver != NULL) {
		snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", driver);
		write_link(address, "driver", target);
	}
	if (group != NULL) {
		snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%s", group);
		write_link(address, "iommu_group", target);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void fake_hw_remove(const char *file) {
	char path[256];

	path_of(file, path);
	assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void fake_hw_unplug(const char *address) {
	char file[128];

	snprintf(file, sizeof(file), "sys/bus/pci/devices/%s", address);
	fake_hw_remove(file);
}

int fake_hw_setup(void) {
	fake_hw = (struct fake_hw){
		.directory = "/tmp/vdpad-hw-XXXXXX",
		.error = -1,
		.limits =
			{
				.queue_pairs = 4,
				.features = FAKE_HW_VERSION_1 | FAKE_HW_MQ | 3,
				.protocol_features = 1, // MQ
			},
		.n_counters = 2,
		.n_rings = 2,
	};
	if (mkdtemp(fake_hw.directory) == NULL)
		return -1;
	snprintf(fake_hw.sys_dir, sizeof(fake_hw.sys_dir), "%s/sys", fake_hw.directory);
	snprintf(fake_hw.dev_dir, sizeof(fake_hw.dev_dir), "%s/dev", fake_hw.directory);
	fake_hw_plug(FAKE_HW_DEVICE, "0x1af4", "0x8086", "vfio-pci", "12");
	fake_hw_create("dev/vfio/vfio");
	fake_hw_create("dev/vfio/12");
	return 0;
}

int fake_hw_teardown(void) {
	// Nothing may be left with DPDK, and no socket.
	int r = fake_hw.n_probed > 0 || fake_hw.attached || fake_hw.created ? -1 : 0;

	fake_hw_remove("");
	return r;
}

struct hw_vdpa *fake_hw_new(sd_event *event, bool pci) {
	const struct hw_vdpa_config config = {
		.event = event,
		.ops = &fake_hw_ops,
		.sys_dir = fake_hw.sys_dir,
		.dev_dir = fake_hw.dev_dir,
		.pci = pci,
	};
	struct hw_vdpa *hw = NULL;

	return hw_vdpa_new(&config, &hw) < 0 ? NULL : hw;
}

// QEMU

int fake_hw_connect(void) {
	return fake_hw.events->peer_came(fake_hw.path);
}

void fake_hw_start_driver(void) {
	fake_hw.driver_runs = true;
	fake_hw.events->driver_ready(fake_hw.path);
}

void fake_hw_stop_driver(void) {
	fake_hw.driver_runs = false;
	fake_hw.events->driver_gone(fake_hw.path);
}

void fake_hw_disconnect(void) {
	if (fake_hw.driver_runs)
		fake_hw_stop_driver();
	fake_hw.events->peer_left(fake_hw.path);
}
