// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"
#include "vdpad/model/facts.h"
#include "vdpad/util/cleanup.h"

static struct facts facts;
static struct error e;

// A node made of files below a directory of its own.
static int setup(void **state) {
	static char root[32];

	strcpy(root, "/tmp/test-facts-XXXXXX");
	*state = mkdtemp(root);
	facts = (struct facts){0};
	return *state == NULL;
}

static int teardown(void **state) {
	char command[64];

	snprintf(command, sizeof(command), "rm -r '%s'", (char *)*state);
	return system(command);
}

// Make the directories of @path, and the file unless it ends with a slash.
static void put(void **state, const char *path, const char *text) {
	char full[256];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", (char *)*state, path);
	for (char *slash = full + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	if (full[strlen(full) - 1] == '/')
		return;
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void an_empty_node_has_no_facts_and_no_failure(void **state) {
	facts.n_bridges = 7;
	facts.netlink_connected = true;
	facts.vdpa.asked = true;
	facts.n_mgmtdevs = 1;
	facts_collect(*state, &facts);
	assert_string_equal(facts.kernel, "");
	assert_false(facts.vdpa.bus || facts.vdpa.module || facts.vdpa.vhost_vdpa || facts.iommu);
	assert_int_equal(facts.n_bridges, 0);
	// The daemon's business:
	assert_true(facts.netlink_connected && facts.vdpa.asked);
	assert_int_equal(facts.n_mgmtdevs, 1);
}

static void kernel_and_its_modules_are_seen(void **state) {
	put(state, "/proc/sys/kernel/osrelease", "6.12.1-amd64\n");
	put(state, "/lib/modules/6.12.1-amd64/modules.dep",
	    "kernel/drivers/vhost/vhost_vdpa.ko.xz: kernel/drivers/vdpa/vdpa.ko.xz\n");
	facts_collect(*state, &facts);
	assert_string_equal(facts.kernel, "6.12.1-amd64");
	assert_false(facts.vdpa.module); // another module's need of it is not the module

	put(state, "/lib/modules/6.12.1-amd64/modules.dep",
	    "kernel/a.ko:\nkernel/drivers/vdpa/vdpa.ko.xz: kernel/b.ko.xz\n");
	facts_collect(*state, &facts);
	assert_true(facts.vdpa.module);

	put(state, "/lib/modules/6.12.1-amd64/modules.dep", "");
	put(state, "/lib/modules/6.12.1-amd64/modules.builtin", "kernel/drivers/vdpa/vdpa.ko\n");
	facts_collect(*state, &facts);
	assert_true(facts.vdpa.module);
}

static void the_vdpa_bus_is_seen(void **state) {
	put(state, "/sys/bus/vdpa/devices/vdpa0/", NULL);
	put(state, "/sys/bus/vdpa/devices/vdpa1/", NULL);
	put(state, "/sys/bus/vdpa/drivers/vhost_vdpa/", NULL);
	put(state, "/sys/kernel/iommu_groups/0/", NULL);
	facts_collect(*state, &facts);
	assert_true(facts.vdpa.bus);
	assert_true(facts.vdpa.vhost_vdpa);
	assert_int_equal(facts.vdpa.n_devices, 2);
	assert_true(facts.iommu);
}

static void hugepages_are_counted(void **state) {
	put(state, "/proc/meminfo",
	    "MemTotal:  100 kB\nHugePages_Total:      64\nHugePages_Free:       60\n"
	    "HugePages_Rsvd:        0\nHugepagesize:       2048 kB\n");
	facts_collect(*state, &facts);
	assert_int_equal(facts.hugepages.total, 64);
	assert_int_equal(facts.hugepages.free, 60);
	assert_int_equal(facts.hugepages.size_bytes, 2 << 20);
}

static void bridges_are_listed_by_name_and_nothing_else_is(void **state) {
	put(state, "/sys/class/net/vmbr1/bridge/vlan_filtering", "1\n");
	put(state, "/sys/class/net/vmbr1/mtu", "9000\n");
	put(state, "/sys/class/net/vmbr1/ifindex", "7\n");
	put(state, "/sys/class/net/vmbr0/bridge/vlan_filtering", "0\n");
	put(state, "/sys/class/net/vmbr0/mtu", "1500\n");
	put(state, "/sys/class/net/eth0/mtu", "1500\n");
	put(state, "/sys/class/net/gone/bridge/", NULL);
	facts_collect(*state, &facts);
	assert_int_equal(facts.n_bridges, 2);
	assert_string_equal(facts.bridges[0].name, "vmbr0");
	assert_false(facts.bridges[0].vlan_filtering);
	assert_string_equal(facts.bridges[1].name, "vmbr1");
	assert_int_equal(facts.bridges[1].mtu_bytes, 9000);
	assert_true(facts.bridges[1].vlan_filtering);
	assert_int_equal(facts.bridges[1].index, 7);
}

static struct facts filled(void) {
	return (struct facts){
		.kernel = "6.1.0",
		.vdpa =
			{.bus = true,
	                 .module = true,
	                 .vhost_vdpa = true,
	                 .n_devices = 2,
	                 .asked = true,
	                 .wedged = "somebody holds it"},
		.hugepages = {.size_bytes = 1 << 30, .total = 8, .free = 5},
		.iommu = true,
		.fallback =
			{
				.connected = true,
				.max_queue_pairs = 16,
				.max_mtu_bytes = 9000,
				.max_ports = 512,
				.n_ports = 3,
				.hugepages = true,
				.n_workers = 2,
			},
		.netlink_connected = true,
		.bridges = {{"vmbr0", 1500, false}, {"vmbr1", 9000, true}},
		.n_bridges = 2,
		.mgmtdevs =
			{
				{
					.name = "pci/0000:3b:00.2",
					.driver = "mlx5_core",
					.pf = "0000:3b:00.0",
					.function = "vf0",
					.takes = 15,
					.one_device = true,
					.features = UINT64_MAX,
					.max_vqs = 17,
					.n_devices = 1,
				},
				{.name = "vdpasim_net", .features = 0},
			},
		.n_mgmtdevs = 2,
		.dpdk_vdpa = {{"0000:5e:00.2", "mlx5_vdpa", 0x1f, 4, true}},
		.n_dpdk_vdpa = 1,
		.pools =
			{
				{.config =
	                                 {.name = "a",
	                                  .kind = POOL_DPDK,
	                                  .networks = "x y",
	                                  .members = "0000:5e:00.2"},
	                         .n_ports = 3},
				{.config =
	                                 {.name = "b",
	                                  .kind = POOL_VF,
	                                  .networks = "x",
	                                  .pf = "0000:3b:00.0",
	                                  .count = 8,
	                                  .limit = 4},
	                         .pf_is_there = true},
			},
		.n_pools = 2,
	};
}

static void a_snapshot_survives_json(void **state) {
	static struct facts before;
	json_t *json, *again;

	(void)state;
	before = filled();
	json = facts_to_json(&before);
	if (facts_from_json(json, &facts, &e) < 0)
		fail_msg("%s", e.text);
	again = facts_to_json(&facts);
	assert_true(json_equal(json, again));
	assert_int_equal(json_array_size(json_object_get(json, "bridges")), 2);
	assert_true(facts.vdpa.asked);
	assert_string_equal(facts.vdpa.wedged, "somebody holds it");
	assert_memory_equal(facts.mgmtdevs, before.mgmtdevs, sizeof(facts.mgmtdevs));
	assert_memory_equal(facts.dpdk_vdpa, before.dpdk_vdpa, sizeof(facts.dpdk_vdpa));
	assert_memory_equal(facts.pools, before.pools, sizeof(facts.pools));
	assert_int_equal(facts.n_mgmtdevs, 2);
	assert_int_equal(facts.n_dpdk_vdpa, 1);
	assert_int_equal(facts.n_pools, 2);
	assert_int_equal(facts.fallback.max_mtu_bytes, 9000);
	assert_true(facts.bridges[1].vlan_filtering);
	json_decref(json);
	json_decref(again);
}

static void from_text(const char *text, int result, const char *sentence) {
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(json);
	assert_int_equal(facts_from_json(json, &facts, &e), result);
	if (sentence != NULL)
		assert_string_equal(e.text, sentence);
	json_decref(json);
}

static void what_is_no_snapshot_is_refused(void **state) {
	static const char no_snapshot[] = "this is no snapshot of facts: it has no text 'kernel'; "
					  "make one with `vdpactl facts`";

	(void)state;
	from_text("[]", -EINVAL, no_snapshot);
	from_text("{}", -EINVAL, no_snapshot);
	from_text("{\"kernel\": 6}", -EINVAL, no_snapshot);
	from_text(
		"{\"kernel\": \"6\", \"iommu\": 1}", -EINVAL, "facts: 'iommu' must be true or false"
	);
	from_text(
		"{\"kernel\": \"6\", \"vdpa\": {\"devices\": -1}}", -EINVAL,
		"facts: 'vdpa.devices' must be a number from 0 to 4294967295"
	);
	from_text(
		"{\"kernel\": \"6\", \"bridges\": [{\"mtu\": 1500}]}", -EINVAL,
		"facts: bridge number 1 has no name"
	);
	from_text(
		"{\"kernel\": \"6\", \"bridges\": [{\"name\": \"0123456789012345\"}]}", -EINVAL,
		"facts: 'name' must be a text of at most 15 characters"
	);
	from_text(
		"{\"kernel\": \"6\", \"bridges\": 7}", -EINVAL,
		"facts: 'bridges' must be a list of at most 256 bridges"
	);
}

static void what_is_wrong_about_hardware_is_named(void **state) {
	(void)state;
	from_text(
		"{\"kernel\": \"6\", \"mgmtdevs\": 1}", -EINVAL,
		"facts: 'mgmtdevs' must be a list of at most 512"
	);
	from_text(
		"{\"kernel\": \"6\", \"mgmtdevs\": [1]}", -EINVAL,
		"facts: number 1 of 'mgmtdevs' is no object"
	);
	from_text(
		"{\"kernel\": \"6\", \"mgmtdevs\": [{\"features\": 3}]}", -EINVAL,
		"facts: 'features' must be a text such as \"0x1f\""
	);
	from_text(
		"{\"kernel\": \"6\", \"dpdk_vdpa\": [{\"features\": \"0x1g\"}]}", -EINVAL,
		"facts: 'features' must be a text such as \"0x1f\""
	);
	from_text(
		"{\"kernel\": \"6\", \"pools\": [{\"kind\": \"vf\"}]}", -EINVAL,
		"facts: a pool has no name"
	);
	from_text(
		"{\"kernel\": \"6\", \"pools\": [{\"name\": \"a\", \"kind\": \"x\"}]}", -EINVAL,
		"facts: the kind of pool 'a' must be mgmtdevs, vf, sf or dpdk"
	);
}

static void newer_and_older_snapshots_are_read(void **state) {
	(void)state;
	from_text("{\"kernel\": \"6\", \"flux\": {\"capacitor\": 1}}", 0, NULL);
	assert_string_equal(facts.kernel, "6");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_empty_node_has_no_facts_and_no_failure, setup, teardown
		),
		cmocka_unit_test_setup_teardown(kernel_and_its_modules_are_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(the_vdpa_bus_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(hugepages_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			bridges_are_listed_by_name_and_nothing_else_is, setup, teardown
		),
		cmocka_unit_test(a_snapshot_survives_json),
		cmocka_unit_test(what_is_no_snapshot_is_refused),
		cmocka_unit_test(what_is_wrong_about_hardware_is_named),
		cmocka_unit_test(newer_and_older_snapshots_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
