// SPDX-License-Identifier: GPL-2.0-or-later

#include "tests/fake/vhost_front.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "fallback/vhost/discard.h"

// Checks that also hold in a build without assert().
static void must(bool ok, const char *what) {
	if (!ok) {
		perror(what);
		__builtin_trap();
	}
}

static void on_quiesce(void *arg) {
	struct front *f = arg;

	must(!f->quiet, "quiesced twice");
	f->quiet = true;
	f->n_quiesced++;
	if (f->on_quiet != NULL)
		f->on_quiet(f, true);
}

static void on_resume(void *arg) {
	struct front *f = arg;

	must(f->quiet, "resumed without quiesce");
	f->quiet = false;
	if (f->on_quiet != NULL)
		f->on_quiet(f, false);
}

static void on_announce(void *arg, const uint8_t mac[6]) {
	struct front *f = arg;

	memcpy(f->announced, mac, 6);
	f->n_announced++;
}

static const struct session_ops ops = {
	.quiesce = on_quiesce, .resume = on_resume, .announce = on_announce};

const struct session_config front_config = {
	.features = UINT64_MAX,
	.queue_pairs = 2,
	.mtu_bytes = 9000,
	.memory_bytes = UINT64_C(64) << 20,
};

static struct notifier *shared_notifier(void) {
	static struct notifier notifier;

	if (notifier.context == 0)
		must(notifier_init(&notifier) == 0, "io_setup");
	return &notifier;
}

// Guest memory with room for four rings.
static void make_guest(struct front *f) {
	f->memory_fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(f->memory_fd >= 0 && ftruncate(f->memory_fd, FRONT_MEMORY_SIZE) == 0, "memfd");
	f->memory =
		mmap(NULL, FRONT_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory_fd, 0);
	must(f->memory != MAP_FAILED, "mmap");
	for (unsigned int i = 0; i < 4; i++) {
		struct front_ring *r = &f->rings[i];
		uint8_t *at = f->memory + i * FRONT_RING_AREA;

		r->desc = (struct vring_desc *)at;
		r->avail = (struct vring_avail *)(at + 0x8000);
		r->used = (struct vring_used *)(at + 0xa000);
		r->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
}

void front_open(struct front *f, const struct session_config *config) {
	struct session_config c = *config;
	int pair[2];

	*f = (struct front){0};
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	f->fd = pair[0];
	must(fcntl(f->fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
	make_guest(f);
	f->notifier = shared_notifier();
	c.notifier = f->notifier;
	c.ops = &ops;
	c.arg = f;
	must(session_new(&c, pair[1], 0, &f->session) == 0, "session_new");
}

void front_connect(struct front *f, const char *path) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	*f = (struct front){0};
	must(strlen(path) < sizeof(addr.sun_path), "path");
	strcpy(addr.sun_path, path);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(f->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, path);
	make_guest(f);
}

void front_close(struct front *f) {
	session_free(f->session);
	discard_wait();
	for (unsigned int i = 0; i < 4; i++) {
		close(f->rings[i].kick_fd);
		close(f->rings[i].call_fd);
	}
	munmap(f->memory, FRONT_MEMORY_SIZE);
	close(f->memory_fd);
	if (f->fd >= 0)
		close(f->fd);
}

ssize_t front_sendmsg(
	int fd, struct iovec *iov, size_t n_iov, const int *fds, unsigned int n_fds, int flags
) {
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))] = {0};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};

	if (n_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	return sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

void front_send(
	struct front *f, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	const int *fds, unsigned int n_fds
) {
	struct message_header header = {request, flags | MESSAGE_FLAG_VERSION, size};
	struct iovec iov[] = {{&header, sizeof(header)}, {(void *)payload, size}};
	ssize_t n = front_sendmsg(f->fd, iov, 2, fds, n_fds, 0);

	must(n == (ssize_t)(sizeof(header) + size), "sendmsg");
}

void front_send_number(struct front *f, uint32_t request, uint32_t flags, uint64_t number) {
	front_send(f, request, flags, &number, sizeof(number), NULL, 0);
}

void front_send_vring(
	struct front *f, uint32_t request, uint32_t flags, uint32_t index, uint32_t num
) {
	uint32_t payload[] = {index, num};

	front_send(f, request, flags, payload, sizeof(payload), NULL, 0);
}

void front_send_fd(struct front *f, uint32_t request, uint32_t flags, uint64_t number, int fd) {
	front_send(f, request, flags, &number, sizeof(number), &fd, fd >= 0);
}

int front_run(struct front *f) {
	return f->session == NULL ? 0 : session_run(f->session, f->now_ms);
}

int front_receive(struct front *f, struct message_header *header, union message_payload *payload) {
	ssize_t n = recv(f->fd, header, sizeof(*header), 0);

	if (n != sizeof(*header))
		return -1;
	must((header->flags & MESSAGE_FLAG_REPLY) != 0, "no reply flag");
	must(header->size <= sizeof(*payload), "reply too large");
	if (header->size > 0)
		must(recv(f->fd, payload, header->size, 0) == (ssize_t)header->size, "cut reply");
	return (int)header->size;
}

void front_ok(struct front *f, uint32_t request, uint64_t number) {
	front_send_number(f, request, 0, number);
	must(front_run(f) == 0, message_name(request));
}

uint64_t front_ack(
	struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds,
	unsigned int n_fds
) {
	struct message_header header;
	union message_payload answer = {0};

	front_send(f, request, MESSAGE_FLAG_NEED_REPLY, payload, size, fds, n_fds);
	must(front_run(f) == 0, message_name(request));
	must(front_receive(f, &header, &answer) == sizeof(uint64_t), "no acknowledgement");
	return answer.number;
}

void front_set_memory(struct front *f) {
	union message_payload p = {0};

	p.table.n_regions = 1;
	p.table.regions[0] = (struct message_region){
		.guest_addr = FRONT_GUEST_BASE,
		.user_addr = FRONT_USER_BASE,
		.size = FRONT_MEMORY_SIZE,
	};
	front_send(
		f, MESSAGE_SET_MEM_TABLE, 0, &p, 8 + sizeof(struct message_region), &f->memory_fd, 1
	);
	must(front_run(f) == 0, "SET_MEM_TABLE");
}

void front_set_ring(struct front *f, unsigned int i, uint16_t size) {
	struct front_ring *r = &f->rings[i];
	uint64_t at = FRONT_USER_BASE + i * FRONT_RING_AREA;
	union message_payload p = {0};

	r->size = size;
	p.vring_addr.index = i;
	p.vring_addr.desc_user_addr = at;
	p.vring_addr.avail_user_addr = at + 0x8000;
	p.vring_addr.used_user_addr = at + 0xa000;
	front_send_vring(f, MESSAGE_SET_VRING_NUM, 0, i, size);
	front_send_vring(
		f, MESSAGE_SET_VRING_BASE, 0, i, __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE)
	);
	front_send(f, MESSAGE_SET_VRING_ADDR, 0, &p, sizeof(p.vring_addr), NULL, 0);
	front_send_fd(f, MESSAGE_SET_VRING_KICK, 0, i, r->kick_fd);
	front_send_fd(f, MESSAGE_SET_VRING_CALL, 0, i, r->call_fd);
	front_send_vring(f, MESSAGE_SET_VRING_ENABLE, 0, i, 1);
	must(front_run(f) == 0, "ring");
}

void front_negotiate(struct front *f, uint64_t features, uint64_t protocol) {
	struct message_header header;
	union message_payload p;

	front_send(f, MESSAGE_GET_FEATURES, 0, NULL, 0, NULL, 0);
	must(front_run(f) == 0 && front_receive(f, &header, &p) == 8, "GET_FEATURES");
	must((features & ~p.number) == 0, "feature not offered");
	front_send(f, MESSAGE_GET_PROTOCOL_FEATURES, 0, NULL, 0, NULL, 0);
	must(front_run(f) == 0 && front_receive(f, &header, &p) == 8, "GET_PROTOCOL_FEATURES");
	front_ok(f, MESSAGE_SET_PROTOCOL_FEATURES, protocol & p.number);
	front_send(f, MESSAGE_SET_OWNER, 0, NULL, 0, NULL, 0);
	must(front_run(f) == 0, "SET_OWNER");
	front_ok(f, MESSAGE_SET_FEATURES, features);
}

void front_start(struct front *f, uint64_t features) {
	front_negotiate(
		f, features | UINT64_C(1) << 30 | UINT64_C(1) << VIRTIO_F_VERSION_1, UINT64_MAX
	);
	front_set_memory(f);
	front_set_ring(f, 0, FRONT_RING_SIZE);
	front_set_ring(f, 1, FRONT_RING_SIZE);
	front_ok(f, MESSAGE_SET_STATUS, 15);
	must(f->session == NULL || session_is_ready(f->session), "not ready");
}

uint64_t front_addr(uint64_t offset) {
	return FRONT_GUEST_BASE + offset;
}

void front_desc(
	struct front *f, unsigned int ring, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags,
	uint16_t next
) {
	f->rings[ring].desc[i] =
		(struct vring_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

void front_avail(struct front *f, unsigned int ring, uint16_t head) {
	struct front_ring *r = &f->rings[ring];

	r->avail->ring[r->avail->idx % r->size] = head;
	__atomic_store_n(&r->avail->idx, r->avail->idx + 1, __ATOMIC_RELEASE);
}

void front_post(struct front *f, unsigned int ring, uint64_t offset, uint32_t len, bool writable) {
	struct front_ring *r = &f->rings[ring];
	uint16_t i = r->next_desc++ % r->size;

	front_desc(f, ring, i, front_addr(offset), len, writable ? VRING_DESC_F_WRITE : 0, 0);
	front_avail(f, ring, i);
}

bool front_used(struct front *f, unsigned int ring, struct vring_used_elem *ret) {
	struct front_ring *r = &f->rings[ring];

	if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == r->seen_used)
		return false;
	*ret = r->used->ring[r->seen_used++ % r->size];
	return true;
}

unsigned int front_forward(struct front *from, struct front *to) {
	static struct ring_burst burst;
	struct ring *rx = session_ring(from->session, 1);
	struct ring *tx = session_ring(to->session, 0);
	unsigned int n = 0;

	while (ring_take(rx, &burst, RING_BURST), burst.n_taken > 0) {
		for (uint16_t i = 0; i < burst.n_frames; i++)
			n += ring_place(tx, &burst.frames[i], &burst.frames[i].offload) == 0;
		ring_give_back(rx, &burst);
		ring_flush(rx, from->notifier);
		ring_flush(tx, to->notifier);
	}
	return n;
}

unsigned int front_count_fds(void) {
	unsigned int n = 0;
	DIR *dir;

	discard_wait();
	dir = opendir("/proc/self/fd");

	must(dir != NULL, "/proc/self/fd");
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

// Shared maps of guest memory only: an allocator may map what it likes.
unsigned int front_count_maps(void) {
	unsigned int n = 0;
	char line[512];
	FILE *file;

	discard_wait();
	file = fopen("/proc/self/maps", "re");

	must(file != NULL, "/proc/self/maps");
	while (fgets(line, sizeof(line), file) != NULL)
		n += strstr(line, "memfd:") != NULL;
	fclose(file);
	return n;
}
