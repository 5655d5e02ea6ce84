// SPDX-License-Identifier: GPL-2.0-or-later
// Dictionaries over a real link: two buses on one socket and one event loop. The method Take of the
// far end reads what it is sent with ipc_dict_read() and answers with its error, if any.

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

#define WAIT_US (5 * UINT64_C(1000000))

struct sample {
	const char *name;
	bool link_up;
	uint32_t mtu;
	uint64_t features;
};

static const struct ipc_field fields[] = {
	{"name", 's', offsetof(struct sample, name), true},
	{"link_up", 'b', offsetof(struct sample, link_up), false},
	{"mtu", 'u', offsetof(struct sample, mtu), false},
	{"features", 't', offsetof(struct sample, features), false},
};

struct fixture {
	char directory[32];
	char path[64];
	int listen_fd;
	sd_event *event;
	sd_bus *near, *far;

	// What the far end found.
	int result;
	struct error error;
	struct sample sample;
	char name[64];
	// What the near end got.
	bool answered;
};

static int on_take(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct fixture *f = userdata;

	(void)ret_error;
	f->sample = (struct sample){.mtu = 1500, .link_up = true};
	f->error = (struct error){0};
	f->result = ipc_dict_read(m, fields, ARRAY_LEN(fields), &f->sample, &f->error);
	// The string lives as long as the message.
	snprintf(f->name, sizeof(f->name), "%s", f->sample.name != NULL ? f->sample.name : "");
	return sd_bus_reply_method_return(m, NULL);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
	struct fixture *f = userdata;

	(void)ret_error;
	f->answered = true;
	return sd_bus_message_is_method_error(m, NULL) ? -EIO : 0;
}

static int setup(void **state) {
	struct fixture *f = calloc(1, sizeof(*f));
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	assert_non_null(f);
	strcpy(f->directory, "/tmp/test-ipc.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/link", f->directory);
	strcpy(addr.sun_path, f->path);
	f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(f->listen_fd, 1), 0);
	assert_true(sd_event_new(&f->event) >= 0);

	assert_int_equal(link_connect(f->path, f->event, &f->near), 0);
	fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(link_accept(fd, f->event, &f->far), 0);
	assert_true(sd_bus_add_object(f->far, NULL, IPC_SWITCH_PATH, on_take, f) >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;

	sd_bus_close_unref(f->near);
	sd_bus_close_unref(f->far);
	sd_event_unref(f->event);
	close(f->listen_fd);
	unlink(f->path);
	rmdir(f->directory);
	free(f);
	return 0;
}

static sd_bus_message *new_call(struct fixture *f) {
	sd_bus_message *call = NULL;

	assert_true(
		sd_bus_message_new_method_call(
			f->near, &call, NULL, IPC_SWITCH_PATH, IPC_SWITCH_IFACE, "Take"
		) >= 0
	);
	return call;
}

static sd_bus_message *new_dict(struct fixture *f) {
	sd_bus_message *call = new_call(f);

	assert_true(sd_bus_message_open_container(call, 'a', "{sv}") >= 0);
	return call;
}

// Send @call, which is released, and return what the far end made of it.
static int send_and_read(struct fixture *f, sd_bus_message *call) {
	f->answered = false;
	assert_true(sd_bus_call_async(f->near, NULL, call, on_answer, f, WAIT_US) >= 0);
	sd_bus_message_unref(call);
	while (!f->answered)
		assert_true(sd_event_run(f->event, WAIT_US) > 0);
	return f->result;
}

static int close_and_read(struct fixture *f, sd_bus_message *call) {
	assert_true(sd_bus_message_close_container(call) >= 0);
	return send_and_read(f, call);
}

static void every_type_arrives(void **state) {
	struct fixture *f = *state;
	sd_bus_message *call = new_dict(f);

	assert_true(ipc_dict_add_t(call, "features", UINT64_MAX) >= 0);
	assert_true(ipc_dict_add_b(call, "link_up", false) >= 0);
	assert_true(ipc_dict_add_s(call, "name", "vm100-net0") >= 0);
	assert_true(ipc_dict_add_u(call, "mtu", 9000) >= 0);
	assert_int_equal(close_and_read(f, call), 0);
	assert_string_equal(f->name, "vm100-net0");
	assert_false(f->sample.link_up);
	assert_int_equal(f->sample.mtu, 9000);
	assert_true(f->sample.features == UINT64_MAX);
}

static void absent_keys_leave_their_members_alone(void **state) {
	struct fixture *f = *state;
	sd_bus_message *call = new_dict(f);

	ipc_dict_add_s(call, "name", "a");
	assert_int_equal(close_and_read(f, call), 0);
	assert_true(f->sample.link_up);
	assert_int_equal(f->sample.mtu, 1500);
}

static void a_missing_required_key_is_named(void **state) {
	struct fixture *f = *state;
	sd_bus_message *call = new_dict(f);

	ipc_dict_add_u(call, "mtu", 9000);
	assert_int_equal(close_and_read(f, call), -EINVAL);
	assert_string_equal(f->error.text, "key 'name' is missing");
	assert_int_equal(close_and_read(f, new_dict(f)), -EINVAL);
	assert_string_equal(f->error.text, "key 'name' is missing");
}

static void an_unknown_key_is_named(void **state) {
	struct fixture *f = *state;
	sd_bus_message *call = new_dict(f);

	ipc_dict_add_s(call, "name", "a");
	ipc_dict_add_s(call, "named", "a");
	assert_int_equal(close_and_read(f, call), -EINVAL);
	assert_string_equal(f->error.text, "unknown key 'named'");
}

static void a_key_given_twice_is_refused(void **state) {
	struct fixture *f = *state;
	sd_bus_message *call = new_dict(f);

	ipc_dict_add_s(call, "name", "a");
	ipc_dict_add_s(call, "name", "b");
	assert_int_equal(close_and_read(f, call), -EINVAL);
	assert_string_equal(f->error.text, "key 'name' is given twice");
}

static void a_wrong_type_is_refused_and_writes_nothing(void **state) {
	struct fixture *f = *state;
	sd_bus_message *call = new_dict(f);

	ipc_dict_add_t(call, "mtu", UINT64_MAX); // would overwrite what follows a u
	assert_int_equal(close_and_read(f, call), -EINVAL);
	assert_string_equal(f->error.text, "key 'mtu' must have type 'u'");
	assert_int_equal(f->sample.mtu, 1500);

	call = new_dict(f);
	assert_true(sd_bus_message_append(call, "{sv}", "name", "as", 2, "a", "b") >= 0);
	assert_int_equal(close_and_read(f, call), -EINVAL);
	call = new_dict(f);
	assert_true(sd_bus_message_append(call, "{sv}", "name", "v", "s", "a") >= 0);
	assert_int_equal(close_and_read(f, call), -EINVAL);
}

static void another_shape_is_refused(void **state) {
	struct fixture *f = *state;
	sd_bus_message *call = new_call(f);

	assert_int_equal(send_and_read(f, call), -EINVAL); // no argument at all
	assert_string_equal(f->error.text, "a dictionary a{sv} was expected");
	call = new_call(f);
	sd_bus_message_append(call, "s", "name");
	assert_int_equal(send_and_read(f, call), -EINVAL);
	call = new_call(f);
	sd_bus_message_append(call, "a{ss}", 1, "name", "a");
	assert_int_equal(send_and_read(f, call), -EINVAL);
}

static void the_next_argument_can_be_read_behind_the_dictionary(void **state) {
	struct fixture *f = *state;
	_cleanup_message_ sd_bus_message *call = new_dict(f);
	struct sample sample = {0};
	int flag = 0;

	ipc_dict_add_s(call, "name", "a");
	sd_bus_message_close_container(call);
	sd_bus_message_append(call, "b", 1);
	assert_true(sd_bus_message_seal(call, 1, 0) >= 0);
	assert_true(sd_bus_message_rewind(call, true) >= 0);
	assert_int_equal(ipc_dict_read(call, fields, ARRAY_LEN(fields), &sample, NULL), 0);
	assert_true(sd_bus_message_read_basic(call, 'b', &flag) > 0);
	assert_int_equal(flag, 1);
}

static void links_pass_descriptors(void **state) {
	struct fixture *f = *state;

	send_and_read(f, new_call(f)); // both ends have authenticated now
	assert_true(sd_bus_can_send(f->near, 'h') > 0);
	assert_true(sd_bus_can_send(f->far, 'h') > 0);
}

static void connecting_where_nobody_listens_says_so(void **state) {
	struct fixture *f = *state;
	sd_bus *link = NULL;
	char path[200];

	assert_int_equal(link_connect("/nonexistent/link", f->event, &link), -ENOENT);
	assert_int_equal(shutdown(f->listen_fd, SHUT_RDWR), 0);
	assert_int_equal(link_connect(f->path, f->event, &link), -ECONNREFUSED);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(link_connect(path, f->event, &link), -ENAMETOOLONG);
	assert_null(link);
}

static void a_refused_descriptor_is_closed(void **state) {
	sd_event *ended = NULL;
	sd_bus *link = NULL;
	int fds[2];

	(void)state;
	assert_true(sd_event_new(&ended) >= 0);
	assert_true(sd_event_exit(ended, 0) >= 0);
	assert_true(sd_event_loop(ended) >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_true(link_accept(fds[0], ended, &link) < 0); // a loop that has ended takes nothing
	assert_null(link);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	close(fds[1]);
	sd_event_unref(ended);
}

#define LINK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

// A peer that hangs does not keep the event loop from ending.
static void end_of_the_loop_does_not_wait_for_the_peer(void **state) {
	struct fixture *f = *state;
	sd_bus *unanswered = NULL;

	assert_int_equal(link_connect(f->path, f->event, &unanswered), 0); // nobody accepts it
	alarm(WAIT_US / 1000000);
	assert_int_equal(sd_event_exit(f->event, 0), 0);
	assert_int_equal(sd_event_loop(f->event), 0);
	sd_bus_close_unref(unanswered);
	alarm(0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		LINK_TEST(every_type_arrives),
		LINK_TEST(absent_keys_leave_their_members_alone),
		LINK_TEST(a_missing_required_key_is_named),
		LINK_TEST(an_unknown_key_is_named),
		LINK_TEST(a_key_given_twice_is_refused),
		LINK_TEST(a_wrong_type_is_refused_and_writes_nothing),
		LINK_TEST(another_shape_is_refused),
		LINK_TEST(the_next_argument_can_be_read_behind_the_dictionary),
		LINK_TEST(links_pass_descriptors),
		LINK_TEST(connecting_where_nobody_listens_says_so),
		LINK_TEST(a_refused_descriptor_is_closed),
		LINK_TEST(end_of_the_loop_does_not_wait_for_the_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
