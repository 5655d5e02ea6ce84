// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/unit/vdpad/vdpa_fixture.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node *vdpa_node_new(const char *config) {
	struct node *node = calloc(1, sizeof(*node));

	node_init(node, config);
	node_have_vdpa(node);
	vdpa_kernel_write(node->kernel, NIC_FILE, VDPA_KERNEL_MLX5);
	vdpa_kernel_write(node->kernel, "pfs/" PF, "");
	node_start_vdpad(node);
	return node;
}

void vdpa_workers_come(struct node *node) {
	node_workers_are_known(node);
	node_wait(node, !vdpa_restore_is_pending(node->d));
	node_wait(node, !node->d->restore.running);
}

int vdpa_setup(void **state) {
	struct node *node = vdpa_node_new(CONFIG);

	vdpa_workers_come(node);
	*state = node;
	return 0;
}

struct managed_port *vdpa_port(struct node *node, const char *name) {
	return port_set_find(&node->d->ports, name);
}

bool vdpa_port_is(struct node *node, const char *name, enum port_state state) {
	const struct managed_port *port = vdpa_port(node, name);

	return port != NULL && port->port.state == state && port->act == PORT_IDLE;
}

struct managed_port *vdpa_add(
	struct node *node, const char *name, const char *network, enum backend_kind backend
) {
	struct managed_port *port = node_add_port(node, name, network);

	assert_int_equal(port->port.backend, backend);
	return port;
}

// "devices/vdpad-1" and the like.
const char *vdpa_file(const struct managed_port *port, const char *kind) {
	static char path[128];
	char name[VDPA_DEVICE_NAME_SIZE];

	vdpa_device_name(port->port.generation, name);
	snprintf(path, sizeof(path), "%s/%s", kind, name);
	return path;
}

bool vdpa_has(struct node *node, const char *path) {
	return vdpa_kernel_has(node->kernel, path) != 0;
}

// The device's value of @key as the kernel has it.
const char *vdpa_value(struct node *node, const struct managed_port *port, const char *key) {
	static char line[256];
	char path[256];
	size_t len = strlen(key);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", node->kernel, vdpa_file(port, "devices"));
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL &&
	       !(strncmp(line, key, len) == 0 && line[len] == ' '))
		;
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return line + len + 1;
}

int vdpa_n_calls(struct node *node, const char *method) {
	return vdpa_kernel_n_calls(node->kernel, method);
}

void vdpa_restart(struct node *node) {
	node_stop_vdpad(node);
	node_start_vdpad(node);
	vdpa_workers_come(node);
}
