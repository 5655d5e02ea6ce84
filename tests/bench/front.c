// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/bench/front.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "fallback/vhost/message.h"
#include "vdpad/util/cleanup.h"

#define GUEST_BASE (UINT64_C(1) << 30) // anything but 0, which some back-ends take for "none"
#define TIMEOUT_S 10
#define F_PROTOCOL_FEATURES 30
#define BIT(n) (UINT64_C(1) << (n))

static void send_message(
	struct front *f, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	int fd
) {
	struct message_header header = {request, flags | MESSAGE_FLAG_VERSION, size};
	struct iovec iov[] = {{&header, sizeof(header)}, {(void *)payload, size}};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(f->fd, &msg, MSG_NOSIGNAL) != (ssize_t)(sizeof(header) + size))
		err(1, "%s: cannot send %s", f->path, message_name(request));
}

static uint64_t receive_number(struct front *f, uint32_t request) {
	struct message_header header;
	uint64_t number;

	if (recv(f->fd, &header, sizeof(header), MSG_WAITALL) != sizeof(header) ||
	    header.request != request || header.size != sizeof(number) ||
	    recv(f->fd, &number, sizeof(number), MSG_WAITALL) != sizeof(number))
		errx(1, "%s: no proper reply to %s", f->path, message_name(request));
	return number;
}

static uint64_t ask(struct front *f, uint32_t request) {
	send_message(f, request, 0, NULL, 0, -1);
	return receive_number(f, request);
}

static void tell(struct front *f, uint32_t request, uint64_t number, int fd) {
	send_message(f, request, 0, &number, sizeof(number), fd);
}

static void tell_vring(struct front *f, uint32_t request, uint32_t index, uint32_t num) {
	uint32_t payload[] = {index, num};

	send_message(f, request, 0, payload, sizeof(payload), -1);
}

// The switch is there already, and listens.
static int connect_to(const struct sockaddr_un *addr) {
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		err(1, "%s", addr->sun_path);
	return fd;
}

// The switch comes by itself, again and again.
static int wait_for(const struct sockaddr_un *addr) {
	_cleanup_close_ int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd poll_fd = {.fd = listen_fd, .events = POLLIN};
	int fd;

	unlink(addr->sun_path);
	if (listen_fd < 0 || bind(listen_fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    listen(listen_fd, 1) < 0)
		err(1, "%s", addr->sun_path);
	if (poll(&poll_fd, 1, TIMEOUT_S * 1000) != 1)
		errx(1, "%s: the switch does not connect", addr->sun_path);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		err(1, "%s", addr->sun_path);
	unlink(addr->sun_path);
	return fd;
}

void front_open(struct front *f, const char *path) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = TIMEOUT_S};
	bool listens = path[0] == '@';

	*f = (struct front){.path = path + listens, .memory_fd = -EBADF};
	if (strlen(f->path) >= sizeof(addr.sun_path))
		errx(1, "%s: too long for a socket", path);
	strcpy(addr.sun_path, f->path);
	f->fd = listens ? wait_for(&addr) : connect_to(&addr);
	setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	for (int i = 0; i < FRONT_RINGS; i++) {
		f->kick_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		f->call_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (f->kick_fds[i] < 0 || f->call_fds[i] < 0)
			err(1, "eventfd");
	}
	send_message(f, MESSAGE_SET_OWNER, 0, NULL, 0, -1);
	f->offered = ask(f, MESSAGE_GET_FEATURES);
}

// Returns whether the switch acknowledges what it is asked to.
static bool agree_on_protocol(struct front *f) {
	uint64_t protocol = ask(f, MESSAGE_GET_PROTOCOL_FEATURES) & BIT(PROTOCOL_REPLY_ACK);

	tell(f, MESSAGE_SET_PROTOCOL_FEATURES, protocol, -1);
	return protocol != 0;
}

void front_share(struct front *f, uint64_t features, size_t memory_size) {
	union message_payload table = {0};

	if (!(f->offered & BIT(F_PROTOCOL_FEATURES)) || !agree_on_protocol(f))
		errx(1, "%s: the switch does not know REPLY_ACK", f->path);
	f->features = features | BIT(F_PROTOCOL_FEATURES);
	tell(f, MESSAGE_SET_FEATURES, f->features, -1);

	f->memory_size = memory_size;
	f->memory_fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (f->memory_fd < 0 || ftruncate(f->memory_fd, (off_t)memory_size) < 0)
		err(1, "memory of %zu bytes", memory_size);
	f->memory =
		mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
	             f->memory_fd, 0);
	if (f->memory == MAP_FAILED)
		err(1, "memory of %zu bytes", memory_size);
	table.table.n_regions = 1;
	table.table.regions[0] = (struct message_region){
		.guest_addr = GUEST_BASE,
		.size = memory_size,
		.user_addr = (uintptr_t)f->memory,
	};
	send_message(
		f, MESSAGE_SET_MEM_TABLE, MESSAGE_FLAG_NEED_REPLY, &table,
		offsetof(union message_payload, table.regions[1]), f->memory_fd
	);
	if (receive_number(f, MESSAGE_SET_MEM_TABLE) != 0)
		errx(1, "%s: the switch refuses the memory", f->path);
}

uint64_t front_address(const struct front *f, const void *at) {
	return GUEST_BASE + (uint64_t)((const uint8_t *)at - f->memory);
}

void front_start_ring(
	struct front *f, unsigned int index, uint16_t size, const void *desc, const void *driver,
	const void *device
) {
	union message_payload addr = {
		.vring_addr =
			{
				.index = index,
				.desc_user_addr = (uintptr_t)desc,
				.avail_user_addr = (uintptr_t)driver,
				.used_user_addr = (uintptr_t)device,
			},
	};
	// Both positions 0; in the packed layout each with its wrap counter, which begins as 1.
	uint32_t base = f->features & BIT(VIRTIO_F_RING_PACKED) ? 0x80008000 : 0;

	tell_vring(f, MESSAGE_SET_VRING_NUM, index, size);
	tell_vring(f, MESSAGE_SET_VRING_BASE, index, base);
	send_message(f, MESSAGE_SET_VRING_ADDR, 0, &addr, sizeof(addr.vring_addr), -1);
	tell(f, MESSAGE_SET_VRING_CALL, index, f->call_fds[index]);
	tell(f, MESSAGE_SET_VRING_KICK, index, f->kick_fds[index]);
}

void front_enable(struct front *f) {
	for (uint32_t i = 0; i < FRONT_RINGS; i++) {
		uint32_t payload[] = {i, 1};

		send_message(
			f, MESSAGE_SET_VRING_ENABLE, MESSAGE_FLAG_NEED_REPLY, payload,
			sizeof(payload), -1
		);
		if (receive_number(f, MESSAGE_SET_VRING_ENABLE) != 0)
			errx(1, "%s: the switch refuses ring %u", f->path, i);
	}
}

void front_close(struct front *f) {
	close(f->fd);
	for (int i = 0; i < FRONT_RINGS; i++) {
		close(f->kick_fds[i]);
		close(f->call_fds[i]);
	}
	if (f->memory != NULL)
		munmap(f->memory, f->memory_size);
	if (f->memory_fd >= 0)
		close(f->memory_fd);
}
