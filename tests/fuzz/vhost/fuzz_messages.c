// SPDX-License-Identifier: GPL-2.0-or-later
// Streams of messages: any order, any size, cut anywhere, with descriptors of every kind. After
// each stream nothing may be left: no descriptor, no mapping, no worker locked out.
//
// The input is a list of records, each a byte that says what to do and its operands; what is left
// of a record at the end of the input reads as zeroes.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "tests/fake/vhost_front.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static void get(struct input *in, void *to, size_t n) {
	size_t have = n < in->left ? n : in->left;

	memset(to, 0, n);
	memcpy(to, in->at, have);
	in->at += have;
	in->left -= have;
}

static uint8_t get_byte(struct input *in) {
	uint8_t b;

	get(in, &b, 1);
	return b;
}

// Descriptors to send, made once: the kernel duplicates them on the way.
static int pool[8];

static void make_pool(struct front *f) {
	if (pool[0] == 0) {
		int pair[2];

		if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
			abort();
		pool[0] = memfd_create("small", MFD_CLOEXEC);
		pool[1] = open("/", O_RDONLY | O_CLOEXEC);
		pool[2] = pair[0];
		pool[3] = pair[1];
		pool[4] = open("/dev/zero", O_RDWR | O_CLOEXEC);
		pool[5] = memfd_create("empty", MFD_CLOEXEC);
		if (ftruncate(pool[0], 8192) < 0)
			abort();
	}
	pool[6] = f->memory_fd;
	pool[7] = f->rings[0].call_fd;
}

static void send_some(
	struct front *f, const void *bytes, size_t size, const int *fds, unsigned int n_fds
) {
	struct iovec iov = {(void *)bytes, size};

	if (size > 0)
		(void)front_sendmsg(f->fd, &iov, 1, fds, n_fds, MSG_DONTWAIT);
}

// A message whose header is mostly right, so that the fuzzer does not have to guess it.
static void send_message(struct front *f, struct input *in) {
	static const uint16_t usual[MESSAGE_REQUESTS] = {
		[2] = 8,  [5] = 264, [6] = 16,  [8] = 8,   [9] = 40, [10] = 8,
		[11] = 8, [12] = 8,  [13] = 8,  [14] = 8,  [16] = 8, [18] = 8,
		[19] = 8, [20] = 8,  [37] = 40, [38] = 40, [39] = 8,
	};
	uint8_t what = get_byte(in), how = get_byte(in), which = get_byte(in);
	struct {
		struct message_header header;
		uint8_t payload[264];
	} m = {0};
	unsigned int n_fds = how & 15;
	int fds[16];

	m.header.request = what % (MESSAGE_REQUESTS + 2);
	m.header.flags = how & 16 ? get_byte(in) : MESSAGE_FLAG_VERSION | (how & 32 ? 8 : 0);
	m.header.size = how & 64                      ? get_byte(in) * 2u
		: m.header.request < MESSAGE_REQUESTS ? usual[m.header.request]
						      : 8;
	get(in, m.payload, m.header.size < sizeof(m.payload) ? m.header.size : sizeof(m.payload));
	for (unsigned int i = 0; i < n_fds; i++)
		fds[i] = pool[(which + i * (which >> 4)) % 8];
	if (m.header.request == MESSAGE_SET_MEM_TABLE && (how & 128)) {
		uint32_t n = n_fds < 8 ? n_fds : 8;

		memcpy(m.payload, &n, sizeof(n));
		for (uint32_t i = 0; i < n; i++) {
			struct message_region region = {
				.guest_addr = FRONT_GUEST_BASE +
					(m.payload[8 + 32 * i] & 7) * FRONT_MEMORY_SIZE,
				.user_addr = FRONT_USER_BASE +
					(m.payload[16 + 32 * i] & 7) * FRONT_MEMORY_SIZE,
				.size = m.payload[24 + 32 * i] * UINT64_C(16448),
				.mmap_offset = m.payload[32 + 32 * i] * UINT64_C(512),
			};
			memcpy(m.payload + 8 + 32 * i, &region, sizeof(region));
		}
	}
	send_some(
		f, &m, sizeof(m.header) + (m.header.size < 264 ? m.header.size : 264), fds, n_fds
	);
}

static void use_rings(struct front *f) {
	static struct ring_burst burst;

	for (unsigned int i = 0; i < 4; i += 2) {
		struct ring *tx = session_ring(f->session, i),
			    *rx = session_ring(f->session, i + 1);

		for (unsigned int k = 0;
		     k < 4 && (ring_take(rx, &burst, RING_BURST), burst.n_taken > 0); k++) {
			for (uint16_t n = 0; n < burst.n_frames; n++)
				ring_place(tx, &burst.frames[n], &burst.frames[n].offload);
			ring_give_back(rx, &burst);
			ring_flush(rx, f->notifier);
			ring_flush(tx, f->notifier);
		}
	}
}

// Descriptors that the session holds are open. (One that is not may be another file's by now.)
static void check_fds(const struct front *f) {
	for (unsigned int i = 0; i < 4; i++) {
		int fds[] = {session_kick_fd(f->session, i), session_ring(f->session, i)->call_fd};

		for (unsigned int k = 0; k < 2; k++) {
			if (fds[k] >= 0 && fcntl(fds[k], F_GETFD) < 0)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct input in = {data, size};
	unsigned int n_fds, n_maps;
	struct session_config config = front_config;
	uint64_t now_ms = 0;
	struct front f;
	bool whole = true; // the front-end may write its own memory
	uint8_t how;
	int r = 0;

	sigbus_install();
	config.memory_bytes = UINT64_C(16) << 20;
	if (pool[0] == 0) {
		front_open(&f, &config);
		make_pool(&f);
		front_close(&f);
	}
	n_fds = front_count_fds();
	n_maps = front_count_maps();
	how = get_byte(&in);
	config.sealed_only = (how & 3) == 3; // nothing here is sealed
	front_open(&f, &config);
	make_pool(&f);
	if (how & 1 && !config.sealed_only) {
		front_start(
			&f,
			UINT64_C(0x30008001) | (how & 4 ? UINT64_C(1) << VIRTIO_F_RING_PACKED : 0)
		);
		for (unsigned int i = 0; i < 8; i++) {
			front_post(&f, 0, FRONT_DATA + 4096 * i, 2048, true);
			front_post(&f, 1, FRONT_DATA + 4096 * i, 200, false);
		}
	}
	while (in.left > 0 && r >= 0) {
		uint8_t bytes[64], word[16];
		uint8_t op = get_byte(&in);

		switch (op & 7) {
		case 0: // raw bytes, so a message may be cut anywhere
			get(&in, bytes, op >> 3 & 31);
			send_some(&f, bytes, op >> 3 & 31, &pool[op >> 5], op & 64 ? 1 : 0);
			break;
		case 1:
			now_ms += (op >> 3) * 100u;
			break;
		case 2:
			use_rings(&f);
			break;
		case 3:
			if (op & 8)
				whole = false;
			if ((op & 8) && ftruncate(f.memory_fd, op * 4096) < 0)
				abort();
			break;
		case 4:
			get(&in, word, sizeof(word));
			if (whole)
				memcpy(f.memory + word[0] % 4 * FRONT_RING_AREA +
				               word[1] % 3 * 0x5000u,
				       word + 2, 14);
			break;
		default:
			send_message(&f, &in);
			break;
		}
		r = session_run(f.session, now_ms);
		if (f.quiet)
			abort();
		check_fds(&f);
		while (recv(f.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
	}
	if (ftruncate(f.memory_fd, FRONT_MEMORY_SIZE) < 0)
		abort();
	front_close(&f);
	if (front_count_fds() != n_fds || front_count_maps() != n_maps)
		abort();
	return 0;
}
