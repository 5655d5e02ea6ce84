// SPDX-License-Identifier: GPL-2.0-or-later
// A node whose kernel has vDPA, with a daemon and its workers: network lab has a pool of management devices,
// network sf one of subfunctions.

#pragma once

#include "tests/fake/vdpa_kernel.h"
#include "tests/unit/vdpad/fake_node.h"
#include "vdpad/util/clock.h"

#define PF "0000:3b:00.0"
#define NIC "pci/0000:3b:00.2"
#define NIC_FILE "mgmtdevs/pci,0000:3b:00.2"
#define OTHER_NIC "pci/0000:3b:00.3"
#define OTHER_NIC_FILE "mgmtdevs/pci,0000:3b:00.3"
#define CONFIG                                                    \
	"[networks]\nbridges = no\n[network lab]\n[network sf]\n" \
	"[pool fast]\nnetworks = lab\nmgmtdevs = pci/*\n"         \
	"[pool many]\nnetworks = sf\npf = " PF "\nfunctions = sf\n"
#define A_MOMENT_MS 100
#define LOOKS_MS 2500 // the time in which ports are looked after

// A node with other networks and pools, whose vdpad runs.
struct node *vdpa_node_new(const char *config);

// For cmocka, with node_teardown(): *state is the node, its workers are there and the first look at its hardware
// was taken.
int vdpa_setup(void **state);

void vdpa_workers_come(struct node *node);
void vdpa_restart(struct node *node); // vdpad

struct managed_port *vdpa_port(struct node *node, const char *name); // NULL for none

// It is in this state and no act runs on it.
bool vdpa_port_is(struct node *node, const char *name, enum port_state state);

// Have it made, on this backend.
struct managed_port *vdpa_add(
	struct node *node, const char *name, const char *network, enum backend_kind backend
);

// "KIND/vdpad-1", a file of the kernel about the port's device. Static storage.
const char *vdpa_file(const struct managed_port *port, const char *kind);
bool vdpa_has(struct node *node, const char *file);

// The device's value of @key as the kernel has it. Static storage.
const char *vdpa_value(struct node *node, const struct managed_port *port, const char *key);

int vdpa_n_calls(struct node *node, const char *method);
