// SPDX-License-Identifier: GPL-2.0-or-later
// Generic netlink: one socket for one family, one request at a time.
//
// A request is built, sent, and its replies are parsed, in three steps. Building never fails halfway:
// the first failure sticks to the request and nl_request_run() returns it without sending.
//
// Every call blocks in the kernel for as long as the kernel likes; NL_REPLY_TIMEOUT_MS limits only the
// wait for a reply that never comes. A caller that must not block is another process.
//
// Source: include/uapi/linux/netlink.h, genetlink.h; Documentation/userspace-api/netlink/intro.rst.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink/nl_attr.h"
#include "netlink/transport.h"
#include "vdpad/util/cleanup.h"

#define NL_BUFFER_SIZE 65536 // of receives; the kernel fills at most half of it
#define NL_REQUEST_SIZE 2048 // of a request; ours are far smaller
#define NL_ERROR_TEXT_SIZE 256

struct nl_family {
	const char *name;
	uint8_t version;
	struct nl_table table;
};

struct nl_socket;

// Connect to @family (borrowed, must outlive the socket) and learn its operations.
// Returns 0; -ENOENT if the kernel has no such family, that is, the module is not loaded; or -errno.
// A module that was unloaded and loaded again is another family: open another socket.
int nl_socket_open(const struct nl_family *family, struct nl_socket **ret_nl);

// The same over @transport, which is consumed in any case.
int nl_socket_new(
	struct nl_transport *transport, const struct nl_family *family, struct nl_socket **ret_nl
);
void nl_socket_close(struct nl_socket *nl);
void nl_socket_closep(struct nl_socket **nl);
#define _cleanup_nl_socket_ _cleanup_(nl_socket_closep)

// Has the family this operation? For kernels from before or after ours.
bool nl_socket_has_op(const struct nl_socket *nl, uint8_t command);

// The family's highest attribute type as the kernel tells it. Families whose enumeration ends in a
// count tell one more than exists (vdpa does).
uint32_t nl_socket_max_attr(const struct nl_socket *nl);

// What the kernel said about the last request: its extended acknowledgement, or "" if it said nothing.
// Made printable; valid until the next request.
const char *nl_socket_error_text(const struct nl_socket *nl);

// Refuse a request that must not be sent: @why becomes the error text in place of the kernel's.
// Returns -@error.
int nl_socket_refuse(struct nl_socket *nl, int error, const char *why);

// Have every change that is asked for through @nl shown to @watch before it is sent; it is sent if that
// returns true. NULL: nobody watches.
typedef bool (*nl_watch_fn)(void *ctx, const struct nlmsghdr *message);
void nl_socket_watch(struct nl_socket *nl, nl_watch_fn watch, void *ctx);

// A request under construction. Members are private to genl.c.
struct nl_request {
	struct nl_socket *nl;
	const struct nl_table *table; // of the attributes being put now
	int error;                    // the first failure, 0 if none
	struct nlmsghdr *message;     // in buffer
	_Alignas(4) uint8_t buffer[NL_REQUEST_SIZE];
};

// @nl is borrowed until the request is run.
void nl_request_init(struct nl_request *req, struct nl_socket *nl, uint8_t command);

// Append one attribute. An attribute of another kind in the family's table is -EINVAL, a full request
// -EMSGSIZE; both stick.
void nl_put_u8(struct nl_request *req, uint16_t type, uint8_t value);
void nl_put_u16(struct nl_request *req, uint16_t type, uint16_t value);
void nl_put_u32(struct nl_request *req, uint16_t type, uint32_t value);
void nl_put_u64(struct nl_request *req, uint16_t type, uint64_t value);
void nl_put_str(struct nl_request *req, uint16_t type, const char *value);
void nl_put_mac(struct nl_request *req, uint16_t type, const struct mac_addr *value);
void nl_put_flag(struct nl_request *req, uint16_t type);

// Attributes between these two are inside one, and are of @table.
struct nl_nest {
	struct nlattr *attr;
	const struct nl_table *outer;
};
struct nl_nest nl_nest_begin(struct nl_request *req, uint16_t type, const struct nl_table *table);
void nl_nest_end(struct nl_request *req, struct nl_nest nest);

// Called for each reply. Its memory is the socket's and lasts for the call. A result below 0 ends the
// request with it, after the rest of the conversation was read. It must not use the same socket.
typedef int (*nl_reply_fn)(uint8_t command, const struct nl_attrs *attrs, void *ctx);

// Send a change and wait for the kernel's verdict. Returns 0 (as well when the socket's watcher held it
// back), the first failure of the puts, or the kernel's
// -errno, whose text is then in nl_socket_error_text().
int nl_request_run(struct nl_request *req);

// A change with one reply, as nl_request_get(); -ECANCELED when the watcher held it back.
int nl_request_make(struct nl_request *req, nl_reply_fn reply, void *ctx);

// The same for a question, which nobody watches: nl_request_get() wants one (-ENODATA without,
// -EBADMSG after the first), nl_request_dump() any number. A dump during which the kernel noticed a change is -EINTR: ask again.
// Families that do not notice, as vdpa, can leave out what was there all the time.
// -EMSGSIZE: a reply was larger than our buffer. -EBADMSG: a reply makes no sense.
int nl_request_get(struct nl_request *req, nl_reply_fn reply, void *ctx);
int nl_request_dump(struct nl_request *req, nl_reply_fn reply, void *ctx);
