// SPDX-License-Identifier: GPL-2.0-or-later
// vduse-net NAME: a network device whose back-end is this process, as any program may make one. It answers what
// the kernel asks and moves no packet. Says "ready" when the kernel can make a vDPA device of it, and
// takes the device away on SIGTERM.
//
// Source: include/uapi/linux/vduse.h, Documentation/userspace-api/vduse.rst.

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vduse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#define N_RINGS 2 // one queue pair; the kernel lets no network device have a control ring
#define RING_SIZE 256
#define PAGE_BYTES 4096
#define FEATURES                                                         \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_ACCESS_PLATFORM | \
	 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS)

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
	(void)number;
	stopped = 1;
}

static void create(int control, const char *name) {
	const struct virtio_net_config net = {
		.mac = {0x52, 0x54, 0, 0, 0x0d, 0x01},
		.status = VIRTIO_NET_S_LINK_UP,
	};
	struct vduse_dev_config *config = calloc(1, sizeof(*config) + sizeof(net));

	if (config == NULL)
		err(1, "out of memory");
	strcpy(config->name, name); // its length was checked
	config->device_id = VIRTIO_ID_NET;
	config->features = FEATURES;
	config->vq_num = N_RINGS;
	config->vq_align = PAGE_BYTES;
	config->config_size = sizeof(net);
	memcpy(config->config, &net, sizeof(net));
	if (ioctl(control, VDUSE_CREATE_DEV, config) < 0)
		err(1, "cannot create %s", name);
	free(config);
}

static void set_up_rings(int device) {
	for (uint32_t i = 0; i < N_RINGS; i++) {
		struct vduse_vq_config ring = {.index = i, .max_size = RING_SIZE};

		if (ioctl(device, VDUSE_VQ_SETUP, &ring) < 0)
			err(1, "cannot set up ring %u", i);
	}
}

// Every request is granted: rings are always at their beginning, as nothing is ever taken from them.
static void answer_requests(int device) {
	struct vduse_dev_request request;

	while (!stopped && read(device, &request, sizeof(request)) == sizeof(request)) {
		struct vduse_dev_response response = {
			.request_id = request.request_id,
			.result = VDUSE_REQ_RESULT_OK,
		};

		if (request.type == VDUSE_GET_VQ_STATE)
			response.vq_state.index = request.vq_state.index;
		if (write(device, &response, sizeof(response)) != sizeof(response))
			err(1, "cannot answer the kernel");
	}
}

int main(int argc, char **argv) {
	const struct sigaction action = {.sa_handler = on_signal}; // reads are interrupted
	char path[sizeof("/dev/vduse/") + VDUSE_NAME_MAX], name[VDUSE_NAME_MAX] = "";
	uint64_t version = VDUSE_API_VERSION;
	int control, device;

	if (argc != 2 || strlen(argv[1]) >= sizeof(name))
		errx(2, "usage: vduse-net NAME");
	strcpy(name, argv[1]);
	control = open("/dev/vduse/control", O_RDWR | O_CLOEXEC);
	if (control < 0 || ioctl(control, VDUSE_SET_API_VERSION, &version) < 0)
		err(1, "/dev/vduse/control");
	create(control, name);
	snprintf(path, sizeof(path), "/dev/vduse/%s", name);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0)
		err(1, "%s", path);
	set_up_rings(device);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	puts("ready");
	fflush(stdout);
	answer_requests(device);
	close(device);
	if (ioctl(control, VDUSE_DESTROY_DEV, name) < 0)
		err(1, "cannot destroy %s", name);
	return 0;
}
