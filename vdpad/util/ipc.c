// SPDX-License-Identifier: GPL-2.0-or-later

#include "vdpad/util/ipc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/parse.h"

#define MAX_FIELDS 64 // keys of the largest dictionary, with room to grow

// Attached to an event loop, a bus would be flushed at its end, which waits for the peer.
static int start_link(sd_bus *link, sd_event *event) {
	int r;

	r = sd_bus_negotiate_fds(link, true);
	if (r < 0)
		return r;
	r = sd_bus_set_close_on_exit(link, false);
	if (r < 0)
		return r;
	r = sd_bus_start(link);
	if (r < 0)
		return r;
	return sd_bus_attach_event(link, event, SD_EVENT_PRIORITY_NORMAL);
}

int link_connect(const char *path, sd_event *event, sd_bus **ret_link) {
	_cleanup_close_ int fd = -EBADF;
	_cleanup_(sd_bus_close_unrefp) sd_bus *link = NULL; // to flush would wait for the peer
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int r;

	r = str_copy(addr.sun_path, sizeof(addr.sun_path), path);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;

	r = sd_bus_new(&link);
	if (r < 0)
		return r;
	r = sd_bus_set_fd(link, fd, fd);
	if (r < 0)
		return r;
	fd = -EBADF; // the bus owns it now
	r = start_link(link, event);
	if (r < 0)
		return r;

	*ret_link = TAKE_PTR(link);
	return 0;
}

int link_accept(int fd, sd_event *event, sd_bus **ret_link) {
	_cleanup_close_ int owned_fd = fd;
	_cleanup_(sd_bus_close_unrefp) sd_bus *link = NULL; // to flush would wait for the peer
	sd_id128_t server_id;
	int r;

	r = sd_id128_randomize(&server_id);
	if (r < 0)
		return r;
	r = sd_bus_new(&link);
	if (r < 0)
		return r;
	r = sd_bus_set_fd(link, owned_fd, owned_fd);
	if (r < 0)
		return r;
	owned_fd = -EBADF; // the bus owns it now
	r = sd_bus_set_server(link, true, server_id);
	if (r < 0)
		return r;
	r = start_link(link, event);
	if (r < 0)
		return r;

	*ret_link = TAKE_PTR(link);
	return 0;
}

static int read_value(sd_bus_message *m, const struct ipc_field *field, void *dst) {
	char *member = (char *)dst + field->offset;
	const char signature[] = {field->type, '\0'};
	int flag, r;

	r = sd_bus_message_enter_container(m, 'v', signature);
	if (r < 0)
		return r;
	if (field->type == 'b') { // sd-bus reads a boolean into an int
		r = sd_bus_message_read_basic(m, 'b', &flag);
		if (r >= 0)
			*(bool *)member = flag != 0;
	} else {
		r = sd_bus_message_read_basic(m, field->type, member);
	}
	if (r < 0)
		return r;
	return sd_bus_message_exit_container(m);
}

static int find_field(const struct ipc_field *fields, size_t n_fields, const char *key) {
	for (size_t i = 0; i < n_fields; i++) {
		if (strcmp(fields[i].key, key) == 0)
			return (int)i;
	}
	return -ENOENT;
}

// The message itself is broken, which the bus should not have let through.
static int malformed(int r, struct error *e) {
	return error_set(e, EINVAL, "the dictionary cannot be read: %s", strerror(-r));
}

int ipc_dict_read(
	sd_bus_message *m, const struct ipc_field *fields, size_t n_fields, void *dst,
	struct error *e
) {
	bool seen[MAX_FIELDS] = {false};
	const char *key;
	int r;

	assert(n_fields <= MAX_FIELDS);
	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	if (r <= 0)
		return error_set(e, EINVAL, "a dictionary a{sv} was expected");
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		int i;

		r = sd_bus_message_read_basic(m, 's', &key);
		if (r < 0)
			return malformed(r, e);
		i = find_field(fields, n_fields, key);
		if (i < 0)
			return error_set(e, EINVAL, "unknown key '%s'", key);
		if (seen[i])
			return error_set(e, EINVAL, "key '%s' is given twice", key);
		seen[i] = true;
		r = read_value(m, &fields[i], dst);
		if (r < 0)
			return error_set(
				e, EINVAL, "key '%s' must have type '%c'", key, fields[i].type
			);
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return malformed(r, e);
	}
	if (r < 0)
		return malformed(r, e);
	for (size_t i = 0; i < n_fields; i++) {
		if (fields[i].required && !seen[i])
			return error_set(e, EINVAL, "key '%s' is missing", fields[i].key);
	}
	r = sd_bus_message_exit_container(m);
	return r < 0 ? malformed(r, e) : 0;
}

int ipc_list_read(sd_bus_message *m, ipc_entry_fn entry, void *userdata, struct error *e) {
	const char *name;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
	if (r <= 0)
		return error_set(e, EPROTO, "the list is no a{sa{sv}}");
	while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		r = sd_bus_message_read_basic(m, 's', &name);
		if (r < 0)
			break;
		r = entry(m, name, userdata, e);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			break;
	}
	if (r < 0 || sd_bus_message_exit_container(m) < 0)
		return error_set(e, EPROTO, "the list cannot be read");
	return 0;
}

int ipc_dict_add_s(sd_bus_message *m, const char *key, const char *value) {
	return sd_bus_message_append(m, "{sv}", key, "s", value);
}

int ipc_dict_add_b(sd_bus_message *m, const char *key, bool value) {
	return sd_bus_message_append(m, "{sv}", key, "b", (int)value);
}

int ipc_dict_add_u(sd_bus_message *m, const char *key, uint32_t value) {
	return sd_bus_message_append(m, "{sv}", key, "u", value);
}

int ipc_dict_add_t(sd_bus_message *m, const char *key, uint64_t value) {
	return sd_bus_message_append(m, "{sv}", key, "t", value);
}

int ipc_entry_open(sd_bus_message *m, const char *name) {
	int r;

	r = sd_bus_message_open_container(m, 'e', "sa{sv}");
	if (r < 0)
		return r;
	r = sd_bus_message_append_basic(m, 's', name);
	if (r < 0)
		return r;
	return sd_bus_message_open_container(m, 'a', "{sv}");
}

int ipc_entry_close(sd_bus_message *m) {
	int r;

	r = sd_bus_message_close_container(m);
	if (r < 0)
		return r;
	return sd_bus_message_close_container(m);
}
