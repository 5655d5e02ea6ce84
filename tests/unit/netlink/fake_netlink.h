// SPDX-License-Identifier: GPL-2.0-or-later
// A scripted kernel behind struct nl_transport: it records what is sent and answers with what the test
// has laid ready, datagram by datagram.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "netlink/genl.h"
#include "netlink/transport.h"

#define FAKE_FAMILY_ID 0x23
#define FAKE_DATAGRAMS_MAX 32
#define FAKE_DATAGRAM_SIZE 70000 // more than any receive buffer of ours

struct fake_netlink {
	struct nl_transport base;
	uint32_t last_seq; // of the last request; replies get it unless they have one
	size_t n_requests;
	uint8_t request[4096]; // the last one
	size_t request_size;
	// Where set, called after each request, to lay its replies ready. Whatever was read before is gone then.
	void (*on_request)(struct fake_netlink *f, void *ctx);
	void *ctx;
	int send_error; // what the next send returns instead of taking the request
	bool join;      // put the following messages into the datagram before them
	size_t n_datagrams, next_datagram;
	struct {
		uint8_t *data;
		size_t size;
	} datagrams[FAKE_DATAGRAMS_MAX];
	_Alignas(4) uint8_t building[FAKE_DATAGRAM_SIZE];
};

// Owned by the socket that it is given to.
struct fake_netlink *fake_netlink_new(void);

// Lay a reply ready: begin, put attributes with mnl_attr_put_*(), end.
struct nlmsghdr *fake_begin(struct fake_netlink *f, uint16_t type, uint16_t flags);
struct nlmsghdr *fake_begin_genl(struct fake_netlink *f, uint8_t command, uint16_t flags);
void fake_end(struct fake_netlink *f, const struct nlmsghdr *message);
void fake_raw(struct fake_netlink *f, const void *data, size_t size);

void fake_ack(struct fake_netlink *f);
void fake_refuse(struct fake_netlink *f, int error, const char *text); // text may be NULL
void fake_done(struct fake_netlink *f);

// The answer to the question for a family: @ops is a string of commands, "\1\2\5".
void fake_family(struct fake_netlink *f, uint32_t max_attr, const char *ops);

// The last request is exactly these octets, in hexadecimal with blanks anywhere.
void fake_assert_request(const struct fake_netlink *f, const char *hex);

// What most tests start from: a socket over a scripted kernel that has answered for @family.
struct fixture {
	struct fake_netlink *fake; // owned by nl
	struct nl_socket *nl;
};

struct fixture *fixture_open(const struct nl_family *family, uint32_t max_attr, const char *ops);
void fixture_close(struct fixture *x);
int fixture_teardown(void **state); // of a fixture
