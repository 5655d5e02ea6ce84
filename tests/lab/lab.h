// SPDX-License-Identifier: GPL-2.0-or-later
// What the lab's tests share: a socket, devices of the simulator, a driver's first steps, processes.
// They run as root in the lab's virtual machine and nowhere else.

#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "netlink/vdpa_mgmt.h"
#include "netlink/vhost_chardev.h"
#include "tests/unit/unit.h"

#define LAB_FEATURE_MTU (1ULL << 3)
#define LAB_FEATURE_MAC (1ULL << 5)
#define LAB_FEATURE_VERSION_1 (1ULL << 32)
#define LAB_FEATURE_ACCESS_PLATFORM (1ULL << 33)

// A socket for the family; the test fails without one.
struct nl_socket *lab_open(void);

// What to ask for: a device called @name of the management device @handle ("vdpasim_net").
struct vdpa_dev_spec lab_spec(const char *name, const char *handle);

// A device of the simulator with every default.
void lab_add(struct nl_socket *nl, const char *name);
void lab_delete(struct nl_socket *nl, const char *name); // it must not be open

bool lab_list_has(struct nl_socket *nl, const char *name);

// Open the character device of @name as QEMU would; -errno instead of a descriptor.
int lab_open_chardev(const char *name);

// Accept @features as a guest's driver does, up to FEATURES_OK.
void lab_negotiate(int fd, uint64_t features);

// A process that holds the character device of @name open, at which it is when this returns.
pid_t lab_start_holder(const char *name);
void lab_kill(pid_t pid);

// Start @shell; wait for at most @limit_ms. Results: its exit status, -ECHILD if a signal ended it, or
// -ETIMEDOUT if it still runs.
pid_t lab_start(const char *shell);
int lab_reap(pid_t pid, unsigned int limit_ms);

// Both; what does not end in time fails the test.
int lab_shell(const char *shell, unsigned int limit_ms);

// Milliseconds since some moment.
uint64_t lab_now_ms(void);
