// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/vdpad/config_case.h"
#include "vdpad/config/conf_file.h"

static void without_files_there_are_defaults(void **state) {
	struct config *config = NULL;
	struct error e;

	(void)state;
	assert_int_equal(config_load("/nonexistent/vdpad.conf", "/nonexistent/c", &config, &e), 0);
	assert_int_equal(config->defaults.policy, POLICY_AUTO);
	assert_string_equal(config->defaults.profile, "fast-1");
	assert_int_equal(config->defaults.queue_pairs, 1);
	assert_true(config->defaults.link_up);
	assert_int_equal(config->limits.ports, 512);
	assert_string_equal(config->fallback.cpus, "auto");
	assert_int_equal(config->fallback.socket_mode, 0660);
	assert_true(config->networks_from_bridges);
	assert_int_equal(config->n_networks, 0);
	config_free(config);
}

static void every_key_is_read(void **state) {
	struct config *config = parse("# a comment\n"
	                              "; another\n"
	                              "[defaults]\n"
	                              "policy = software\n"
	                              "profile=portable-1   # why\n"
	                              "queue_pairs: 4\n"
	                              "vlan = 10\n"
	                              "[limits]\n"
	                              "ports = 10\n"
	                              "queue_pairs = 8\n"
	                              "[switch]\n"
	                              "cpus = 2-3,6 ; isolated\n"
	                              "memory_mb = 1024\n"
	                              "socket_group =\n"
	                              "socket_mode = 0600\n"
	                              "[networks]\n"
	                              "bridges = no\n"
	                              "[network fast0]\n"
	                              "\tbridge = vmbr1\r\n"
	                              "\tmtu = 9000\n"
	                              "\tageing_s = 10\n"
	                              "[network a]\n"
	                              "uplink = none\n");

	(void)state;
	assert_int_equal(config->defaults.policy, POLICY_SOFTWARE);
	assert_string_equal(config->defaults.profile, "portable-1");
	assert_int_equal(config->defaults.queue_pairs, 4);
	assert_int_equal(config->defaults.vlan, 10);
	assert_int_equal(config->limits.ports, 10);
	assert_int_equal(config->limits.queue_pairs, 8);
	assert_string_equal(config->fallback.cpus, "2-3,6");
	assert_int_equal(config->fallback.memory_mb, 1024);
	assert_string_equal(config->fallback.socket_group, "");
	assert_int_equal(config->fallback.socket_mode, 0600);
	assert_false(config->networks_from_bridges);
	assert_int_equal(config->n_networks, 2);
	assert_string_equal(config->networks[0].name, "a");
	assert_int_equal(config->networks[0].uplink, UPLINK_NONE);
	assert_int_equal(config->networks[0].ageing_s, 300);
	assert_string_equal(config->networks[1].name, "fast0");
	assert_string_equal(config->networks[1].bridge, "vmbr1");
	assert_int_equal(config->networks[1].mtu_bytes, 9000);
	assert_int_equal(config->networks[1].ageing_s, 10);
	config_free(config);
}

static void a_network_section_without_keys_is_a_network(void **state) {
	struct config *config = parse("[network fast0]\n[network fast1]");

	(void)state;
	assert_int_equal(config->n_networks, 2);
	config_free(config);
}

static void an_error_names_file_line_section_key_and_what_is_right(void **state) {
	(void)state;
	refuses("\n\n[network fast0]\n\nmtu = 90000\n",
	        "a.conf:5: [network fast0] mtu '90000' is out of range: 68 to 9000");
	refuses("[limits]\nports = many\n",
	        "a.conf:2: [limits] ports 'many' is not a number: 1 to 4096");
	refuses("[network fast0]\nuplink = bond0\n",
	        "a.conf:2: [network fast0] uplink 'bond0' is not valid: tap or none");
	refuses("[network fast0]\nbridge = a/b\n",
	        "a.conf:2: [network fast0] bridge 'a/b' is not valid: the name of a Linux bridge: "
	        "1 to "
	        "15 of A-Z a-z 0-9 . _ -");
	refuses("[switch]\nsocket_mode = 0666\n",
	        "a.conf:2: [switch] socket_mode '0666' is not valid: an octal mode without rights "
	        "for "
	        "others, such as 0660");
}

static void defaults_over_the_limits_are_refused(void **state) {
	(void)state;
	refuses("[limits]\nqueue_pairs = 8\n[defaults]\nqueue_pairs = 64\n",
	        "[defaults] queue_pairs 64 is more than [limits] queue_pairs 8");
}

static void unknown_names_are_refused(void **state) {
	(void)state;
	refuses("[limits]\nport = 4\n",
	        "a.conf:2: [limits] unknown key 'port': it must be ports or queue_pairs");
	refuses("[defaults]\nmac = 52:54:00:00:00:01\n",
	        "a.conf:2: [defaults] unknown key 'mac': mtu, queue_pairs, vlan, policy, profile, "
	        "link "
	        "and lifetime have defaults");
	refuses("\n[switches]\n",
	        "a.conf:2: unknown section [switches]: it must be [defaults], [limits], "
	        "[switch], [devices], [networks], [network NAME], [pool NAME] or [socket NAME]");
	refuses("[limits x]\n",
	        "a.conf:1: unknown section [limits x]: it must be [defaults], "
	        "[limits], [switch], [devices], [networks], [network NAME], [pool NAME] or "
	        "[socket NAME]");
	refuses("[network a/b]\n",
	        "a.conf:1: 'a/b' is no network name: 1 to 15 of A-Z a-z 0-9 . _ "
	        "-, as in [network fast0]");
	refuses("[network]\n",
	        "a.conf:1: '' is no network name: 1 to 15 of A-Z a-z 0-9 . _ -, as in "
	        "[network fast0]");
	refuses("ports = 3\n", "a.conf:1: key 'ports' stands before the first [section]");
}

static void what_is_said_twice_is_refused(void **state) {
	(void)state;
	refuses("[limits]\nports = 4\nports = 4\n",
	        "a.conf:3: [limits] key 'ports' is given twice");
	refuses("[limits]\nports = 4\n[switch]\n[limits]\nports = 4\n",
	        "a.conf:5: [limits] key 'ports' is given twice");
	refuses("[network a]\nmtu=1500\n[network b]\nmtu=1500\n[network a]\n",
	        "a.conf:5: [network a] appears twice: the first is in a.conf:1");
}

static void a_bridge_without_uplink_is_refused(void **state) {
	(void)state;
	refuses("[network a]\nbridge = vmbr0\nuplink = none\n",
	        "a.conf:1: [network a] has bridge 'vmbr0' but uplink none: a bridge needs uplink "
	        "tap");
}

static void broken_lines_are_refused(void **state) {
	(void)state;
	refuses("[limits\n", "a.conf:1: '[limits' lacks its ']'");
	refuses("[limits] ports = 3\n", "a.conf:1: '[limits] ports = 3' must end with its ']'");
	refuses("[limits]\nports\n", "a.conf:2: 'ports' is neither [section] nor key = value");
	refuses("[limits]\n= 3\n", "a.conf:2: '= 3' is neither [section] nor key = value");
	refuses("[limits]\nports = \x01\n", "a.conf:2: the line has a control character");
}

static void a_line_is_read_whole_or_refused(void **state) {
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), "[switch]\ncpus = %0*d\n", CONF_LINE_MAX_CHARS, 1);
	refuses(text, "a.conf:2: the line is too long: 197 characters, at most 190 are read");
	snprintf(text, sizeof(text), "[limits]\nports = 4 # %0400d\n", 1); // a long comment is none
	config_free(parse(text));
}

static void bad_cpu_lists_are_refused(void **state) {
	static const char *const lists[] = {"",    "a",    "-1", "1-",
	                                    "3-2", "1,,2", "1,", "99999999999999999999"};
	char text[128];
	struct config *config;
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		snprintf(text, sizeof(text), "[switch]\ncpus = %s\n", lists[i]);
		assert_int_equal(config_parse("a", text, &config, &e), -EINVAL);
	}
}

// ---- Files --------------------------------------------------------------------------------------

static void write_file(const char *dir, const char *name, const char *text) {
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup_dir(void **state) {
	static char dir[64];
	char path[128];

	strcpy(dir, "/tmp/test-config-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/conf.d", dir);
	*state = dir;
	return mkdir(path, 0755);
}

static int teardown_dir(void **state) {
	char command[128];

	snprintf(command, sizeof(command), "rm -r '%s'", (char *)*state);
	return system(command);
}

static void later_files_override_earlier_ones(void **state) {
	char path[128], cluster[128];
	struct config *config = NULL;
	struct error e;

	write_file(*state, "vdpad.conf", "[limits]\nports = 1\nqueue_pairs = 1\n[network a]\n");
	write_file(*state, "conf.d/20.conf", "[limits]\nports = 3\n");
	write_file(*state, "conf.d/10.conf", "[limits]\nports = 2\n");
	write_file(*state, "conf.d/30.conf.dpkg-old", "[limits]\nports = 4\n");
	write_file(*state, "cluster.cfg", "[limits]\nqueue_pairs = 7\n[network b]\n");
	snprintf(path, sizeof(path), "%s/vdpad.conf", (char *)*state);
	snprintf(cluster, sizeof(cluster), "%s/cluster.cfg", (char *)*state);
	assert_int_equal(config_load(path, cluster, &config, &e), 0);
	assert_int_equal(config->limits.ports, 3);
	assert_int_equal(config->limits.queue_pairs, 7);
	assert_int_equal(config->n_networks, 2);
	config_free(config);
}

static void a_network_of_two_files_names_both_places(void **state) {
	char path[128], sentence[256];
	struct config *config = NULL;
	struct error e;

	write_file(*state, "vdpad.conf", "\n[network fast0]\n");
	write_file(*state, "conf.d/10.conf", "[network fast0]\n");
	snprintf(path, sizeof(path), "%s/vdpad.conf", (char *)*state);
	assert_int_equal(config_load(path, NULL, &config, &e), -EINVAL);
	snprintf(
		sentence, sizeof(sentence),
		"%s/conf.d/10.conf:1: [network fast0] appears twice: the first is in %s:2",
		(char *)*state, path
	);
	assert_string_equal(e.text, sentence);
}

static void what_is_no_text_file_is_refused(void **state) {
	char path[128];
	struct config *config = NULL;
	struct error e;
	FILE *file;

	assert_int_equal(config_load(*state, NULL, &config, &e), -EINVAL); // a directory
	snprintf(path, sizeof(path), "%s/vdpad.conf", (char *)*state);
	file = fopen(path, "w");
	fwrite("[limits]\n\0x", 1, 11, file);
	fclose(file);
	assert_int_equal(config_load(path, NULL, &config, &e), -EINVAL);
	assert_non_null(strstr(e.text, "NUL byte"));
	assert_int_equal(truncate(path, CONF_FILE_MAX_BYTES + 1), 0);
	assert_int_equal(config_load(path, NULL, &config, &e), -EINVAL);
	assert_non_null(strstr(e.text, "larger than"));
}

// Each `#key = value` of the installed file says what holds without it.
static void the_installed_file_names_the_defaults(void **state) {
	FILE *file = fopen(DEFAULT_CONFIG, "r");
	char line[256], text[16384] = "";
	struct config *config, *defaults = config_new();

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		strcat(text, line[0] == '#' && line[1] >= 'a' ? line + 1 : line);
	fclose(file);
	config = parse(text);
	defaults->defaults.keys = config->defaults.keys;
	assert_int_not_equal(config->defaults.keys, 0);
	assert_memory_equal(config, defaults, sizeof(*config));
	config_free(config);
	config_free(defaults);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, setup_dir, teardown_dir)

static void sockets_of_other_switches_are_read(void **state) {
	struct config *config = parse("[socket vpp1]\nnetwork = b\npath = /run/vpp/1\n"
	                              "mode = server\n"
	                              "[socket vpp0]\npath = /run/vpp/0\nnetwork = a\n");

	(void)state;
	assert_int_equal(config->n_sockets, 2);
	assert_string_equal(config->sockets[0].name, "vpp0");
	assert_string_equal(config->sockets[0].network, "a");
	assert_string_equal(config->sockets[0].path, "/run/vpp/0");
	assert_false(config->sockets[0].qemu_listens);
	assert_true(config->sockets[1].qemu_listens);
	assert_ptr_equal(config_find_socket(config, "vpp1"), &config->sockets[1]);
	assert_null(config_find_socket(config, "vpp"));
	config_free(config);
}

static void bad_sockets_are_refused(void **state) {
	static const char *const paths[] = {"run/vpp",   "/",       "/run/", "/run//x",
	                                    "/run/../x", "/run/..", "/a,b",  "/a b"};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		char sentence[512];

		snprintf(text, sizeof(text), "[socket s]\npath = %s\n", paths[i]);
		snprintf(
			sentence, sizeof(sentence),
			"a.conf:2: [socket s] path '%s' is not valid: an absolute path of at most "
			"107 printable characters without blank, comma, '//' or '..'",
			paths[i]
		);
		refuses(text, sentence);
	}
	refuses("[socket a/b]\n",
	        "a.conf:1: 'a/b' is no name of a socket: 1 to 32 of a-z 0-9 . _ -; such as: "
	        "[socket vpp0]");
	refuses("[socket s]\nmode = both\n",
	        "a.conf:2: [socket s] mode 'both' is not valid: client (QEMU connects) or server "
	        "(QEMU listens)");
	refuses("[socket s]\nnetwork = a\n",
	        "a.conf:1: [socket s] has no path: where the socket is");
	refuses("[socket s]\npath = /x\n",
	        "a.conf:1: [socket s] has no network: the one that it leads to");
	refuses("[socket s]\npath = /x\nnetwork = a\n[socket t]\nnetwork = a\npath = /x\n",
	        "a.conf:4: [socket t] has the path of [socket s]");
	refuses("[socket s]\n[socket s]\n",
	        "a.conf:2: [socket s] appears twice: the first is in a.conf:1");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_of_other_switches_are_read),
		cmocka_unit_test(bad_sockets_are_refused),
		cmocka_unit_test(without_files_there_are_defaults),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(a_network_section_without_keys_is_a_network),
		cmocka_unit_test(an_error_names_file_line_section_key_and_what_is_right),
		cmocka_unit_test(defaults_over_the_limits_are_refused),
		cmocka_unit_test(unknown_names_are_refused),
		cmocka_unit_test(what_is_said_twice_is_refused),
		cmocka_unit_test(a_bridge_without_uplink_is_refused),
		cmocka_unit_test(broken_lines_are_refused),
		cmocka_unit_test(a_line_is_read_whole_or_refused),
		cmocka_unit_test(bad_cpu_lists_are_refused),
		cmocka_unit_test(the_installed_file_names_the_defaults),
		WITH_DIR(later_files_override_earlier_ones),
		WITH_DIR(a_network_of_two_files_names_both_places),
		WITH_DIR(what_is_no_text_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
